/* Runs an exec credential plugin (client.authentication.k8s.io v1 and v1beta1) on the loop. */
#pragma once

#include <event2/event.h>

#include "base/arena.h"
#include "kubeconfig/kubeconfig.h"

struct kubeconfig_exec_run;

struct kubeconfig_exec_credential {
    const char *token, *certificate_pem, *key_pem; /* NULL when the plugin gave none */
    int64_t expires_wall_ms;                       /* -1: not known; used until it is refused */
};

/* On failure credential is NULL and err says what the plugin did, with its install hint. Called
 * exactly once, never before kubeconfig_exec_start() returns, unless cancelled. */
typedef void (*kubeconfig_exec_done)(void *arg, const struct kubeconfig_exec_credential *credential,
                                     const struct error *err);

/* Its stderr is ours. timeout_ms applies to a plugin that cannot ask a person. */
int kubeconfig_exec_start(struct event_base *loop, const struct kubeconfig_exec *exec,
                          int timeout_ms, kubeconfig_exec_done done, void *arg,
                          struct kubeconfig_exec_run **ret_run, struct error *err) ERR_CHECKED;
/* Kills the plugin. NULL is fine. */
void kubeconfig_exec_cancel(struct kubeconfig_exec_run *run);
/* Reads what a plugin printed. Exposed for tests. */
int kubeconfig_exec_parse(struct arena *arena, const struct kubeconfig_exec *exec, const char *text,
                          size_t length, struct kubeconfig_exec_credential *ret_credential,
                          struct error *err) ERR_CHECKED;
