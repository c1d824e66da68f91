#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "kubeconfig/sources.h"

#define CA   "-----BEGIN CERTIFICATE-----\nY2E=\n-----END CERTIFICATE-----\n"
#define CERT "-----BEGIN CERTIFICATE-----\nY2VydA==\n-----END CERTIFICATE-----\n"
#define KEY  "-----BEGIN PRIVATE KEY-----\na2V5\n-----END PRIVATE KEY-----\n"

struct folder {
    struct arena *arena;
    char path[64];
    struct kubeconfig config;
    struct error err;
};

static const char *const variables[] = {"KUBECONFIG", "KUBERNETES_SERVICE_HOST",
                                        "KUBERNETES_SERVICE_PORT", "HOME"};

static int open_folder(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);
    folder->arena = arena_new();
    strcpy(folder->path, "/tmp/kubeconfig_test.XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    for (size_t i = 0; i < 4; i++)
        unsetenv(variables[i]);
    *state = folder;
    return 0;
}

static int close_folder(void **state)
{
    struct folder *folder = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder->path);
    assert_int_equal(system(command), 0);
    arena_free(folder->arena);
    free(folder);
    return 0;
}

static const char *write_text(struct folder *folder, const char *name, const char *text)
{
    char *path = arena_printf(folder->arena, "%s/%s", folder->path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static char *base64(struct folder *folder, const char *text)
{
    return hash_base64(folder->arena, text, strlen(text));
}

static int load(struct folder *folder, const char *path, const char *context)
{
    struct kubeconfig_options options = {.kubeconfig = path, .context = context};
    return kubeconfig_load(folder->arena, &options, &folder->config, &folder->err);
}

/* A kubeconfig with one context whose cluster and user are given in flow style. */
static const char *write_config(struct folder *folder, const char *cluster, const char *user)
{
    return write_text(folder, "config",
                      arena_printf(folder->arena,
                                   "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                                   "clusters:\n- {name: other, cluster: {server: 'https://o:1'}}\n"
                                   "- {name: k, cluster: {%s}}\n"
                                   "users:\n- {name: nobody, user: {}}\n- {name: u, user: {%s}}\n"
                                   "contexts:\n- {name: c, context: {cluster: k, user: u}}\n",
                                   cluster, user));
}

static void expect_fault(struct folder *folder, const char *cluster, const char *user,
                         const char *wanted)
{
    assert_true(load(folder, write_config(folder, cluster, user), NULL) < 0);
    if (strstr(folder->err.text, wanted) == NULL)
        fail_msg("'%s' is not in '%s'", wanted, folder->err.text);
    assert_non_null(strstr(folder->err.text, folder->path));
}

#define SERVER "server: 'https://10.0.0.1:6443'"

static void certificates_come_from_data(void **state)
{
    struct folder *f = *state;
    const char *cluster =
        arena_printf(f->arena, SERVER ", certificate-authority-data: %s", base64(f, CA));
    const char *user = arena_printf(f->arena, "client-certificate-data: %s, client-key-data: %s",
                                    base64(f, CERT), base64(f, KEY));
    assert_int_equal(load(f, write_config(f, cluster, user), NULL), 0);
    assert_string_equal(f->config.server, "https://10.0.0.1:6443");
    assert_string_equal(f->config.ca_pem, CA);
    assert_string_equal(f->config.client_cert_pem, CERT);
    assert_string_equal(f->config.client_key_pem, KEY);
    assert_string_equal(f->config.namespace, "default");
}

static void certificates_come_from_files_beside_the_kubeconfig(void **state)
{
    struct folder *f = *state;
    write_text(f, "ca.pem", CA);
    write_text(f, "cert.pem", CERT);
    const char *key = write_text(f, "key.pem", KEY);
    const char *user =
        arena_printf(f->arena, "client-certificate: ./cert.pem, client-key: %s", key);
    const char *path = write_config(f, SERVER ", certificate-authority: ca.pem", user);
    assert_int_equal(load(f, path, NULL), 0);
    assert_string_equal(f->config.ca_pem, CA);
    assert_string_equal(f->config.client_cert_pem, CERT);
    assert_string_equal(f->config.client_key_pem, KEY);
}

static void data_goes_before_a_file(void **state)
{
    struct folder *f = *state;
    const char *cluster = arena_printf(
        f->arena, SERVER ", certificate-authority: /none, certificate-authority-data: %s",
        base64(f, CA));
    assert_int_equal(load(f, write_config(f, cluster, ""), NULL), 0);
    assert_string_equal(f->config.ca_pem, CA);
}

static void data_may_be_folded_over_lines(void **state)
{
    struct folder *f = *state;
    char *text = base64(f, CA);
    const char *cluster = arena_printf(
        f->arena, SERVER ", certificate-authority-data: \"%.20s\\n%s\\n\"", text, text + 20);
    assert_int_equal(load(f, write_config(f, cluster, ""), NULL), 0);
    assert_string_equal(f->config.ca_pem, CA);
}

static void tokens_and_passwords_are_read(void **state)
{
    struct folder *f = *state;
    assert_int_equal(load(f, write_config(f, SERVER, "token: t, tokenFile: sub/tok"), NULL), 0);
    assert_string_equal(f->config.token, "t");
    assert_string_equal(f->config.token_file, arena_printf(f->arena, "%s/sub/tok", f->path));
    assert_int_equal(load(f, write_config(f, SERVER, "username: a, password: b"), NULL), 0);
    assert_string_equal(f->config.username, "a");
    assert_string_equal(f->config.password, "b");
    assert_null(f->config.token);
}

static void cluster_options_are_read(void **state)
{
    struct folder *f = *state;
    assert_int_equal(
        load(f,
             write_config(f, SERVER ", tls-server-name: api.example, proxy-url: 'http://p:3128'",
                          ""),
             NULL),
        0);
    assert_string_equal(f->config.tls_server_name, "api.example");
    assert_string_equal(f->config.proxy_url, "http://p:3128");
}

static void an_exec_plugin_is_read(void **state)
{
    struct folder *f = *state;
    const char *user = "exec: {apiVersion: client.authentication.k8s.io/v1, command: bin/plugin, "
                       "args: [get, '1'], env: [{name: A, value: b}], interactiveMode: Never, "
                       "installHint: 'apt install it', provideClusterInfo: true}";
    const char *cluster = SERVER ", extensions: [{name: client.authentication.k8s.io/exec, "
                                 "extension: {audience: x}}]";
    assert_int_equal(load(f, write_config(f, cluster, user), NULL), 0);
    const struct kubeconfig_exec *exec = f->config.exec;
    assert_string_equal(exec->command, arena_printf(f->arena, "%s/bin/plugin", f->path));
    assert_string_equal(exec->args[0], "get");
    assert_string_equal(exec->args[1], "1");
    assert_null(exec->args[2]);
    assert_string_equal(exec->env[0], "A=b");
    assert_null(exec->env[1]);
    assert_int_equal(exec->interactive, KUBECONFIG_INTERACTIVE_NEVER);
    assert_string_equal(exec->install_hint, "apt install it");
    assert_non_null(strstr(exec->cluster_info, "\"server\":\"https://10.0.0.1:6443\""));
    assert_non_null(strstr(exec->cluster_info, "\"audience\":\"x\""));
}

static void a_plain_command_is_left_to_the_search_path(void **state)
{
    struct folder *f = *state;
    const char *user = "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: plugin}";
    assert_int_equal(load(f, write_config(f, SERVER, user), NULL), 0);
    assert_string_equal(f->config.exec->command, "plugin");
    assert_int_equal(f->config.exec->interactive, KUBECONFIG_INTERACTIVE_IF_AVAILABLE);
    assert_null(f->config.exec->args[0]);
}

static void impersonation_is_kept(void **state)
{
    struct folder *f = *state;
    const char *user = "token: t, as: jane, as-uid: '7', as-groups: [a, b], "
                       "as-user-extra: {reason: [x]}";
    assert_int_equal(load(f, write_config(f, SERVER, user), NULL), 0);
    const char *joined = "";
    for (const char **line = f->config.impersonate; *line != NULL; line++)
        joined = arena_printf(f->arena, "%s%s;", joined, *line);
    assert_string_equal(joined, "Impersonate-Group: a;Impersonate-Group: b;"
                                "Impersonate-Extra-reason: x;Impersonate-User: jane;"
                                "Impersonate-Uid: 7;");
}

static void faults_name_file_and_field(void **state)
{
    struct folder *f = *state;
    expect_fault(f, SERVER, "client-certificate-data: '!', client-key-data: x",
                 "users[1].user.client-certificate-data: not base64");
    expect_fault(f, SERVER, "client-certificate-data: eA==",
                 "users[1].user.client-certificate-data: holds no PEM block");
    expect_fault(f, SERVER, "client-certificate: nowhere.pem",
                 "users[1].user.client-certificate: open '");
    expect_fault(f, SERVER, "client-key-data: LS0tLS1CRUdJTiB4",
                 "users[1].user.client-certificate: is missing");
    expect_fault(f, SERVER, "token: 12345", "users[1].user.token: must be a string");
    expect_fault(f, SERVER, "token: \"a\\nb\"", "users[1].user.token: must be a single line");
    expect_fault(f, SERVER, "token: a, username: b",
                 "users[1].user.username: conflicts with token");
    expect_fault(f, SERVER, "password: b", "users[1].user.username: is missing");
    expect_fault(f, SERVER, "auth-provider: {name: gcp}",
                 "users[1].user.auth-provider: is no longer supported by Kubernetes; use exec");
    expect_fault(f, SERVER, "as-groups: [a]", "users[1].user.as: is missing");
    expect_fault(f, "", "", "clusters[1].cluster.server: is missing");
    expect_fault(f, "server: '10.0.0.1:6443'", "", "'10.0.0.1:6443' is not https://host:port");
    expect_fault(f, "server: 'https://'", "", "is not https://host:port");
    expect_fault(f, "server: 'https://user@host'", "", "is not https://host:port");
    expect_fault(f, SERVER ", insecure-skip-tls-verify: 'yes'", "", "must be true or false");
}

static void faults_of_exec_name_the_field(void **state)
{
    struct folder *f = *state;
    expect_fault(f, SERVER, "exec: x", "users[1].user.exec: must be a mapping");
    expect_fault(
        f, SERVER, "exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: a}",
        "users[1].user.exec.apiVersion: 'client.authentication.k8s.io/v1alpha1' is neither");
    expect_fault(f, SERVER, "exec: {apiVersion: client.authentication.k8s.io/v1beta1}",
                 "users[1].user.exec.command: is missing");
    expect_fault(f, SERVER, "exec: {apiVersion: client.authentication.k8s.io/v1, command: a}",
                 "users[1].user.exec.interactiveMode: is required");
    expect_fault(f, SERVER,
                 "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: a, args: [1]}",
                 "users[1].user.exec.args: every argument must be a string");
    expect_fault(
        f, SERVER,
        "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: a, env: [{name: "
        "x}]}",
        "users[1].user.exec.env: every entry needs name and value");
}

static void an_insecure_cluster_is_refused_unless_allowed(void **state)
{
    struct folder *f = *state;
    expect_fault(f, SERVER ", insecure-skip-tls-verify: true", "",
                 "clusters[1].cluster.insecure-skip-tls-verify: is true, which is refused");
    struct kubeconfig_options options = {
        .kubeconfig = write_config(f, SERVER ", insecure-skip-tls-verify: true", ""),
        .allow_insecure = true};
    assert_int_equal(kubeconfig_load(f->arena, &options, &f->config, &f->err), 0);
    assert_true(f->config.insecure);
}

static void an_allowed_cluster_is_verified_unless_it_asks(void **state)
{
    struct folder *f = *state;
    struct kubeconfig_options options = {.kubeconfig = write_config(f, SERVER, ""),
                                         .allow_insecure = true};
    assert_int_equal(kubeconfig_load(f->arena, &options, &f->config, &f->err), 0);
    assert_false(f->config.insecure);
}

static void a_file_that_is_no_kubeconfig_is_refused(void **state)
{
    struct folder *f = *state;
    const struct {
        const char *text, *wanted;
    } cases[] = {
        {"- a\n", "must be a mapping"},
        {"kind: Pod\n", "kind: must be Config"},
        {"clusters: 7\n", "clusters: must be a list"},
        {"users: [{user: {}}]\n", "users[0].name: must be a string"},
        {"contexts: [{name: a, context: 3}]\n", "contexts[0].context: must be a mapping"},
        {"current-context: [a]\n", "current-context: must be a string"},
        {"a: b\n---\nc: d\n", "holds several YAML documents"},
        {"a: [\n", "line "},
        {"", "current-context is not set"},
        {"current-context: x\n", "no context 'x'"},
        {"current-context: x\ncontexts: [{name: x, context: {}}]\n",
         "contexts[0].context.cluster: is missing"},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: k}}]\n",
         "contexts[0].context.cluster: there is no entry 'k' in clusters"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(load(f, write_text(f, "bad", cases[i].text), NULL) < 0);
        if (strstr(f->err.text, cases[i].wanted) == NULL)
            fail_msg("'%s' is not in '%s'", cases[i].wanted, f->err.text);
    }
}

static void a_context_is_chosen_by_name(void **state)
{
    struct folder *f = *state;
    const char *path = write_text(f, "many",
                                  "current-context: a\n"
                                  "clusters: [{name: k1, cluster: {server: 'https://one:1'}}, "
                                  "{name: k2, cluster: {server: 'https://two:2'}}]\n"
                                  "contexts: [{name: a, context: {cluster: k1}}, "
                                  "{name: b, context: {cluster: k2, namespace: prod}}]\n");
    assert_int_equal(load(f, path, NULL), 0);
    assert_string_equal(f->config.server, "https://one:1");
    assert_int_equal(load(f, path, "b"), 0);
    assert_string_equal(f->config.server, "https://two:2");
    assert_string_equal(f->config.namespace, "prod");
    assert_true(load(f, path, "c") < 0);
    assert_non_null(strstr(f->err.text, "no context 'c'"));
}

static void files_of_the_list_are_merged_and_the_first_wins(void **state)
{
    struct folder *f = *state;
    mkdir(arena_printf(f->arena, "%s/two", f->path), 0700);
    write_text(f, "two/ca.pem", CA);
    const char *one = write_text(f, "one.yaml",
                                 "contexts: [{name: x, context: {cluster: k, user: u}}]\n"
                                 "users: [{name: u, user: {token: first}}]\n");
    const char *two = write_text(f, "two/two.yaml",
                                 "current-context: x\n"
                                 "clusters: [{name: k, cluster: {server: 'https://two:2', "
                                 "certificate-authority: ca.pem}}]\n"
                                 "users: [{name: u, user: {token: second, as: someone}}]\n");
    setenv("KUBECONFIG", arena_printf(f->arena, ":%s:%s/missing:%s:", one, f->path, two), 1);
    assert_int_equal(load(f, NULL, NULL), 0);
    assert_string_equal(f->config.server, "https://two:2");
    assert_string_equal(f->config.ca_pem, CA);
    assert_string_equal(f->config.token, "first");
    assert_null(f->config.impersonate);
}

static void a_list_without_any_file_is_refused(void **state)
{
    struct folder *f = *state;
    setenv("KUBECONFIG", "/nonexistent/a:/nonexistent/b", 1);
    assert_int_equal(load(f, NULL, NULL), ERR_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "no file of KUBECONFIG="));
}

static void a_named_file_must_exist(void **state)
{
    struct folder *f = *state;
    assert_int_equal(load(f, "/nonexistent/a", NULL), ERR_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "'/nonexistent/a'"));
}

static void the_home_folder_comes_last(void **state)
{
    struct folder *f = *state;
    setenv("HOME", f->path, 1);
    assert_int_equal(load(f, NULL, NULL), ERR_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "no Kubernetes cluster is configured"));
    mkdir(arena_printf(f->arena, "%s/.kube", f->path), 0700);
    write_text(f, ".kube/config",
               "current-context: a\ncontexts: [{name: a, context: {cluster: k}}]\n"
               "clusters: [{name: k, cluster: {server: 'https://home:1'}}]\n");
    assert_int_equal(load(f, NULL, NULL), 0);
    assert_string_equal(f->config.server, "https://home:1");
}

static void a_pod_uses_its_service_account(void **state)
{
    struct folder *f = *state;
    write_text(f, "ca.crt", CA);
    write_text(f, "token", "abc\n");
    write_text(f, "namespace", "prod\n");
    assert_int_equal(
        kubeconfig_in_cluster(f->arena, "10.96.0.1", "443", f->path, &f->config, &f->err), 0);
    assert_string_equal(f->config.server, "https://10.96.0.1:443");
    assert_string_equal(f->config.ca_pem, CA);
    assert_string_equal(f->config.token_file, arena_printf(f->arena, "%s/token", f->path));
    assert_string_equal(f->config.namespace, "prod");
    assert_int_equal(
        kubeconfig_in_cluster(f->arena, "fd00::1", "443", f->path, &f->config, &f->err), 0);
    assert_string_equal(f->config.server, "https://[fd00::1]:443");
}

static void a_pod_without_its_service_account_says_so(void **state)
{
    struct folder *f = *state;
    assert_true(kubeconfig_in_cluster(f->arena, "h", "1", f->path, &f->config, &f->err) < 0);
    assert_non_null(strstr(f->err.text, "automountServiceAccountToken"));
    write_text(f, "ca.crt", CA);
    write_text(f, "namespace", "prod");
    assert_true(kubeconfig_in_cluster(f->arena, "h", "1", f->path, &f->config, &f->err) < 0);
    assert_non_null(strstr(f->err.text, "/token' cannot be read"));
}

static void a_copy_stands_alone(void **state)
{
    struct folder *f = *state;
    const char *user =
        "token: t, as: jane, exec: {apiVersion: client.authentication.k8s.io/v1beta1,"
        " command: p, args: [x]}";
    struct arena *other = arena_new();
    struct kubeconfig copy;
    assert_int_equal(load(f, write_config(f, SERVER, user), NULL), 0);
    kubeconfig_copy(other, &f->config, &copy);
    arena_free(f->arena);
    f->arena = arena_new();
    assert_string_equal(copy.server, "https://10.0.0.1:6443");
    assert_string_equal(copy.token, "t");
    assert_string_equal(copy.exec->args[0], "x");
    assert_string_equal(copy.impersonate[0], "Impersonate-User: jane");
    arena_free(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_folder, close_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(certificates_come_from_data),
        TEST(certificates_come_from_files_beside_the_kubeconfig),
        TEST(data_goes_before_a_file),
        TEST(data_may_be_folded_over_lines),
        TEST(tokens_and_passwords_are_read),
        TEST(cluster_options_are_read),
        TEST(an_exec_plugin_is_read),
        TEST(a_plain_command_is_left_to_the_search_path),
        TEST(impersonation_is_kept),
        TEST(faults_name_file_and_field),
        TEST(faults_of_exec_name_the_field),
        TEST(an_insecure_cluster_is_refused_unless_allowed),
        TEST(an_allowed_cluster_is_verified_unless_it_asks),
        TEST(a_file_that_is_no_kubeconfig_is_refused),
        TEST(a_context_is_chosen_by_name),
        TEST(files_of_the_list_are_merged_and_the_first_wins),
        TEST(a_list_without_any_file_is_refused),
        TEST(a_named_file_must_exist),
        TEST(the_home_folder_comes_last),
        TEST(a_pod_uses_its_service_account),
        TEST(a_pod_without_its_service_account_says_so),
        TEST(a_copy_stands_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
