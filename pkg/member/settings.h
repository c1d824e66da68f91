/*
 * What the operator asks of this instance: the cluster's ConfigMap, the role verifiers, the
 * replication password and the TLS files. All of it is mounted, so that a pod starts without the
 * API; the ConfigMap is watched and the verifiers are fetched besides, because a mount follows only
 * after a minute. Mounts are watched by inotify.
 */
#pragma once

#include "api/reports.h"
#include "kube/kube.h"
#include "loop/timer.h"

struct settings_options {
    const char *config_dir, *tls_dir, *verifiers_dir, *replication_dir;
    const char *run_dir; /* gets pgpass and tls/, as postgres wants them owned and closed */
    const char *namespace;
    const struct timer_clock *clock; /* NULL: the machine's */
};

struct settings_view {
    bool known;         /* a whole configuration was read once */
    struct error fault; /* class 0, or why the newest one cannot be used (reason ConfigInvalid) */
    struct cluster_config config;
    const char *conf, *hba; /* postgresql.conf and pg_hba.conf of the ConfigMap */
    const char *verifiers;  /* roles.json; "" until known */
    const char *verifiers_hash;
    bool tls;                    /* tls.crt and tls.key were copied */
    bool passfile;               /* pgpass was written */
    struct error password_fault; /* class 0, or why it was not */
};

struct settings_handlers {
    void (*changed)(void *arg);     /* the view */
    void (*tls_changed)(void *arg); /* new files below run_dir/tls: postgres must reload */
    void *arg;
};

struct settings;

/* Reads the mounts at once. Strings are copied. */
struct settings *settings_new(struct event_base *loop, const struct settings_options *options,
                              const struct settings_handlers *handlers);
void settings_free(struct settings *settings);
/* Begins to watch ConfigMap <cluster>-config; what comes from there is newer than the mount. Needs
 * a known view for the cluster's name. Calling again changes nothing. */
void settings_watch(struct settings *settings, struct kube *kube);
/* GETs Secret <cluster>-verifiers when the configuration names another hash than what is here. */
void settings_fetch_verifiers(struct settings *settings);
/* Reads all mounts again (SIGHUP). */
void settings_reread(struct settings *settings);
/* Valid until the next call of `changed`. */
const struct settings_view *settings_view(const struct settings *settings);
