#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_boot_ms(void)
{
    return read_ms(CLOCK_BOOTTIME);
}

int64_t clock_wall_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

static char *format_time(struct arena *arena, int64_t wall_ms, const char *fraction)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char date[32];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    return arena_printf(arena, "%s%sZ", date, fraction);
}

char *clock_rfc3339(struct arena *arena, int64_t wall_ms)
{
    return format_time(arena, wall_ms, "");
}

char *clock_rfc3339_micro(struct arena *arena, int64_t wall_ms)
{
    char fraction[16];
    snprintf(fraction, sizeof fraction, ".%03d000", (int)(wall_ms % 1000));
    return format_time(arena, wall_ms, fraction);
}

int64_t clock_parse_rfc3339(const char *text)
{
    struct tm tm = {0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (rest == NULL)
        return -1;
    int64_t ms = (int64_t)timegm(&tm) * 1000;
    if (*rest == '.') {
        char *end;
        ms += (int64_t)floor(strtod(rest, &end) * 1000.0 + 0.0001);
        rest = end;
    }
    if (strcmp(rest, "Z") == 0)
        return ms;
    int hours, minutes;
    if ((*rest != '+' && *rest != '-') || sscanf(rest + 1, "%2d:%2d", &hours, &minutes) != 2)
        return -1;
    int64_t offset = ((int64_t)hours * 60 + minutes) * 60000;
    return *rest == '+' ? ms - offset : ms + offset;
}
