#include "test.h"

#include <stdio.h>

#include "api/cluster.h"
#include "yaml/yaml.h"

static struct cluster_spec spec;
static struct spec_faults faults;

static int decode(struct arena *arena, const char *yaml, struct error *err)
{
    struct yaml_document *documents;
    size_t count;
    if (yaml_parse(arena, yaml, strlen(yaml), &documents, &count, err) < 0)
        fail_msg("%s", err->text);
    assert_int_equal(count, 1);
    return api_decode(arena, documents[0].tree, NULL, &spec, &faults, err);
}

#define HEAD "apiVersion: pgkeel.dev/v1alpha1\nkind: PostgresCluster\nmetadata: {name: a}\n"
#define BASE HEAD "spec:\n  instances: 2\n  storage: {size: 1Gi}\n"

/* Each fault as "path: message\n". */
static char *fault_text(struct arena *arena)
{
    char *text = "";
    for (size_t i = 0; i < faults.count; i++)
        text =
            arena_printf(arena, "%s%s: %s\n", text, faults.items[i].path, faults.items[i].message);
    return text;
}

static void assert_faults(const char *yaml, const char *expected)
{
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    int class = decode(arena, yaml, &err);
    assert_string_equal(fault_text(arena), expected);
    assert_int_equal(class, *expected ? ERR_INVALID : 0);
}

static void the_smallest_cluster_gets_defaults(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    assert_int_equal(decode(arena, BASE "  postgres: {version: 17}\n", &err), 0);
    assert_string_equal(spec.name, "a");
    assert_string_equal(spec.namespace, "default");
    assert_int_equal(spec.instances, 2);
    assert_string_equal(spec.image, "postgres:17");
    assert_string_equal(spec.image_pull_policy, "IfNotPresent");
    assert_int_equal(spec.storage.size_bytes, 1073741824);
    assert_null(spec.storage.storage_class);
    assert_null(spec.wal_storage.size);
    assert_true(spec.retain);
    assert_string_equal(spec.max_slot_wal_keep_size, "512MB");
    assert_int_equal(spec.max_lag_bytes, 64 * 1024 * 1024);
    assert_int_equal(spec.lease_seconds, 8);
    assert_int_equal(spec.ca_overlap_ms, 7 * INT64_C(86400000));
    assert_string_equal(spec.replace_ca, "");
    assert_string_equal(spec.database, "app");
    assert_string_equal(spec.locale, "C.UTF-8");
    assert_string_equal(spec.superuser_secret, "a-superuser");
    assert_string_equal(spec.scheduling.topology_key, "kubernetes.io/hostname");
    assert_int_equal(spec.termination_grace_seconds, 180);
    assert_null(spec.resources);
}

static void every_field_is_taken_over(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    const char *yaml =
        "apiVersion: pgkeel.dev/v1alpha1\n"
        "kind: PostgresCluster\n"
        "metadata: {name: shop, namespace: prod, uid: u-1, generation: 7, annotations: "
        "{pgkeel.dev/replace-ca: planned, pgkeel.dev/reread-credentials: x}}\n"
        "spec:\n"
        "  instances: 3\n"
        "  postgres:\n"
        "    version: 16\n"
        "    image: registry.example:5000/pg/postgres:16@sha256:00ff\n"
        "    imagePullPolicy: Always\n"
        "    imagePullSecrets: [{name: pull}]\n"
        "    parameters: {work_mem: 8MB, max_connections: \"200\", pg_stat_statements.track: all}\n"
        "    hba: [\"hostssl all reader 10.0.0.0/8 scram-sha-256\"]\n"
        "  storage: {size: 20Gi, storageClass: fast, retain: false}\n"
        "  walStorage: {size: 5Gi, storageClass: faster}\n"
        "  replication: {maxSlotWalKeepSize: 2Gi, maxLag: 16MB}\n"
        "  failover: {leaseSeconds: 15}\n"
        "  tls: {caOverlap: 12h}\n"
        "  bootstrap: {initdb: {database: shop, owner: shop_owner, encoding: LATIN1, locale: C}}\n"
        "  secrets: {superuser: s1, app: s2, replication: s3}\n"
        "  resources: {requests: {cpu: 2, memory: 4Gi}, limits: {memory: 4Gi}}\n"
        "  scheduling:\n"
        "    nodeSelector: {disk.example/type: ssd}\n"
        "    tolerations: [{key: db, operator: Exists, effect: NoSchedule}]\n"
        "    antiAffinity: required\n"
        "    topologyKey: topology.kubernetes.io/zone\n"
        "    priorityClassName: high\n"
        "  terminationGracePeriodSeconds: 600\n"
        "  maintenance: {allowEviction: true}\n";
    if (decode(arena, yaml, &err) < 0)
        fail_msg("%s", fault_text(arena));
    assert_string_equal(spec.uid, "u-1");
    assert_int_equal(spec.generation, 7);
    assert_int_equal(spec.postgres_version, 16);
    assert_string_equal(spec.image, "registry.example:5000/pg/postgres:16@sha256:00ff");
    assert_string_equal(spec.image_pull_secrets[0], "pull");
    assert_int_equal(spec.parameter_count, 3);
    assert_string_equal(spec.parameters[0].key, "max_connections");
    assert_string_equal(spec.parameters[1].key, "pg_stat_statements.track");
    assert_string_equal(spec.parameters[2].value, "8MB");
    assert_string_equal(spec.hba[0], "hostssl all reader 10.0.0.0/8 scram-sha-256");
    assert_false(spec.retain);
    assert_string_equal(spec.wal_storage.storage_class, "faster");
    assert_string_equal(spec.max_slot_wal_keep_size, "2GB");
    assert_int_equal(spec.max_lag_bytes, 16777216);
    assert_int_equal(spec.lease_seconds, 15);
    assert_string_equal(spec.ca_overlap, "12h");
    assert_int_equal(spec.ca_overlap_ms, 12 * 3600000);
    assert_string_equal(spec.replace_ca, "planned");
    assert_string_equal(spec.reread_credentials, "x");
    assert_string_equal(spec.owner, "shop_owner");
    assert_string_equal(spec.encoding, "LATIN1");
    assert_string_equal(spec.replication_secret, "s3");
    assert_string_equal(json_str(spec.resources, "requests.cpu", ""), "2");
    assert_string_equal(json_str(spec.scheduling.node_selector, "[\"disk.example/type\"]", ""),
                        "ssd");
    assert_true(spec.scheduling.anti_affinity_required);
    assert_string_equal(spec.scheduling.priority_class, "high");
    assert_int_equal(spec.termination_grace_seconds, 600);
    assert_true(spec.allow_eviction);
}

/* The value is repeated in status, where 256 KiB of it have no place. */
static void a_long_word_for_reading_the_secrets_again_is_known_by_its_hash(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    char word[256], *earlier = "";
    for (size_t length = 200; length < 203; length++) {
        memset(word, 'x', length);
        word[length] = '\0';
        char *yaml = arena_printf(arena,
                                  "apiVersion: pgkeel.dev/v1alpha1\nkind: PostgresCluster\n"
                                  "metadata: {name: a, annotations: "
                                  "{pgkeel.dev/reread-credentials: %s}}\n"
                                  "spec:\n  instances: 2\n  storage: {size: 1Gi}\n"
                                  "  postgres: {version: 17}\n",
                                  word);
        assert_int_equal(decode(arena, yaml, &err), 0);
        if (length == 200) {
            assert_string_equal(spec.reread_credentials, word);
            continue;
        }
        assert_memory_equal(spec.reread_credentials, "hash:", 5);
        assert_true(strlen(spec.reread_credentials) <= 64);
        assert_string_not_equal(spec.reread_credentials, earlier);
        earlier = arena_strdup(arena, spec.reread_credentials);
    }
}

static void all_faults_are_told_at_once(void **state)
{
    (void)state;
    assert_faults(
        HEAD "spec:\n"
             "  instances: 10\n"
             "  postgres: {version: 13, parmeters: {}, hba: all}\n"
             "  storage: {size: 20GB, retain: 1}\n"
             "  replicas: 2\n"
             "  resources: {limits: {cpu: x}}\n",
        "spec.instances: must be from 1 to 9, not 10 (1 is a single server; every further instance "
        "is a streaming replica)\n"
        "spec.postgres.version: must be from 14 to 18, not 13 (the major version of PostgreSQL)\n"
        "spec.postgres.parmeters: unknown field (did you mean 'parameters'?)\n"
        "spec.postgres.hba: must be a list, not the string \"all\"\n"
        "spec.storage.size: must be a size such as 20Gi, not \"20GB\"\n"
        "spec.storage.retain: must be true or false, not the number 1\n"
        "spec.replicas: unknown field (known fields: instances, postgres, storage, walStorage, "
        "replication, failover, tls, bootstrap, secrets, resources, scheduling, "
        "terminationGracePeriodSeconds, maintenance)\n"
        "spec.resources.limits.cpu: must be a quantity such as 500m, 2 or 4Gi, not \"x\"\n");
}

static void missing_fields_are_named(void **state)
{
    (void)state;
    assert_faults(HEAD, "spec: is required\n");
    assert_faults(HEAD "spec: {}\n", "spec.instances: is required: 1 is a single server; every "
                                     "further instance is a streaming replica\n"
                                     "spec.postgres: is required\n"
                                     "spec.storage: is required\n");
    assert_faults(HEAD "spec: {instances: 1, postgres: {}, storage: {}}\n",
                  "spec.postgres.version: is required: the major version of PostgreSQL\n"
                  "spec.storage.size: is required: a size such as 20Gi\n");
}

static void wrong_types_are_named_with_what_was_found(void **state)
{
    (void)state;
    assert_faults(HEAD "spec: {instances: \"2\", postgres: {version: 17.1}, storage: null}\n",
                  "spec.instances: must be an integer, not the string \"2\"\n"
                  "spec.postgres.version: must be an integer, not the number 17.1\n"
                  "spec.storage: must be a mapping, not null\n");
    assert_faults(BASE "  postgres: {version: 17, parameters: {max_connections: 200}}\n",
                  "spec.postgres.parameters.max_connections: must be a string, text in quotes: "
                  "\"200\", \"on\", \"4GB\", not the number 200\n");
    assert_faults(BASE "  postgres: {version: 17}\n  resources: {limits: [1], requests: 1}\n"
                       "  scheduling: {nodeSelector: [x], tolerations: {a: b}}\n",
                  "spec.resources.limits: must be a mapping, not a list\n"
                  "spec.resources.requests: must be a mapping, not the number 1\n"
                  "spec.scheduling.nodeSelector: must be a mapping, not a list\n"
                  "spec.scheduling.tolerations: must be a list, not a mapping\n");
    assert_faults(HEAD "spec: 5\n", "spec: must be a mapping, not the number 5\n");
}

static void names_follow_the_rules_of_services(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    static const char *const bad[] = {"1a", "a-", "A", "a.b", "a_b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *yaml = arena_printf(
            arena,
            "apiVersion: pgkeel.dev/v1alpha1\nkind: PostgresCluster\nmetadata: {name: %s}\n"
            "spec: {instances: 1, postgres: {version: 17}, storage: {size: 1Gi}}\n",
            bad[i]);
        assert_faults(
            yaml,
            arena_printf(arena,
                         "metadata.name: must be a valid Service name (lower-case letters, digits "
                         "and '-', starting with a letter, not ending with '-'), not \"%s\"\n",
                         bad[i]));
    }
    assert_faults("apiVersion: pgkeel.dev/v1\nkind: Cluster\nmetadata: {name: "
                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\nspce: {}\n"
                  "spec: {instances: 1, postgres: {version: 17}, storage: {size: 1Gi}}\n",
                  "spce: unknown field (did you mean 'spec'?)\n"
                  "apiVersion: must be pgkeel.dev/v1alpha1, not \"pgkeel.dev/v1\"\n"
                  "kind: must be PostgresCluster, not \"Cluster\"\n"
                  "metadata.name: must not be longer than 48 characters (it has 49): pod names "
                  "derive from it\n");
}

static void names_that_yaml_takes_for_something_else_are_told(void **state)
{
    (void)state;
    assert_faults("apiVersion: pgkeel.dev/v1alpha1\nkind: PostgresCluster\n"
                  "metadata: {name: 1, namespace: n}\n"
                  "spec: {instances: 1, postgres: {version: 17}, storage: {size: 1Gi}}\n",
                  "metadata.name: must be a string, not the number 1 (quote it)\n"
                  "metadata.namespace: must be the name of a namespace, not the boolean false\n");
}

static void volumes_cannot_be_filled_by_design(void **state)
{
    (void)state;
    assert_faults(BASE "  postgres: {version: 17, parameters: {max_wal_size: 2GB}}\n"
                       "  walStorage: {size: 1Gi}\n"
                       "  replication: {maxSlotWalKeepSize: 1Gi}\n",
                  "spec.postgres.parameters.max_wal_size: 2GB would fill the volume: "
                  "spec.walStorage.size is 1Gi\n"
                  "spec.replication.maxSlotWalKeepSize: 1Gi would let a disconnected replica fill "
                  "the volume: spec.walStorage.size is 1Gi\n");
    assert_faults(BASE "  postgres: {version: 17}\n  walStorage: {size: 10Mi}\n",
                  "spec.walStorage.size: must be 100Mi or more, not 10Mi: an empty PostgreSQL "
                  "needs most of that\n");
}

static void names_of_secrets_roles_and_databases_do_not_collide(void **state)
{
    (void)state;
    assert_faults(
        BASE "  postgres: {version: 17}\n"
             "  secrets: {superuser: a-app, replication: a-ca}\n"
             "  bootstrap: {initdb: {database: template1, owner: postgres}}\n",
        "spec.bootstrap.initdb.database: template1 is one of PostgreSQL's template databases\n"
        "spec.bootstrap.initdb.owner: the superuser cannot be the application's role\n"
        "spec.secrets.app: names the same Secret as spec.secrets.superuser ('a-app'): each role "
        "needs its own\n"
        "spec.secrets.replication: a-ca is the name of a Secret that pgkeel writes\n");
    assert_faults(BASE "  postgres: {version: 17}\n"
                       "  bootstrap: {initdb: {owner: pg_me, database: \"a b\"}}\n",
                  "spec.bootstrap.initdb.database: must be up to 63 letters, digits, '_' and '-', "
                  "beginning with a letter or '_', not \"a b\"\n"
                  "spec.bootstrap.initdb.owner: \"pg_me\" is a reserved role name\n");
}

static void resources_and_scheduling_are_checked(void **state)
{
    (void)state;
    assert_faults(
        BASE "  postgres: {version: 17}\n"
             "  resources: {requests: {memory: 2Gi, memroy: 1}, limits: {memory: 1Gi}}\n"
             "  scheduling:\n"
             "    nodeSelector: {\"-x\": ssd}\n"
             "    antiAffinity: none\n"
             "    tolerations:\n"
             "    - {value: x}\n"
             "    - {key: a, operator: Exists, value: x, tolerationSeconds: 5}\n",
        "spec.scheduling.antiAffinity: must be one of preferred, required, not \"none\"\n"
        "spec.resources.requests.memory: 2Gi is more than the limit of 1Gi\n"
        "spec.resources.requests.memroy: is not a container resource: cpu, memory, "
        "ephemeral-storage, hugepages-<size> or vendor/name\n"
        "spec.scheduling.nodeSelector.-x: is not a valid label key\n"
        "spec.scheduling.tolerations[0]: must have operator Exists when it has no key\n"
        "spec.scheduling.tolerations[1].value: must be empty with operator Exists\n"
        "spec.scheduling.tolerations[1].tolerationSeconds: works only with effect NoExecute\n");
}

static void the_error_says_the_first_fault_and_how_many(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    assert_int_equal(decode(arena,
                            HEAD "spec: {instances: 0, postgres: {version: 17}, "
                                 "storage: {size: x}}\n",
                            &err),
                     ERR_INVALID);
    assert_string_equal(err.reason, "InvalidSpec");
    assert_string_equal(err.text,
                        "spec.instances: must be from 1 to 9, not 0 (1 is a single server; every "
                        "further instance is a streaming replica) (and 1 more)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_cluster_gets_defaults),
        cmocka_unit_test(every_field_is_taken_over),
        cmocka_unit_test(a_long_word_for_reading_the_secrets_again_is_known_by_its_hash),
        cmocka_unit_test(all_faults_are_told_at_once),
        cmocka_unit_test(missing_fields_are_named),
        cmocka_unit_test(wrong_types_are_named_with_what_was_found),
        cmocka_unit_test(names_follow_the_rules_of_services),
        cmocka_unit_test(names_that_yaml_takes_for_something_else_are_told),
        cmocka_unit_test(volumes_cannot_be_filled_by_design),
        cmocka_unit_test(names_of_secrets_roles_and_databases_do_not_collide),
        cmocka_unit_test(resources_and_scheduling_are_checked),
        cmocka_unit_test(the_error_says_the_first_fault_and_how_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
