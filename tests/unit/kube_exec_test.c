#include "kube_time.h"

#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "kubeconfig/exec.h"

#define V1      "client.authentication.k8s.io/v1"
#define V1BETA1 "client.authentication.k8s.io/v1beta1"

/* A plugin is a shell script in a folder of its own, which counts its runs in the file `runs`. */
struct scene {
    struct world world;
    char folder[64], script[100];
    struct kubeconfig_exec exec;
    int done, failed;
    struct error err;
    char *token, *certificate, *key;
    int64_t expires_wall_ms;
    struct kubeconfig_exec_run *run;
    const char *only_token;
    int64_t now_ms;
    struct virtual_clock clock;
};

static void answer(struct server *server, struct exchange *x)
{
    struct scene *s = server->arg;
    bool good = s->only_token == NULL || strstr(x->headers, s->only_token) != NULL;
    reply(x, good ? 200 : 401, "", good ? "{}" : "{\"kind\":\"Status\",\"message\":\"who?\"}");
}

static int open_scene(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    world_open(&s->world, answer, s);
    strcpy(s->folder, "/tmp/kubeconfig_exec_test.XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->script, sizeof s->script, "%s/plugin", s->folder);
    s->exec = (struct kubeconfig_exec){.api_version = V1, .command = s->script};
    *state = s;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *s = *state;
    char command[128];
    kubeconfig_exec_cancel(s->run);
    world_close(&s->world);
    snprintf(command, sizeof command, "rm -rf '%s'", s->folder);
    assert_int_equal(system(command), 0);
    free(s->token), free(s->certificate), free(s->key);
    free(s);
    return 0;
}

static void write_plugin(struct scene *s, const char *body)
{
    FILE *file = fopen(s->script, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\necho run >>'%s/runs'\n%s\n", s->folder, body);
    fclose(file);
    assert_int_equal(chmod(s->script, 0700), 0);
}

static int runs(struct scene *s)
{
    char path[128], line[16];
    int count = 0;
    snprintf(path, sizeof path, "%s/runs", s->folder);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        count++;
    if (file != NULL)
        fclose(file);
    return count;
}

static char *dup_or_null(const char *text)
{
    return text ? strdup(text) : NULL;
}

static void on_credential(void *arg, const struct kubeconfig_exec_credential *credential,
                          const struct error *err)
{
    struct scene *s = arg;
    s->run = NULL;
    s->done++;
    s->err = *err;
    if (credential == NULL)
        return;
    s->token = dup_or_null(credential->token);
    s->certificate = dup_or_null(credential->certificate_pem);
    s->key = dup_or_null(credential->key_pem);
    s->expires_wall_ms = credential->expires_wall_ms;
}

static int start(struct scene *s, int timeout_ms)
{
    return kubeconfig_exec_start(s->world.loop, &s->exec, timeout_ms, on_credential, s, &s->run,
                                 &s->err);
}

static void run_plugin(struct scene *s)
{
    assert_int_equal(start(s, 10000), 0);
    assert_int_equal(s->done, 0);
    run_until(s->world.loop, &s->done, 1);
}

#define CREDENTIAL(status)                                                                         \
    "{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"status\":{" status "}}"
#define PRINT(status) "echo '" CREDENTIAL(status) "'"

static void a_plugin_gives_a_token_with_an_expiry(void **state)
{
    struct scene *s = *state;
    write_plugin(s, PRINT("\"token\":\"abc\",\"expirationTimestamp\":\"2030-01-02T03:04:05Z\""));
    run_plugin(s);
    assert_int_equal(s->err.class, 0);
    assert_string_equal(s->token, "abc");
    assert_null(s->certificate);
    assert_int_equal(s->expires_wall_ms, clock_parse_rfc3339("2030-01-02T03:04:05Z"));
}

static void a_plugin_gives_a_certificate(void **state)
{
    struct scene *s = *state;
    write_plugin(s, PRINT("\"clientCertificateData\":\"C\",\"clientKeyData\":\"K\""));
    run_plugin(s);
    assert_string_equal(s->certificate, "C");
    assert_string_equal(s->key, "K");
    assert_null(s->token);
    assert_int_equal(s->expires_wall_ms, -1);
}

static void a_plugin_is_told_what_it_needs(void **state)
{
    struct scene *s = *state;
    setenv("KUBE_EXEC_TEST", "outer", 1);
    s->exec.args = (const char *[]){"one", "two words", NULL};
    s->exec.env = (const char *[]){"KUBE_EXEC_TEST=inner", NULL};
    s->exec.cluster_info = "{\"server\":\"https://h\"}";
    write_plugin(s, "test \"$1|$2|$#\" = 'one|two words|2' || exit 3\n"
                    "test \"$KUBE_EXEC_TEST\" = inner || exit 4\n"
                    "test -n \"$HOME$PATH\" || exit 5\n"
                    "case $KUBERNETES_EXEC_INFO in\n"
                    "'{\"apiVersion\":\"" V1
                    "\",\"kind\":\"ExecCredential\",\"spec\":{\"interactive\":"
                    "false,\"cluster\":{\"server\":\"https://h\"}}}') ;; *) exit 6 ;; esac\n"
                    "read line && exit 7\n" PRINT("\"token\":\"ok\""));
    run_plugin(s);
    assert_string_equal(s->err.text, "");
    assert_string_equal(s->token, "ok");
}

static void a_plugin_is_found_in_the_search_path(void **state)
{
    struct scene *s = *state;
    const char *old = getenv("PATH");
    write_plugin(s, PRINT("\"token\":\"abc\""));
    setenv("PATH", arena_printf(s->world.arena, "%s:%s", s->folder, old), 1);
    s->exec.command = "plugin";
    run_plugin(s);
    setenv("PATH", old, 1);
    assert_string_equal(s->token, "abc");
}

static void a_plugin_that_fails_is_named_with_its_hint(void **state)
{
    struct scene *s = *state;
    s->exec.install_hint = "apt install plugin";
    write_plugin(s, "exit 3");
    run_plugin(s);
    assert_int_equal(s->err.class, ERR_FORBIDDEN);
    assert_non_null(strstr(s->err.text, s->script));
    assert_non_null(strstr(s->err.text, "exit status 3"));
    assert_non_null(strstr(s->err.text, "apt install plugin"));
}

static void a_plugin_that_is_not_there_is_named_with_its_hint(void **state)
{
    struct scene *s = *state;
    s->exec.install_hint = "apt install plugin";
    int class = start(s, 1000);
    if (class == 0)
        run_until(s->world.loop, &s->done, 1);
    assert_int_equal(s->err.class, ERR_FORBIDDEN);
    assert_non_null(strstr(s->err.text, s->script));
    assert_non_null(strstr(s->err.text, "apt install plugin"));
}

static void a_plugin_that_is_killed_says_so(void **state)
{
    struct scene *s = *state;
    write_plugin(s, "kill -9 $$");
    run_plugin(s);
    assert_non_null(strstr(s->err.text, "killed by signal 9"));
}

static void a_plugin_that_hangs_is_ended(void **state)
{
    struct scene *s = *state;
    write_plugin(s, "exec sleep 1000");
    assert_int_equal(start(s, 50), 0);
    run_until(s->world.loop, &s->done, 1);
    assert_non_null(strstr(s->err.text, "did not finish in time"));
}

static void a_plugin_that_talks_without_end_is_ended(void **state)
{
    struct scene *s = *state;
    write_plugin(s, "exec cat /dev/zero");
    run_plugin(s);
    assert_int_equal(s->err.class, ERR_FORBIDDEN);
}

static void a_plugin_that_must_ask_needs_a_terminal(void **state)
{
    struct scene *s = *state;
    int saved = dup(0), null = open("/dev/null", 0);
    s->exec.interactive = KUBECONFIG_INTERACTIVE_ALWAYS;
    dup2(null, 0);
    assert_int_equal(start(s, 1000), ERR_FORBIDDEN);
    assert_non_null(strstr(s->err.text, "needs a terminal"));
    dup2(saved, 0);
    close(saved);
    close(null);
}

static void a_cancelled_plugin_is_gone(void **state)
{
    struct scene *s = *state;
    write_plugin(s, "exec sleep 1000");
    assert_int_equal(start(s, 10000), 0);
    kubeconfig_exec_cancel(s->run);
    s->run = NULL;
    run_for_ms(s->world.loop, 20);
    assert_int_equal(s->done, 0);
}

static void what_a_plugin_prints_is_checked(void **state)
{
    struct scene *s = *state;
    const struct {
        const char *text, *wanted;
    } cases[] = {
        {"", "invalid JSON"},
        {"{}", "kind is ''"},
        {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1BETA1 "\"}",
         "apiVersion is '" V1BETA1 "'"},
        {CREDENTIAL(""), "neither a token nor a certificate"},
        {CREDENTIAL("\"token\":\"\""), "neither a token nor a certificate"},
        {CREDENTIAL("\"clientKeyData\":\"x\""), "only one of"},
        {CREDENTIAL("\"token\":\"a\\nb\""), "is not a single token"},
        {CREDENTIAL("\"token\":\"a\",\"expirationTimestamp\":\"soon\""), "not an RFC 3339 time"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kubeconfig_exec_credential credential;
        assert_int_equal(kubeconfig_exec_parse(s->world.arena, &s->exec, cases[i].text,
                                               strlen(cases[i].text), &credential, &s->err),
                         ERR_FORBIDDEN);
        if (strstr(s->err.text, cases[i].wanted) == NULL)
            fail_msg("'%s' is not in '%s'", cases[i].wanted, s->err.text);
        assert_non_null(strstr(s->err.text, s->script));
    }
}

static void on_answer(void *arg, const cJSON *body, const struct error *err)
{
    (void)body;
    struct scene *s = arg;
    s->done++;
    s->err = *err;
    s->failed += err->class < 0;
}

static void use_plugin(struct scene *s)
{
    s->world.config.exec = &s->exec;
    kube_free(s->world.kube);
    world_client(&s->world);
}

static void ask(struct scene *s, int times)
{
    const struct kube_request request = {.path = "/version"};
    s->done = s->failed = 0;
    for (int i = 0; i < times; i++)
        kube_call_start(s->world.kube, &request, on_answer, s);
    run_until(s->world.loop, &s->done, times);
}

static void requests_share_one_run_of_the_plugin(void **state)
{
    struct scene *s = *state;
    write_plugin(s, PRINT("\"token\":\"abc\""));
    use_plugin(s);
    ask(s, 10);
    ask(s, 3);
    assert_int_equal(s->failed, 0);
    assert_int_equal(runs(s), 1);
    assert_non_null(strstr(s->world.server->last_headers, "Authorization: Bearer abc\r\n"));
}

static void requests_fail_together_when_the_plugin_does_and_the_next_tries_again(void **state)
{
    struct scene *s = *state;
    write_plugin(s, "exit 1");
    use_plugin(s);
    ask(s, 5);
    assert_int_equal(s->failed, 5);
    assert_string_equal(s->err.reason, "CredentialPluginFailed");
    assert_int_equal(runs(s), 1);
    write_plugin(s, PRINT("\"token\":\"abc\""));
    ask(s, 1);
    assert_int_equal(s->failed, 0);
}

static void an_expired_token_is_fetched_anew(void **state)
{
    struct scene *s = *state;
    write_plugin(s, PRINT("\"token\":\"abc\",\"expirationTimestamp\":\"2001-01-02T03:04:05Z\""));
    use_plugin(s);
    ask(s, 1);
    assert_int_equal(s->failed, 0);
    ask(s, 1);
    assert_int_equal(s->failed, 0);
    assert_int_equal(runs(s), 2);
}

/* Right after a run a 401 does not run the plugin again. */
static void pass_a_while(struct scene *s)
{
    s->now_ms += quick.second_ms + 1;
}

static void a_401_fetches_a_new_token_once(void **state)
{
    struct scene *s = *state;
    write_plugin(s, "n=$(wc -l <\"${0%/*}/runs\"); echo '{\"apiVersion\":\"" V1 "\",\"kind\":"
                    "\"ExecCredential\",\"status\":{\"token\":\"t-'$n'\"}}'");
    use_plugin(s);
    s->now_ms = 1000000;
    virtual_clock_init(&s->clock, &s->now_ms);
    kube_set_clock(s->world.kube, &s->clock.clock);
    ask(s, 1);
    pass_a_while(s);
    s->only_token = "Bearer t-2\r\n";
    ask(s, 6);
    assert_int_equal(s->failed, 0);
    assert_int_equal(runs(s), 2);
    s->only_token = "Bearer other\r\n";
    pass_a_while(s);
    ask(s, 1);
    assert_int_equal(s->err.class, ERR_FORBIDDEN);
    assert_int_equal(runs(s), 3);
}

static void freeing_the_client_ends_its_plugin(void **state)
{
    struct scene *s = *state;
    const struct kube_request request = {.path = "/version"};
    write_plugin(s, "exec sleep 1000");
    use_plugin(s);
    kube_call_start(s->world.kube, &request, on_answer, s);
    run_for_ms(s->world.loop, 20);
    kube_free(s->world.kube);
    s->world.kube = NULL;
    assert_int_equal(s->done, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_plugin_gives_a_token_with_an_expiry),
        TEST(a_plugin_gives_a_certificate),
        TEST(a_plugin_is_told_what_it_needs),
        TEST(a_plugin_is_found_in_the_search_path),
        TEST(a_plugin_that_fails_is_named_with_its_hint),
        TEST(a_plugin_that_is_not_there_is_named_with_its_hint),
        TEST(a_plugin_that_is_killed_says_so),
        TEST(a_plugin_that_hangs_is_ended),
        TEST(a_plugin_that_talks_without_end_is_ended),
        TEST(a_plugin_that_must_ask_needs_a_terminal),
        TEST(a_cancelled_plugin_is_gone),
        TEST(what_a_plugin_prints_is_checked),
        TEST(requests_share_one_run_of_the_plugin),
        TEST(requests_fail_together_when_the_plugin_does_and_the_next_tries_again),
        TEST(an_expired_token_is_fetched_anew),
        TEST(a_401_fetches_a_new_token_once),
        TEST(freeing_the_client_ends_its_plugin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
