/*
 * /startupz, /livez and /readyz for the kubelet, plain HTTP. The first two are fine as long as the
 * agent's loop turns: no probe ever kills a crash recovery. /readyz: the instance accepts what its
 * role should; the body of a 503 says why not. /metrics for a Prometheus.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"

struct probes;

/* Writes why not (or what it is) into `text`. */
typedef bool (*probes_ready)(void *arg, char *text, size_t size);
/* Prints the page of metrics. */
typedef void (*probes_metrics)(void *arg, struct buffer *page);

/* address "HOST:PORT" or "[HOST]:PORT"; an empty HOST means every address of both families. */
int probes_new(struct event_base *loop, const char *address, probes_ready ready,
               probes_metrics metrics, void *arg, struct probes **ret_probes,
               struct error *err) ERR_CHECKED;
void probes_free(struct probes *probes);
