#include "kube/reply.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "http/http.h"

static int class_of(int http_status, const char *reason)
{
    /* "ServerTimeout" is a 500 that asks for a retry; nothing was done. */
    if (strcmp(reason, "ServerTimeout") == 0)
        return ERR_OVERLOADED;
    return http_status_class(http_status);
}

/* The first line of what a proxy or a handler wrote, printable and short. */
static void first_line(const char *body, size_t length, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < length && used + 1 < size; i++) {
        unsigned char c = (unsigned char)body[i];
        if ((c == '\n' || c == '\r') && used > 0)
            break;
        if (c >= 0x80 || isprint(c))
            out[used++] = (char)c;
    }
    out[used] = '\0';
}

static void from_text(int http_status, const char *body, size_t length, struct error *err)
{
    char line[200];
    first_line(body, length, line, sizeof line);
    err_set(err, class_of(http_status, ""), "the API server answered HTTP %d%s%s", http_status,
            line[0] ? ": " : "", line);
}

int kube_reply_error(int http_status, int retry_after_ms, const char *body, size_t length,
                     struct error *err)
{
    cJSON *tree = cJSON_ParseWithLength(body ? body : "", length);
    const char *message = json_str(tree, "message", "");
    if (strcmp(json_str(tree, "kind", ""), "Status") == 0) {
        const char *reason = json_str(tree, "reason", "");
        int seconds = (int)json_int(tree, "details.retryAfterSeconds", 0);
        err_set_reason(err, class_of(http_status, reason), reason, "%s",
                       message[0] ? message : reason);
        if (retry_after_ms == 0 && seconds > 0 && seconds < 3600)
            retry_after_ms = seconds * 1000;
    } else {
        from_text(http_status, body, length, err);
    }
    cJSON_Delete(tree);
    err->http_status = http_status;
    err->retry_after_ms = retry_after_ms;
    return err->class;
}
