/* What is remembered of a cluster between passes: no password, no verifier. */
#include "control/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct known *known_of(struct queue_key *key)
{
    if (key->data == NULL)
        key->data = xcalloc(1, sizeof(struct known));
    return key->data;
}

enum { KEPT = 8 };

/* The texts that outlive a pass. */
static void kept_texts(struct seen_credentials *seen, const char **ret_texts[KEPT])
{
    const char **const texts[KEPT] = {
        &seen->reason,        &seen->message, &seen->unblock,  &seen->verifiers_hash,
        &seen->notice_reason, &seen->notice,  &seen->observed, &seen->ca_fingerprint,
    };
    memcpy(ret_texts, texts, sizeof texts);
}

static void forget_credentials(struct known *known)
{
    const char **texts[KEPT];
    kept_texts(&known->credentials, texts);
    for (int i = 0; i < KEPT; i++)
        free((char *)*texts[i]);
    known->credentials = (struct seen_credentials){0};
    known->credentials_known = false;
}

void known_reset(struct known *known, const char *uid)
{
    forget_credentials(known);
    refusals_forget(known);
    contests_forget(known);
    free(known->told_failure);
    free(known->uid);
    *known = (struct known){.uid = xstrdup(uid)};
}

void known_keep(struct known *known, const struct seen_credentials *seen)
{
    forget_credentials(known);
    known->credentials = *seen;
    const char **texts[KEPT];
    kept_texts(&known->credentials, texts);
    for (int i = 0; i < KEPT; i++)
        *texts[i] = xstrdup(text_or_empty(*texts[i]));
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
    refusals_forget(known);
    contests_forget(known);
    free(known->told_failure);
    free(known->uid);
    free(known);
}
