/*
 * Why a server that is up refuses all clients, in words that stay the same while that lasts. Two
 * things tell: what a refused client hears, which is often no more than a state ("the database
 * system is in recovery mode"), and what the server says of itself in its log. The log is worth
 * more, but most of its FATAL lines are some client's own mishap.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "postgres/logs.h"

struct cause {
    char text[512];     /* "" when nothing is known */
    bool of_the_server; /* told in its log, not to a refused client */
    int64_t seen_ms;    /* when it was told last; CLOCK_BOOTTIME */
};

/* Whether a process wrote it that the server cannot be without, and that no client talks to. */
bool cause_is_of_server(const struct logs_message *message);

/* Whether a message of the log can be why the server as a whole ended or refuses: a FATAL or PANIC,
 * but not one that tells a state (57P03, 57P01...) or concerns only the session it ended.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html */
bool cause_is_named_by(const struct logs_message *message);

/* Each of these keeps what is known where that is worth more: words of the log stand above a
 * refusal, and among equals the first stays as long as it is told again and again. */
void cause_note_message(struct cause *cause, const struct logs_message *message, int64_t now_ms);
void cause_note_refusal(struct cause *cause, const char *text, int64_t now_ms);
