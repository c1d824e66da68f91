/* Runs a fuzz target over files, so that corpora are tests in a build without libFuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16 * 1024 * 1024 };

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        AUTO_ARENA arena = arena_new();
        struct error err = {0};
        char *text;
        size_t length;
        if (file_read(arena, argv[i], INPUT_MAX, &text, &length, &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            return EXIT_FAILURE;
        }
        /* A copy of just that size, so that reading past its end is seen. */
        uint8_t *data = malloc(length ? length : 1);
        if (data == NULL)
            return EXIT_FAILURE;
        for (size_t j = 0; j < length; j++)
            data[j] = (uint8_t)text[j];
        (void)LLVMFuzzerTestOneInput(data, length); /* always 0: it aborts where it fails */
        free(data);
    }
    return EXIT_SUCCESS;
}
