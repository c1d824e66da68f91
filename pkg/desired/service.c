/* The names under which clients and members find PostgreSQL. */
#include "desired/internal.h"

cJSON *build_service(struct build *build, const char *suffix, const struct service_port *ports,
                     size_t count)
{
    cJSON *service = build_object(build, CHILD_SERVICE, build_child(build, suffix), OWNED);
    cJSON *spec = json_add_object(service, "spec");
    json_set_str(spec, "type", "ClusterIP");
    cJSON *list = json_add_array(spec, "ports");
    for (size_t i = 0; i < count; i++) {
        cJSON *port = json_push_object(list);
        json_set_str(port, "name", ports[i].name);
        json_set_str(port, "protocol", "TCP");
        json_set_int(port, "port", ports[i].number);
        json_set_int(port, "targetPort", ports[i].number);
    }
    return spec;
}

static cJSON *add_service(struct build *build, const char *suffix)
{
    static const struct service_port postgres = {"postgres", PORT_POSTGRES};
    return build_service(build, suffix, &postgres, 1);
}

void build_services(struct build *build)
{
    /* No selector: the holder of the lease writes the one address itself, in one compare-and-swap,
     * so that traffic never goes to two. */
    (void)add_service(build, "rw");
    json_set_str(build_instance_selector(build, add_service(build, "ro"), "selector"), LABEL_ROLE,
                 "replica");
    (void)build_instance_selector(build, add_service(build, "r"), "selector");
    /* Names of the pods themselves, from their first moment on. */
    cJSON *pods = add_service(build, "pods");
    json_set_str(pods, "clusterIP", "None");
    json_set_bool(pods, "publishNotReadyAddresses", true);
    (void)build_instance_selector(build, pods, "selector");
}
