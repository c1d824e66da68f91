/* What is remembered of a cluster between passes: no password, no verifier. */
#include "control/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct history *history_of(struct queue_key *key)
{
    if (key->data == NULL)
        key->data = xcalloc(1, sizeof(struct history));
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

static void forget_credentials(struct history *history)
{
    const char **texts[KEPT];
    kept_texts(&history->credentials, texts);
    for (int i = 0; i < KEPT; i++)
        free((char *)*texts[i]);
    history->credentials = (struct seen_credentials){0};
    history->credentials_known = false;
}

void history_reset(struct history *history, const char *uid)
{
    forget_credentials(history);
    refusals_forget(history);
    contests_forget(history);
    free(history->logged_failure);
    free(history->uid);
    *history = (struct history){.uid = xstrdup(uid)};
}

void history_keep(struct history *history, const struct seen_credentials *seen)
{
    forget_credentials(history);
    history->credentials = *seen;
    const char **texts[KEPT];
    kept_texts(&history->credentials, texts);
    for (int i = 0; i < KEPT; i++)
        *texts[i] = xstrdup(text_or_empty(*texts[i]));
    history->credentials.verifiers_json = "";
    history->credentials.ca_pem = "";
    history->credentials_known = true;
}

void history_free(void *data)
{
    struct history *history = data;
    if (history == NULL)
        return;
    forget_credentials(history);
    refusals_forget(history);
    contests_forget(history);
    free(history->logged_failure);
    free(history->uid);
    free(history);
}
