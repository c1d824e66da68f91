#include "volume/survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "loop/timer.h"

enum {
    PERIOD_MS = 10000,
    QUICK_PERIOD_MS = 2000, /* what waits for space, or for pg_control, should not wait for long */
    AGAIN_MS = 500,         /* at most this often */
    PATIENCE_MS = 5000,     /* with a file system that does not answer */
};

struct answer { /* of the child */
    struct room_reading readings[SURVEY_VOLUMES];
    int64_t control_written_ns;
};

struct survey {
    struct children *children;
    const struct volume *volume;
    struct event *due, *late;
    struct child *child;               /* NULL: none is under way */
    const char *paths[SURVEY_VOLUMES]; /* NULL: there is none */
    struct answer answer;
    struct room rooms[SURVEY_VOLUMES];
    int64_t control_written_ns;
    bool follows_control;
    int64_t read_ms;
    struct survey_handlers handlers;
};

static const char *const volume_names[] = {"data", "WAL"};

static ERR_CHECKED int read_all(void *arg, struct error *err)
{
    (void)err;
    struct survey *survey = arg;
    for (int i = 0; i < SURVEY_VOLUMES; i++)
        if (survey->paths[i] != NULL)
            survey->answer.readings[i] = room_read(survey->paths[i]);
    survey->answer.control_written_ns = volume_control_written_ns(survey->volume);
    return 0;
}

static void log_room(const struct survey *survey, int volume)
{
    AUTO_ARENA arena = arena_new();
    const struct room *room = &survey->rooms[volume];
    const char *available =
        arena_printf(arena, "%lld", (long long)(room->reported.available_bytes >> 20));
    const char *level = room_level_name(room->level);
    if (room->level == ROOM_UNKNOWN)
        log_warning("the usage of a volume cannot be read", "volume", volume_names[volume], "error",
                    strerror(room->reported.error), NULL);
    else if (room->level == ROOM_ENOUGH)
        log_info("free space on a volume", "volume", volume_names[volume], "room", level,
                 "available_mib", available, NULL);
    else
        log_warning("a volume has little space left", "volume", volume_names[volume], "room", level,
                    "available_mib", available, NULL);
}

static void judge(struct survey *survey)
{
    bool news = false;
    for (int i = 0; i < SURVEY_VOLUMES; i++) {
        enum room_level before = survey->rooms[i].level;
        if (survey->paths[i] == NULL ||
            !room_judge(&survey->rooms[i], &survey->answer.readings[i], clock_boot_ms()))
            continue;
        news = true;
        if (survey->rooms[i].level != before)
            log_room(survey, i);
    }
    if (news)
        survey->handlers.room(survey->handlers.arg);
}

static void note_control(struct survey *survey)
{
    if (survey->answer.control_written_ns == survey->control_written_ns)
        return;
    survey->control_written_ns = survey->answer.control_written_ns;
    if (survey->follows_control)
        survey->handlers.control(survey->handlers.arg);
}

static void plan(struct survey *survey)
{
    bool quick = survey->follows_control;
    for (int i = 0; i < SURVEY_VOLUMES; i++)
        quick |= survey->rooms[i].level == ROOM_FULL;
    timer_arm(survey->due, quick ? QUICK_PERIOD_MS : PERIOD_MS);
}

static void on_read(void *arg, const struct child_result *result)
{
    struct survey *survey = arg;
    survey->child = NULL;
    event_del(survey->late);
    survey->read_ms = clock_boot_ms();
    for (int i = 0; i < SURVEY_VOLUMES && result->err.class != 0; i++)
        survey->answer.readings[i] = (struct room_reading){.error = EIO};
    judge(survey);
    if (result->err.class == 0)
        note_control(survey);
    plan(survey);
}

/* The child stays as long as the file system likes: no other one is started beside it. */
static void on_late(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct survey *survey = arg;
    for (int i = 0; i < SURVEY_VOLUMES; i++)
        survey->answer.readings[i] = (struct room_reading){.error = ETIMEDOUT};
    judge(survey);
}

/* In a child, since statvfs() on a volume that hangs does not return. */
static void on_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct survey *survey = arg;
    struct error err = {0};
    struct child_spec spec = {.name = "survey",
                              .task = read_all,
                              .task_arg = survey,
                              .answer = &survey->answer,
                              .answer_size = sizeof survey->answer,
                              .ended = on_read,
                              .arg = survey};
    if (survey->child != NULL)
        return;
    if (child_start(survey->children, &spec, &survey->child, &err) < 0)
        plan(survey);
    else
        timer_arm(survey->late, PATIENCE_MS);
}

struct survey *survey_new(struct event_base *loop, struct children *children,
                          const struct volume *volume, const struct survey_handlers *handlers)
{
    struct survey *survey = xcalloc(1, sizeof *survey);
    survey->children = children;
    survey->volume = volume;
    survey->handlers = *handlers;
    bool is_one = strcmp(volume->data_dir, volume->wal_dir) == 0;
    survey->paths[SURVEY_DATA] = volume->data_dir;
    survey->paths[SURVEY_WAL] = is_one ? NULL : volume->wal_dir;
    survey->due = evtimer_new(loop, on_due, survey);
    survey->late = evtimer_new(loop, on_late, survey);
    timer_arm(survey->due, 0);
    return survey;
}

void survey_free(struct survey *survey)
{
    if (survey == NULL)
        return;
    event_free(survey->due);
    event_free(survey->late);
    free(survey);
}

void survey_look_now(struct survey *survey)
{
    int64_t wait_ms = survey->read_ms + AGAIN_MS - clock_boot_ms();
    if (survey->child == NULL)
        timer_arm(survey->due, wait_ms > 0 ? (int)wait_ms : 0);
}

void survey_follow_control(struct survey *survey, bool follow)
{
    bool begins = follow && !survey->follows_control;
    survey->follows_control = follow;
    if (begins)
        survey_look_now(survey);
}

int64_t survey_control_written_ns(const struct survey *survey)
{
    return survey->control_written_ns;
}

const struct room *survey_room(const struct survey *survey, enum survey_volume volume)
{
    return &survey->rooms[volume];
}
