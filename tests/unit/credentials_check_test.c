#include "test.h"

#include <stdio.h>

#include "api/names.h"
#include "base/clock.h"
#include "base/hash.h"
#include "credentials/credentials.h"
#include "credentials/x509.h"

#define DAY_MS (24 * 3600 * INT64_C(1000))

/* The Secrets of a namespace, as an API server keeps them. */
struct world {
    struct arena *arena;
    struct cluster_spec spec;
    cJSON *secrets; /* by name */
    int64_t now_ms;
    unsigned char seed;
    int version;
    struct credentials_result result;
};

static void count_up(void *arg, unsigned char *buffer, size_t n)
{
    unsigned char *seed = arg;
    for (size_t i = 0; i < n; i++)
        buffer[i] = (*seed)++;
}

static int make_world(void **state)
{
    struct arena *arena = arena_new();
    struct world *w = arena_alloc(arena, sizeof *w);
    w->arena = arena;
    w->spec = (struct cluster_spec){.name = "a",
                                    .namespace = "n",
                                    .uid = "u-1",
                                    .retain = true,
                                    .ca_overlap = "7d",
                                    .ca_overlap_ms = 7 * DAY_MS,
                                    .replace_ca = "",
                                    .reread_credentials = "",
                                    .database = "orders",
                                    .owner = "shop",
                                    .superuser_secret = "a-superuser",
                                    .app_secret = "a-app",
                                    .replication_secret = "a-replication"};
    w->secrets = json_object(arena);
    w->now_ms = clock_parse_rfc3339("2026-03-01T12:00:00Z");
    *state = w;
    return 0;
}

static int drop_world(void **state)
{
    arena_free(((struct world *)*state)->arena);
    return 0;
}

static cJSON *secret(struct world *w, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(w->secrets, name);
}

/* RFC 7386, as the API server does it. */
static void merge(cJSON *target, const cJSON *patch)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, patch) {
        if (cJSON_IsNull(item))
            cJSON_DeleteItemFromObjectCaseSensitive(target, item->string);
        else if (cJSON_IsObject(item))
            merge(json_add_object(target, item->string), item);
        else
            json_set_copy(target, item->string, item);
    }
}

static void touch(struct world *w, cJSON *object)
{
    char version[12];
    snprintf(version, sizeof version, "%d", ++w->version);
    json_set_str(json_add_object(object, "metadata"), "resourceVersion", version);
}

/* The server checks what a patch says it has read. */
static void write_secret(struct world *w, const struct credentials_write *write)
{
    cJSON *present = secret(w, write->name);
    if (write->create) {
        assert_null(present);
        json_set_copy(w->secrets, write->name, write->object);
        json_set_str(json_add_object(secret(w, write->name), "metadata"), "uid", write->name);
    } else {
        assert_string_equal(json_str(present, "metadata.resourceVersion", ""),
                            json_str(write->object, "metadata.resourceVersion", "?"));
        merge(present, write->object);
    }
    touch(w, secret(w, write->name));
}

static void check_only(struct world *w)
{
    struct error err = {0};
    const struct credentials_input input = {.superuser = secret(w, w->spec.superuser_secret),
                                            .app = secret(w, w->spec.app_secret),
                                            .replication = secret(w, w->spec.replication_secret),
                                            .ca = secret(w, "a-ca"),
                                            .server = secret(w, "a-server"),
                                            .verifiers = secret(w, "a-verifiers")};
    assert_int_equal(credentials_check(w->arena, &w->spec, &input, w->now_ms, count_up, &w->seed,
                                       &w->result, &err),
                     0);
}

static size_t check(struct world *w)
{
    check_only(w);
    int wave = 0;
    for (size_t i = 0; i < w->result.write_count; i++) {
        assert_true(w->result.writes[i].wave >= wave);
        wave = w->result.writes[i].wave;
        write_secret(w, &w->result.writes[i]);
    }
    return w->result.write_count;
}

static char *value(struct world *w, const char *name, const char *key)
{
    size_t length;
    const cJSON *data = json_get(secret(w, name), "data");
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(data, key);
    return cJSON_IsString(item) ? hash_unbase64(w->arena, item->valuestring, &length) : NULL;
}

static void put(struct world *w, const char *name, const char *key, const char *text)
{
    cJSON *object = json_add_object(w->secrets, name);
    json_set_str(json_add_object(object, "data"), key, hash_base64(w->arena, text, strlen(text)));
    touch(w, object);
}

static bool wrote(struct world *w, const char *name)
{
    for (size_t i = 0; i < w->result.write_count; i++)
        if (strcmp(w->result.writes[i].name, name) == 0)
            return true;
    return false;
}

static void a_new_cluster_gets_all_secrets_and_then_rests(void **state)
{
    struct world *w = *state;
    assert_int_equal(check(w), 6);
    assert_true(w->result.seen.complete);
    assert_string_equal(w->result.seen.verifiers_json, value(w, "a-verifiers", "roles.json"));
    const char *hash = w->result.seen.verifiers_hash;
    assert_int_equal(check(w), 0);
    assert_string_equal(w->result.seen.verifiers_hash, hash);
    assert_int_equal(strlen(value(w, "a-app", "password")), 32);
    assert_string_not_equal(value(w, "a-app", "password"), value(w, "a-superuser", "password"));
}

static void the_app_secret_says_everything_that_clients_ask_for(void **state)
{
    struct world *w = *state;
    check(w);
    put(w, "a-app", "password", "p:a/ss\\w0rd");
    assert_int_equal(check(w), 2);
    assert_string_equal(value(w, "a-app", "username"), "shop");
    assert_string_equal(value(w, "a-app", "host"), "a-rw.n.svc");
    assert_string_equal(value(w, "a-app", "port"), "5432");
    assert_string_equal(value(w, "a-app", "dbname"), "orders");
    assert_string_equal(value(w, "a-app", "uri"), "postgresql://shop:p%3Aa%2Fss%5Cw0rd@a-rw.n.svc:"
                                                  "5432/orders?sslmode=require");
    assert_string_equal(value(w, "a-app", "jdbc-uri"),
                        "jdbc:postgresql://a-rw.n.svc:5432/orders?user=shop&password="
                        "p%3Aa%2Fss%5Cw0rd&sslmode=require");
    assert_string_equal(value(w, "a-app", "pgpass"),
                        "a-rw.n.svc:5432:orders:shop:p\\:a/ss\\\\w0rd\n");
    assert_string_equal(value(w, "a-app", "DATABASE_URL"), value(w, "a-app", "uri"));
    assert_string_equal(value(w, "a-app", "DATABASE_URL_DIRECT"), value(w, "a-app", "uri"));
    assert_string_equal(value(w, "a-superuser", "username"), "postgres");
    assert_string_equal(value(w, "a-replication", "username"), "pgkeel_replication");
    assert_null(value(w, "a-replication", "uri"));
}

static void a_changed_password_reaches_its_keys_and_only_its_verifier(void **state)
{
    struct world *w = *state;
    check(w);
    char *before = value(w, "a-verifiers", "roles.json");
    put(w, "a-app", "password", "changed");
    assert_int_equal(check(w), 2);
    assert_true(wrote(w, "a-app") && wrote(w, "a-verifiers"));
    struct error err;
    cJSON *was, *is;
    char *after = value(w, "a-verifiers", "roles.json");
    assert_int_equal(json_parse(w->arena, before, strlen(before), &was, &err), 0);
    assert_int_equal(json_parse(w->arena, after, strlen(after), &is, &err), 0);
    assert_string_equal(json_str(is, "[0].verifier", ""), json_str(was, "[0].verifier", "?"));
    assert_string_equal(json_str(is, "[1].verifier", ""), json_str(was, "[1].verifier", "?"));
    assert_true(credentials_scram_matches(json_str(is, "[2].verifier", ""), "changed"));
    assert_string_equal(json_str(is, "[2].name", ""), "shop");
    assert_int_equal(check(w), 0);
}

static void a_users_own_secret_is_used_and_never_written(void **state)
{
    struct world *w = *state;
    w->spec.app_secret = "mine";
    put(w, "mine", "password", "chosen");
    assert_int_equal(check(w), 5);
    assert_false(wrote(w, "mine"));
    assert_true(w->result.seen.complete);
    assert_non_null(strstr(w->result.seen.verifiers_json, "shop"));
    put(w, "mine", "username", "shopp");
    check(w);
    assert_false(w->result.seen.complete);
    assert_string_equal(w->result.seen.reason, "SecretUsernameMismatch");
}

static void faults_name_the_secret_the_key_and_the_remedy(void **state)
{
    struct world *w = *state;
    w->spec.app_secret = "mine";
    check(w);
    assert_string_equal(w->result.seen.reason, "SecretMissing");
    assert_non_null(strstr(w->result.seen.message, "spec.secrets.app"));
    put(w, "mine", "other", "x");
    check(w);
    assert_false(w->result.seen.complete);
    assert_string_equal(w->result.seen.reason, "SecretKeyMissing");
    assert_non_null(strstr(w->result.seen.message, "Secret 'n/mine' has no key 'password'"));
    put(w, "mine", "password", "with\nbreak");
    check(w);
    assert_string_equal(w->result.seen.reason, "PasswordInvalid");
    assert_null(strstr(w->result.seen.message, "with\n"));
    assert_null(secret(w, "a-verifiers"));
    put(w, "mine", "password", "fine");
    check(w);
    assert_true(w->result.seen.complete);
    assert_string_equal(w->result.seen.reason, "");
}

static void a_lost_password_leaves_the_verifiers_as_they_are(void **state)
{
    struct world *w = *state;
    check(w);
    const char *hash = w->result.seen.verifiers_hash;
    cJSON_DeleteItemFromObject(json_get(secret(w, "a-app"), "data"), "password");
    assert_int_equal(check(w), 0);
    assert_false(w->result.seen.complete);
    assert_string_equal(w->result.seen.verifiers_hash, hash);
}

static void another_clusters_secret_is_a_collision(void **state)
{
    struct world *w = *state;
    check(w);
    json_set_str(json_get(secret(w, "a-app"), "metadata.labels"), LABEL_CLUSTER, "b");
    assert_int_equal(check(w), 0);
    assert_string_equal(w->result.seen.reason, "NameCollision");
    assert_non_null(strstr(w->result.seen.message, "'b'"));
}

static bool owned(struct world *w, const char *name)
{
    return strcmp(json_str(secret(w, name), "metadata.ownerReferences[0].uid", ""), w->spec.uid) ==
           0;
}

static void what_belongs_to_the_data_outlives_the_cluster_object(void **state)
{
    struct world *w = *state;
    check(w);
    assert_false(owned(w, "a-app") || owned(w, "a-superuser") || owned(w, "a-replication") ||
                 owned(w, "a-ca"));
    assert_true(owned(w, "a-server") && owned(w, "a-verifiers"));
    w->spec.retain = false;
    assert_int_equal(check(w), 4);
    assert_true(owned(w, "a-app") && owned(w, "a-ca"));
    w->spec.retain = true;
    assert_int_equal(check(w), 4);
    assert_false(owned(w, "a-app") || owned(w, "a-ca"));
    assert_int_equal(check(w), 0);
}

static void a_new_cluster_of_that_name_takes_the_retained_secrets_up(void **state)
{
    struct world *w = *state;
    check(w);
    char *password = value(w, "a-app", "password");
    cJSON_DeleteItemFromObject(w->secrets, "a-server");
    cJSON_DeleteItemFromObject(w->secrets, "a-verifiers");
    w->spec.uid = "u-2";
    assert_int_equal(check(w), 2);
    assert_string_equal(value(w, "a-app", "password"), password);
    assert_true(owned(w, "a-server"));
}

static void a_reference_to_an_earlier_cluster_object_is_taken_off(void **state)
{
    struct world *w = *state;
    w->spec.retain = false;
    check(w);
    w->spec.retain = true;
    w->spec.uid = "u-2";
    check(w);
    assert_int_equal(cJSON_GetArraySize(json_get(secret(w, "a-app"), "metadata.ownerReferences")),
                     0);
    assert_true(owned(w, "a-server"));
    assert_int_equal(check(w), 0);
}

static void the_server_certificate_is_renewed_at_two_thirds(void **state)
{
    struct world *w = *state;
    check(w);
    char *first = value(w, "a-server", "tls.crt");
    assert_true(w->result.next_ms > w->now_ms + 59 * DAY_MS);
    assert_true(w->result.next_ms < w->now_ms + 61 * DAY_MS);
    w->now_ms = w->result.next_ms - 1000;
    assert_int_equal(check(w), 0);
    w->now_ms += 2000;
    assert_int_equal(check(w), 1);
    assert_string_not_equal(value(w, "a-server", "tls.crt"), first);
    assert_true(w->result.seen.certificate_expires_ms > w->now_ms + 89 * DAY_MS);
    assert_true(x509_signed_by(value(w, "a-server", "tls.crt"), value(w, "a-ca", "ca.crt")));
}

static void no_chain_breaks_when_the_ca_is_renewed(void **state)
{
    struct world *w = *state;
    check(w);
    char *old_ca = value(w, "a-ca", "ca.crt"), *key = value(w, "a-ca", "ca.key");
    char *old_server = value(w, "a-server", "tls.crt");
    w->now_ms += 7 * 365 * DAY_MS;
    assert_int_equal(check(w), 4);
    char *new_ca = value(w, "a-ca", "ca.crt"), *new_server = value(w, "a-server", "tls.crt");
    assert_string_not_equal(new_ca, old_ca);
    assert_string_equal(value(w, "a-ca", "ca.key"), key);
    assert_string_equal(value(w, "a-server", "ca.crt"), new_ca);
    assert_true(x509_signed_by(old_server, new_ca));
    assert_true(x509_signed_by(new_server, old_ca));
    assert_int_equal(check(w), 0);
}

/* How many certificates a text holds. */
static int certificates(const char *pem)
{
    int count = 0;
    for (const char *at = pem; (at = strstr(at, "BEGIN CERTIFICATE")) != NULL; at++)
        count++;
    return count;
}

static void a_deleted_ca_cuts_off_nobody_who_knows_the_old_one(void **state)
{
    struct world *w = *state;
    check(w);
    char *old_ca = value(w, "a-ca", "ca.crt"), *leaf = value(w, "a-server", "tls.crt");
    cJSON_DeleteItemFromObject(w->secrets, "a-ca");
    check(w);
    char *new_ca = value(w, "a-ca", "ca.crt"), *trust = value(w, "a-server", "ca.crt");
    assert_string_not_equal(new_ca, old_ca);
    assert_string_equal(value(w, "a-server", "tls.crt"), leaf);
    assert_int_equal(certificates(trust), 2);
    assert_non_null(strstr(trust, new_ca));
    assert_non_null(strstr(trust, old_ca));
    assert_true(w->result.seen.complete);
    assert_int_equal(check(w), 0);
}

static void the_new_ca_takes_over_in_time_and_the_old_one_is_forgotten(void **state)
{
    struct world *w = *state;
    check(w);
    char *old_ca = value(w, "a-ca", "ca.crt"), *leaf = value(w, "a-server", "tls.crt");
    w->spec.replace_ca = "planned";
    check(w);
    char *new_ca = value(w, "a-ca", "ca.crt"), *trust = value(w, "a-server", "ca.crt");
    assert_string_not_equal(new_ca, old_ca);
    assert_string_equal(value(w, "a-server", "tls.crt"), leaf);
    assert_string_equal(value(w, "a-app", "ca.crt"), trust);
    assert_string_equal(w->result.seen.notice_reason, "CaReplacing");
    assert_non_null(strstr(w->result.seen.notice, "in 7 days"));
    assert_int_equal(check(w), 0); /* once asked, once done */
    assert_int_equal(w->result.next_ms, w->now_ms + 7 * DAY_MS);
    w->now_ms += 5 * DAY_MS;
    assert_int_equal(check(w), 0);
    assert_non_null(strstr(w->result.seen.notice, "in 2 days"));
    w->now_ms += 2 * DAY_MS;
    assert_int_equal(check(w), 1);
    assert_string_not_equal(value(w, "a-server", "tls.crt"), leaf);
    assert_true(x509_signed_by(value(w, "a-server", "tls.crt"), new_ca));
    assert_string_equal(value(w, "a-server", "ca.crt"), trust); /* pods get the two one by one */
    assert_string_equal(w->result.seen.notice_reason, "");
    assert_int_equal(w->result.next_ms, w->now_ms + 7 * DAY_MS);
    w->now_ms += 7 * DAY_MS;
    assert_int_equal(check(w), 3);
    assert_string_equal(value(w, "a-server", "ca.crt"), new_ca);
    assert_string_equal(value(w, "a-app", "ca.crt"), new_ca);
    assert_int_equal(check(w), 0);
    w->spec.replace_ca = "";
    assert_int_equal(check(w), 2); /* the request is forgotten, so that it can be made again */
    w->spec.replace_ca = "planned";
    check(w);
    assert_string_not_equal(value(w, "a-ca", "ca.crt"), new_ca);
}

/* Somebody's program may ask at each of its runs. What is shown stays shown for its time, whatever
 * number of CAs comes meanwhile, and what clients are to trust stays small. */
static void a_ca_that_is_replaced_again_and_again_cuts_off_nobody(void **state)
{
    struct world *w = *state;
    check(w);
    char *first = value(w, "a-ca", "ca.crt"), *leaf = value(w, "a-server", "tls.crt");
    for (int i = 0; i < 20; i++) {
        w->now_ms += 3600 * 1000;
        w->spec.replace_ca = arena_printf(w->arena, "planned %d", i);
        check(w);
        assert_string_equal(value(w, "a-server", "tls.crt"), leaf);
        assert_non_null(strstr(value(w, "a-server", "ca.crt"), first));
        assert_non_null(strstr(value(w, "a-server", "ca.crt"), value(w, "a-ca", "ca.crt")));
        assert_true(certificates(value(w, "a-server", "ca.crt")) <= 16);
        assert_int_equal(check(w), 0);
    }
}

static void requests_that_come_while_a_ca_is_being_replaced_do_not_postpone_its_takeover(
    void **state)
{
    struct world *w = *state;
    check(w);
    w->spec.replace_ca = "planned 0";
    check(w);
    char *new_ca = value(w, "a-ca", "ca.crt");
    for (int i = 1; i < 7; i++) {
        w->now_ms += DAY_MS;
        w->spec.replace_ca = arena_printf(w->arena, "planned %d", i);
        check(w);
        assert_string_equal(value(w, "a-ca", "ca.crt"), new_ca);
        assert_string_equal(w->result.seen.notice_reason, "CaReplacing");
        assert_int_equal(check(w), 0);
    }
    w->now_ms += DAY_MS;
    check(w);
    assert_true(x509_signed_by(value(w, "a-server", "tls.crt"), new_ca));
    w->spec.replace_ca = "planned once more";
    check(w);
    assert_string_not_equal(value(w, "a-ca", "ca.crt"), new_ca);
}

static cJSON *server_notes(struct world *w)
{
    return json_get(secret(w, "a-server"), "metadata.annotations");
}

/* The annotation was taken off, spoilt, or written by a clock that was ahead: nothing says how long
 * clients have known of the new CA, or which of them do. */
static void where_the_time_of_a_replacement_is_unknown_the_old_ca_stays_trusted(void **state)
{
    static const char *const spoilt[] = {NULL, "", "yesterday", "2036-01-01T00:00:00Z"};
    for (size_t i = 0; i < sizeof spoilt / sizeof spoilt[0]; i++) {
        struct world *w = *state;
        w->secrets = json_object(w->arena);
        w->spec.replace_ca = "";
        check(w);
        char *old_ca = value(w, "a-ca", "ca.crt");
        w->spec.replace_ca = "planned";
        check(w);
        w->now_ms += 7 * DAY_MS;
        check(w);
        char *leaf = value(w, "a-server", "tls.crt");
        if (spoilt[i])
            json_set_str(server_notes(w), ANN_CA_CHANGED, spoilt[i]);
        else
            cJSON_DeleteItemFromObject(server_notes(w), ANN_CA_CHANGED);
        touch(w, secret(w, "a-server"));
        check(w);
        assert_non_null(strstr(value(w, "a-server", "ca.crt"), old_ca));
        assert_non_null(strstr(value(w, "a-app", "ca.crt"), old_ca));
        assert_string_equal(value(w, "a-server", "tls.crt"), leaf);
        assert_int_equal(check(w), 0);
        assert_int_equal(w->result.next_ms, w->now_ms + 14 * DAY_MS);
        w->now_ms = w->result.next_ms;
        check(w);
        assert_null(strstr(value(w, "a-server", "ca.crt"), old_ca));
        assert_int_equal(check(w), 0);
    }
}

static void an_emergency_replaces_the_ca_at_once(void **state)
{
    struct world *w = *state;
    check(w);
    char *old_ca = value(w, "a-ca", "ca.crt");
    w->spec.replace_ca = "now";
    check(w);
    char *new_ca = value(w, "a-ca", "ca.crt");
    assert_string_not_equal(new_ca, old_ca);
    assert_string_equal(value(w, "a-server", "ca.crt"), new_ca);
    assert_string_equal(value(w, "a-app", "ca.crt"), new_ca);
    assert_true(x509_signed_by(value(w, "a-server", "tls.crt"), new_ca));
    assert_int_equal(check(w), 0);
    w->spec.replace_ca = "now again";
    check(w);
    assert_string_not_equal(value(w, "a-ca", "ca.crt"), new_ca);
    /* A request that lingers is none for a later day. */
    char *present = value(w, "a-ca", "ca.crt"), *leaf = value(w, "a-server", "tls.crt");
    cJSON_DeleteItemFromObject(w->secrets, "a-ca");
    check(w);
    assert_string_equal(value(w, "a-server", "tls.crt"), leaf);
    assert_non_null(strstr(value(w, "a-server", "ca.crt"), present));
}

static void a_planned_replacement_can_be_ended_by_hand(void **state)
{
    struct world *w = *state;
    check(w);
    w->spec.replace_ca = "planned";
    check(w);
    char *new_ca = value(w, "a-ca", "ca.crt");
    w->spec.replace_ca = "now";
    check(w);
    assert_string_equal(value(w, "a-ca", "ca.crt"), new_ca);
    assert_string_equal(value(w, "a-server", "ca.crt"), new_ca);
    assert_true(x509_signed_by(value(w, "a-server", "tls.crt"), new_ca));
    assert_int_equal(check(w), 0);
}

static void a_request_that_says_neither_is_told_and_does_nothing(void **state)
{
    struct world *w = *state;
    check(w);
    w->spec.replace_ca = "nowadays";
    assert_int_equal(check(w), 0);
    assert_string_equal(w->result.seen.notice_reason, "ReplaceCaRefused");
    assert_true(w->result.seen.complete);
    w->spec.replace_ca = "planned";
    put(w, "a-ca", "x", "y");
    json_set_str(json_get(secret(w, "a-ca"), "metadata.labels"), LABEL_MANAGED_BY, "me");
    assert_int_equal(check(w), 0);
    assert_string_equal(w->result.seen.notice_reason, "ReplaceCaRefused");
    assert_non_null(strstr(w->result.seen.notice, "'n/a-ca' is your own"));
}

/* The operator may die after any write: the one that comes next has the Secrets only. */
static void a_replacement_broken_off_between_its_writes_goes_on(void **state)
{
    static const char *const requests[] = {"planned", "now"};
    for (int round = 0; round < 2; round++) {
        struct world *w = *state;
        w->secrets = json_object(w->arena);
        w->spec.replace_ca = "";
        check(w);
        char *old_ca = value(w, "a-ca", "ca.crt"), *leaf = value(w, "a-server", "tls.crt");
        w->spec.replace_ca = requests[round];
        check_only(w);
        assert_string_equal(w->result.writes[0].name, "a-ca");
        write_secret(w, &w->result.writes[0]);
        char *new_ca = value(w, "a-ca", "ca.crt");
        check(w);
        assert_string_equal(value(w, "a-ca", "ca.crt"), new_ca);
        bool planned = round == 0;
        assert_int_equal(strstr(value(w, "a-server", "ca.crt"), old_ca) != NULL, planned);
        assert_int_equal(strcmp(value(w, "a-server", "tls.crt"), leaf) == 0, planned);
        assert_int_equal(check(w), 0);
    }
}

static void with_both_secrets_lost_clients_still_trust_the_old_ca(void **state)
{
    struct world *w = *state;
    check(w);
    char *old_ca = value(w, "a-ca", "ca.crt");
    cJSON_DeleteItemFromObject(w->secrets, "a-ca");
    cJSON_DeleteItemFromObject(w->secrets, "a-server");
    check(w);
    char *new_ca = value(w, "a-ca", "ca.crt");
    assert_true(x509_signed_by(value(w, "a-server", "tls.crt"), new_ca));
    assert_non_null(strstr(value(w, "a-server", "ca.crt"), old_ca)); /* pods show the old one yet */
    assert_non_null(strstr(value(w, "a-app", "ca.crt"), new_ca));
    assert_int_equal(check(w), 0);
    w->now_ms += 14 * DAY_MS;
    check(w);
    assert_string_equal(value(w, "a-server", "ca.crt"), new_ca);
}

static void the_old_certificate_is_not_shown_beyond_its_end(void **state)
{
    struct world *w = *state;
    w->spec.ca_overlap_ms = 30 * DAY_MS;
    check(w);
    w->now_ms = w->result.next_ms - DAY_MS; /* 31 days are left */
    w->spec.replace_ca = "planned";
    check(w);
    assert_true(w->result.next_ms <= w->result.seen.certificate_expires_ms - DAY_MS);
    w->now_ms = w->result.next_ms;
    check(w);
    assert_true(w->result.seen.certificate_expires_ms > w->now_ms + 80 * DAY_MS);
}

static void what_somebody_adds_to_the_trusted_certificates_is_taken_off(void **state)
{
    struct world *w = *state;
    check(w);
    char *ca = value(w, "a-ca", "ca.crt");
    struct x509_pair foreign;
    struct error err = {0};
    const struct x509_subject subject = {"foreign", "n"};
    assert_int_equal(x509_make_ca(w->arena, &subject, NULL, w->now_ms,
                                  (struct x509_random){count_up, &w->seed}, &foreign, &err),
                     0);
    put(w, "a-server", "ca.crt", arena_printf(w->arena, "%s%s", ca, foreign.cert_pem));
    assert_int_equal(check(w), 1);
    assert_string_equal(value(w, "a-server", "ca.crt"), ca);
    assert_int_equal(check(w), 0);
}

static void a_damaged_certificate_of_the_server_is_made_anew(void **state)
{
    struct world *w = *state;
    check(w);
    put(w, "a-server", "tls.crt", "nonsense");
    assert_int_equal(check(w), 1);
    assert_true(x509_signed_by(value(w, "a-server", "tls.crt"), value(w, "a-ca", "ca.crt")));
    assert_int_equal(check(w), 0);
}

/* Clients pin the CA: a new one is never made without being asked for. */
static void a_damaged_ca_is_told_and_replaced_by_nobody(void **state)
{
    struct world *w = *state;
    check(w);
    char *ca = value(w, "a-ca", "ca.crt"), *key = value(w, "a-ca", "ca.key");
    put(w, "a-ca", "ca.key", "nonsense");
    assert_int_equal(check(w), 0);
    assert_false(w->result.seen.complete);
    assert_string_equal(w->result.seen.reason, "CertificateInvalid");
    assert_non_null(strstr(w->result.seen.message, "Secret 'n/a-ca'"));
    assert_non_null(strstr(w->result.seen.message, "'ca.key'"));
    put(w, "a-ca", "ca.key", key);
    put(w, "a-ca", "ca.crt", "nonsense");
    assert_int_equal(check(w), 0);
    assert_string_equal(w->result.seen.reason, "CertificateInvalid");
    cJSON_DeleteItemFromObject(json_get(secret(w, "a-ca"), "data"), "ca.crt");
    assert_int_equal(check(w), 0);
    assert_string_equal(w->result.seen.reason, "SecretKeyMissing");
    put(w, "a-ca", "ca.crt", ca);
    assert_int_equal(check(w), 0);
    assert_true(w->result.seen.complete);
}

/* A CA of the user's own that is valid for `days` more. */
static void put_own_ca(struct world *w, int days)
{
    struct x509_pair ca;
    struct error err = {0};
    const struct x509_subject subject = {"own", "n"};
    assert_int_equal(x509_make_ca(w->arena, &subject, NULL, w->now_ms - (3653 - days) * DAY_MS,
                                  (struct x509_random){count_up, &w->seed}, &ca, &err),
                     0);
    put(w, "a-ca", "ca.crt", ca.cert_pem);
    put(w, "a-ca", "ca.key", ca.key_pem);
}

static void no_certificate_outlives_the_ca_that_signed_it(void **state)
{
    struct world *w = *state;
    put_own_ca(w, 10);
    check(w);
    assert_true(w->result.seen.complete);
    assert_true(w->result.seen.ca_expires_ms <= w->now_ms + 10 * DAY_MS);
    assert_int_equal(w->result.seen.certificate_expires_ms, w->result.seen.ca_expires_ms);
    for (int day = 0; day < 9; day++) { /* a new one would not last longer */
        w->now_ms += DAY_MS;
        assert_int_equal(check(w), 0);
        assert_true(w->result.next_ms > w->now_ms);
    }
    put_own_ca(w, 300);
    check(w);
    w->now_ms += 2 * DAY_MS;
    check(w);
    assert_true(w->result.seen.certificate_expires_ms > w->now_ms);
}

static void a_ca_that_runs_out_soon_is_told_with_its_days(void **state)
{
    struct world *w = *state;
    put_own_ca(w, 10);
    check(w);
    assert_string_equal(w->result.seen.notice_reason, "CaExpiring");
    assert_non_null(strstr(w->result.seen.notice, "Secret 'n/a-ca'"));
    put_own_ca(w, 300);
    check(w);
    assert_string_equal(w->result.seen.notice_reason, "CaReplacing"); /* a user's, too */
}

static void a_ca_that_has_run_out_signs_nothing(void **state)
{
    struct world *w = *state;
    put_own_ca(w, 10);
    check(w);
    w->now_ms += 11 * DAY_MS;
    assert_int_equal(check(w), 0);
    assert_string_equal(w->result.seen.reason, "CertificateExpired");
    assert_true(w->result.next_ms == 0 || w->result.next_ms > w->now_ms);
}

static void the_server_certificate_names_every_way_in(void **state)
{
    struct world *w = *state;
    check(w);
    static const char *const names[] = {"a-rw",
                                        "a-rw.n",
                                        "a-rw.n.svc",
                                        "a-rw.n.svc.cluster.local",
                                        "a-ro",
                                        "a-ro.n",
                                        "a-ro.n.svc",
                                        "a-ro.n.svc.cluster.local",
                                        "a-r",
                                        "a-r.n",
                                        "a-r.n.svc",
                                        "a-r.n.svc.cluster.local",
                                        "a-pods",
                                        "a-pods.n",
                                        "a-pods.n.svc",
                                        "a-pods.n.svc.cluster.local",
                                        "*.a-pods.n.svc",
                                        "*.a-pods.n.svc.cluster.local",
                                        "localhost"};
    assert_true(
        x509_names_are(value(w, "a-server", "tls.crt"), names, sizeof names / sizeof names[0]));
    assert_false(x509_names_are(value(w, "a-server", "tls.crt"), names, 3));
}

static void a_users_own_server_certificate_is_judged_and_left_alone(void **state)
{
    struct world *w = *state;
    check(w);
    char *cert = value(w, "a-server", "tls.crt"), *key = value(w, "a-server", "tls.key");
    char *ca = value(w, "a-ca", "ca.crt");
    cJSON_DeleteItemFromObject(w->secrets, "a-server");
    cJSON_DeleteItemFromObject(w->secrets, "a-ca");
    put(w, "a-server", "tls.crt", cert);
    check(w);
    assert_string_equal(w->result.seen.reason, "SecretKeyMissing");
    assert_non_null(strstr(w->result.seen.message, "'tls.key'"));
    put(w, "a-server", "tls.key", value(w, "a-app", "password"));
    check(w);
    assert_string_equal(w->result.seen.reason, "CertificateInvalid");
    put(w, "a-server", "tls.key", key);
    put(w, "a-server", "ca.crt", ca);
    assert_int_equal(check(w), 0);
    assert_true(w->result.seen.complete);
    assert_string_equal(w->result.seen.notice_reason, "");
    w->now_ms += 80 * DAY_MS;
    check(w);
    assert_string_equal(w->result.seen.notice_reason, "CertificateExpiring");
    assert_non_null(strstr(w->result.seen.notice, "in 10 days"));
    w->now_ms += 11 * DAY_MS;
    assert_int_equal(check(w), 0);
    assert_string_equal(w->result.seen.reason, "CertificateExpired");
    assert_true(w->result.next_ms == 0 || w->result.next_ms > w->now_ms);
}

static void a_key_of_another_certificate_is_told(void **state)
{
    struct world *w = *state;
    check(w);
    struct x509_pair pair;
    struct error err = {0};
    assert_int_equal(
        x509_read(value(w, "a-server", "tls.crt"), value(w, "a-ca", "ca.key"), &pair, &err),
        ERR_INVALID);
    assert_non_null(strstr(err.text, "does not belong"));
}

static void a_wiped_secret_holds_nothing(void **state)
{
    struct world *w = *state;
    check(w);
    credentials_wipe(secret(w, "a-app"));
    credentials_wipe(NULL);
    const cJSON *item;
    cJSON_ArrayForEach (item, json_get(secret(w, "a-app"), "data")) {
        assert_string_equal(item->valuestring, "");
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, make_world, drop_world)
    const struct CMUnitTest tests[] = {
        CASE(a_new_cluster_gets_all_secrets_and_then_rests),
        CASE(the_app_secret_says_everything_that_clients_ask_for),
        CASE(a_changed_password_reaches_its_keys_and_only_its_verifier),
        CASE(a_users_own_secret_is_used_and_never_written),
        CASE(faults_name_the_secret_the_key_and_the_remedy),
        CASE(a_lost_password_leaves_the_verifiers_as_they_are),
        CASE(another_clusters_secret_is_a_collision),
        CASE(what_belongs_to_the_data_outlives_the_cluster_object),
        CASE(a_new_cluster_of_that_name_takes_the_retained_secrets_up),
        CASE(a_reference_to_an_earlier_cluster_object_is_taken_off),
        CASE(the_server_certificate_is_renewed_at_two_thirds),
        CASE(no_chain_breaks_when_the_ca_is_renewed),
        CASE(a_deleted_ca_cuts_off_nobody_who_knows_the_old_one),
        CASE(the_new_ca_takes_over_in_time_and_the_old_one_is_forgotten),
        CASE(a_ca_that_is_replaced_again_and_again_cuts_off_nobody),
        CASE(requests_that_come_while_a_ca_is_being_replaced_do_not_postpone_its_takeover),
        CASE(where_the_time_of_a_replacement_is_unknown_the_old_ca_stays_trusted),
        CASE(an_emergency_replaces_the_ca_at_once),
        CASE(a_planned_replacement_can_be_ended_by_hand),
        CASE(a_request_that_says_neither_is_told_and_does_nothing),
        CASE(a_replacement_broken_off_between_its_writes_goes_on),
        CASE(with_both_secrets_lost_clients_still_trust_the_old_ca),
        CASE(the_old_certificate_is_not_shown_beyond_its_end),
        CASE(what_somebody_adds_to_the_trusted_certificates_is_taken_off),
        CASE(a_damaged_certificate_of_the_server_is_made_anew),
        CASE(a_damaged_ca_is_told_and_replaced_by_nobody),
        CASE(no_certificate_outlives_the_ca_that_signed_it),
        CASE(a_ca_that_runs_out_soon_is_told_with_its_days),
        CASE(a_ca_that_has_run_out_signs_nothing),
        CASE(the_server_certificate_names_every_way_in),
        CASE(a_users_own_server_certificate_is_judged_and_left_alone),
        CASE(a_key_of_another_certificate_is_told),
        CASE(a_wiped_secret_holds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
