#include "postgres/cause.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Longer than a round of a server that crashes and recovers again and again. */
enum { OUTDATED_MS = 15000 };

static bool begins_with_any(const char *text, const char *const *beginnings)
{
    for (; *beginnings != NULL; beginnings++)
        if (strncmp(text, *beginnings, strlen(*beginnings)) == 0)
            return true;
    return false;
}

static bool is_any(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

/* Operator intervention: shutdown, crash of another process, not accepting yet. */
static bool reports_a_state(const char *sqlstate)
{
    return strncmp(sqlstate, "57", 2) == 0;
}

/* "" wrote before the log's format was known. */
bool cause_is_of_server(const struct logs_message *message)
{
    static const char *const indispensable[] = {"",
                                                "postmaster",
                                                "startup",
                                                "checkpointer",
                                                "background writer",
                                                "walwriter",
                                                "autovacuum launcher",
                                                "logical replication launcher",
                                                "standalone backend",
                                                NULL};
    return is_any(message->backend, indispensable);
}

/* Sessions, walreceivers and workers end by much that is their own: a wrong password, a database
 * that is not there, a lost connection, one connection too many. What the machine or the data does
 * to them is everybody's, and so is any end of a process that the server cannot be without. */
static bool affects_all(const struct logs_message *message)
{
    static const char *const everybodys[] = {"53", "54", "58", "F0", "XX", NULL};
    static const char too_many_connections[] = "53300";
    return cause_is_of_server(message) || (begins_with_any(message->sqlstate, everybodys) &&
                                           strcmp(message->sqlstate, too_many_connections) != 0);
}

/* What a client is told before it has logged in: until names are cut to their length, it can make
 * even the severity of that one message look like another. */
static bool is_of_stranger(const struct logs_message *message)
{
    static const char *const strangers[] = {"08", "22", "28", NULL};
    return !cause_is_of_server(message) && begins_with_any(message->sqlstate, strangers);
}

bool cause_is_named_by(const struct logs_message *message)
{
    if (strcmp(message->severity, "PANIC") == 0)
        return !is_of_stranger(message);
    return strcmp(message->severity, "FATAL") == 0 && !reports_a_state(message->sqlstate) &&
           affects_all(message);
}

static void note(struct cause *cause, const struct cause *news)
{
    bool same = strcmp(cause->text, news->text) == 0;
    bool better = cause->text[0] == '\0' || (news->of_the_server && !cause->of_the_server);
    bool worse = cause->of_the_server && !news->of_the_server;
    bool outdated = !worse && news->seen_ms - cause->seen_ms >= OUTDATED_MS;
    if (same && !worse)
        cause->seen_ms = news->seen_ms;
    else if (better || outdated)
        *cause = *news;
}

void cause_note_message(struct cause *cause, const struct logs_message *message, int64_t now_ms)
{
    struct cause news = {.of_the_server = true, .seen_ms = now_ms};
    if (!cause_is_named_by(message))
        return;
    snprintf(news.text, sizeof news.text, "%s:  %s", message->severity, message->text);
    text_one_line(news.text);
    note(cause, &news);
}

void cause_note_refusal(struct cause *cause, const char *text, int64_t now_ms)
{
    struct cause news = {.seen_ms = now_ms};
    snprintf(news.text, sizeof news.text, "%s", text);
    note(cause, &news);
}
