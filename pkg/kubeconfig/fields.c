/* Fields of a kubeconfig entry, read with errors that name file and field. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "kubeconfig/sources.h"

int kubeconfig_fault(const struct kubeconfig_place *place, const char *field, struct error *err,
                     const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return err_set_reason(err, ERR_INVALID, "KubeconfigInvalid",
                          "kubeconfig '%s': %s[%d].%s%s%s: %s", place->file->path, place->list,
                          place->index, place->inner, field[0] ? "." : "", field, text);
}

int kubeconfig_text(const struct kubeconfig_place *place, const char *field, const char **ret_text,
                    struct error *err)
{
    const cJSON *node = json_get(place->node, field);
    if (node == NULL || cJSON_IsNull(node) || (cJSON_IsString(node) && !node->valuestring[0])) {
        *ret_text = NULL;
        return 0;
    }
    if (!cJSON_IsString(node))
        return kubeconfig_fault(place, field, err, "must be a string; put it in quotes");
    if (strpbrk(node->valuestring, "\r\n") != NULL && strstr(field, "-data") == NULL)
        return kubeconfig_fault(place, field, err, "must be a single line");
    *ret_text = node->valuestring;
    return 0;
}

int kubeconfig_flag(const struct kubeconfig_place *place, const char *field, bool *ret_flag,
                    struct error *err)
{
    const cJSON *node = json_get(place->node, field);
    if (node != NULL && !cJSON_IsNull(node) && !cJSON_IsBool(node))
        return kubeconfig_fault(place, field, err, "must be true or false");
    *ret_flag = cJSON_IsTrue(node);
    return 0;
}

int kubeconfig_path(struct arena *arena, const struct kubeconfig_place *place, const char *field,
                    const char **ret_path, struct error *err)
{
    const char *path;
    if (kubeconfig_text(place, field, &path, err) < 0)
        return err->class;
    if (path != NULL && path[0] != '/')
        path = arena_printf(arena, "%s/%s", place->file->folder, path);
    *ret_path = path;
    return 0;
}

/* Base64 may be broken into lines; the decoder takes no white space. */
static char *without_space(struct arena *arena, const char *text)
{
    char *packed = arena_alloc(arena, strlen(text) + 1), *out = packed;
    for (; *text != '\0'; text++)
        if (!isspace((unsigned char)*text))
            *out++ = *text;
    return packed;
}

static ERR_CHECKED int looks_like_pem(const struct kubeconfig_place *place, const char *field,
                                      const char *text, size_t length, struct error *err)
{
    if (strlen(text) != length || strstr(text, "-----BEGIN ") == NULL)
        return kubeconfig_fault(place, field, err,
                                "holds no PEM block (-----BEGIN ...); export it as PEM");
    return 0;
}

static ERR_CHECKED int pem_from_data(struct arena *arena, const struct kubeconfig_place *place,
                                     const char *field, const char *data, const char **ret_pem,
                                     struct error *err)
{
    size_t length;
    char *packed = kubeconfig_secret(arena, without_space(arena, data));
    char *pem = hash_unbase64(arena, packed, &length);
    if (pem == NULL)
        return kubeconfig_fault(place, field, err, "not base64");
    kubeconfig_secret(arena, pem);
    if (looks_like_pem(place, field, pem, length, err) < 0)
        return err->class;
    *ret_pem = pem;
    return 0;
}

int kubeconfig_pem(struct arena *arena, const struct kubeconfig_place *place, const char *field,
                   const char **ret_pem, struct error *err)
{
    char data_field[64];
    snprintf(data_field, sizeof data_field, "%s-data", field);
    const char *data, *path;
    if (kubeconfig_text(place, data_field, &data, err) < 0 ||
        kubeconfig_path(arena, place, field, &path, err) < 0)
        return err->class;
    if (data != NULL)
        return pem_from_data(arena, place, data_field, data, ret_pem, err);
    *ret_pem = NULL;
    if (path == NULL)
        return 0;
    char *pem;
    size_t length;
    struct error cause;
    if (file_read(arena, path, KUBECONFIG_SECRET_MAX_BYTES, &pem, &length, &cause) < 0)
        return kubeconfig_fault(place, field, err, "%s", cause.text);
    kubeconfig_secret(arena, pem);
    if (looks_like_pem(place, field, pem, length, err) < 0)
        return err->class;
    *ret_pem = pem;
    return 0;
}
