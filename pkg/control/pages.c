/* /healthz, /readyz and /metrics: plain HTTP, nothing secret. */
#include "control/internal.h"

#include <string.h>

#include "base/log.h"
#include "control/metrics.h"
#include "loop/serve.h"
#include "metrics/process.h"

static int readiness(const struct control *control, struct buffer *body)
{
    /* A second operator that waits for the lease is as ready as it can be. */
    bool filling = control->leads && !(control->observe && observe_synced(control->observe));
    bool ready = control->facts_known && !filling;
    buffer_printf(body, "%s\n",
                  !control->facts_known ? "the API server has not answered yet"
                  : filling             ? "the caches are being filled"
                  : control->leads      ? "leading"
                                        : "waiting");
    return ready ? 200 : 503;
}

static int answer(void *arg, const char *path, struct buffer *body, const char **ret_type)
{
    const struct control *control = arg;
    if (strcmp(path, "/readyz") == 0)
        return readiness(control, body);
    if (strcmp(path, "/metrics") == 0) {
        *ret_type = METRICS_TYPE;
        metrics_print(control_metrics, control, body);
        metrics_print(process_metrics, NULL, body);
        return 200;
    }
    /* That the loop answers is all there is to say. */
    bool healthz = strcmp(path, "/healthz") == 0;
    buffer_puts(body, healthz ? "ok\n" : "not found\n");
    return healthz ? 200 : 404;
}

void pages_start(struct control *control)
{
    const char *address = control->options->http_address;
    struct error err = {0};
    if (*address == '\0')
        return;
    /* Without it the operator still does its work; the kubelet's probes tell the rest. */
    if (serve_new(control->loop, address, answer, control, &control->pages, &err) < 0)
        log_warning("cannot listen for probes and metrics; set --metrics-address", "address",
                    address, "error", err.text, NULL);
}

void pages_stop(struct control *control)
{
    serve_free(control->pages);
    control->pages = NULL;
}
