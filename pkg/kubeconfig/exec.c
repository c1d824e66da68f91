/*
 * Not a child of loop/child.h: that one has no terminal, mixes stdout with stderr and keeps the end
 * of both, while a plugin may ask a person, and its stdout alone is the credential, wiped after
 * use. Its owner also reaps every child of the process, which only the program itself may decide.
 */
#include "kubeconfig/exec.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "loop/timer.h"

extern char **environ;

enum {
    OUTPUT_MAX_BYTES = 1024 * 1024,
    REAP_INTERVAL_MS = 10,
    INTERACTIVE_TIMEOUT_MS = 10 * 60 * 1000,
};

struct kubeconfig_exec_run {
    const struct kubeconfig_exec *exec;
    kubeconfig_exec_done done;
    void *arg;
    struct event_base *loop;
    struct event *readable, *deadline, *reap;
    struct buffer output;
    int out_fd;
    pid_t pid; /* 0: reaped */
    bool timed_out;
};

static const char *hint(const struct kubeconfig_exec *exec)
{
    return exec->install_hint ? exec->install_hint : "";
}

static void discard(struct kubeconfig_exec_run *run)
{
    timer_freep(&run->readable);
    timer_freep(&run->deadline);
    timer_freep(&run->reap);
    if (run->out_fd >= 0)
        close(run->out_fd);
    if (run->output.data != NULL)
        explicit_bzero(run->output.data, run->output.capacity);
    buffer_free(&run->output);
    free(run);
}

void kubeconfig_exec_cancel(struct kubeconfig_exec_run *run)
{
    if (run == NULL)
        return;
    if (run->pid > 0) {
        kill(run->pid, SIGKILL);
        waitpid(run->pid, NULL, 0);
    }
    discard(run);
}

static ERR_CHECKED int check_expiry(const cJSON *status, int64_t *ret_ms, struct error *err)
{
    const char *text = json_str(status, "expirationTimestamp", NULL);
    int64_t ms = text ? clock_parse_rfc3339(text) : -1;
    if (text != NULL && ms < 0)
        return err_set(err, ERR_FORBIDDEN,
                       "status.expirationTimestamp '%s' is not an RFC 3339 time", text);
    *ret_ms = ms;
    return 0;
}

static ERR_CHECKED int check_token(const char *token, struct error *err)
{
    for (const char *p = token ? token : ""; *p != '\0'; p++)
        if (!isgraph((unsigned char)*p))
            return err_set(err, ERR_FORBIDDEN, "status.token is not a single token");
    return 0;
}

/* The apiVersion must be the one that the kubeconfig names: client-go refuses others, too. */
static ERR_CHECKED int parse_status(const cJSON *tree, const struct kubeconfig_exec *exec,
                                    struct kubeconfig_exec_credential *ret_credential,
                                    struct error *err)
{
    const cJSON *status = json_get(tree, "status");
    const char *version = json_str(tree, "apiVersion", "");
    struct kubeconfig_exec_credential found = {
        .token = json_str(status, "token", NULL),
        .certificate_pem = json_str(status, "clientCertificateData", NULL),
        .key_pem = json_str(status, "clientKeyData", NULL),
    };
    if (strcmp(json_str(tree, "kind", ""), "ExecCredential") != 0)
        return err_set(err, ERR_FORBIDDEN, "kind is '%s', not ExecCredential",
                       json_str(tree, "kind", ""));
    if (strcmp(version, exec->api_version) != 0)
        return err_set(err, ERR_FORBIDDEN, "apiVersion is '%s', but the kubeconfig asks for '%s'",
                       version, exec->api_version);
    if (found.token != NULL && found.token[0] == '\0')
        found.token = NULL;
    if ((found.certificate_pem == NULL) != (found.key_pem == NULL))
        return err_set(err, ERR_FORBIDDEN,
                       "status has only one of clientCertificateData and clientKeyData");
    if (found.token == NULL && found.certificate_pem == NULL)
        return err_set(err, ERR_FORBIDDEN, "status has neither a token nor a certificate");
    if (check_token(found.token, err) < 0 || check_expiry(status, &found.expires_wall_ms, err) < 0)
        return err->class;
    *ret_credential = found;
    return 0;
}

int kubeconfig_exec_parse(struct arena *arena, const struct kubeconfig_exec *exec, const char *text,
                          size_t length, struct kubeconfig_exec_credential *ret_credential,
                          struct error *err)
{
    cJSON *tree;
    if (json_parse(arena, text, length, &tree, err) < 0 ||
        parse_status(tree, exec, ret_credential, err) < 0) {
        err->class = ERR_FORBIDDEN;
        return err_wrap(err, "output of credential plugin '%s'", exec->command);
    }
    return 0;
}

static ERR_CHECKED int exit_error(const struct kubeconfig_exec_run *run, int wait_status,
                                  struct error *err)
{
    const struct kubeconfig_exec *exec = run->exec;
    if (run->timed_out)
        return err_set_reason(err, ERR_FORBIDDEN, "CredentialPluginFailed",
                              "credential plugin '%s' did not finish in time", exec->command);
    if (WIFSIGNALED(wait_status))
        return err_set_reason(err, ERR_FORBIDDEN, "CredentialPluginFailed",
                              "credential plugin '%s' was killed by signal %d", exec->command,
                              WTERMSIG(wait_status));
    if (WEXITSTATUS(wait_status) != 0)
        return err_set_reason(
            err, ERR_FORBIDDEN, "CredentialPluginFailed",
            "credential plugin '%s' failed with exit status %d; see what it wrote to stderr. %s",
            exec->command, WEXITSTATUS(wait_status), hint(exec));
    return 0;
}

static void conclude(struct kubeconfig_exec_run *run, int wait_status)
{
    struct kubeconfig_exec_credential credential;
    struct error err = {0};
    AUTO_ARENA arena = arena_new();
    bool good = exit_error(run, wait_status, &err) == 0 &&
                kubeconfig_exec_parse(arena, run->exec, buffer_text(&run->output),
                                      run->output.length, &credential, &err) == 0;
    kubeconfig_exec_done done = run->done;
    void *arg = run->arg;
    discard(run);
    done(arg, good ? &credential : NULL, &err);
}

/* stdout is closed shortly before the process ends, so that waitpid() is repeated until it ends. If
 * this process reaps all its children (as PID 1), that may have been faster: then only the output
 * counts. */
static void try_reap(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct kubeconfig_exec_run *run = arg;
    int wait_status = 0;
    pid_t got = waitpid(run->pid, &wait_status, WNOHANG);
    if (got == 0) {
        timer_arm(run->reap, REAP_INTERVAL_MS);
        return;
    }
    run->pid = 0;
    conclude(run, got < 0 ? 0 : wait_status);
}

/* A plugin that writes too much is killed; being killed then is its failure. */
static void on_output(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct kubeconfig_exec_run *run = arg;
    char bytes[4096];
    ssize_t got = read(fd, bytes, sizeof bytes);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got > 0 && run->output.length + (size_t)got <= OUTPUT_MAX_BYTES) {
        buffer_append(&run->output, bytes, (size_t)got);
        explicit_bzero(bytes, sizeof bytes);
        return;
    }
    if (got > 0)
        kill(run->pid, SIGKILL);
    event_del(run->readable);
    try_reap(-1, 0, run);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct kubeconfig_exec_run *run = arg;
    run->timed_out = true;
    kill(run->pid, SIGKILL);
    event_del(run->readable);
    try_reap(-1, 0, run);
}

static char *exec_info(struct arena *arena, const struct kubeconfig_exec *exec, bool interactive)
{
    cJSON *info = json_object(arena);
    json_set_str(info, "apiVersion", exec->api_version);
    json_set_str(info, "kind", "ExecCredential");
    cJSON *spec = json_add_object(info, "spec");
    json_set_bool(spec, "interactive", interactive);
    if (exec->cluster_info != NULL) {
        cJSON *cluster;
        struct error ignored; /* we wrote it, so it parses */
        if (json_parse(arena, exec->cluster_info, strlen(exec->cluster_info), &cluster, &ignored) ==
            0)
            json_set_copy(spec, "cluster", cluster);
    }
    return arena_printf(arena, "KUBERNETES_EXEC_INFO=%s", json_compact(arena, info));
}

static bool same_name(const char *a, const char *b)
{
    size_t length = strcspn(a, "=");
    return strncmp(a, b, length + 1) == 0;
}

/* Our own environment, overridden by the kubeconfig's variables and KUBERNETES_EXEC_INFO. */
static char **environment(struct arena *arena, const struct kubeconfig_exec *exec, bool interactive)
{
    size_t count = 0, extra = 0;
    while (environ[count] != NULL)
        count++;
    while (exec->env != NULL && exec->env[extra] != NULL)
        extra++;
    char **env = arena_alloc(arena, (count + extra + 2) * sizeof *env);
    size_t used = 0;
    for (size_t i = 0; i < extra; i++)
        env[used++] = (char *)exec->env[i];
    env[used++] = exec_info(arena, exec, interactive);
    size_t ours = used;
    for (size_t i = 0; i < count; i++) {
        bool overridden = false;
        for (size_t k = 0; k < ours; k++)
            overridden = overridden || same_name(environ[i], env[k]);
        if (!overridden)
            env[used++] = environ[i];
    }
    return env;
}

static char **arguments(struct arena *arena, const struct kubeconfig_exec *exec)
{
    size_t count = 0;
    while (exec->args != NULL && exec->args[count] != NULL)
        count++;
    char **argv = arena_alloc(arena, (count + 2) * sizeof *argv);
    argv[0] = (char *)exec->command;
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = (char *)exec->args[i];
    return argv;
}

static int spawn(const struct kubeconfig_exec *exec, bool interactive, int out_fd, pid_t *ret_pid)
{
    AUTO_ARENA arena = arena_new();
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
    if (!interactive)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    int code = posix_spawnp(ret_pid, exec->command, &actions, &attributes, arguments(arena, exec),
                            environment(arena, exec, interactive));
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

static void listen_to(struct kubeconfig_exec_run *run, int timeout_ms)
{
    run->readable = event_new(run->loop, run->out_fd, EV_READ | EV_PERSIST, on_output, run);
    run->deadline = evtimer_new(run->loop, on_deadline, run);
    run->reap = evtimer_new(run->loop, try_reap, run);
    event_add(run->readable, NULL);
    timer_arm(run->deadline, timeout_ms);
}

int kubeconfig_exec_start(struct event_base *loop, const struct kubeconfig_exec *exec,
                          int timeout_ms, kubeconfig_exec_done done, void *arg,
                          struct kubeconfig_exec_run **ret_run, struct error *err)
{
    bool interactive = exec->interactive != KUBECONFIG_INTERACTIVE_NEVER && isatty(0);
    int pipe_fds[2];
    if (exec->interactive == KUBECONFIG_INTERACTIVE_ALWAYS && !interactive)
        return err_set_reason(err, ERR_FORBIDDEN, "CredentialPluginFailed",
                              "credential plugin '%s' needs a terminal (interactiveMode: Always), "
                              "but standard input is not one",
                              exec->command);
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_errno(err, errno, "pipe");
    pid_t pid = 0;
    int code = spawn(exec, interactive, pipe_fds[1], &pid);
    close(pipe_fds[1]);
    if (code != 0) {
        close(pipe_fds[0]);
        return err_set_reason(err, ERR_FORBIDDEN, "CredentialPluginFailed",
                              "credential plugin '%s' cannot be run: %s. %s", exec->command,
                              strerror(code), hint(exec));
    }
    evutil_make_socket_nonblocking(pipe_fds[0]);
    struct kubeconfig_exec_run *run = xcalloc(1, sizeof *run);
    *run = (struct kubeconfig_exec_run){
        .exec = exec, .done = done, .arg = arg, .loop = loop, .out_fd = pipe_fds[0], .pid = pid};
    listen_to(run, interactive ? INTERACTIVE_TIMEOUT_MS : timeout_ms);
    *ret_run = run;
    return 0;
}
