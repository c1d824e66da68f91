#include "member/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/names.h"
#include "api/reasons.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "member/mounts.h"
#include "postgres/conf.h"

enum { FILE_MAX_BYTES = 2 * 1024 * 1024, FETCH_AGAIN_MS = 2000 };

struct settings {
    struct event_base *loop;
    struct settings_handlers handlers;
    struct mounts *mounts;
    struct kube *kube;
    struct kube_watch *watch;
    struct kube_call *fetch;
    const struct timer_clock *clock;
    struct event *fetch_again;
    struct settings_view view;
    /* One arena for each source, replaced as a whole. */
    struct arena *config_arena, *verifiers_arena;
    bool config_from_api, verifiers_from_api;
    char config_dir[512], tls_dir[512], verifiers_dir[512], replication_dir[512], run_dir[512];
    char namespace[256];
};

static ERR_CHECKED int read_key(struct arena *arena, const char *folder, const char *key,
                                char **ret_text, struct error *err)
{
    return file_read(arena, arena_printf(arena, "%s/%s", folder, key), FILE_MAX_BYTES, ret_text,
                     NULL, err);
}

static ERR_CHECKED int decode_config(struct arena *arena, const char *conf, const char *hba,
                                     const char *cluster, struct cluster_config *ret_config,
                                     struct error *err)
{
    if (conf == NULL || hba == NULL || cluster == NULL)
        return err_set(err, ERR_INVALID, "key '%s' is missing",
                       conf == NULL  ? CONFIG_KEY_POSTGRESQL
                       : hba == NULL ? CONFIG_KEY_HBA
                                     : CONFIG_KEY_CLUSTER);
    if (report_config_decode(arena, cluster, ret_config, err) < 0)
        return err_wrap(err, "key '%s'", CONFIG_KEY_CLUSTER);
    if (ret_config->cluster[0] == '\0' || ret_config->postgres_version <= 0)
        return err_set(err, ERR_INVALID, "key '%s' lacks the cluster or the PostgreSQL version",
                       CONFIG_KEY_CLUSTER);
    return 0;
}

/* Takes the arena over. True when the view changed. */
static bool take_config(struct settings *settings, struct arena *arena, const char *conf,
                        const char *hba, const char *cluster, const char *source)
{
    struct settings_view *view = &settings->view;
    struct cluster_config config = {0};
    struct error err = {0};
    if (decode_config(arena, conf, hba, cluster, &config, &err) < 0) {
        err_wrap(&err, "%s", source);
        snprintf(err.reason, sizeof err.reason, REASON_CONFIG_INVALID);
        log_failure(&err, "the configuration cannot be used; the earlier one stays in use", NULL);
        view->fault = err;
        arena_free(arena);
        return true;
    }
    view->fault = (struct error){0};
    view->known = true;
    view->config = config;
    view->conf = conf;
    view->hba = hba;
    arena_free(settings->config_arena);
    settings->config_arena = arena;
    return true;
}

static bool read_mounted_config(struct settings *settings)
{
    struct error err = {0};
    char *conf = NULL, *hba = NULL, *cluster = NULL;
    struct arena *arena = arena_new();
    if (read_key(arena, settings->config_dir, CONFIG_KEY_POSTGRESQL, &conf, &err) < 0 ||
        read_key(arena, settings->config_dir, CONFIG_KEY_HBA, &hba, &err) < 0 ||
        read_key(arena, settings->config_dir, CONFIG_KEY_CLUSTER, &cluster, &err) < 0) {
        arena_free(arena);
        if (!settings->view.known) {
            snprintf(err.reason, sizeof err.reason, REASON_CONFIG_INVALID);
            settings->view.fault = err;
        }
        return true;
    }
    return take_config(settings, arena, conf, hba, cluster, "mounted ConfigMap");
}

/* Takes the arena over. */
static bool take_verifiers(struct settings *settings, struct arena *arena, const char *text)
{
    bool differs = !text_same(settings->view.verifiers, text);
    settings->view.verifiers = text;
    settings->view.verifiers_hash = hash_hex16(arena, text, strlen(text));
    arena_free(settings->verifiers_arena);
    settings->verifiers_arena = arena;
    return differs;
}

static bool read_mounted_verifiers(struct settings *settings)
{
    struct error ignored; /* they come through the API, too, and only the primary needs them */
    struct arena *arena = arena_new();
    char *text;
    if (read_key(arena, settings->verifiers_dir, VERIFIERS_KEY, &text, &ignored) == 0)
        return take_verifiers(settings, arena, text);
    arena_free(arena);
    return false;
}

static bool copy_file(struct settings *settings, const char *name, unsigned mode, bool *ret_there)
{
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    char *text;
    bool written = false;
    *ret_there = false;
    if (read_key(arena, settings->tls_dir, name, &text, &err) < 0)
        return false;
    const char *path = arena_printf(arena, "%s/tls/%s", settings->run_dir, name);
    if (mounts_write(path, text, strlen(text), mode, &written, &err) < 0)
        log_failure(&err, "a TLS file cannot be copied", NULL);
    else
        *ret_there = true;
    return written;
}

/* postgres refuses a key that others may read or that is not its own: both are so on a mount. */
static bool copy_tls(struct settings *settings)
{
    AUTO_ARENA arena = arena_new();
    bool certificate, key, ca;
    mkdir(arena_printf(arena, "%s/tls", settings->run_dir), 0700);
    bool written = copy_file(settings, "ca.crt", 0644, &ca);
    written |= copy_file(settings, "tls.key", 0600, &key);
    written |= copy_file(settings, "tls.crt", 0644, &certificate);
    settings->view.tls = certificate && key && ca;
    return written;
}

static bool write_passfile(struct settings *settings)
{
    AUTO_ARENA arena = arena_new();
    struct settings_view before = settings->view;
    struct error *err = &settings->view.password_fault;
    char *password, *text;
    bool written;
    *err = (struct error){0};
    settings->view.passfile =
        read_key(arena, settings->replication_dir, "password", &password, err) == 0 &&
        conf_passfile(arena, ROLE_REPLICATION, password, &text, err) == 0 &&
        mounts_write(arena_printf(arena, "%s/pgpass", settings->run_dir), text, strlen(text), 0600,
                     &written, err) == 0;
    return before.passfile != settings->view.passfile ||
           strcmp(before.password_fault.text, err->text) != 0;
}

static void read_all(struct settings *settings, bool notify)
{
    bool changed = false;
    if (!settings->config_from_api)
        changed |= read_mounted_config(settings);
    if (!settings->verifiers_from_api)
        changed |= read_mounted_verifiers(settings);
    changed |= write_passfile(settings);
    bool had_tls = settings->view.tls;
    bool tls = copy_tls(settings);
    if (notify && tls)
        settings->handlers.tls_changed(settings->handlers.arg);
    if (notify && (changed || had_tls != settings->view.tls))
        settings->handlers.changed(settings->handlers.arg);
}

static void on_mount_changed(void *arg)
{
    read_all(arg, true);
}

static void on_config(void *arg, const cJSON *object)
{
    struct settings *settings = arg;
    struct arena *arena = arena_new();
    const cJSON *data = json_copy(arena, json_get(object, "data"));
    settings->config_from_api = true;
    take_config(settings, arena, json_str(data, "[\"" CONFIG_KEY_POSTGRESQL "\"]", NULL),
                json_str(data, "[\"" CONFIG_KEY_HBA "\"]", NULL),
                json_str(data, "[\"" CONFIG_KEY_CLUSTER "\"]", NULL), "ConfigMap");
    settings->handlers.changed(settings->handlers.arg);
}

static void on_trouble(void *arg, const struct error *err)
{
    (void)arg;
    log_failure(err, "the watch of the ConfigMap failed", NULL);
}

void settings_watch(struct settings *settings, struct kube *kube)
{
    if (settings->watch != NULL || !settings->view.known)
        return;
    AUTO_ARENA arena = arena_new();
    settings->kube = kube;
    const char *name = name_child(arena, settings->view.config.cluster, "config");
    struct kube_watch_options options = {.kind = kube_kind_find("v1", "ConfigMap"),
                                         .namespace = settings->namespace,
                                         .field_selector =
                                             arena_printf(arena, "metadata.name=%s", name)};
    struct kube_watch_handlers handlers = {.upsert = on_config, .trouble = on_trouble};
    settings->watch = kube_watch_new(kube, &options, &handlers, settings);
}

/* The kubelet brings a changed Secret up to a minute late, so it is fetched. ConfigMap and Secret
 * are written one after the other: until both are of one hash it is fetched again. */
static void on_fetched(void *arg, const cJSON *body, const struct error *err)
{
    struct settings *settings = arg;
    settings->fetch = NULL;
    size_t length;
    struct arena *arena = arena_new();
    const char *coded = json_str(body, "data[\"" VERIFIERS_KEY "\"]", NULL);
    char *text = coded ? hash_unbase64(arena, coded, &length) : NULL;
    if (text == NULL) {
        arena_free(arena);
        if (err->class != 0)
            log_failure(err, "the role verifiers cannot be fetched", NULL);
        timer_set(settings->clock, settings->fetch_again, FETCH_AGAIN_MS);
        return;
    }
    settings->verifiers_from_api = true;
    take_verifiers(settings, arena, text);
    if (!text_same(settings->view.verifiers_hash, settings->view.config.verifiers_hash))
        /* ConfigMap and Secret are not in step */
        timer_set(settings->clock, settings->fetch_again, FETCH_AGAIN_MS);
    settings->handlers.changed(settings->handlers.arg);
}

void settings_fetch_verifiers(struct settings *settings)
{
    const char *wanted = settings->view.config.verifiers_hash;
    if (settings->kube == NULL || settings->fetch != NULL || wanted == NULL || wanted[0] == '\0' ||
        text_same(settings->view.verifiers_hash, wanted) ||
        timer_is_set(settings->clock, settings->fetch_again))
        return;
    AUTO_ARENA arena = arena_new();
    const char *name = name_child(arena, settings->view.config.cluster, "verifiers");
    struct kube_request request = {
        .method = KUBE_GET,
        .path = kube_path(arena, kube_kind_find("v1", "Secret"), settings->namespace, name, NULL),
        .timeout_ms = 10000};
    settings->fetch = kube_call_start(settings->kube, &request, on_fetched, settings);
}

static void on_fetch_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    settings_fetch_verifiers(arg);
}

void settings_reread(struct settings *settings)
{
    read_all(settings, true);
}

const struct settings_view *settings_view(const struct settings *settings)
{
    return &settings->view;
}

static void watch_mounts(struct settings *settings)
{
    struct error err;
    const char *const folders[] = {settings->config_dir, settings->tls_dir, settings->verifiers_dir,
                                   settings->replication_dir};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (mounts_add(settings->mounts, folders[i], &err) < 0)
            log_failure(&err, "a mounted folder is missing", NULL);
}

struct settings *settings_new(struct event_base *loop, const struct settings_options *options,
                              const struct settings_handlers *handlers)
{
    struct settings *settings = xcalloc(1, sizeof *settings);
    settings->loop = loop;
    settings->clock = options->clock;
    settings->handlers = *handlers;
    settings->view.verifiers = settings->view.verifiers_hash = "";
    snprintf(settings->config_dir, sizeof settings->config_dir, "%s", options->config_dir);
    snprintf(settings->tls_dir, sizeof settings->tls_dir, "%s", options->tls_dir);
    snprintf(settings->verifiers_dir, sizeof settings->verifiers_dir, "%s", options->verifiers_dir);
    snprintf(settings->replication_dir, sizeof settings->replication_dir, "%s",
             options->replication_dir);
    snprintf(settings->run_dir, sizeof settings->run_dir, "%s", options->run_dir);
    snprintf(settings->namespace, sizeof settings->namespace, "%s", options->namespace);
    settings->fetch_again = evtimer_new(loop, on_fetch_again, settings);
    settings->mounts = mounts_new(loop, settings->clock, on_mount_changed, settings);
    watch_mounts(settings);
    read_all(settings, false);
    return settings;
}

void settings_free(struct settings *settings)
{
    if (settings == NULL)
        return;
    kube_watch_free(settings->watch);
    if (settings->fetch != NULL)
        kube_call_cancel(settings->fetch);
    timer_free(settings->clock, settings->fetch_again);
    mounts_free(settings->mounts);
    arena_free(settings->config_arena);
    arena_free(settings->verifiers_arena);
    free(settings);
}
