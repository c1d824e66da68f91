/*
 * Structured logs: one JSON object a line on stderr, never split, never interleaved (one write(2)
 * a line). Programs that must never wait for a reader start log_writer.h. Fields come in pairs of
 * name and text, ended by NULL:
 *
 *     log_info("promoted", "cluster", name, "instance", instance, NULL);
 *     {"ts":"2026-...Z","level":"info","msg":"promoted","cluster":"a","instance":"a-1"}
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

/* "debug", "info", "warning", "error"; anything else leaves the level alone. Default: info. */
void log_set_level(const char *name);
/* Adds "logger":"name" to each line, e.g. "controller", "instance". The string must live on. */
void log_set_name(const char *name);
/* Where lines go; default 2. */
void log_set_fd(int fd);

void log_debug(const char *message, ...) __attribute__((sentinel));
void log_info(const char *message, ...) __attribute__((sentinel));
void log_warning(const char *message, ...) __attribute__((sentinel));
void log_error(const char *message, ...) __attribute__((sentinel));
/* At the level that err_policy() gives, with "error", "class" and "reason". */
void log_failure(const struct error *err, const char *message, ...) __attribute__((sentinel));
/* A finished JSON object of somebody else's making (postgres's own lines): written as it is. */
void log_raw_line(const char *json, size_t length);
