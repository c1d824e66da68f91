#include "api/names.h"

#include <string.h>

struct key_value name_instance_selector(const char *cluster)
{
    return (struct key_value){LABEL_CLUSTER, cluster};
}

char *name_instance(struct arena *arena, const char *cluster, int ordinal)
{
    return arena_printf(arena, "%s-%d", cluster, ordinal);
}

char *name_pod(struct arena *arena, const char *instance)
{
    return arena_printf(arena, "%s-0", instance);
}

char *name_data_pvc(struct arena *arena, const char *instance)
{
    return arena_printf(arena, "%s-data", instance);
}

char *name_wal_pvc(struct arena *arena, const char *instance)
{
    return arena_printf(arena, "%s-wal", instance);
}

char *name_child(struct arena *arena, const char *cluster, const char *suffix)
{
    return arena_printf(arena, "%s-%s", cluster, suffix);
}

const char *const name_services[SERVICES] = {"rw", "ro", "r", "pods"};

int name_ordinal(const char *cluster, const char *instance)
{
    size_t length = strlen(cluster);
    if (strncmp(instance, cluster, length) != 0 || instance[length] != '-')
        return 0;
    const char *digit = instance + length + 1;
    _Static_assert(INSTANCES_MAX == 9, "one digit is enough");
    return *digit >= '1' && *digit <= '9' && digit[1] == '\0' ? *digit - '0' : 0;
}

char *name_slot(struct arena *arena, const char *instance)
{
    char *slot = arena_strdup(arena, instance);
    for (char *p = slot; *p; p++)
        if (*p == '-')
            *p = '_';
    return slot;
}
