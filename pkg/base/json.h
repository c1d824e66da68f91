/*
 * cJSON with arenas and paths. The arena with which a tree was created or parsed owns it: attach a
 * node from json_* only to a tree of the same arena.
 *
 * Paths are dotted, with [n] for list items and ["a.b/c"] for keys that hold dots:
 * `spec.storage.size`, `status.conditions[0].type`, `metadata.labels["app.kubernetes.io/name"]`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/arena.h"
#include "base/error.h"

enum { JSON_MAX_BYTES = 64 * 1024 * 1024 };

/* Fails with ERR_UNREADABLE and the byte offset; text after the JSON value is refused. */
int json_parse(struct arena *arena, const char *text, size_t length, cJSON **ret_tree,
               struct error *err) ERR_CHECKED;
/* Makes the arena the owner of a tree that was created elsewhere. */
cJSON *json_adopt(struct arena *arena, cJSON *tree);
/* An independent copy in this arena. NULL gives NULL. */
cJSON *json_copy(struct arena *arena, const cJSON *tree);

/* NULL when any part of the path is missing; root may be NULL. */
cJSON *json_get(const cJSON *root, const char *path);
/* The string there, or fallback when missing or of another type. */
const char *json_str(const cJSON *root, const char *path, const char *fallback);
int64_t json_int(const cJSON *root, const char *path, int64_t fallback);
bool json_bool(const cJSON *root, const char *path, bool fallback);

/* The first item of the list that has this string as this member; NULL when there is none. */
const cJSON *json_item(const cJSON *list, const char *member, const char *value);

/* A new node. The arena owns it until it is attached; then its tree does. */
cJSON *json_object(struct arena *arena);
/* Builders: create missing members and return the child. `key` is one literal key, not a path.
 * A NULL text adds nothing. */
cJSON *json_add_object(cJSON *object, const char *key);
cJSON *json_add_array(cJSON *object, const char *key);
void json_set_str(cJSON *object, const char *key, const char *text);
void json_set_int(cJSON *object, const char *key, int64_t number);
void json_set_bool(cJSON *object, const char *key, bool value);
void json_set_copy(cJSON *object, const char *key, const cJSON *tree);
cJSON *json_push_object(cJSON *array);
void json_push_str(cJSON *array, const char *text);

/* Compact text with members sorted by name at every level: equal trees give equal text. */
char *json_canonical(struct arena *arena, const cJSON *tree);
/* Compact text in the tree's own order. */
char *json_compact(struct arena *arena, const cJSON *tree);
/* True when both are equal, in whatever order of members. */
bool json_equal(const cJSON *a, const cJSON *b);
/* Hex SHA-256 of the canonical text, cut to 16 characters: for annotations that say whether two
 * intents are the same. */
char *json_hash(struct arena *arena, const cJSON *tree);
