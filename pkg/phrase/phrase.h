/*
 * Messages of other programs that we act on: one table per program; each row has the source and the
 * meaning of a message. Where a program gives a code (SQLSTATE, a status, a reason), the code
 * decides, not the text. Nothing is destroyed, promoted or handed out because of a text alone.
 *
 * If a new version of such a program changes a message, add its row here:
 * tests/unit/phrase_table_test.c looks for each row in the programs of the PostgreSQL that is
 * installed, and in lines that were recorded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum phrase {
    PHRASE_NONE,

    /* PostgreSQL: the server's log */
    PHRASE_WAL_RECEIVE_FAILED,
    PHRASE_WAL_REMOVED,
    PHRASE_SYSTEM_DIFFERS,
    PHRASE_PRIMARY_UNREACHABLE,
    PHRASE_STREAMING_REFUSED,
    PHRASE_PREPARED_FULL,
    PHRASE_CONFIGURATION_ERRORS,
    PHRASE_ALL_TERMINATING,
    PHRASE_REINITIALIZING,
    PHRASE_PROCESS_ENDED,
    PHRASE_COULD_NOT,
    PHRASE_INVALID,
    /* PostgreSQL: what a client is told, by the server or by libpq */
    PHRASE_SYSTEM_STATE,
    PHRASE_AUTHENTICATION_FAILED,
    PHRASE_HBA,
    PHRASE_ATTEMPT,
    PHRASE_ATTEMPT_FAILED,
    PHRASE_ASIDE,
    PHRASE_REFUSED,
    PHRASE_CONNECT_TIMEOUT,
    PHRASE_FATAL,
    /* PostgreSQL: its programs */
    PHRASE_VERSION,
    PHRASE_PROGRESS,
    PHRASE_CONTROL_CRC,
    PHRASE_NO_USER,

    /* Kubernetes: the API server's refusals */
    PHRASE_K8S_VERSION_TOO_LARGE,
    PHRASE_K8S_UID_CHANGED,
    PHRASE_K8S_QUOTA_EXCEEDED,
    PHRASE_K8S_QUOTA,
    PHRASE_K8S_QUOTA_UNSPECIFIED,
    PHRASE_K8S_NAMESPACE_TERMINATING,
    PHRASE_K8S_VOLUME_SHRINKS,
    PHRASE_K8S_VOLUME_RESIZE,
    PHRASE_K8S_VOLUME_EXPANSION,
    /* Kubernetes: conditions and events of controllers, scheduler and kubelet */
    PHRASE_K8S_STORAGE_CLASS,
    PHRASE_K8S_NOT_FOUND,
    PHRASE_K8S_NO_DEFAULT_CLASS,
    PHRASE_K8S_RESIZE_ERROR,
    PHRASE_K8S_NODE_AFFINITY,
    PHRASE_K8S_VOLUME_NODE_AFFINITY,
    PHRASE_K8S_SECRET,

    PHRASES
};

enum phrase_place {
    PHRASE_ANYWHERE,
    PHRASE_AT_BEGIN,
    PHRASE_ANY_CASE, /* anywhere, in whatever case */
};

struct phrase_row {
    enum phrase phrase; /* may have several rows */
    enum phrase_place place;
    const char *text;     /* as in the program, without the parts that it fills in */
    const char *program;  /* whose file contains it: "postgres", "libpq"; "": another's */
    const char *source;   /* file and function in that program's sources */
    const char *versions; /* that say it so: "14-18" */
    const char *means;    /* what it means to us */
};

/* Ended by a row of PHRASE_NONE. */
extern const struct phrase_row phrase_postgres[], phrase_kubernetes[];

/* Where it is in `text`; NULL when it is not there. text may be NULL. */
const char *phrase_find(enum phrase phrase, const char *text);
/* What follows it, or NULL. */
const char *phrase_after(enum phrase phrase, const char *text);
bool phrase_is_in(enum phrase phrase, const char *text);
