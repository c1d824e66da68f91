/* Requests of kube_call_start(), for kube_free(). */
#pragma once

#include "kube/internal.h"

void kube_calls_free(struct kube *kube);
