/*
 * PostgreSQL's parse nodes, without the rest of its headers: these replace printf and friends by
 * functions that the archive does not export. A new major of the parser needs changes only here and
 * in parse.c.
 */
#pragma once

#include <pg_query.h>
#include <pg_query/pg_query_internal.h>

#include <nodes/nodeFuncs.h>
#include <nodes/parsenodes.h>

#include <catalog/pg_class.h>

#undef printf
#undef fprintf
#undef vprintf
#undef vfprintf
#undef snprintf
#undef vsnprintf
#undef sprintf
#undef vsprintf
#undef qsort
#undef strerror
#undef strerror_r
#undef DEBUG

/* The n-th element of a list as a node of that type; no check. */
#define LIST_AT(type, list, n) ((type *)(list)->elements[n].ptr_value)

static inline int list_count(const List *list)
{
    return list == NULL ? 0 : list->length;
}
