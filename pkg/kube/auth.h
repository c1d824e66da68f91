/* The current credentials: constant, reread from a file that rotates, or fetched from a plugin. */
#pragma once

#include "kube/internal.h"

enum { KUBE_AUTH_READY = 0, KUBE_AUTH_WAIT = 1 };

struct kube_auth *kube_auth_new(struct kube *kube);
void kube_auth_free(struct kube_auth *auth);
/* KUBE_AUTH_READY, or KUBE_AUTH_WAIT (kube_transfer_settled() follows), or a negative class. */
int kube_auth_prepare(struct kube_auth *auth, struct error *err) ERR_CHECKED;
/* After a 401: true if there may be other credentials, so that one more try makes sense. */
bool kube_auth_renew(struct kube_auth *auth);
/* "Authorization: ..." or NULL; valid until the next kube_auth_prepare(). */
const char *kube_auth_line(const struct kube_auth *auth);
/* PEM, or NULL. */
const char *kube_auth_certificate(const struct kube_auth *auth);
const char *kube_auth_key(const struct kube_auth *auth);
