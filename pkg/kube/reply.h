/* What an API server's refusal means. */
#pragma once

#include <stddef.h>

#include "base/error.h"

/* Fills err from an answer with a status of 300 or more: class, http_status, reason, retry_after_ms
 * and the Status object's own message; from the body's first line when it is not a Status. */
int kube_reply_error(int http_status, int retry_after_ms, const char *body, size_t length,
                     struct error *err) ERR_CHECKED;
