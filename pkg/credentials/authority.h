/* Secret <c>-ca: made, renewed or replaced, or judged when it is the user's. Part of credentials.
 */
#pragma once

#include "credentials/secret.h"
#include "credentials/x509.h"

enum replacement { /* what ANN_REPLACE_CA of the cluster asks for */
                   REPLACEMENT_NONE,
                   REPLACEMENT_PLANNED,
                   REPLACEMENT_NOW,
                   REPLACEMENT_UNCLEAR,
};

struct authority {
    bool usable; /* else a fault was told, and nothing can be signed */
    bool users;
    struct x509_pair pair; /* its text may hold more certificates: the chain of a user's own */
    enum replacement asked;
};

/* `server` is Secret <c>-server: a replacement under way shows in it. */
int authority_check(struct check *check, const cJSON *secret, const cJSON *server,
                    struct authority *ret_authority, struct error *err) ERR_CHECKED;
/* Whether what the cluster's annotation asks for is still to be done, as far as this Secret goes.
 */
bool authority_asked_anew(const struct check *check, const cJSON *secret);
/* The annotation by which a Secret remembers the request; false where it stays as it is. */
bool authority_record(const struct check *check, enum replacement asked, struct key_value *ret);
/* A pair of ours. ERR_INVALID says what is wrong with it; a missing key is ERR_NOT_FOUND. */
int authority_read_pair(struct check *check, const cJSON *secret, const char *cert_key,
                        const char *key_key, struct x509_pair *ret_pair,
                        struct error *err) ERR_CHECKED;
/* A pair that is the user's: missing keys and mistakes are told, nothing is repaired. */
bool authority_users_pair(struct check *check, const cJSON *secret, const char *name,
                          const char *cert_key, const char *key_key, struct x509_pair *ret_pair);
/* Somebody asked for another CA, but the CA is the user's own. */
void authority_report_refusal(struct check *check, const char *why);
