#include <string.h>

#include "pg/pg.h"

/* The longest prefix that fits counts, so exact codes stand before their class.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html */
static const struct {
    const char *prefix;
    int class;
} classes[] = {
    {"57014", ERR_TIMEOUT},    /* query_canceled: statement_timeout */
    {"55P03", ERR_TIMEOUT},    /* lock_not_available: lock_timeout */
    {"57P01", ERR_TRANSPORT},  /* admin_shutdown */
    {"57P02", ERR_TRANSPORT},  /* crash_shutdown */
    {"57P03", ERR_OVERLOADED}, /* cannot_connect_now: starting up, shutting down */
    {"57P05", ERR_TRANSPORT},  /* idle_session_timeout */
    {"42501", ERR_FORBIDDEN},  /* insufficient_privilege */
    {"42704", ERR_NOT_FOUND},  /* undefined_object */
    {"42P01", ERR_NOT_FOUND},  /* undefined_table */
    {"42710", ERR_CONFLICT},   /* duplicate_object */
    {"42P04", ERR_CONFLICT},   /* duplicate_database */
    {"55006", ERR_CONFLICT},   /* object_in_use */
    {"25006", ERR_CONFLICT},   /* read_only_sql_transaction: it is a standby */
    {"3D000", ERR_NOT_FOUND},  /* invalid_catalog_name */
    {"08", ERR_TRANSPORT},     {"28", ERR_FORBIDDEN}, {"40", ERR_CONFLICT},
    {"53", ERR_OVERLOADED}, /* insufficient resources: memory, disk, connections */
    {"22", ERR_INVALID},       {"XX", ERR_INTERNAL},
};

int pg_class_of(const char *sqlstate)
{
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strncmp(sqlstate, classes[i].prefix, strlen(classes[i].prefix)) == 0)
            return classes[i].class;
    return ERR_DATABASE;
}
