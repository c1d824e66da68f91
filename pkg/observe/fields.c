/*
 * Drift, from metadata.managedFields. For each manager, the API server keeps the set of fields that
 * it owns. A manager that changes or removes a field of ours takes it out of our set. So our set,
 * not the resourceVersion, shows whether our fields were changed; what others add (annotations,
 * status) does not count.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
 */
#include "observe/internal.h"

#include <string.h>

#include "api/foreign.h"

/* FNV-1a: it only shortens a set, and protects against nothing. */
uint64_t fields_digest(const void *data, size_t length, uint64_t seed)
{
    const unsigned char *bytes = data;
    uint64_t hash = seed ? seed : UINT64_C(14695981039346656037);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

/* Sum over the paths of the set: independent of the order of members, which the server sorts but
 * does not promise. */
static uint64_t tree_digest(const cJSON *tree, uint64_t seed)
{
    uint64_t sum = seed;
    const cJSON *item;
    cJSON_ArrayForEach (item, tree) {
        if (item->string)
            sum += tree_digest(item, fields_digest(item->string, strlen(item->string), seed));
    }
    return sum;
}

void fields_owned(const cJSON *object, uint64_t *ret_digest, bool *ret_foreign_wrote_last)
{
    uint64_t digest = 0;
    const char *our_time = "", *their_time = "";
    const cJSON *entry;
    cJSON_ArrayForEach (entry, json_get(object, "metadata.managedFields")) {
        const char *manager = json_str(entry, "manager", "");
        const char *time = json_str(entry, "time", "");
        if (strcmp(json_str(entry, "subresource", ""), "") != 0)
            continue;
        if (strcmp(manager, FIELD_MANAGER) == 0) {
            digest += tree_digest(json_get(entry, "fieldsV1"), 0) + 1;
            our_time = strcmp(time, our_time) > 0 ? time : our_time;
        } else if (api_manager_is_foreign(manager) && strcmp(time, their_time) > 0) {
            their_time = time;
        }
    }
    *ret_digest = digest;
    /* RFC 3339 in UTC, whole seconds: the order of texts is that of times. */
    *ret_foreign_wrote_last = *their_time != '\0' && strcmp(their_time, our_time) >= 0;
}
