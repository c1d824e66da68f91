#include "postgres/controldata.h"
#include "phrase/phrase.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const limit_names[STANDBY_LIMITS] = {
    [LIMIT_MAX_CONNECTIONS] = "max_connections",
    [LIMIT_MAX_WORKER_PROCESSES] = "max_worker_processes",
    [LIMIT_MAX_WAL_SENDERS] = "max_wal_senders",
    [LIMIT_MAX_PREPARED_TRANSACTIONS] = "max_prepared_transactions",
    [LIMIT_MAX_LOCKS_PER_TRANSACTION] = "max_locks_per_transaction",
};

/* pg_controldata's spelling; it abbreviates some of the names. */
static const char *const limit_labels[STANDBY_LIMITS] = {
    [LIMIT_MAX_CONNECTIONS] = "max_connections setting",
    [LIMIT_MAX_WORKER_PROCESSES] = "max_worker_processes setting",
    [LIMIT_MAX_WAL_SENDERS] = "max_wal_senders setting",
    [LIMIT_MAX_PREPARED_TRANSACTIONS] = "max_prepared_xacts setting",
    [LIMIT_MAX_LOCKS_PER_TRANSACTION] = "max_locks_per_xact setting",
};

const char *controldata_limit_name(enum standby_limit limit)
{
    return limit_names[limit];
}

/* Copies the value behind "label:" at the start of a line. */
static bool value_of(const char *output, const char *label, char *value, size_t size)
{
    size_t length = strlen(label);
    for (const char *line = output; line != NULL && *line != '\0';) {
        if (strncmp(line, label, length) == 0 && line[length] == ':') {
            line += length + 1;
            line += strspn(line, " \t");
            snprintf(value, size, "%.*s", (int)strcspn(line, "\r\n"), line);
            return true;
        }
        line = strchr(line, '\n');
        line += line != NULL;
    }
    return false;
}

static bool number_of(const char *output, const char *label, int64_t *ret_number)
{
    char text[32], *end;
    if (!value_of(output, label, text, sizeof text))
        return false;
    *ret_number = strtoll(text, &end, 10);
    return end != text && *end == '\0';
}

/* A label that is missing is an error, not a zero: a limit that is read as too low would keep a
 * standby from starting. */
int controldata_parse(const char *output, struct controldata *ret_data, struct error *err)
{
    struct controldata data = {0};
    int64_t timeline, checksums = 0;
    /* It still exits with 0, and shows what it has read. */
    if (phrase_is_in(PHRASE_CONTROL_CRC, output))
        return err_set(err, ERR_INTERNAL,
                       "pg_controldata reports a wrong CRC of global/pg_control: the file is "
                       "damaged, or it was being written at that moment");
    if (!value_of(output, "Database system identifier", data.system_identifier,
                  sizeof data.system_identifier) ||
        !value_of(output, "Database cluster state", data.state, sizeof data.state) ||
        !number_of(output, "Latest checkpoint's TimeLineID", &timeline))
        return err_set(
            err, ERR_INTERNAL,
            "the output of pg_controldata has no system identifier, state or timeline: %.200s",
            output);
    for (int limit = 0; limit < STANDBY_LIMITS; limit++)
        if (!number_of(output, limit_labels[limit], &data.limits[limit]))
            return err_set(err, ERR_INTERNAL, "the output of pg_controldata has no '%s'",
                           limit_labels[limit]);
    (void)number_of(output, "Data page checksum version", &checksums); /* 0 where it is not said */
    data.timeline = (int)timeline;
    data.checksum_version = (int)checksums;
    *ret_data = data;
    return 0;
}
