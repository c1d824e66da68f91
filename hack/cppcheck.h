/* Macros of libraries and of the command line that cppcheck takes for syntax errors: it reads no
 * system headers. */
#define PGKEEL_VERSION "0"
#define PGKEEL_PGBOUNCER "0"
#define cJSON_ArrayForEach(item, array) for (item = (array)->child; item; item = item->next)
#define TAILQ_HEAD(name, type) struct name { struct type *first, **last; }
#define TAILQ_ENTRY(type) struct { struct type *next, **previous; }
#define TAILQ_FOREACH(item, head, link) for (item = (head)->first; item; item = item->link.next)
#define LIST_HEAD(name, type) struct name { struct type *first; }
#define LIST_ENTRY(type) struct { struct type *next, **previous; }
#define LIST_FOREACH(item, head, link) for (item = (head)->first; item; item = item->link.next)
