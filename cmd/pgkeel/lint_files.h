/* Files, folders and stdin for `pgkeel lint`, and the statistics of a live database. */
#pragma once

#include "lint/lint.h"

struct lint_walk {
    struct arena *arena;
    struct lint *lint;
    const char *since, *stdin_name;
    bool include_down;
    const char *folder; /* of the current file, as it was written; begins as NULL */
    bool folder_of_sqlx;
};

/* Folders in natural order (2 before 10), *.sql only, links to folders above refused. What cannot
 * be read is reported by lint_unreadable(). */
void lint_files(struct lint_walk *walk, char **names, int count);
/* Prints the statistics; returns an exit code. */
int lint_collect(struct arena *arena, const char *dsn);
