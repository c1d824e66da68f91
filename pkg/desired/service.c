/* The names under which clients and members find PostgreSQL. */
#include "desired/internal.h"

static cJSON *add_service(struct build *build, const char *suffix)
{
    cJSON *service = build_object(build, CHILD_SERVICE, build_child(build, suffix), OWNED);
    cJSON *spec = json_add_object(service, "spec");
    json_set_str(spec, "type", "ClusterIP");
    cJSON *port = json_push_object(json_add_array(spec, "ports"));
    json_set_str(port, "name", "postgres");
    json_set_str(port, "protocol", "TCP");
    json_set_int(port, "port", PORT_POSTGRES);
    json_set_int(port, "targetPort", PORT_POSTGRES);
    return spec;
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
