/* Reading and writing single Secrets on behalf of one check. Part of the room credentials only. */
#pragma once

#include "api/names.h"
#include "api/reasons.h"
#include "credentials/credentials.h"

struct check {
    struct arena *arena;
    const struct cluster_spec *spec;
    int64_t now_ms;
    credentials_random random;
    void *random_arg;
    struct credentials_result result;
    size_t write_room;
    const char *trust; /* the CA certificates that clients need; "" while there are none */
};

/* One value of a Secret, decoded. The bytes are wiped when the arena goes. */
struct secret_value {
    char *text; /* NUL-terminated behind length; NULL when the key is missing */
    size_t length;
};

enum secret_owner {
    SECRET_ABSENT,
    SECRET_OURS,
    SECRET_USERS,
    SECRET_OTHERS /* another cluster's */
};

enum secret_owner secret_owner(const struct check *check, const cJSON *secret);
struct secret_value secret_value(struct check *check, const cJSON *secret, const char *key);
/* Overwrites it when the arena goes. */
void secret_wipe_later(struct arena *arena, char *data, size_t length);
/* Text that holds a password: wiped when the arena goes. */
char *secret_printf(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The first fault is the one told; later ones are as a rule its consequences. True for the first:
 * its remedy is said with secret_unblock() then. */
bool secret_fault(struct check *check, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What a person can do about the fault: a command that works as it stands where there is one. */
void secret_unblock(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* What people should know although everything works; the first one is reported. */
void secret_notice(struct check *check, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "in 6 days", "in 20 hours", "within the hour". */
const char *secret_countdown(struct check *check, int64_t until_ms);
/* The earliest future due time seen so far. */
void secret_due(struct check *check, int64_t at_ms);

struct secret_intent {
    const char *name, *type;
    bool keep;                    /* outlives the cluster object: no owner reference */
    const struct key_value *data; /* every key that is ours; values are plain text */
    size_t data_count;
    const struct key_value *annotations; /* "": to be taken off; others are left alone */
    size_t annotation_count;
    int wave;
    const char *reason; /* why it is written when its data are not what they should be */
};

/* Adds the write that makes the Secret so, if any is needed: all of it when there is none yet,
 * otherwise a patch of what differs. Keys that the intent does not name are left alone. */
void secret_ensure(struct check *check, const cJSON *present, const struct secret_intent *intent);
