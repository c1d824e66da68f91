/* What the server certificate says. Pure. */
#pragma once

#include <stdbool.h>

/* Would a client that looks for `host` (a DNS name or an address) accept this certificate's names,
 * as libpq compares them (https://www.postgresql.org/docs/current/libpq-ssl.html)? False also for
 * what is not a PEM certificate. */
bool certificate_names(const char *pem, const char *host);
