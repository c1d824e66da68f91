#include "metrics/process.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log_writer.h"

static void read_dropped(struct metrics_page *page, const void *arg)
{
    (void)arg;
    metrics_add(page, (int64_t)log_writer_dropped(), NULL);
}

static void read_memory(struct metrics_page *page, const void *arg)
{
    (void)arg;
    AUTO_ARENA arena = arena_new();
    struct error ignored; /* without a value the metric has no line */
    char *text = "";
    long long size, resident;
    err_ignore(file_read(arena, "/proc/self/statm", 4096, &text, NULL, &ignored));
    if (sscanf(text, "%lld %lld", &size, &resident) == 2)
        metrics_add(page, resident * sysconf(_SC_PAGESIZE), NULL);
}

const struct metric process_metrics[] = {
    {"pgkeel_log_lines_dropped_total",
     METRIC_COUNTER,
     "Log lines dropped because the log was not read in time.",
     {0},
     read_dropped},
    {"process_resident_memory_bytes", METRIC_GAUGE, "Resident memory.", {0}, read_memory},
    {0},
};
