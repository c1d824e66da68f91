#include "postgres/conf.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/names.h"
#include "api/reasons.h"
#include "base/buffer.h"

char *conf_quote(struct arena *arena, const char *text)
{
    AUTO_BUFFER out = {0};
    buffer_puts(&out, "'");
    for (const char *p = text; *p; p++) {
        if (*p == '\'')
            buffer_puts(&out, "'");
        buffer_append(&out, p, 1);
    }
    buffer_puts(&out, "'");
    return arena_strndup(arena, buffer_text(&out), out.length);
}

/* libpq's keyword strings escape with backslashes inside single quotes. */
static char *quote_keyword(struct arena *arena, const char *text)
{
    AUTO_BUFFER out = {0};
    buffer_puts(&out, "'");
    for (const char *p = text; *p; p++) {
        if (*p == '\'' || *p == '\\')
            buffer_puts(&out, "\\");
        buffer_append(&out, p, 1);
    }
    buffer_puts(&out, "'");
    return arena_strndup(arena, buffer_text(&out), out.length);
}

static void set(struct buffer *out, struct arena *arena, const char *name, const char *value)
{
    buffer_printf(out, "%s = %s\n", name, conf_quote(arena, value));
}

static char *conninfo(struct arena *arena, const struct conf_input *input, const char *host,
                      const char *application)
{
    AUTO_BUFFER out = {0};
    buffer_printf(&out, "%s port=%d", host, input->primary_port);
    buffer_printf(&out, " user=%s application_name=%s", ROLE_REPLICATION,
                  quote_keyword(arena, application));
    buffer_printf(&out, " passfile=%s",
                  quote_keyword(arena, arena_printf(arena, "%s/pgpass", input->run_dir)));
    /* The CA may sign for others, too: then only the name tells the primary from others.
     * A certificate of the user's own that lacks it must not end replication: the operator asks for
     * another one. Channel binding holds in both cases: no other server can pass the login on. */
    if (input->tls)
        buffer_printf(&out, " sslmode=%s channel_binding=require sslrootcert=%s",
                      input->named ? "verify-full" : "verify-ca",
                      quote_keyword(arena, arena_printf(arena, "%s/tls/ca.crt", input->run_dir)));
    else
        buffer_puts(&out, " sslmode=prefer");
    /* A primary that vanished without a word must not hold the receiver for minutes. The
     * walreceiver does not look at connect_timeout; tcp_user_timeout bounds its connect, too: else
     * a SYN to a pod that is gone is repeated for 127 s. */
    buffer_puts(&out, " connect_timeout=10 tcp_user_timeout=4000 keepalives_idle=10 "
                      "keepalives_interval=5 keepalives_count=3");
    return arena_strndup(arena, buffer_text(&out), out.length);
}

char *conf_primary_conninfo(struct arena *arena, const struct conf_input *input)
{
    const char *host = arena_printf(arena, "host=%s", quote_keyword(arena, input->primary_host));
    return conninfo(arena, input, host, input->instance);
}

char *conf_clone_conninfo(struct arena *arena, const struct conf_input *input, const char *address)
{
    const char *service = input->primary_host;
    const char *host = arena_printf(arena, "host=%s", quote_keyword(arena, service));
    if (address[0] != '\0') /* two of the same name; the second one's address is looked up */
        host = arena_printf(arena, "host=%s hostaddr=%s",
                            quote_keyword(arena, arena_printf(arena, "%s,%s", service, service)),
                            quote_keyword(arena, arena_printf(arena, "%s,", address)));
    return conninfo(arena, input, host, arena_printf(arena, "%s clone", input->instance));
}

static bool name_is(const char *line, size_t length, const char *name)
{
    return strlen(name) == length && strncasecmp(line, name, length) == 0;
}

static char *read_value(struct arena *arena, const char *at)
{
    if (*at != '\'')
        return arena_strndup(arena, at, strcspn(at, " \t\r\n#"));
    AUTO_BUFFER out = {0};
    for (at++; *at != '\0' && *at != '\n'; at++) {
        if (*at == '\'' && at[1] == '\'')
            at++;
        else if (*at == '\'')
            break;
        else if (*at == '\\' && at[1] != '\0')
            at++;
        buffer_append(&out, at, 1);
    }
    return arena_strndup(arena, buffer_text(&out), out.length);
}

char *conf_setting(struct arena *arena, const char *text, const char *name)
{
    char *value = NULL;
    for (const char *line = text; line != NULL && *line != '\0';) {
        line += strspn(line, " \t\r");
        size_t length = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789_.");
        if (name_is(line, length, name)) {
            const char *at = line + length;
            at += strspn(at, " \t");
            at += *at == '=';
            value = read_value(arena, at + strspn(at, " \t"));
        }
        line = strchr(line, '\n');
        line += line != NULL;
    }
    return value;
}

/* PostgreSQL's own defaults, for names that the shared part does not set. */
static const int64_t limit_defaults[STANDBY_LIMITS] = {
    [LIMIT_MAX_CONNECTIONS] = 100,          [LIMIT_MAX_WORKER_PROCESSES] = 8,
    [LIMIT_MAX_WAL_SENDERS] = 10,           [LIMIT_MAX_PREPARED_TRANSACTIONS] = 0,
    [LIMIT_MAX_LOCKS_PER_TRANSACTION] = 64,
};

/* As the server reads integers: in three bases, or with a fraction or an exponent. */
static int64_t read_number(const char *text)
{
    char *end;
    int64_t number = strtoll(text, &end, 0);
    return *end == '.' || *end == 'e' || *end == 'E' ? (int64_t)strtod(text, NULL) : number;
}

/* What the data needs of this limit where the shared part asks for less, or 0. */
static int64_t lifted_to(const struct conf_input *input, enum standby_limit limit)
{
    AUTO_ARENA arena = arena_new();
    const char *text = conf_setting(arena, input->shared, controldata_limit_name(limit));
    int64_t asked = text ? read_number(text) : limit_defaults[limit];
    int64_t floor = input->standby_floor->limits[limit];
    return asked < floor ? floor : 0;
}

bool conf_is_lifted(const struct conf_input *input)
{
    for (int limit = 0; input->standby_floor != NULL && limit < STANDBY_LIMITS; limit++)
        if (lifted_to(input, (enum standby_limit)limit) > 0)
            return true;
    return false;
}

static void put_floor(struct buffer *out, const struct conf_input *input)
{
    for (int limit = 0; limit < STANDBY_LIMITS; limit++) {
        int64_t floor = lifted_to(input, (enum standby_limit)limit);
        if (floor > 0)
            buffer_printf(out, "%s = %lld\n", controldata_limit_name((enum standby_limit)limit),
                          (long long)floor);
    }
}

static void put_tls(struct buffer *out, struct arena *arena, const struct conf_input *input)
{
    buffer_printf(out, "ssl = %s\n", input->tls ? "on" : "off");
    if (!input->tls)
        return;
    set(out, arena, "ssl_cert_file", arena_printf(arena, "%s/tls/tls.crt", input->run_dir));
    set(out, arena, "ssl_key_file", arena_printf(arena, "%s/tls/tls.key", input->run_dir));
    set(out, arena, "ssl_ca_file", arena_printf(arena, "%s/tls/ca.crt", input->run_dir));
}

/* The instance's part comes last, because the last line of a parameter wins: no user's parameter
 * can move the socket, the port, or what replication depends on. */
char *conf_render(struct arena *arena, const struct conf_input *input)
{
    AUTO_BUFFER out = {0};
    if (input->syncfs)
        buffer_puts(&out,
                    "# A default, which the lines below may change: before crash recovery all "
                    "files are synced,\n# which takes seconds one by one.\n"
                    "recovery_init_sync_method = 'syncfs'\n\n");
    buffer_puts(&out, input->shared);
    buffer_puts(&out, "\n# ---- the part of this instance, written by pgkeel; it wins\n");
    set(&out, arena, "listen_addresses", input->listen);
    buffer_printf(&out, "port = %d\n", input->port);
    set(&out, arena, "unix_socket_directories", input->run_dir);
    /* A client that reaches the socket is trusted, and only our own uid may reach it. */
    buffer_puts(&out, "unix_socket_permissions = 0700\nunix_socket_group = ''\n");
    set(&out, arena, "hba_file", arena_printf(arena, "%s/pg_hba.conf", input->run_dir));
    set(&out, arena, "ident_file", arena_printf(arena, "%s/pg_ident.conf", input->run_dir));
    put_tls(&out, arena, input);
    set(&out, arena, "cluster_name", input->instance);
    set(&out, arena, "primary_conninfo", conf_primary_conninfo(arena, input));
    set(&out, arena, "primary_slot_name", input->slot);
    buffer_puts(&out, "log_destination = 'stderr'\nlogging_collector = off\n"
                      "log_timezone = 'UTC'\nlc_messages = 'C'\n");
    if (input->standby_floor != NULL)
        put_floor(&out, input);
    return arena_strndup(arena, buffer_text(&out), out.length);
}

int conf_passfile(struct arena *arena, const char *user, const char *password, char **ret_text,
                  struct error *err)
{
    AUTO_BUFFER out = {0};
    buffer_printf(&out, "*:*:*:%s:", user);
    for (const char *p = password; *p; p++) {
        if (*p == '\n' || *p == '\r')
            return err_set_reason(err, ERR_INVALID, REASON_PASSWORD_INVALID,
                                  "the password of role '%s' contains a line break, which a libpq "
                                  "passfile cannot hold: set another one in its Secret",
                                  user);
        if (*p == ':' || *p == '\\')
            buffer_puts(&out, "\\");
        buffer_append(&out, p, 1);
    }
    buffer_puts(&out, "\n");
    *ret_text = arena_strndup(arena, buffer_text(&out), out.length);
    return 0;
}
