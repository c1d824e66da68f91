#include "kube/auth.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "kubeconfig/sources.h"
#include "kubeconfig/exec.h"
#include "kube/transfer.h"

/* Credentials are replaced a little before they expire, so that none expires during a request. */
enum { EXPIRY_MARGIN_MS = 10000, TOKEN_MAX_BYTES = 65536 };

struct kube_auth {
    struct kube *kube;
    struct arena *arena; /* of the current credentials; replaced with them */
    char *line;
    const char *certificate, *key;
    struct stat seen; /* the token file when it was read */
    bool have;
    int64_t fetched_ms, expires_wall_ms;
    struct kubeconfig_exec_run *run;
};

static void drop(struct kube_auth *auth)
{
    arena_free(auth->arena);
    auth->arena = arena_new();
    auth->line = NULL;
    auth->certificate = auth->key = NULL;
    auth->have = false;
    auth->expires_wall_ms = -1;
}

static void set_bearer(struct kube_auth *auth, const char *token)
{
    auth->line = kubeconfig_secret(auth->arena,
                                   arena_printf(auth->arena, "Authorization: Bearer %s", token));
}

static void set_basic(struct kube_auth *auth, const char *username, const char *password)
{
    char *pair = kubeconfig_secret(
        auth->arena, arena_printf(auth->arena, "%s:%s", username, password ? password : ""));
    char *encoded = kubeconfig_secret(auth->arena, hash_base64(auth->arena, pair, strlen(pair)));
    auth->line = kubeconfig_secret(auth->arena,
                                   arena_printf(auth->arena, "Authorization: Basic %s", encoded));
}

struct kube_auth *kube_auth_new(struct kube *kube)
{
    struct kube_auth *auth = xcalloc(1, sizeof *auth);
    auth->kube = kube;
    drop(auth);
    return auth;
}

void kube_auth_free(struct kube_auth *auth)
{
    if (auth == NULL)
        return;
    kubeconfig_exec_cancel(auth->run);
    arena_free(auth->arena);
    free(auth);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static ERR_CHECKED int check_token(const char *path, const char *token, struct error *err)
{
    if (token[0] == '\0')
        return err_set_reason(err, ERR_FORBIDDEN, "TokenFileInvalid", "token file '%s' is empty",
                              path);
    for (const char *p = token; *p != '\0'; p++)
        if (!isgraph((unsigned char)*p))
            return err_set_reason(err, ERR_FORBIDDEN, "TokenFileInvalid",
                                  "token file '%s' does not hold exactly one token", path);
    return 0;
}

static ERR_CHECKED int read_token(struct kube_auth *auth, const char *path, struct error *err)
{
    char *token;
    AUTO_ARENA arena = arena_new();
    if (file_read(arena, path, TOKEN_MAX_BYTES, &token, NULL, err) < 0)
        return err_wrap(err, "token file");
    kubeconfig_secret(arena, token);
    token += strspn(token, " \t\r\n");
    token[strcspn(token, " \t\r\n")] = '\0';
    if (check_token(path, token, err) < 0)
        return err->class;
    drop(auth);
    set_bearer(auth, token);
    auth->have = true;
    return 0;
}

/* The kubelet replaces a projected token by rename, so that one stat(2) shows another inode. While
 * the file cannot be read, the last token stays in use; if none was ever read, the fixed one of the
 * kubeconfig does. */
static ERR_CHECKED int prepare_file(struct kube_auth *auth, struct error *err)
{
    const struct kubeconfig *config = &auth->kube->config;
    struct stat now = {0};
    if (stat(config->token_file, &now) == 0 && auth->have && same_file(&now, &auth->seen))
        return KUBE_AUTH_READY;
    if (read_token(auth, config->token_file, err) == 0) {
        auth->seen = now;
        return KUBE_AUTH_READY;
    }
    if (auth->have)
        return KUBE_AUTH_READY;
    if (config->token == NULL)
        return err->class;
    set_bearer(auth, config->token);
    return KUBE_AUTH_READY;
}

/* After a failure there are no credentials, so that the next request runs the plugin again. */
static void on_plugin(void *arg, const struct kubeconfig_exec_credential *credential,
                      const struct error *err)
{
    struct kube_auth *auth = arg;
    auth->run = NULL;
    drop(auth);
    if (credential != NULL) {
        if (credential->token != NULL)
            set_bearer(auth, credential->token);
        if (credential->certificate_pem != NULL) {
            auth->certificate = arena_strdup(auth->arena, credential->certificate_pem);
            auth->key =
                kubeconfig_secret(auth->arena, arena_strdup(auth->arena, credential->key_pem));
        }
        auth->have = true;
        auth->fetched_ms = kube_now_ms(auth->kube);
        auth->expires_wall_ms = credential->expires_wall_ms;
    }
    kube_transfer_settled(auth->kube, err);
}

/* A plugin whose credentials live shorter than the margin is not run for every request. */
static bool expired(const struct kube_auth *auth)
{
    int64_t left_ms = auth->expires_wall_ms - clock_wall_ms();
    if (auth->expires_wall_ms < 0 || left_ms > EXPIRY_MARGIN_MS)
        return false;
    return left_ms <= 0 || kube_now_ms(auth->kube) - auth->fetched_ms >= EXPIRY_MARGIN_MS;
}

static ERR_CHECKED int prepare_plugin(struct kube_auth *auth, struct error *err)
{
    const struct kube *kube = auth->kube;
    if (auth->have && !expired(auth))
        return KUBE_AUTH_READY;
    if (auth->run != NULL)
        return KUBE_AUTH_WAIT;
    if (kubeconfig_exec_start(kube->loop, kube->config.exec, kube->timing.exec_ms, on_plugin, auth,
                              &auth->run, err) < 0)
        return err->class;
    return KUBE_AUTH_WAIT;
}

int kube_auth_prepare(struct kube_auth *auth, struct error *err)
{
    const struct kubeconfig *config = &auth->kube->config;
    if (config->exec != NULL)
        return prepare_plugin(auth, err);
    if (config->token_file != NULL)
        return prepare_file(auth, err);
    if (auth->line == NULL && config->token != NULL)
        set_bearer(auth, config->token);
    else if (auth->line == NULL && config->username != NULL)
        set_basic(auth, config->username, config->password);
    return KUBE_AUTH_READY;
}

bool kube_auth_renew(struct kube_auth *auth)
{
    const struct kubeconfig *config = &auth->kube->config;
    struct stat now;
    if (config->exec != NULL) {
        /* Many requests may be refused at once, and one run of the plugin serves all of them: the
         * later ones find it running or just finished, and try once more with its result. */
        if (auth->have && kube_now_ms(auth->kube) - auth->fetched_ms > auth->kube->timing.second_ms)
            auth->have = false;
        return true;
    }
    return config->token_file != NULL && stat(config->token_file, &now) == 0 &&
           !same_file(&now, &auth->seen);
}

const char *kube_auth_line(const struct kube_auth *auth)
{
    return auth->line;
}

const char *kube_auth_certificate(const struct kube_auth *auth)
{
    return auth->certificate ? auth->certificate : auth->kube->config.client_cert_pem;
}

const char *kube_auth_key(const struct kube_auth *auth)
{
    return auth->certificate ? auth->key : auth->kube->config.client_key_pem;
}
