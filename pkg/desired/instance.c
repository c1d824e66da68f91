/*
 * One StatefulSet of one replica per instance: Kubernetes never starts a second pod beside a
 * terminating one on the same volume, and makes it anew while the operator is away. OnDelete: the
 * operator alone decides when a changed template takes effect.
 */
#include "desired/internal.h"

void build_instance(struct build *build, const struct model_instance *instance)
{
    const char *name = instance->name;
    cJSON *set = build_object(build, CHILD_STATEFUL_SET, name, OWNED);
    build_label(set, LABEL_INSTANCE, name);
    build_annotate(set, ANN_AGENT_IMAGE,
                   api_agent_image_encode(build->arena, &instance->agent_image));
    if (instance->pod_form > POD_FORM_FIRST)
        build_annotate(set, ANN_POD_FORM, arena_printf(build->arena, "%d", instance->pod_form));
    build_annotate(set, ANN_TEMPLATE, desired_template_hash(build->arena, build->snapshot, name));
    cJSON *spec = json_add_object(set, "spec");
    json_set_int(spec, "replicas", 1);
    json_set_str(spec, "serviceName", build_child(build, "pods"));
    json_set_str(spec, "podManagementPolicy", "Parallel");
    json_set_int(spec, "revisionHistoryLimit", 2);
    json_set_str(json_add_object(spec, "updateStrategy"), "type", "OnDelete");
    cJSON *selector = json_add_object(spec, "selector");
    json_set_str(build_instance_selector(build, selector, "matchLabels"), LABEL_INSTANCE, name);
    build_instance_pod(build, json_add_object(spec, "template"), name,
                       &(struct pod_own){&instance->agent_image, instance->pod_form});
}
