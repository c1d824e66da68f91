/*
 * Is a lease really not renewed when the watch shows no renewal? The watch may be late, and so may
 * this process. Before status says so, the API server is asked for the lease itself.
 */
#include "control/internal.h"

#include "api/names.h"

enum { ASK_MS = 5000 };

bool control_lease_due(const struct pass *pass)
{
    return !pass->lease_asked &&
           observe_lease_doubtful(pass->control->observe, pass->key->namespace, pass->key->name);
}

static void on_lease(void *arg, const cJSON *body, const struct error *err)
{
    struct pass *pass = arg;
    pass->lease_call = NULL;
    if (err->class == 0)
        observe_lease_asked(pass->control->observe, body);
    else if (err->class != ERR_NOT_FOUND) /* the watch reports its deletion */
        pass_failed(pass, err);
    pass->step = PASS_OBSERVE; /* once more, with the answer */
    reconcile_once(pass);
}

void control_lease_start(struct pass *pass)
{
    const struct kube_request request = {
        .method = KUBE_GET,
        .path = kube_path(pass->arena, kube_kind_find("coordination.k8s.io/v1", "Lease"),
                          pass->key->namespace, name_child(pass->arena, pass->key->name, "primary"),
                          NULL),
        .timeout_ms = ASK_MS};
    pass->lease_asked = true;
    pass->lease_call = kube_call_start(pass->control->kube, &request, on_lease, pass);
}

void control_lease_cancel(struct pass *pass)
{
    kube_call_cancel(pass->lease_call);
}
