/*
 * Short answers over plain HTTP, for probes and metrics: GET and HEAD, one request per connection,
 * nothing secret. Anyone who reaches the port may ask, so the cost of a client is bounded:
 * connections, bytes of a request and the time of a connection have limits, and a client with many
 * connections loses its own, never those of others (a kubelet's).
 */
#pragma once

#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"

enum {
    SERVE_CONNECTIONS_MAX = 64,
    SERVE_TURN_MAX = 16, /* accepted in a row, before the rest of the program has its turn */
    SERVE_REQUEST_MAX_BYTES = 8192,
    SERVE_LIFE_MS = 5000, /* from the accept to the last byte of the answer */
};

struct serve;

/* Writes the answer to a path such as "/readyz" and returns its HTTP code; ret_type is "text/plain"
 * unless it is set. Called for GET and HEAD only. */
typedef int (*serve_answer)(void *arg, const char *path, struct buffer *body,
                            const char **ret_type);

/* address "HOST:PORT" or "[HOST]:PORT"; an empty HOST means every address of both families. */
int serve_new(struct event_base *loop, const char *address, serve_answer answer, void *arg,
              struct serve **ret_serve, struct error *err) ERR_CHECKED;
void serve_free(struct serve *serve); /* NULL is fine */

/* Splits the address; false when it is not one. */
bool serve_split(const char *address, char *ret_host, size_t size, int *ret_port);

/* Pure: which of these connections, the oldest first, is closed for a new one: the oldest of the
 * client that has the most. A client is an address; in IPv6 its first 64 bits, because one client
 * has all addresses of such a prefix. */
struct serve_client {
    unsigned char key[16];
};
struct serve_client serve_client_of(const struct sockaddr *address);
size_t serve_victim(const struct serve_client *clients, size_t count);
