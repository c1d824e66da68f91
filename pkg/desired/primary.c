/* Who is primary, and where -rw leads: the two objects whose content belongs to the agents. */
#include "desired/internal.h"

static void build_lease(struct build *build)
{
    cJSON *lease = build_object(build, CHILD_LEASE, build_child(build, "primary"), OWNED);
    const struct bootstrap_grant *grant = &build->model->grant;
    if (grant->instance && *grant->instance)
        build_annotate(lease, ANN_BOOTSTRAP,
                       json_compact(build->arena, report_grant_encode(build->arena, grant)));
}

static void build_slice(struct build *build)
{
    cJSON *slice = build_object(build, CHILD_ENDPOINT_SLICE, build_child(build, "rw"), OWNED);
    build_label(slice, "kubernetes.io/service-name", build_child(build, "rw"));
    build_label(slice, "endpointslice.kubernetes.io/managed-by", LABEL_MANAGED_BY_VALUE);
    json_set_str(slice, "addressType", build->snapshot->ipv6 ? "IPv6" : "IPv4");
    cJSON *port = json_push_object(json_add_array(slice, "ports"));
    json_set_str(port, "name", "postgres");
    json_set_str(port, "protocol", "TCP");
    json_set_int(port, "port", PORT_POSTGRES);
}

void build_primary(struct build *build)
{
    build_lease(build);
    build_slice(build);
}
