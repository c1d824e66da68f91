/* What we run on: the API server's version and address family, and our own image. Read once, before
 * the first pass. */
#include "control/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "loop/timer.h"

/* Image volumes are on by default from this minor version on (https://kep.k8s.io/4639). In 1.33 and
 * 1.34 they need a feature gate that a client cannot see, hence --agent-delivery. */
enum { IMAGE_VOLUMES_MINOR = 35, AGAIN_SECONDS = 2 };
#define OWN_CONTAINER "controller"

int platform_minor(const char *text)
{
    char *end;
    long minor = strtol(text, &end, 10);
    return end == text || minor < 0 || minor > 10000 ? -1 : (int)minor;
}

bool platform_image_volumes(enum control_delivery delivery, int minor)
{
    if (delivery == DELIVERY_AUTO)
        return minor >= IMAGE_VOLUMES_MINOR;
    return delivery == DELIVERY_IMAGE_VOLUME;
}

/* In a cluster, the server's address is that of the Service "kubernetes". It has the IP family that
 * every Service gets unless it asks for another. */
bool platform_ipv6(const char *server)
{
    return strstr(server, "://[") != NULL;
}

static void ask_again(struct control *control)
{
    timer_arm(control->platform_timer, AGAIN_SECONDS * 1000);
}

static void know(struct control *control)
{
    control->platform_known = true;
    log_info("connected", "agent_image", control->agent_image, "agent_delivery",
             control->image_volumes ? "image volume" : "init container", NULL);
    control_pump(control);
}

/* Our own container's image, as its spec says: users set it in one place, with kustomize. */
static void on_own_pod(void *arg, const cJSON *body, const struct error *err)
{
    struct control *control = arg;
    const cJSON *container;
    control->platform_call = NULL;
    cJSON_ArrayForEach (container, json_get(body, "spec.containers")) {
        if (strcmp(json_str(container, "name", ""), OWN_CONTAINER) == 0)
            snprintf(control->agent_image, sizeof control->agent_image, "%s",
                     json_str(container, "image", ""));
    }
    if (control->agent_image[0] != '\0') {
        know(control);
    } else if (err->class < 0 && err->class != ERR_NOT_FOUND && err->class != ERR_FORBIDDEN) {
        log_failure(err, "cannot read this operator's own Pod", NULL);
        ask_again(control);
    } else {
        bool unread = err->class < 0;
        err_set(&control->failure, ERR_INVALID,
                "the image that holds pgkeel is unknown: this operator's own Pod '%s/%s' %s%s; set "
                "--agent-image or PGKEEL_IMAGE to that image",
                control->options->lease_namespace, control->options->own_pod,
                unread ? "cannot be read: " : "has no container '" OWN_CONTAINER "'",
                unread ? err->text : "");
        event_base_loopbreak(control->loop);
    }
}

static void ask_own_pod(struct control *control)
{
    AUTO_ARENA scratch = arena_new();
    const struct kube_request request = {.method = KUBE_GET,
                                         .path = kube_path(scratch, kube_kind_find("v1", "Pod"),
                                                           control->options->lease_namespace,
                                                           control->options->own_pod, NULL)};
    control->platform_call = kube_call_start(control->kube, &request, on_own_pod, control);
}

static void on_version(void *arg, const cJSON *body, const struct error *err)
{
    struct control *control = arg;
    control->platform_call = NULL;
    if (err->class < 0) {
        log_failure(err, "cannot ask the API server for its version", NULL);
        ask_again(control);
        return;
    }
    control->image_volumes = platform_image_volumes(control->options->delivery,
                                                    platform_minor(json_str(body, "minor", "")));
    if (control->agent_image[0] != '\0')
        know(control);
    else
        ask_own_pod(control);
}

static void ask(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct control *control = arg;
    const struct kube_request request = {.method = KUBE_GET, .path = "/version"};
    control->platform_call = kube_call_start(control->kube, &request, on_version, control);
}

void platform_start(struct control *control)
{
    const char *image = control->options->agent_image;
    snprintf(control->agent_image, sizeof control->agent_image, "%s", image ? image : "");
    control->platform_timer = evtimer_new(control->loop, ask, control);
    ask(-1, 0, control);
}
