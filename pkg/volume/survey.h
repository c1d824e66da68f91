/*
 * Looks again and again at how much room the volumes have, and when the server wrote pg_control,
 * without ever blocking the loop: a file system that does not answer blocks a forked copy of the
 * agent, and its room is reported as unknown.
 */
#pragma once

#include "loop/child.h"
#include "volume/room.h"
#include "volume/volume.h"

struct survey;

enum survey_volume { SURVEY_DATA, SURVEY_WAL, SURVEY_VOLUMES };

struct survey_handlers {
    void (*room)(void *arg);    /* what is reported of a volume changed */
    void (*control)(void *arg); /* survey_control_written_ns() did, while it is followed */
    void *arg;
};

/* The volume's two folders may be the same: then there is one volume. It is not copied. */
struct survey *survey_new(struct event_base *loop, struct children *children,
                          const struct volume *volume, const struct survey_handlers *handlers);
/* After children_free(). NULL is fine. */
void survey_free(struct survey *survey);
/* Looks at once, for example because something was refused for want of room. */
void survey_look_now(struct survey *survey);
/* Looks every two seconds instead of every ten: something depends on pg_control. */
void survey_follow_control(struct survey *survey, bool follow);
/* volume_control_written_ns() as it was when the volume last answered. */
int64_t survey_control_written_ns(const struct survey *survey);
/* ROOM_UNREAD for a WAL volume that there is not. */
const struct room *survey_room(const struct survey *survey, enum survey_volume volume);
