/* What is remembered of a cluster between passes: no password, no verifier. */
#include "control/internal.h"

#include <stdlib.h>
#include <string.h>

struct known *known_of(struct queue_key *key)
{
    if (key->data == NULL)
        key->data = xcalloc(1, sizeof(struct known));
    return key->data;
}

static void forget_credentials(struct known *known)
{
    free((char *)known->credentials.reason);
    free((char *)known->credentials.message);
    free((char *)known->credentials.verifiers_hash);
    known->credentials = (struct seen_credentials){0};
    known->credentials_known = false;
}

void known_reset(struct known *known, const char *uid)
{
    forget_credentials(known);
    free(known->uid);
    *known = (struct known){.uid = xstrdup(uid)};
}

void known_keep(struct known *known, const struct seen_credentials *seen)
{
    forget_credentials(known);
    known->credentials = *seen;
    known->credentials.reason = xstrdup(seen->reason);
    known->credentials.message = xstrdup(seen->message);
    known->credentials.verifiers_hash = xstrdup(seen->verifiers_hash);
    known->credentials.verifiers_json = "";
    known->credentials.ca_pem = "";
    known->credentials_known = true;
}

void known_free(void *data)
{
    struct known *known = data;
    if (known == NULL)
        return;
    forget_credentials(known);
    free(known->uid);
    free(known);
}
