/*
 * Cuts SQL into statements where psql would: nested comments, quotes, dollar quotes, parentheses,
 * SQL-standard function bodies, meta-commands, data after COPY ... FROM stdin.
 * https://www.postgresql.org/docs/17/app-psql.html
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum split_kind {
    SPLIT_END,
    SPLIT_STATEMENT, /* without its semicolon */
    SPLIT_COMMENT,   /* between statements */
    SPLIT_META,      /* \command to the end of its line */
    SPLIT_DATA,      /* what belongs to COPY ... FROM stdin */
    SPLIT_OPEN,      /* a statement whose quote, comment or parenthesis never ends */
};

struct split {
    const char *text;
    size_t length, at;
    bool data_next;    /* the lines that follow are COPY data */
    size_t counted;    /* lines are counted up to here */
    int line;          /* line of `counted`, from 1 */
    size_t line_start; /* offset where that line begins */
};

struct split_item {
    enum split_kind kind;
    size_t start, end;
    int line; /* of start */
    size_t line_start;
    bool has_variables;     /* psql's :name, :'name', :"name" outside quotes */
    bool has_comments;      /* inside the statement */
    bool sent_by_gexec;     /* \gexec runs what it returns */
    const char *unfinished; /* SPLIT_OPEN: "quoted string" */
    size_t unfinished_at;
};

void split_start(struct split *split, const char *text, size_t length);
struct split_item split_next(struct split *split);
