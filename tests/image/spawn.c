/*
 * spawn COUNT PROGRAM ARGUMENTS...: starts PROGRAM that often, one after the other, and prints the
 * least and the median wall time of start to exit in microseconds. Exits 1 when a run fails.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

static int compare(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

static long now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    enum { MOST = 1000 };
    static long took[MOST];
    int count = argc > 2 ? atoi(argv[1]) : 0;
    if (count < 1 || count > MOST)
        return 2;
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    for (int i = 0; i < count; i++) {
        pid_t pid;
        int status;
        char *environment[] = {NULL};
        long begun = now_us();
        if (posix_spawn(&pid, argv[2], &quiet, NULL, argv + 2, environment) != 0 ||
            waitpid(pid, &status, 0) != pid || status != 0)
            return 1;
        took[i] = now_us() - begun;
    }
    qsort(took, (size_t)count, sizeof took[0], compare);
    printf("%ld %ld\n", took[0], took[count / 2]);
    return 0;
}
