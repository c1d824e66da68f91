#include "loop/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "loop/timer.h"

enum { PACKETS_BYTES = 256 * 1024, DEEPEST = 64 };

struct child {
    struct child *next;
    struct children *owner;
    pid_t pid;
    bool reaped;
    bool is_task, stream, apart;
    void *answer;
    size_t answer_size;
    int fd; /* our end of its output; -1 once it is closed */
    struct event *readable;
    struct buffer collected;
    char name[32];
    void (*output)(void *arg, const char *data, size_t length);
    void (*closed)(void *arg);
    void (*ended)(void *arg, const struct child_result *result);
    void *arg;
};

struct children {
    struct event_base *loop;
    struct event *sigchld;
    struct child *list;
    void (*changed)(void *arg);
    void *arg;
};

static void reap_all(evutil_socket_t signal, short what, void *arg);

struct children *children_new(struct event_base *loop, void (*changed)(void *arg), void *arg)
{
    struct children *children = xcalloc(1, sizeof *children);
    children->loop = loop;
    children->changed = changed;
    children->arg = arg;
    children->sigchld = evsignal_new(loop, SIGCHLD, reap_all, children);
    event_add(children->sigchld, NULL);
    if (getpid() != 1)
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    return children;
}

static void close_output(struct child *child)
{
    timer_freep(&child->readable);
    file_closep(&child->fd);
}

static void release(struct child *child)
{
    struct child **place = &child->owner->list;
    while (*place != child)
        place = &(*place)->next;
    *place = child->next;
    if (child->closed != NULL)
        child->closed(child->arg);
    buffer_free(&child->collected);
    free(child);
}

void children_free(struct children *children)
{
    if (children == NULL)
        return;
    while (children->list != NULL) {
        struct child *child = children->list;
        if (!child->reaped)
            child_signal_all(child, SIGKILL);
        close_output(child);
        release(child);
    }
    event_free(children->sigchld);
    free(children);
}

static void take_output(struct child *child, const char *data, size_t length)
{
    if (child->output != NULL)
        child->output(child->arg, data, length);
    if (child->stream)
        return;
    buffer_append(&child->collected, data, length);
    if (child->collected.length > CHILD_OUTPUT_MAX_BYTES)
        buffer_consume(&child->collected, child->collected.length - CHILD_OUTPUT_MAX_BYTES);
}

/* Reads what is available; false at the end of the output. */
static bool drain(struct child *child, int most_reads)
{
    char data[16384];
    for (int i = 0; i < most_reads; i++) {
        ssize_t got = read(child->fd, data, sizeof data);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR;
        if (got == 0)
            return false;
        take_output(child, data, (size_t)got);
    }
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct child *child = arg;
    /* A flood of output must not starve the probes: a few reads, then back to the loop. */
    if (drain(child, child->apart ? 64 : 4))
        return;
    close_output(child);
    if (child->reaped)
        release(child);
}

const char *child_last_error(struct arena *arena, const char *output)
{
    const char *best = "", *last = "";
    char *copy = arena_strdup(arena, output), *rest = NULL;
    for (char *line = strtok_r(copy, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        if (line[strspn(line, " \t")] == '\0')
            continue;
        last = line;
        if (strstr(line, "FATAL:") || strstr(line, "PANIC:") || strstr(line, "error:") ||
            strstr(line, "ERROR:"))
            best = line;
    }
    return *best != '\0' ? best : last;
}

static void describe_program(const struct child *child, int status, struct error *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    AUTO_ARENA arena = arena_new();
    const char *said = child_last_error(arena, buffer_text(&child->collected));
    const char *how = WIFEXITED(status) ? "exited with code" : "was killed by signal";
    int number = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    err_set(err, ERR_IO, "%s %s %d%s%s", child->name, how, number, *said ? ": " : "", said);
}

/* A task's error comes through the pipe as it is: both ends are the same program. */
static void describe_task(const struct child *child, int status, struct error *err)
{
    if (child->collected.length == sizeof *err + child->answer_size) {
        memcpy(err, child->collected.data, sizeof *err);
        if (child->answer_size > 0)
            memcpy(child->answer, child->collected.data + sizeof *err, child->answer_size);
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        err_set(err, ERR_INTERNAL, "%s ended with wait status %d and without an answer",
                child->name, status);
    else
        err_set(err, ERR_INTERNAL, "%s ended before its answer was complete", child->name);
}

static void finish(struct child *child, int status)
{
    struct child_result result = {.status = status};
    child->reaped = true;
    bool more = child->fd >= 0 && drain(child, 1024) && child->stream;
    if (child->is_task)
        describe_task(child, status, &result.err);
    else
        describe_program(child, status, &result.err);
    result.output = buffer_text(&child->collected);
    if (child->ended != NULL)
        child->ended(child->arg, &result);
    if (more)
        return; /* a process that it left behind still has the pipe */
    close_output(child);
    release(child);
}

static void reap_all(evutil_socket_t signal, short what, void *arg)
{
    (void)signal, (void)what;
    struct children *children = arg;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (struct child *child = children->list; child != NULL; child = child->next) {
            if (child->pid == pid && !child->reaped) {
                finish(child, status);
                break;
            }
        }
    }
    children->changed(children->arg);
}

static char **merged_environment(const char *const *extra)
{
    size_t have = 0, more = 0;
    while (environ[have] != NULL)
        have++;
    while (extra != NULL && extra[more] != NULL)
        more++;
    char **merged = xcalloc(have + more + 1, sizeof *merged);
    size_t count = 0;
    for (size_t i = 0; i < more; i++)
        merged[count++] = (char *)extra[i];
    for (size_t i = 0; i < have; i++) {
        size_t name = strcspn(environ[i], "=") + 1;
        bool replaced = false;
        for (size_t j = 0; j < more && !replaced; j++)
            replaced = strncmp(environ[i], extra[j], name) == 0;
        if (!replaced)
            merged[count++] = environ[i];
    }
    return merged;
}

static void run_task(const struct child_spec *spec, int fd)
{
    struct error err = {0};
    int code = spec->task(spec->task_arg, &err) < 0 ? 1 : 0;
    if (write(fd, &err, sizeof err) != (ssize_t)sizeof err ||
        (spec->answer_size > 0 &&
         write(fd, spec->answer, spec->answer_size) != (ssize_t)spec->answer_size))
        code = 1;
    _exit(code);
}

static void run_program(const struct child_spec *spec)
{
    execve(spec->argv[0], (char *const *)spec->argv, merged_environment(spec->env));
    fprintf(stderr, "error: cannot run '%s': %s\n", spec->argv[0], strerror(errno));
    _exit(127);
}

/* In the forked process, which must not use the agent's loop any more. */
__attribute__((noreturn)) static void become(const struct child_spec *spec, int output, pid_t agent)
{
    prctl(PR_SET_PDEATHSIG, spec->death_signal ? spec->death_signal : SIGKILL);
    if (getppid() != agent)
        _exit(127); /* the agent died before the line above */
    setsid();
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null_fd = open("/dev/null", O_RDONLY);
    if (null_fd >= 0)
        dup2(null_fd, 0);
    if (spec->keep_fd > 0)
        fcntl(spec->keep_fd, F_SETFD, 0);
    if (spec->task != NULL)
        run_task(spec, output);
    dup2(output, 1);
    dup2(output, 2);
    run_program(spec);
    _exit(127);
}

/* Pipes of packets: https://man7.org/linux/man-pages/man2/pipe.2.html (O_DIRECT). Each write takes
 * a page of the pipe, so that the pipe needs more of them; without these, writers only block
 * sooner. */
static int make_pipe(bool apart, int ends[2], bool *ret_apart)
{
    *ret_apart = apart && pipe2(ends, O_CLOEXEC | O_DIRECT) == 0;
    if (*ret_apart)
        (void)fcntl(ends[0], F_SETPIPE_SZ, PACKETS_BYTES);
    return *ret_apart ? 0 : pipe2(ends, O_CLOEXEC);
}

static struct child *adopt(struct children *children, const struct child_spec *spec, pid_t pid,
                           int fd)
{
    struct child *child = xcalloc(1, sizeof *child);
    *child = (struct child){.next = children->list,
                            .owner = children,
                            .pid = pid,
                            .fd = fd,
                            .is_task = spec->task != NULL,
                            .stream = spec->stream,
                            .answer = spec->answer,
                            .answer_size = spec->answer_size,
                            .output = spec->output,
                            .closed = spec->closed,
                            .ended = spec->ended,
                            .arg = spec->arg};
    snprintf(child->name, sizeof child->name, "%s", spec->name);
    child->readable = event_new(children->loop, fd, EV_READ | EV_PERSIST, on_readable, child);
    event_add(child->readable, NULL);
    children->list = child;
    return child;
}

int child_start(struct children *children, const struct child_spec *spec, struct child **ret_child,
                struct error *err)
{
    int ends[2];
    bool apart;
    if (make_pipe(spec->apart, ends, &apart) < 0)
        return err_errno(err, errno, "pipe for %s", spec->name);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pid_t agent = getpid(), pid = fork();
    if (pid == 0)
        become(spec, ends[1], agent);
    int saved = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err_errno(err, saved, "fork for %s", spec->name);
    }
    *ret_child = adopt(children, spec, pid, ends[0]);
    (*ret_child)->apart = apart;
    return 0;
}

void child_signal(const struct child *child, int signal)
{
    if (!child->reaped)
        kill(child->pid, signal);
}

void child_signal_all(const struct child *child, int signal)
{
    /* Before its setsid() the process group does not exist; the process itself does. */
    if (!child->reaped && kill(-child->pid, signal) < 0)
        kill(child->pid, signal);
}

pid_t child_pid(const struct child *child)
{
    return child->pid;
}

bool child_writes_apart(const struct child *child)
{
    return child->apart;
}

static bool runs(pid_t pid, const char *executable)
{
    char path[64], target[4096];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length <= 0)
        return false;
    target[length] = '\0';
    const char *base = strrchr(target, '/');
    return strcmp(base ? base + 1 : target, executable) == 0;
}

static pid_t parent_of(pid_t pid)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (length <= 0)
        return -1;
    line[length] = '\0';
    const char *behind_name = strrchr(line, ')');
    char state;
    pid_t parent;
    if (behind_name == NULL || sscanf(behind_name + 1, " %c %d", &state, &parent) != 2)
        return -1;
    return state == 'Z' ? -1 : parent;
}

static bool is_known(const struct children *children, pid_t pid)
{
    for (const struct child *child = children->list; child != NULL; child = child->next)
        if (child->pid == pid && !child->reaped)
            return true;
    return false;
}

int children_strays(const struct children *children, const char *executable, int signal)
{
    DIR *proc = opendir("/proc");
    int count = 0;
    for (struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid <= 1 || parent_of(pid) != getpid() || is_known(children, pid) ||
            !runs(pid, executable))
            continue;
        count++;
        if (signal != 0)
            kill(pid, signal);
    }
    if (proc != NULL)
        closedir(proc);
    return count;
}

/* The ancestor of `pid` (or itself) that is our own child; 0 when there is none. */
static pid_t our_child_above(pid_t pid)
{
    for (int depth = 0; depth < DEEPEST; depth++) {
        pid_t parent = parent_of(pid);
        if (parent == getpid())
            return pid;
        if (parent <= 1)
            return 0;
        pid = parent;
    }
    return 0;
}

static void kill_below(const struct children *children, pid_t root)
{
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        pid_t top = pid > 1 ? our_child_above(pid) : 0;
        if (top > 0 && (top == root || !is_known(children, top)))
            kill(pid, SIGKILL);
    }
    if (proc != NULL)
        closedir(proc);
}

void children_kill(const struct children *children, const struct child *child)
{
    pid_t root = child != NULL && !child->reaped ? child->pid : 0;
    if (getpid() == 1) {
        kill(-1, SIGKILL);
        return;
    }
    kill_below(children, root); /* first: after its death their parent is another */
    if (root > 0)
        kill(root, SIGKILL);
    kill_below(children, root);
}
