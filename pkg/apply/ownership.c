/* Who owns an existing object with a name that we need. */
#include "apply/apply.h"

#include <string.h>

#include "api/names.h"
#include "api/reasons.h"

static const cJSON *controller(const cJSON *object)
{
    const cJSON *owner;
    cJSON_ArrayForEach (owner, json_get(object, "metadata.ownerReferences")) {
        if (json_bool(owner, "controller", false))
            return owner;
    }
    return NULL;
}

static const char *label(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json_get(object, "metadata.labels"), name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static ERR_CHECKED int controlled(const struct apply_owner *owner, const char *kind,
                                  const char *name, const cJSON *reference, struct error *err)
{
    const char *theirs = json_str(reference, "kind", "?"), *who = json_str(reference, "name", "?");
    if (strcmp(json_str(reference, "uid", ""), owner->uid) == 0)
        return 0;
    if (strcmp(theirs, API_KIND) == 0 && strcmp(who, owner->name) == 0)
        return err_set_reason(err, ERR_CONFLICT, REASON_NAME_COLLISION,
                              "%s '%s/%s' belongs to an earlier PostgresCluster '%s' that was "
                              "deleted; the garbage collector removes it, and then it is recreated",
                              kind, owner->namespace, name, who);
    return err_set_reason(err, ERR_CONFLICT, REASON_NAME_COLLISION,
                          "%s '%s/%s' belongs to %s '%s': delete or rename one of the two", kind,
                          owner->namespace, name, theirs, who);
}

int apply_may_take(const struct apply_owner *owner, const char *kind, const cJSON *object,
                   struct error *err)
{
    const char *name = json_str(object, "metadata.name", "");
    const cJSON *reference = controller(object);
    if (json_get(object, "metadata.deletionTimestamp") != NULL)
        return err_set_reason(err, ERR_CONFLICT, REASON_OBJECT_DELETING,
                              "%s '%s/%s' is being deleted; it is recreated once it is gone", kind,
                              owner->namespace, name);
    if (reference != NULL)
        return controlled(owner, kind, name, reference, err);
    const char *cluster = label(object, LABEL_CLUSTER);
    bool ours = strcmp(label(object, LABEL_MANAGED_BY), LABEL_MANAGED_BY_VALUE) == 0;
    if (ours && strcmp(cluster, owner->name) == 0)
        return 0; /* kept from an earlier cluster of this name */
    if (ours && *cluster)
        return err_set_reason(err, ERR_CONFLICT, REASON_NAME_COLLISION,
                              "%s '%s/%s' belongs to PostgresCluster '%s': give one of the two "
                              "clusters another name",
                              kind, owner->namespace, name, cluster);
    return err_set_reason(err, ERR_CONFLICT, REASON_NAME_COLLISION,
                          "%s '%s/%s' exists and was not created by pgkeel: delete or rename it, "
                          "or give the cluster another name",
                          kind, owner->namespace, name);
}
