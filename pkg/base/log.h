/*
 * Structured logs: one JSON object per line on stderr, never split, never interleaved (one write(2)
 * per line). Programs that must never wait for a reader use log_writer.h. Fields are pairs of name
 * and text, ended by NULL:
 *
 *     log_info("promoted", "cluster", name, "instance", instance, NULL);
 *     {"ts":"2026-...Z","level":"info","msg":"promoted","cluster":"a","instance":"a-1"}
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

/* "debug", "info", "warning", "error"; anything else leaves the level as it is. Default: info. */
void log_set_level(const char *name);
/* Adds "logger":"name" to each line, e.g. "controller", "instance". The string must stay valid. */
void log_set_name(const char *name);
/* Where lines go; default 2. */
void log_set_fd(int fd);

void log_debug(const char *message, ...) __attribute__((sentinel));
void log_info(const char *message, ...) __attribute__((sentinel));
void log_warning(const char *message, ...) __attribute__((sentinel));
void log_error(const char *message, ...) __attribute__((sentinel));
/* Logs at the level of err_policy(), with "error", "class" and "reason". */
void log_failure(const struct error *err, const char *message, ...) __attribute__((sentinel));
/* Writes a JSON object of another program (PostgreSQL's log lines) as it is. */
void log_raw_line(const char *json, size_t length);
