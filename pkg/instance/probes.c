#include "instance/probes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log_writer.h"
#include "loop/serve.h"
#include "metrics/metrics.h"

struct probes {
    struct serve *serve;
    probes_ready ready;
    probes_metrics metrics;
    void *arg;
};

static void print_alive(char *text, size_t size)
{
    uint64_t dropped = log_writer_dropped();
    if (dropped > 0)
        snprintf(text, size, "ok; %llu log lines were dropped: the log was not read in time",
                 (unsigned long long)dropped);
}

/* Liveness and start ask only whether this process turns: postgres is its business, and a kubelet
 * that kills it for a server that recovers would make that begin again. */
static int answer(void *arg, const char *path, struct buffer *body, const char **ret_type)
{
    struct probes *probes = arg;
    char text[1024] = "";
    int code = 200;
    if (strcmp(path, "/metrics") == 0) {
        *ret_type = METRICS_TYPE;
        probes->metrics(probes->arg, body);
        return code;
    }
    if (strcmp(path, "/readyz") == 0)
        code = probes->ready(probes->arg, text, sizeof text) ? 200 : 503;
    else if (strcmp(path, "/livez") != 0 && strcmp(path, "/startupz") != 0)
        code = 404;
    else
        print_alive(text, sizeof text);
    buffer_printf(body, "%s\n", code == 404 ? "not found" : text[0] ? text : "ok");
    return code;
}

int probes_new(struct event_base *loop, const char *address, probes_ready ready,
               probes_metrics metrics, void *arg, struct probes **ret_probes, struct error *err)
{
    struct probes *probes = xcalloc(1, sizeof *probes);
    *probes = (struct probes){NULL, ready, metrics, arg};
    if (serve_new(loop, address, answer, probes, &probes->serve, err) < 0) {
        free(probes);
        return err_wrap(err, "probes");
    }
    *ret_probes = probes;
    return 0;
}

void probes_free(struct probes *probes)
{
    if (probes == NULL)
        return;
    serve_free(probes->serve);
    free(probes);
}
