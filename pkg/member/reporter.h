/*
 * The agent's report on its own pod: annotation ANN_REPORT and label LABEL_ROLE, in one merge patch
 * on the status subresource, only when they changed. A burst of changes goes out at once, then one
 * a second, the last one always.
 *
 * A change of the annotation makes the kubelet look at the whole pod, which takes it 0.3 s and asks
 * the readiness probe at its beginning. So a passing stage is held back for that time: otherwise
 * the report that brings readiness waits behind it.
 */
#pragma once

#include "kube/kube.h"

struct reporter_options {
    const char *namespace, *pod, *pod_uid;
};

struct reporter;

/* `settled` is called when the last report was written, or refused for good. Strings are copied. */
struct reporter *reporter_new(struct event_base *loop, struct kube *kube,
                              const struct reporter_options *options, void (*settled)(void *arg),
                              void *arg);
void reporter_free(struct reporter *reporter);
/* role "" leaves the label alone. */
void reporter_set(struct reporter *reporter, const char *report, const char *role, bool hurry);
bool reporter_settled(const struct reporter *reporter);
/* The last attempt was refused for good: no right to write, or no such pod any more. */
bool reporter_refused(const struct reporter *reporter);

/* Pure, for tests. */
cJSON *reporter_body(struct arena *arena, const char *report, const char *role,
                     const char *pod_uid);
