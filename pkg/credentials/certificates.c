#include "credentials/certificates.h"

#include <string.h>

#include "base/clock.h"
#include "credentials/x509.h"

enum { NAMES_MAX = 24 };

struct names {
    const char *list[NAMES_MAX];
    size_t count;
};

/* Every name under which a client may reach a server of this cluster: the services in all their
 * forms, each pod by its stable name, and localhost for port-forwarding. */
static void server_names(struct check *check, struct names *ret_names)
{
    static const char *const services[] = {"rw", "ro", "r", "pods"};
    struct arena *arena = check->arena;
    const char *namespace = check->spec->namespace;
    struct names names = {0};
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        const char *service = name_child(arena, check->spec->name, services[i]);
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

static struct x509_random random_of(const struct check *check)
{
    return (struct x509_random){check->random, check->random_arg};
}

static bool collides(struct check *check, enum secret_owner owner, const char *name)
{
    if (owner != SECRET_OTHERS)
        return false;
    secret_fault(check, REASON_NAME_COLLISION,
                 "Secret '%s/%s' belongs to another PostgresCluster: give one of the two another "
                 "name",
                 check->spec->namespace, name);
    return true;
}

/* A pair that is the user's: missing keys and mistakes are told, nothing is repaired. */
static bool users_pair(struct check *check, const cJSON *secret, const char *name,
                       const char *cert_key, const char *key_key, struct x509_pair *ret_pair)
{
    const char *namespace = check->spec->namespace;
    struct secret_value cert = secret_value(check, secret, cert_key);
    struct secret_value key = secret_value(check, secret, key_key);
    const char *missing = cert.text == NULL ? cert_key : key.text == NULL ? key_key : NULL;
    if (missing != NULL) {
        secret_fault(check, REASON_SECRET_KEY_MISSING,
                     "Secret '%s/%s' has no key '%s': add it, or delete the Secret to have "
                     "certificates made",
                     namespace, name, missing);
        return false;
    }
    struct error why = {0};
    if (x509_read(cert.text, key.text, ret_pair, &why) < 0) {
        secret_fault(check, REASON_CERTIFICATE_INVALID,
                     "Secret '%s/%s', keys '%s' and '%s': %s; correct it, or delete the Secret to "
                     "have certificates made",
                     namespace, name, cert_key, key_key, why.text);
        return false;
    }
    secret_due(check, ret_pair->not_after_ms);
    if (ret_pair->not_after_ms <= check->now_ms)
        secret_fault(check, REASON_CERTIFICATE_EXPIRED,
                     "Secret '%s/%s': the certificate in '%s' expired at %s; renew it, or delete "
                     "the Secret to have certificates made",
                     namespace, name, cert_key,
                     clock_rfc3339(check->arena, ret_pair->not_after_ms));
    return true;
}

/* The user's own server certificate: no CA of ours is needed then. */
static void users_server(struct check *check, const cJSON *secret, const char *name)
{
    struct x509_pair pair;
    if (!users_pair(check, secret, name, "tls.crt", "tls.key", &pair))
        return;
    struct secret_value ca = secret_value(check, secret, "ca.crt");
    if (ca.text == NULL) {
        secret_fault(check, REASON_SECRET_KEY_MISSING,
                     "Secret '%s/%s' has no key 'ca.crt': add the CA certificate that signed "
                     "'tls.crt', replicas verify their primary with it",
                     check->spec->namespace, name);
        return;
    }
    check->result.seen.ca_pem = ca.text;
    check->result.seen.certificate_expires_ms = pair.not_after_ms;
}

/* The pair that one of our Secrets holds; false when it is not whole, and then it is made anew. */
static bool our_pair(struct check *check, const cJSON *secret, const char *cert_key,
                     const char *key_key, struct x509_pair *ret_pair)
{
    struct secret_value cert = secret_value(check, secret, cert_key);
    struct secret_value key = secret_value(check, secret, key_key);
    struct error ignored; /* a pair of ours that is broken needs no diagnosis: it is replaced */
    return cert.text && key.text && x509_read(cert.text, key.text, ret_pair, &ignored) == 0;
}

static int our_ca(struct check *check, const cJSON *secret, const char *name,
                  struct x509_pair *ret_pair, struct error *err)
{
    const struct x509_subject subject = {name, check->spec->namespace};
    bool whole = our_pair(check, secret, "ca.crt", "ca.key", ret_pair);
    const char *reason = "the CA was not whole";
    if (!whole || x509_renew_ms(ret_pair) <= check->now_ms) {
        reason = whole ? "the CA is renewed with the same key" : reason;
        if (x509_make_ca(check->arena, &subject, whole ? ret_pair->key_pem : NULL, check->now_ms,
                         random_of(check), ret_pair, err) < 0)
            return err->class;
    }
    secret_due(check, x509_renew_ms(ret_pair));
    const struct key_value data[] = {{"ca.crt", ret_pair->cert_pem}, {"ca.key", ret_pair->key_pem}};
    const struct secret_intent intent = {.name = name,
                                         .type = "Opaque",
                                         .keep = check->spec->retain,
                                         .data = data,
                                         .data_count = 2,
                                         .reason = reason};
    secret_ensure(check, secret, &intent);
    return 0;
}

static int our_server(struct check *check, const cJSON *secret, const char *name,
                      const struct x509_pair *ca, struct error *err)
{
    const struct x509_subject subject = {name_child(check->arena, check->spec->name, "rw"),
                                         check->spec->namespace};
    struct names names;
    struct x509_pair pair;
    server_names(check, &names);
    const char *reason = "the CA's certificate was renewed";
    if (!our_pair(check, secret, "tls.crt", "tls.key", &pair) ||
        x509_renew_ms(&pair) <= check->now_ms || !x509_signed_by(pair.cert_pem, ca->cert_pem) ||
        !x509_names_are(pair.cert_pem, names.list, names.count)) {
        reason = "the server certificate was not whole, due for renewal, or of another CA";
        if (x509_issue(check->arena, ca, &subject, names.list, names.count, check->now_ms,
                       random_of(check), &pair, err) < 0)
            return err->class;
    }
    secret_due(check, x509_renew_ms(&pair));
    const struct key_value data[] = {
        {"tls.crt", pair.cert_pem}, {"tls.key", pair.key_pem}, {"ca.crt", ca->cert_pem}};
    const struct secret_intent intent = {.name = name,
                                         .type = "kubernetes.io/tls",
                                         .data = data,
                                         .data_count = 3,
                                         .wave = 1,
                                         .reason = reason};
    secret_ensure(check, secret, &intent);
    check->result.seen.certificate_expires_ms = pair.not_after_ms;
    return 0;
}

int certificates_check(struct check *check, const struct credentials_input *input,
                       struct error *err)
{
    const char *ca_name = name_child(check->arena, check->spec->name, "ca");
    const char *server_name = name_child(check->arena, check->spec->name, "server");
    enum secret_owner ca_owner = secret_owner(check, input->ca);
    enum secret_owner server_owner = secret_owner(check, input->server);
    if (collides(check, ca_owner, ca_name) || collides(check, server_owner, server_name))
        return 0;
    if (server_owner == SECRET_USERS) {
        users_server(check, input->server, server_name);
        return 0;
    }
    struct x509_pair ca;
    if (ca_owner == SECRET_USERS) {
        if (!users_pair(check, input->ca, ca_name, "ca.crt", "ca.key", &ca))
            return 0;
    } else if (our_ca(check, input->ca, ca_name, &ca, err) < 0) {
        return err_wrap(err, "Secret '%s/%s'", check->spec->namespace, ca_name);
    }
    check->result.seen.ca_pem = ca.cert_pem;
    check->result.seen.ca_expires_ms = ca.not_after_ms;
    if (our_server(check, input->server, server_name, &ca, err) < 0)
        return err_wrap(err, "Secret '%s/%s'", check->spec->namespace, server_name);
    return 0;
}
