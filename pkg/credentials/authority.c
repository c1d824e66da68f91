#include "credentials/authority.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

enum { REQUEST_MAX = 200 };

#define DAY_MS (24 * 3600 * INT64_C(1000))
/* This long before it expires, a user's own CA is mentioned in status: its clients need the next
 * one. */
#define CA_NOTICE_MS (30 * DAY_MS)

/* -- what is asked for --------------------------------------------------------------------------
 */

static enum replacement replacement_of(const char *request)
{
    static const struct {
        const char *word;
        enum replacement asked;
    } words[] = {{"planned", REPLACEMENT_PLANNED}, {"now", REPLACEMENT_NOW}};
    if (!text_given(request))
        return REPLACEMENT_NONE;
    for (size_t i = 0; strlen(request) <= REQUEST_MAX && i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i].word);
        if (strncmp(request, words[i].word, length) == 0 && strchr(" -", request[length]) != NULL)
            return words[i].asked; /* the end of the text counts as found */
    }
    return REPLACEMENT_UNCLEAR;
}

bool authority_asked_anew(const struct check *check, const cJSON *secret)
{
    const char *done = json_str(secret, "metadata.annotations[\"" ANN_CA_REPLACED "\"]", "");
    enum replacement asked = replacement_of(check->spec->replace_ca);
    return (asked == REPLACEMENT_PLANNED || asked == REPLACEMENT_NOW) &&
           !text_same(done, check->spec->replace_ca);
}

bool authority_record(const struct check *check, enum replacement asked, struct key_value *ret)
{
    if (asked == REPLACEMENT_UNCLEAR)
        return false;
    *ret = (struct key_value){ANN_CA_REPLACED, text_or_empty(check->spec->replace_ca)};
    return true;
}

void authority_report_refusal(struct check *check, const char *why)
{
    secret_notice(check, REASON_REPLACE_CA_REFUSED,
                  "annotation '" ANN_REPLACE_CA "' has no effect: %s", why);
}

/* -- pairs --------------------------------------------------------------------------------------
 */

int authority_read_pair(struct check *check, const cJSON *secret, const char *cert_key,
                        const char *key_key, struct x509_pair *ret_pair, struct error *err)
{
    struct secret_value cert = secret_value(check, secret, cert_key);
    struct secret_value key = secret_value(check, secret, key_key);
    if (cert.text == NULL || key.text == NULL)
        return err_set(err, ERR_NOT_FOUND, "%s", cert.text == NULL ? cert_key : key_key);
    return x509_read(cert.text, key.text, ret_pair, err);
}

/* Reads the two files from where the command is given, or gives the Secret up. */
static void unblock_by_files(struct check *check, const char *name, const char *cert_key,
                             const char *key_key)
{
    const char *namespace = check->spec->namespace;
    secret_unblock(check,
                   "with the right files in the current folder: kubectl -n %s patch secret %s -p "
                   "'{\"data\":{\"%s\":\"'$(base64 -w0 %s)'\",\"%s\":\"'$(base64 -w0 %s)'\"}}'; or "
                   "let pgkeel create its own: kubectl -n %s delete secret %s",
                   namespace, name, cert_key, cert_key, key_key, key_key, namespace, name);
}

/* A pair that has expired is a fault, and still counts as read: the caller shows until when it was
 * good. */
bool authority_users_pair(struct check *check, const cJSON *secret, const char *name,
                          const char *cert_key, const char *key_key, struct x509_pair *ret_pair)
{
    const char *namespace = check->spec->namespace;
    struct error why = {0};
    int class = authority_read_pair(check, secret, cert_key, key_key, ret_pair, &why);
    bool told = false;
    if (class == ERR_NOT_FOUND)
        told = secret_fault(check, REASON_SECRET_KEY_MISSING, "Secret '%s/%s' has no key '%s'",
                            namespace, name, why.text);
    else if (class < 0)
        told = secret_fault(check, REASON_CERTIFICATE_INVALID,
                            "Secret '%s/%s', keys '%s' and '%s': %s", namespace, name, cert_key,
                            key_key, why.text);
    else if (ret_pair->not_after_ms <= check->now_ms)
        told = secret_fault(check, REASON_CERTIFICATE_EXPIRED,
                            "Secret '%s/%s': the certificate in '%s' expired at %s", namespace,
                            name, cert_key, clock_rfc3339(check->arena, ret_pair->not_after_ms));
    if (told)
        unblock_by_files(check, name, cert_key, key_key);
    if (class == 0)
        secret_due(check, ret_pair->not_after_ms);
    return class == 0;
}

/* -- the CA -------------------------------------------------------------------------------------
 */

/* A CA of the user's is never replaced or renewed: what is wrong with it is told, with what to
 * write. */
static void users_authority(struct check *check, const cJSON *secret, const char *name,
                            struct authority *authority)
{
    const char *namespace = check->spec->namespace;
    struct x509_pair *pair = &authority->pair;
    authority->users = true;
    if (authority->asked != REPLACEMENT_NONE)
        authority_report_refusal(
            check, arena_printf(check->arena,
                                "the CA in Secret '%s/%s' is your own; write the new one into it",
                                namespace, name));
    authority->asked = REPLACEMENT_NONE;
    if (!authority_users_pair(check, secret, name, "ca.crt", "ca.key", pair))
        return;
    if (!x509_may_sign(pair->cert_pem)) {
        if (secret_fault(check, REASON_CERTIFICATE_INVALID,
                         "Secret '%s/%s', key 'ca.crt': the certificate is not a CA certificate "
                         "(basicConstraints CA:TRUE)",
                         namespace, name))
            unblock_by_files(check, name, "ca.crt", "ca.key");
        return;
    }
    authority->usable = pair->not_after_ms > check->now_ms;
    if (authority->usable && pair->not_after_ms - check->now_ms <= CA_NOTICE_MS)
        secret_notice(check, REASON_CA_EXPIRING,
                      "the CA in Secret '%s/%s' expires at %s (%s), and so does every certificate "
                      "that it signs; write a new 'ca.crt' and 'ca.key' into the Secret: the "
                      "servers then show the old certificate for another spec.tls.caOverlap",
                      namespace, name, clock_rfc3339(check->arena, pair->not_after_ms),
                      secret_countdown(check, pair->not_after_ms));
}

/* Our own CA cannot be used. Clients trust its certificate, so a person must decide that they
 * get another one. */
static void report_damage(struct check *check, const cJSON *secret, const char *name,
                          const struct error *why)
{
    const char *namespace = check->spec->namespace, *cluster = check->spec->name;
    bool missing = why->class == ERR_NOT_FOUND;
    bool told = missing
                    ? secret_fault(check, REASON_SECRET_KEY_MISSING,
                                   "Secret '%s/%s' has no key '%s'; pgkeel does not replace the CA "
                                   "without being asked, because clients trust its certificate",
                                   namespace, name, why->text)
                    : secret_fault(
                          check, REASON_CERTIFICATE_INVALID,
                          "Secret '%s/%s', keys 'ca.crt' and 'ca.key': %s; pgkeel does not replace "
                          "the CA without being asked, because clients trust its certificate",
                          namespace, name, why->text);
    if (told)
        secret_unblock(check,
                       "restore both keys from a backup; or request a new CA, which takes over in "
                       "%s: kubectl -n %s annotate pgc %s --overwrite " ANN_REPLACE_CA
                       "='planned %s'",
                       check->spec->ca_overlap, namespace, cluster,
                       json_str(secret, "metadata.resourceVersion", ""));
}

/* Clients have been given a new CA, but the servers do not show its certificate yet. */
static bool is_under_way(struct check *check, const cJSON *server, const struct x509_pair *ca)
{
    struct secret_value leaf = secret_value(check, server, "tls.crt");
    return text_given(json_str(server, "metadata.annotations[\"" ANN_CA_CHANGED "\"]", "")) &&
           leaf.text && !x509_signed_by(leaf.text, ca->cert_pem);
}

/* Our CA is renewed with the same key, which no client notices; another key is made only for a new
 * cluster, or when a person asks. */
static ERR_CHECKED int our_authority(struct check *check, const cJSON *secret, const cJSON *server,
                                     const char *name, struct authority *authority,
                                     struct error *err)
{
    const struct x509_subject subject = {name, check->spec->namespace};
    struct x509_pair *pair = &authority->pair;
    struct error why = {0};
    bool whole = authority_read_pair(check, secret, "ca.crt", "ca.key", pair, &why) == 0;
    bool asked = authority_asked_anew(check, secret);
    /* The new CA exists. 'now' ends the wait for it; 'planned' must not restart the wait, or a
     * program that asks every day postpones the takeover for ever. */
    if (asked && whole && is_under_way(check, server, pair))
        asked = false;
    bool fresh = secret == NULL || asked;
    if (!fresh && !whole) {
        report_damage(check, secret, name, &why);
        return 0;
    }
    bool renew = !fresh && x509_renew_ms(pair) <= check->now_ms;
    const struct x509_random random = {check->random, check->random_arg};
    if ((fresh || renew) && x509_make_ca(check->arena, &subject, renew ? pair->key_pem : NULL,
                                         check->now_ms, random, pair, err) < 0)
        return err->class;
    secret_due(check, x509_renew_ms(pair));
    struct key_value record;
    bool recorded = authority_record(check, authority->asked, &record);
    const struct key_value data[] = {{"ca.crt", pair->cert_pem}, {"ca.key", pair->key_pem}};
    const struct secret_intent intent = {.name = name,
                                         .type = "Opaque",
                                         .keep = check->spec->retain,
                                         .data = data,
                                         .data_count = 2,
                                         .annotations = &record,
                                         .annotation_count = recorded,
                                         .reason = renew ? "the CA is renewed with the same key"
                                                         : "a new CA was requested"};
    secret_ensure(check, secret, &intent);
    authority->usable = true;
    return 0;
}

/* An unclear request is refused here only for a CA of ours: about a user's own, users_authority()
 * refuses every request. */
int authority_check(struct check *check, const cJSON *secret, const cJSON *server,
                    struct authority *ret_authority, struct error *err)
{
    const char *name = name_child(check->arena, check->spec->name, "ca");
    *ret_authority = (struct authority){.asked = replacement_of(check->spec->replace_ca)};
    if (secret_owner(check, secret) == SECRET_USERS) {
        users_authority(check, secret, name, ret_authority);
    } else {
        if (ret_authority->asked == REPLACEMENT_UNCLEAR)
            authority_report_refusal(check, "it must be 'planned' or 'now', at most 200 characters "
                                            "in all; to ask again, add a space and a new word");
        if (our_authority(check, secret, server, name, ret_authority, err) < 0)
            return err_wrap(err, "Secret '%s/%s'", check->spec->namespace, name);
    }
    if (!ret_authority->usable)
        return 0;
    struct seen_credentials *seen = &check->result.seen;
    seen->ca_pem = ret_authority->pair.cert_pem;
    seen->ca_fingerprint = x509_fingerprint(check->arena, seen->ca_pem);
    seen->ca_expires_ms = ret_authority->pair.not_after_ms;
    return 0;
}
