/* The table of recently sent Events, owned by the client. */
#pragma once

#include "kube/internal.h"

struct kube_events *kube_events_new(struct kube *kube);
void kube_events_free(struct kube_events *events);
