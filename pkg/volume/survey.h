/*
 * Looks again and again at how much room the volumes have, without ever blocking the loop: a file
 * system that does not answer holds a forked copy of the agent up, and is told as unknown.
 */
#pragma once

#include "loop/child.h"
#include "volume/room.h"

struct survey;

enum survey_volume { SURVEY_DATA, SURVEY_WAL, SURVEY_VOLUMES };

/* `wal_dir` may be the data's: then there is one volume. Paths are not copied. `changed` is called
 * when what is told of a volume changed. */
struct survey *survey_new(struct event_base *loop, struct children *children, const char *data_dir,
                          const char *wal_dir, void (*changed)(void *arg), void *arg);
/* After children_free(). NULL is fine. */
void survey_free(struct survey *survey);
/* Something was refused for want of room: looks at once. */
void survey_hurry(struct survey *survey);
/* ROOM_UNREAD for a WAL volume that there is not. */
const struct room *survey_room(const struct survey *survey, enum survey_volume volume);
