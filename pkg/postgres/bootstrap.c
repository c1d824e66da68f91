#include "postgres/bootstrap.h"
#include "phrase/phrase.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 24, FIRST_BUILTIN_MAJOR = 17, STEP_PERCENT = 5 };

struct arguments {
    const char **items;
    size_t count;
};

static void add(struct arguments *arguments, const char *item)
{
    arguments->items[arguments->count++] = item;
}

static struct arguments begin(struct arena *arena, const struct binaries *binaries,
                              const char *program)
{
    struct arguments arguments = {arena_alloc(arena, ARGUMENTS_MAX * sizeof(char *)), 0};
    add(&arguments, arena_printf(arena, "%s/%s", binaries->dir, program));
    return arguments;
}

static bool is_builtin(const char *locale)
{
    return strcmp(locale, "C.UTF-8") == 0 || strcmp(locale, "C") == 0;
}

const char *const *bootstrap_initdb(struct arena *arena, const struct binaries *binaries,
                                    const struct volume *volume,
                                    const struct cluster_config *config)
{
    const char *locale = config->locale && config->locale[0] ? config->locale : "C.UTF-8";
    const char *encoding = config->encoding && config->encoding[0] ? config->encoding : "UTF8";
    struct arguments a = begin(arena, binaries, "initdb");
    add(&a, arena_printf(arena, "--pgdata=%s", volume->pgdata_new));
    add(&a, arena_printf(arena, "--waldir=%s", volume->pg_wal));
    add(&a, "--username=postgres");
    add(&a, arena_printf(arena, "--encoding=%s", encoding));
    /* PostgreSQL's own collation does not change when an image brings another libc. */
    if (binaries->major >= FIRST_BUILTIN_MAJOR && is_builtin(locale)) {
        add(&a, "--locale-provider=builtin");
        add(&a, arena_printf(arena, "--builtin-locale=%s", locale));
    }
    add(&a, arena_printf(arena, "--locale=%s", locale));
    add(&a, "--data-checksums");
    add(&a, "--auth-local=trust");
    add(&a, "--auth-host=reject");
    add(&a, "--no-instructions");
    add(&a, "--no-sync");
    return a.items;
}

const char *const *bootstrap_clone(struct arena *arena, const struct binaries *binaries,
                                   const struct volume *volume, const char *conninfo,
                                   const char *slot)
{
    struct arguments a = begin(arena, binaries, "pg_basebackup");
    add(&a, arena_printf(arena, "--dbname=%s", conninfo));
    add(&a, "--no-password");
    add(&a, arena_printf(arena, "--pgdata=%s", volume->pgdata_new));
    add(&a, arena_printf(arena, "--waldir=%s", volume->pg_wal));
    add(&a, "--wal-method=stream");
    add(&a, arena_printf(arena, "--slot=%s", slot));
    add(&a, "--checkpoint=fast");
    add(&a, "--no-manifest");
    add(&a, "--progress");
    add(&a, "--no-sync");
    return a.items;
}

bool bootstrap_read_progress(const char *output, struct bootstrap_progress *ret_progress)
{
    bool found = false;
    for (const char *mark = phrase_find(PHRASE_PROGRESS, output); mark;
         mark = phrase_find(PHRASE_PROGRESS, mark + 1)) {
        const char *begin_of_line = mark;
        while (begin_of_line > output && begin_of_line[-1] != '\n' && begin_of_line[-1] != '\r')
            begin_of_line--;
        long long done, total;
        int percent;
        if (sscanf(begin_of_line, "%lld/%lld kB (%d%%)", &done, &total, &percent) != 3)
            continue;
        *ret_progress = (struct bootstrap_progress){done, total, percent > 100 ? 100 : percent};
        found = true;
    }
    return found;
}

static char *size_text(struct arena *arena, int64_t kb)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double size = (double)kb;
    size_t unit = 0;
    while (size >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        size /= 1024;
        unit++;
    }
    return arena_printf(arena, size < 10 ? "%.1f %s" : "%.0f %s", size, units[unit]);
}

char *bootstrap_progress_text(struct arena *arena, const struct bootstrap_progress *progress)
{
    int shown = progress->percent / STEP_PERCENT * STEP_PERCENT;
    return arena_printf(arena, "copied %d %% of %s", shown, size_text(arena, progress->total_kb));
}
