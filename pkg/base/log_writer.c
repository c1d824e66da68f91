#include "base/log_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"

enum {
    STACK_BYTES = 64 * 1024,
    EXIT_MS = 2000,
    KEPT_BYTES = 64 * 1024, /* an empty ring that used more returns its memory */
    FULL_BYTES = LOG_WRITER_BYTES / 4 * 3,
    MARKER_BYTES = 256,
};

/* Each line follows its length. The content wraps around the end; an empty ring starts at offset 0
 * again, so that a quiet program touches few pages of it. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    pthread_t thread;
    bool running, ending, copy;
    bool full; /* lines were dropped, and little room is free: one long gap is better than many */
    int fd;
    char *data;
    size_t start, used, most_used;
    uint64_t dropped, untold;
    char marker[MARKER_BYTES];
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the ring; the lock is held ---- */

static void copy_in(const void *data, size_t length)
{
    size_t at = (ring.start + ring.used) % LOG_WRITER_BYTES;
    size_t first = LOG_WRITER_BYTES - at < length ? LOG_WRITER_BYTES - at : length;
    memcpy(ring.data + at, data, first);
    memcpy(ring.data, (const char *)data + first, length - first);
    ring.used += length;
    if (ring.used > ring.most_used)
        ring.most_used = ring.used;
}

static size_t next_length(void)
{
    uint32_t length;
    char *to = (char *)&length;
    for (size_t i = 0; i < sizeof length; i++)
        to[i] = ring.data[(ring.start + i) % LOG_WRITER_BYTES];
    return length;
}

static bool fits(size_t length, size_t spare)
{
    return ring.used + sizeof(uint32_t) + length + spare <= LOG_WRITER_BYTES;
}

static void push(const char *line, size_t length)
{
    uint32_t prefix = (uint32_t)length;
    copy_in(&prefix, sizeof prefix);
    copy_in(line, length);
}

static void push_marker(void)
{
    ring.full = ring.full && ring.used > FULL_BYTES;
    if (ring.full)
        return;
    if (ring.untold > 0)
        push(ring.marker, strlen(ring.marker));
    ring.untold = 0;
}

static void pop(size_t length)
{
    ring.start = (ring.start + sizeof(uint32_t) + length) % LOG_WRITER_BYTES;
    ring.used -= sizeof(uint32_t) + length;
    if (ring.used > 0)
        return;
    ring.start = 0;
    push_marker();
    if (ring.used == 0 && ring.most_used > KEPT_BYTES) {
        (void)madvise(ring.data, LOG_WRITER_BYTES, MADV_DONTNEED); /* advice only */
        ring.most_used = 0;
    }
}

/* Formats the marker now, because the writer thread, which outputs it, must not allocate. */
static void drop(void)
{
    AUTO_ARENA arena = arena_new();
    ring.full = true;
    ring.dropped++;
    ring.untold++;
    snprintf(ring.marker, sizeof ring.marker,
             "{\"ts\":\"%s\",\"level\":\"warning\",\"msg\":\"log lines were dropped because the "
             "log was not read in time\",\"dropped\":\"%llu\"}\n",
             clock_rfc3339_micro(arena, clock_wall_ms()), (unsigned long long)ring.untold);
}

/* ---- the thread ---- */

/* Other processes that share the open file may have set O_NONBLOCK: EAGAIN then means full, not
 * broken. */
static bool wait_for_room(void)
{
    struct pollfd waits = {.fd = ring.fd, .events = POLLOUT};
    return errno == EAGAIN && poll(&waits, 1, -1) == 1;
}

/* Runs without the lock: the line stays in the ring until pop(). */
static bool write_line(size_t at, size_t length)
{
    while (length > 0) {
        size_t first = LOG_WRITER_BYTES - at < length ? LOG_WRITER_BYTES - at : length;
        struct iovec parts[2] = {{ring.data + at, first}, {ring.data, length - first}};
        ssize_t written = writev(ring.fd, parts, 2);
        if (written < 0 && (errno == EINTR || wait_for_room()))
            continue;
        if (written <= 0)
            return false; /* the log cannot be written; there is no place to say so */
        at = (at + (size_t)written) % LOG_WRITER_BYTES;
        length -= (size_t)written;
    }
    return true;
}

static void *write_lines(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&ring.lock);
    for (;;) {
        while (ring.used == 0 && !ring.ending)
            pthread_cond_wait(&ring.filled, &ring.lock);
        if (ring.used == 0)
            break;
        size_t length = next_length();
        size_t at = (ring.start + sizeof(uint32_t)) % LOG_WRITER_BYTES;
        pthread_mutex_unlock(&ring.lock);
        (void)write_line(at, length); /* there is no place to report a failure */
        pthread_mutex_lock(&ring.lock);
        pop(length);
        if (ring.used == 0)
            pthread_cond_broadcast(&ring.emptied);
    }
    pthread_mutex_unlock(&ring.lock);
    return NULL;
}

static void forget_in_copy(void)
{
    ring.copy = ring.copy || ring.running;
    ring.running = false;
}

static void drain_at_exit(void)
{
    (void)log_writer_drain(EXIT_MS); /* the rest is lost */
}

static bool start_thread(void)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&ring.thread, &attributes, write_lines, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return started;
}

static void prepare_once(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&ring.filled, &attributes);
    pthread_cond_init(&ring.emptied, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_atfork(NULL, NULL, forget_in_copy);
    atexit(drain_at_exit);
}

bool log_writer_start(int fd)
{
    if (ring.running)
        return true;
    if (ring.data == NULL) {
        void *data = mmap(NULL, LOG_WRITER_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (data == MAP_FAILED)
            return false;
        ring.data = data;
        prepare_once();
    }
    ring.fd = fd;
    ring.ending = false;
    ring.start = ring.used = 0;
    ring.full = false;
    ring.dropped = ring.untold = 0;
    ring.running = start_thread();
    return ring.running;
}

bool log_writer_put(const char *line, size_t length, bool own)
{
    if (!ring.running)
        return false;
    pthread_mutex_lock(&ring.lock);
    size_t spare = MARKER_BYTES + (own ? 0 : LOG_WRITER_OWN_BYTES);
    push_marker();
    if (fits(length, spare) && (own || !ring.full)) {
        push(line, length);
        pthread_cond_signal(&ring.filled);
    } else {
        drop();
    }
    pthread_mutex_unlock(&ring.lock);
    return true;
}

bool log_writer_is_copy(void)
{
    return ring.copy;
}

bool log_writer_drain(int timeout_ms)
{
    struct timespec until;
    if (!ring.running)
        return true;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&ring.lock);
    int late = 0;
    while (ring.used > 0 && late == 0)
        late = pthread_cond_timedwait(&ring.emptied, &ring.lock, &until);
    bool empty = ring.used == 0;
    pthread_mutex_unlock(&ring.lock);
    return empty;
}

uint64_t log_writer_dropped(void)
{
    if (!ring.running)
        return 0;
    pthread_mutex_lock(&ring.lock);
    uint64_t dropped = ring.dropped;
    pthread_mutex_unlock(&ring.lock);
    return dropped;
}

void log_writer_stop(int timeout_ms)
{
    if (!ring.running)
        return;
    bool empty = log_writer_drain(timeout_ms);
    pthread_mutex_lock(&ring.lock);
    ring.ending = true;
    pthread_cond_signal(&ring.filled);
    pthread_mutex_unlock(&ring.lock);
    if (empty)
        pthread_join(ring.thread, NULL);
    ring.running = false;
}
