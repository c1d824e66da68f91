#include "credentials/certificates.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "credentials/authority.h"

enum { NAMES_MAX = 24 };

#define DAY_MS (24 * 3600 * INT64_C(1000))

struct names {
    const char *list[NAMES_MAX];
    size_t count;
};

/* The name by which replicas look for their primary. */
static const char *primary_name(struct check *check)
{
    return arena_printf(check->arena, "%s.%s.svc",
                        name_child(check->arena, check->spec->name, "rw"), check->spec->namespace);
}

/* Every name under which a client may reach a server of this cluster: the services in all their
 * forms, each pod by its stable name, and localhost for port-forwarding. */
static void server_names(struct check *check, struct names *ret_names)
{
    struct arena *arena = check->arena;
    const char *namespace = check->spec->namespace;
    struct names names = {0};
    for (size_t i = 0; i < SERVICES; i++) {
        const char *service = name_child(arena, check->spec->name, name_services[i]);
        names.list[names.count++] = service;
        names.list[names.count++] = arena_printf(arena, "%s.%s", service, namespace);
        names.list[names.count++] = arena_printf(arena, "%s.%s.svc", service, namespace);
        names.list[names.count++] =
            arena_printf(arena, "%s.%s.svc.cluster.local", service, namespace);
    }
    const char *pods = name_child(arena, check->spec->name, "pods");
    names.list[names.count++] = arena_printf(arena, "*.%s.%s.svc", pods, namespace);
    names.list[names.count++] = arena_printf(arena, "*.%s.%s.svc.cluster.local", pods, namespace);
    names.list[names.count++] = "localhost";
    *ret_names = names;
}

static bool collides(struct check *check, enum secret_owner owner, const char *name)
{
    if (owner != SECRET_OTHERS)
        return false;
    if (secret_fault(check, REASON_NAME_COLLISION,
                     "Secret '%s/%s' belongs to another PostgresCluster", check->spec->namespace,
                     name))
        secret_unblock(check, "give one of the two clusters another name");
    return true;
}

/* -- the user's own server certificate: no CA of ours is needed then ----------------------------
 */

/* Replicas verify their primary with these: what they would refuse is reported before they do. */
static void judge_users_server(struct check *check, const char *name, const struct x509_pair *pair,
                               const char *ca)
{
    const char *namespace = check->spec->namespace, *wanted = primary_name(check);
    struct error why = {0};
    if (x509_chain_holds(pair->cert_pem, ca, &why) < 0) {
        if (secret_fault(check, REASON_CERTIFICATE_INVALID,
                         "Secret '%s/%s': the certificate in 'tls.crt' cannot be verified with the "
                         "ones in 'ca.crt': %s",
                         namespace, name, why.text))
            secret_unblock(check,
                           "with the CA's certificate in file ca.crt: kubectl -n %s patch secret "
                           "%s -p '{\"data\":{\"ca.crt\":\"'$(base64 -w0 ca.crt)'\"}}'",
                           namespace, name);
    } else if (!x509_serves(pair->cert_pem, wanted)) {
        if (secret_fault(check, REASON_CERTIFICATE_INVALID,
                         "Secret '%s/%s': the certificate in 'tls.crt' does not name '%s', by "
                         "which replicas find their primary",
                         namespace, name, wanted))
            secret_unblock(check,
                           "have a certificate issued with the DNS name %s (subjectAltName); with "
                           "it in files tls.crt and tls.key: kubectl -n %s patch secret %s -p "
                           "'{\"data\":{\"tls.crt\":\"'$(base64 -w0 tls.crt)'\",\"tls.key\":\"'"
                           "$(base64 -w0 tls.key)'\"}}'",
                           wanted, namespace, name);
    }
}

/* Programs that renew certificates do so with a third of their life left. */
static void report_expiry(struct check *check, const char *name, const struct x509_pair *pair)
{
    int64_t quarter_ms = (pair->not_after_ms - pair->not_before_ms) / 4;
    int64_t soon_ms = quarter_ms < 30 * DAY_MS ? quarter_ms : 30 * DAY_MS;
    if (pair->not_after_ms > check->now_ms && pair->not_after_ms - check->now_ms <= soon_ms)
        secret_notice(check, REASON_CERTIFICATE_EXPIRING,
                      "the certificate in Secret '%s/%s' expires at %s (%s), and pgkeel does not "
                      "renew it; write a new 'tls.crt' and 'tls.key' into the Secret",
                      check->spec->namespace, name, clock_rfc3339(check->arena, pair->not_after_ms),
                      secret_countdown(check, pair->not_after_ms));
}

/* A certificate of the user's is checked and shown, never rewritten: replicas check the primary
 * with its 'ca.crt', so that key is needed, too. */
static void users_server(struct check *check, const cJSON *secret, const char *name)
{
    struct x509_pair pair;
    if (text_given(check->spec->replace_ca))
        authority_report_refusal(check,
                                 arena_printf(check->arena,
                                              "the certificates in Secret '%s/%s' are your own; "
                                              "write new ones into it",
                                              check->spec->namespace, name));
    if (!authority_users_pair(check, secret, name, "tls.crt", "tls.key", &pair))
        return;
    struct secret_value ca = secret_value(check, secret, "ca.crt");
    if (ca.text == NULL) {
        if (secret_fault(check, REASON_SECRET_KEY_MISSING,
                         "Secret '%s/%s' has no key 'ca.crt': replicas verify their primary with "
                         "the CA certificate that signed 'tls.crt'",
                         check->spec->namespace, name))
            secret_unblock(check,
                           "with the CA's certificate in file ca.crt: kubectl -n %s patch secret "
                           "%s -p '{\"data\":{\"ca.crt\":\"'$(base64 -w0 ca.crt)'\"}}'",
                           check->spec->namespace, name);
        return;
    }
    judge_users_server(check, name, &pair, ca.text);
    report_expiry(check, name, &pair);
    check->trust = check->result.seen.ca_pem = ca.text;
    check->result.seen.certificate_expires_ms = pair.not_after_ms;
}

/* -- ours ---------------------------------------------------------------------------------------
 */

struct server {
    struct check *check;
    const cJSON *secret;
    const char *name;
    const struct authority *ca;
    bool whole;            /* a pair is there and its parts belong together */
    struct x509_pair leaf; /* what is shown, or will be */
    const char *others;    /* certificates beside the CA's that clients are to trust still */
    int64_t since_ms;      /* of the annotation; 0: no CA is being replaced */
    const char *reason;    /* why it is written */
};

/* What clients were given last. The app's Secret outlives the cluster object and this one. */
static const char *present_trust(struct check *check, const struct credentials_input *input)
{
    const cJSON *const secrets[] = {input->server, input->app};
    for (size_t i = 0; i < 2; i++) {
        struct secret_value value = secret_value(check, secrets[i], "ca.crt");
        if (secret_owner(check, secrets[i]) == SECRET_OURS && value.text != NULL)
            return value.text;
    }
    return "";
}

static bool shows(const struct server *server, const char *ca_pem)
{
    return server->whole && x509_signed_by(server->leaf.cert_pem, ca_pem);
}

/* The certificates that clients trust besides the CA's own: none that expired, and no more than
 * are read back. The one that signed what the servers show comes first, so that it is never left
 * out. */
static const char *other_certificates(struct check *check, const struct x509_bundle *known,
                                      const struct server *server)
{
    const struct x509_bundle own = x509_bundle(check->arena, server->ca->pair.cert_pem);
    const char *text = "";
    size_t count = own.count;
    for (int turn = 0; turn < 2; turn++)
        for (size_t i = 0; i < known->count && count < X509_BUNDLE_MAX; i++) {
            const char *cert = known->certs[i];
            if (known->not_after_ms[i] <= check->now_ms || x509_bundle_has(&own, cert) ||
                shows(server, cert) != (turn == 0))
                continue;
            text = arena_printf(check->arena, "%s%s", text, cert);
            count++;
        }
    return text;
}

/* The other CAs that clients were given at an unknown time. They are also in the app's Secret,
 * where that is ours; what somebody puts into only one of the two does not count. A certificate
 * with the present key is only an earlier one of the present CA. */
static const char *undated_certificates(const struct server *server, const cJSON *app)
{
    struct check *check = server->check;
    struct secret_value value = secret_value(check, app, "ca.crt");
    bool is_in_both = secret_owner(check, app) == SECRET_OURS && value.text != NULL;
    const struct x509_bundle mine = x509_bundle(check->arena, server->others);
    const struct x509_bundle apps = x509_bundle(check->arena, text_or_empty(value.text));
    const char *text = "";
    for (size_t i = 0; i < mine.count; i++)
        if (!shows(server, mine.certs[i]) && (!is_in_both || x509_bundle_has(&apps, mine.certs[i])))
            text = arena_printf(check->arena, "%s%s", text, mine.certs[i]);
    return text;
}

static bool signed_by_any(struct check *check, const char *cert_pem, const char *text)
{
    const struct x509_bundle bundle = x509_bundle(check->arena, text);
    for (size_t i = 0; i < bundle.count; i++)
        if (x509_signed_by(cert_pem, bundle.certs[i]))
            return true;
    return false;
}

static ERR_CHECKED int issue(struct server *server, struct error *err)
{
    struct check *check = server->check;
    const struct x509_subject subject = {name_child(check->arena, check->spec->name, "rw"),
                                         check->spec->namespace};
    struct names names;
    server_names(check, &names);
    return x509_issue(check->arena, &server->ca->pair, &subject, names.list, names.count,
                      check->now_ms, (struct x509_random){check->random, check->random_arg},
                      &server->leaf, err);
}

/* Never past the end of its CA, and renewed only where that makes it last longer. */
static bool leaf_is_due(const struct server *server)
{
    const struct check *check = server->check;
    const struct x509_pair *ca = &server->ca->pair, *leaf = &server->leaf;
    struct names names;
    server_names(server->check, &names);
    return leaf->not_after_ms > ca->not_after_ms ||
           !x509_names_are(leaf->cert_pem, names.list, names.count) ||
           (x509_renew_ms(leaf) <= check->now_ms &&
            x509_would_last_ms(ca, check->now_ms) > leaf->not_after_ms);
}

/* When the new CA's certificate is shown: while the old one is still good. */
static int64_t takeover_ms(const struct server *server)
{
    const struct x509_pair *leaf = &server->leaf;
    int64_t quarter_ms = (leaf->not_after_ms - leaf->not_before_ms) / 4;
    int64_t end_ms = leaf->not_after_ms - (quarter_ms < DAY_MS ? quarter_ms : DAY_MS);
    int64_t asked_ms = server->since_ms + server->check->spec->ca_overlap_ms;
    return asked_ms < end_ms ? asked_ms : end_ms;
}

static void note_replacement(const struct server *server, int64_t until_ms)
{
    struct check *check = server->check;
    const char *namespace = check->spec->namespace, *cluster = check->spec->name;
    secret_notice(check, REASON_CA_REPLACING,
                  "the CA is being replaced: until %s (%s) the servers show the certificate of the "
                  "old one, and 'ca.crt' of Secrets '%s' and '%s' holds both; clients that verify "
                  "the servers need that 'ca.crt' before then; to skip the wait: kubectl -n %s "
                  "annotate pgc %s --overwrite " ANN_REPLACE_CA "='now %.16s'",
                  clock_rfc3339(check->arena, until_ms), secret_countdown(check, until_ms),
                  server->name, check->spec->app_secret, namespace, cluster,
                  check->result.seen.ca_fingerprint);
}

/* The certificate is the present CA's. The old CA's stays trusted for as long again, since pods get
 * the two files at different times. */
static ERR_CHECKED int rest(struct server *server, struct error *err)
{
    struct check *check = server->check;
    int64_t trusted_ms = server->since_ms + 2 * check->spec->ca_overlap_ms;
    if (server->since_ms == 0 || trusted_ms <= check->now_ms)
        server->since_ms = 0, server->others = "";
    server->reason = "the set of CA certificates that clients trust changed";
    if (!leaf_is_due(server))
        return 0;
    server->reason = "the server certificate was due for renewal";
    return issue(server, err);
}

/* The certificate is an older CA's, which clients know. */
static ERR_CHECKED int hand_over(struct server *server, struct error *err)
{
    int64_t until_ms = takeover_ms(server);
    if (until_ms > server->check->now_ms) {
        server->reason = "clients must trust the new CA before the servers show its certificate";
        secret_due(server->check, until_ms);
        note_replacement(server, until_ms);
        return 0;
    }
    server->reason = "the new CA takes over";
    return issue(server, err);
}

/* Which certificate is shown, and what clients trust. */
static ERR_CHECKED int decide(struct server *server, const struct credentials_input *input,
                              struct error *err)
{
    struct check *check = server->check;
    const struct x509_pair *ca = &server->ca->pair;
    const struct x509_bundle known = x509_bundle(check->arena, present_trust(check, input));
    bool by_ca = server->whole && x509_signed_by(server->leaf.cert_pem, ca->cert_pem);
    bool at_once = check->spec->ca_overlap_ms <= 0 ||
                   (server->ca->asked == REPLACEMENT_NOW && server->secret != NULL &&
                    authority_asked_anew(check, server->secret));
    server->others = at_once ? "" : other_certificates(check, &known, server);
    server->since_ms = clock_parse_rfc3339(
        json_str(server->secret, "metadata.annotations[\"" ANN_CA_CHANGED "\"]", ""));
    if (server->since_ms < 0 || server->since_ms > check->now_ms || at_once)
        server->since_ms = 0;
    if (by_ca && server->since_ms == 0 && text_given(server->others)) {
        /* It is unknown how long clients have had the current CA: wait for the full time. */
        server->others = undated_certificates(server, input->app);
        server->since_ms = text_given(server->others) ? check->now_ms / 1000 * 1000 : 0;
    }
    if (by_ca)
        return rest(server, err);
    if (!text_given(server->others)) {
        server->since_ms = 0;
    } else if (server->since_ms == 0 || !x509_bundle_has(&known, ca->cert_pem)) {
        server->since_ms = check->now_ms / 1000 * 1000;
    }
    if (server->whole && server->leaf.not_after_ms > check->now_ms &&
        signed_by_any(check, server->leaf.cert_pem, server->others))
        return hand_over(server, err);
    server->reason = "the server certificate was incomplete, or signed by another CA";
    return issue(server, err);
}

/* While a CA takes over, `ca.crt` holds the old and the new one: a client that has either of them
 * can connect. */
static ERR_CHECKED int our_server(struct server *server, const struct credentials_input *input,
                                  struct error *err)
{
    struct check *check = server->check;
    struct error ignored; /* a pair of ours that is broken is made again: the CA is what counts */
    server->whole = authority_read_pair(check, server->secret, "tls.crt", "tls.key", &server->leaf,
                                        &ignored) == 0;
    if (decide(server, input, err) < 0)
        return err->class;
    const char *ca = server->ca->pair.cert_pem, *others = server->others;
    bool broken = text_given(others) && *ca != '\0' && ca[strlen(ca) - 1] != '\n';
    check->trust = text_given(others)
                       ? arena_printf(check->arena, "%s%s%s", ca, broken ? "\n" : "", others)
                       : ca;
    if (x509_signed_by(server->leaf.cert_pem, ca))
        secret_due(check, x509_renew_ms(&server->leaf));
    if (server->since_ms > 0)
        secret_due(check, server->since_ms + 2 * check->spec->ca_overlap_ms);
    const struct key_value data[] = {{"tls.crt", server->leaf.cert_pem},
                                     {"tls.key", server->leaf.key_pem},
                                     {"ca.crt", check->trust}};
    const char *since = server->since_ms > 0 ? clock_rfc3339(check->arena, server->since_ms) : "";
    struct key_value annotations[2] = {{ANN_CA_CHANGED, since}};
    bool recorded =
        !server->ca->users && authority_record(check, server->ca->asked, &annotations[1]);
    const struct secret_intent intent = {.name = server->name,
                                         .type = "kubernetes.io/tls",
                                         .data = data,
                                         .data_count = 3,
                                         .annotations = annotations,
                                         .annotation_count = recorded ? 2 : 1,
                                         .wave = 2,
                                         .reason = server->reason};
    secret_ensure(check, server->secret, &intent);
    check->result.seen.certificate_expires_ms = server->leaf.not_after_ms;
    return 0;
}

/* Without a CA that can sign, what exists stays in use. */
static void keep_server(struct check *check, const struct credentials_input *input)
{
    struct x509_pair leaf;
    struct error ignored; /* the CA's fault is the one to be told */
    check->trust = present_trust(check, input);
    if (authority_read_pair(check, input->server, "tls.crt", "tls.key", &leaf, &ignored) == 0)
        check->result.seen.certificate_expires_ms = leaf.not_after_ms;
}

/* A user's CA that is no root needs the certificates above it in its ca.crt. */
static void judge_users_authority(struct check *check, const struct server *server)
{
    struct error why = {0};
    if (!server->ca->users || !x509_signed_by(server->leaf.cert_pem, server->ca->pair.cert_pem) ||
        x509_chain_holds(server->leaf.cert_pem, check->trust, &why) == 0)
        return;
    const char *namespace = check->spec->namespace;
    const char *name = name_child(check->arena, check->spec->name, "ca");
    if (secret_fault(check, REASON_CERTIFICATE_INVALID,
                     "Secret '%s/%s', key 'ca.crt': certificates that this CA signs cannot be "
                     "verified: %s; 'ca.crt' of a CA that another CA signed must hold its own "
                     "certificate first, then the others up to the root",
                     namespace, name, why.text))
        secret_unblock(check,
                       "with all of them in file ca.crt: kubectl -n %s patch secret %s -p "
                       "'{\"data\":{\"ca.crt\":\"'$(base64 -w0 ca.crt)'\"}}'",
                       namespace, name);
}

/* A Secret that is another's is left alone, and a CA that cannot sign ends nothing: what exists
 * stays in use. */
int certificates_check(struct check *check, const struct credentials_input *input,
                       struct error *err)
{
    const char *ca_name = name_child(check->arena, check->spec->name, "ca");
    const char *server_name = name_child(check->arena, check->spec->name, "server");
    enum secret_owner server_owner = secret_owner(check, input->server);
    if (collides(check, secret_owner(check, input->ca), ca_name) ||
        collides(check, server_owner, server_name))
        return 0;
    if (server_owner == SECRET_USERS) {
        users_server(check, input->server, server_name);
        return 0;
    }
    struct authority ca;
    if (authority_check(check, input->ca, input->server, &ca, err) < 0)
        return err->class;
    if (!ca.usable) {
        keep_server(check, input);
        return 0;
    }
    struct server server = {
        .check = check, .secret = input->server, .name = server_name, .ca = &ca};
    if (our_server(&server, input, err) < 0)
        return err_wrap(err, "Secret '%s/%s'", check->spec->namespace, server_name);
    judge_users_authority(check, &server);
    return 0;
}
