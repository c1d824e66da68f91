/* Macros of libraries that cppcheck, which reads no system headers, takes for syntax errors. */
#define cJSON_ArrayForEach(item, array) for (item = (array)->child; item; item = item->next)
#define TAILQ_HEAD(name, type) struct name { struct type *first, **last; }
#define TAILQ_ENTRY(type) struct { struct type *next, **previous; }
#define TAILQ_FOREACH(item, head, link) for (item = (head)->first; item; item = item->link.next)
#define LIST_HEAD(name, type) struct name { struct type *first; }
#define LIST_ENTRY(type) struct { struct type *next, **previous; }
#define LIST_FOREACH(item, head, link) for (item = (head)->first; item; item = item->link.next)
