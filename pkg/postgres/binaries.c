#include "postgres/binaries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/reasons.h"
#include "phrase/phrase.h"

enum { CANDIDATES_MAX = 48, OLDEST_MAJOR = 14, NEWEST_MAJOR = 18 };

struct search {
    struct children *children;
    int wanted_major;
    binaries_found found;
    void *arg;
    char dirs[CANDIDATES_MAX][BINARIES_PATH_MAX];
    size_t count, next;
    bool asked_pg_config;
    char others[256]; /* "15.20 in /usr/lib/postgresql/15/bin, " */
    char root[BINARIES_PATH_MAX];
};

static const char *const programs[] = {"postgres", "initdb", "pg_basebackup", "pg_controldata"};

bool binaries_parse_version(const char *text, int *ret_major, char *ret_version, size_t size)
{
    const char *version = phrase_after(PHRASE_VERSION, text);
    if (version == NULL)
        return false;
    long major = strtol(version, NULL, 10);
    size_t length = strcspn(version, " \r\n");
    if (major <= 0 || length == 0)
        return false;
    *ret_major = (int)major;
    snprintf(ret_version, size, "%.*s", (int)length, version);
    return true;
}

static bool is_complete(const char *dir)
{
    char path[BINARIES_PATH_MAX + 32];
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, programs[i]);
        if (access(path, X_OK) != 0)
            return false;
    }
    return true;
}

static void add(struct search *search, const char *dir, size_t length)
{
    char *place = search->dirs[search->count];
    if (search->count == CANDIDATES_MAX || length == 0)
        return;
    if (snprintf(place, BINARIES_PATH_MAX, "%s%.*s", search->root, (int)length, dir) >=
        BINARIES_PATH_MAX)
        return;
    for (size_t i = 0; i < search->count; i++)
        if (strcmp(search->dirs[i], place) == 0)
            return;
    if (is_complete(place))
        search->count++;
}

static void add_major(struct search *search, int major)
{
    char dir[128];
    static const char *const patterns[] = {"/usr/lib/postgresql/%d/bin", "/usr/pgsql-%d/bin",
                                           "/usr/lib/postgresql%d/bin",
                                           "/usr/libexec/postgresql%d"};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        const char *number = strstr(patterns[i], "%d");
        snprintf(dir, sizeof dir, "%.*s%d%s", (int)(number - patterns[i]), patterns[i], major,
                 number + 2);
        add(search, dir, strlen(dir));
    }
}

static void add_candidates(struct search *search)
{
    add_major(search, search->wanted_major);
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        add(search, path, length);
        path += length + (path[length] == ':');
    }
    static const char *const usual[] = {"/usr/local/bin", "/usr/local/pgsql/bin", "/usr/bin",
                                        "/opt/bitnami/postgresql/bin"};
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        add(search, usual[i], strlen(usual[i]));
    /* Only to name in the error what is there instead. */
    for (int major = NEWEST_MAJOR; major >= OLDEST_MAJOR; major--)
        add_major(search, major);
}

/* No server at all and another major version have different remedies, so what was met is told. */
static void finish(struct search *search, const struct binaries *binaries)
{
    struct error err = {0};
    size_t length = strlen(search->others);
    if (binaries == NULL && length == 0)
        err_set_reason(&err, ERR_NOT_FOUND, REASON_NO_POSTGRES,
                       "the image holds no PostgreSQL server (postgres, initdb, pg_basebackup and "
                       "pg_controldata in one folder): searched PATH, /usr/lib/postgresql/N/bin, "
                       "/usr/pgsql-N/bin, /usr/local/bin and the output of pg_config; set "
                       "spec.postgres.image to an image with PostgreSQL %d",
                       search->wanted_major);
    else if (binaries == NULL)
        err_set_reason(&err, ERR_INVALID, REASON_VERSION_MISMATCH,
                       "spec.postgres.version asks for PostgreSQL %d, but the image holds %.*s: "
                       "set spec.postgres.image to an image with PostgreSQL %d",
                       search->wanted_major, (int)length - 2, search->others, search->wanted_major);
    search->found(search->arg, binaries, &err);
    free(search);
}

static void next_candidate(struct search *search);

static void on_pg_config(void *arg, const struct child_result *result)
{
    struct search *search = arg;
    if (result->err.class == 0) {
        search->root[0] = '\0';
        add(search, result->output, strcspn(result->output, "\r\n"));
    }
    next_candidate(search);
}

/* An image may keep its programs anywhere; pg_config on the PATH knows where. */
static bool start_pg_config(struct search *search)
{
    struct child *child;
    struct error ignored; /* an image without pg_config is the usual case */
    const char *path = getenv("PATH");
    char program[BINARIES_PATH_MAX + 16] = "";
    for (; path != NULL && *path != '\0';
         path += strcspn(path, ":") + (strchr(path, ':') != NULL)) {
        snprintf(program, sizeof program, "%.*s/pg_config", (int)strcspn(path, ":"), path);
        if (access(program, X_OK) == 0)
            break;
        program[0] = '\0';
    }
    const char *argv[] = {program, "--bindir", NULL};
    struct child_spec spec = {
        .name = "pg_config", .argv = argv, .ended = on_pg_config, .arg = search};
    return program[0] != '\0' && child_start(search->children, &spec, &child, &ignored) == 0;
}

/* The first that fits wins. Others are noted for the error, and a program that cannot be run is
 * passed over: an image may hold several, and only one of them has to work. */
static void on_version(void *arg, const struct child_result *result)
{
    struct search *search = arg;
    struct binaries found = {0};
    snprintf(found.dir, sizeof found.dir, "%s", search->dirs[search->next - 1]);
    if (result->err.class == 0 &&
        binaries_parse_version(result->output, &found.major, found.version, sizeof found.version)) {
        if (found.major == search->wanted_major) {
            finish(search, &found);
            return;
        }
        size_t used = strlen(search->others);
        char text[BINARIES_PATH_MAX + 64];
        int length = snprintf(text, sizeof text, "%s in %s, ", found.version, found.dir);
        if ((size_t)length < sizeof search->others - used)
            memcpy(search->others + used, text, (size_t)length + 1);
    }
    next_candidate(search);
}

/* One program at a time, until one is of the wanted version. */
static void next_candidate(struct search *search)
{
    while (search->next < search->count) {
        char program[BINARIES_PATH_MAX + 16];
        snprintf(program, sizeof program, "%s/postgres", search->dirs[search->next++]);
        const char *argv[] = {program, "-V", NULL};
        struct child_spec spec = {
            .name = "postgres -V", .argv = argv, .ended = on_version, .arg = search};
        struct child *child;
        struct error ignored; /* one that cannot be started is not a candidate */
        if (child_start(search->children, &spec, &child, &ignored) == 0)
            return;
    }
    if (!search->asked_pg_config) {
        search->asked_pg_config = true;
        if (start_pg_config(search))
            return;
    }
    finish(search, NULL);
}

int binaries_find(struct children *children, const char *root, int wanted_major,
                  binaries_found found, void *arg, struct error *err)
{
    if (strlen(root) >= BINARIES_PATH_MAX)
        return err_set(err, ERR_INVALID, "root path too long");
    struct search *search = xcalloc(1, sizeof *search);
    *search = (struct search){
        .children = children, .wanted_major = wanted_major, .found = found, .arg = arg};
    snprintf(search->root, sizeof search->root, "%s", root);
    add_candidates(search);
    next_candidate(search);
    return 0;
}
