#include "kube/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "kube/auth.h"
#include "kube/reply.h"

enum state { WAITING_FOR_CREDENTIALS, RUNNING, FAILED };

struct kube_transfer {
    TAILQ_ENTRY(kube_transfer) link;
    struct kube *kube;
    struct kube_transfer_request request;
    char *url;
    struct http_transfer *http; /* while RUNNING */
    enum state state;
    bool renewed;        /* credentials were renewed once after a 401 */
    int64_t begun_ms;    /* when kube_transfer_start() was called */
    struct event *alarm; /* the wait for credentials is over, or failed */
    struct error failure;
};

static const char *const verbs[] = {
    [KUBE_GET] = "GET",           [KUBE_POST] = "POST",         [KUBE_PUT] = "PUT",
    [KUBE_PATCH_APPLY] = "PATCH", [KUBE_PATCH_MERGE] = "PATCH", [KUBE_DELETE] = "DELETE",
};

static const char *content_type(enum kube_method method)
{
    switch (method) {
    case KUBE_PATCH_APPLY:
        return "Content-Type: application/apply-patch+yaml";
    case KUBE_PATCH_MERGE:
        return "Content-Type: application/merge-patch+json";
    default:
        return "Content-Type: application/json";
    }
}

/* NULL-ended. */
static const char *const *headers_of(struct arena *arena, const struct kube_transfer *t)
{
    const char **impersonate = t->kube->config.impersonate;
    size_t count = 0, impersonated = 0;
    while (impersonate != NULL && impersonate[impersonated] != NULL)
        impersonated++;
    const char **lines = arena_alloc(arena, (impersonated + 5) * sizeof *lines);
    const char *own[] = {t->request.accept, t->kube->host_header, kube_auth_line(t->kube->auth),
                         t->request.body ? content_type(t->request.method) : NULL};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (own[i] != NULL)
            lines[count++] = own[i];
    for (size_t i = 0; i < impersonated; i++)
        lines[count++] = impersonate[i];
    return lines;
}

static void fail_soon(struct kube_transfer *t, const struct error *err)
{
    t->state = FAILED;
    t->failure = *err;
    event_active(t->alarm, EV_TIMEOUT, 0);
}

/* What is left of the time for the answer; 0: there is no limit. */
static int left_ms(const struct kube_transfer *t)
{
    int64_t ms = t->request.timeout_ms;
    if (ms > 0 && t->request.urgent)
        ms += t->begun_ms - kube_now_ms(t->kube);
    return t->request.timeout_ms <= 0 ? 0 : ms > 0 ? (int)ms : 1;
}

static void on_data(void *arg, struct buffer *in)
{
    struct kube_transfer *t = arg;
    t->request.data(t->request.arg, in);
}

static void on_end(void *arg, const struct http_end *end);

static void attach(struct kube_transfer *t)
{
    AUTO_ARENA arena = arena_new();
    struct kube *kube = t->kube;
    const struct http_tls tls = {
        .ca_pem = kube->config.ca_pem,
        .certificate_pem = kube_auth_certificate(kube->auth),
        .key_pem = kube_auth_key(kube->auth),
        .insecure = kube->config.insecure,
    };
    t->state = RUNNING;
    kube->started++;
    kube_timer_set(kube, t->alarm, -1);
    t->http =
        http_start(kube->http, &(struct http_request){
                                   .method = verbs[t->request.method],
                                   .url = t->url,
                                   .headers = headers_of(arena, t),
                                   .tls = &tls,
                                   .connect_to = kube->connect_to,
                                   .proxy = kube->config.proxy_url,
                                   .apart = t->request.apart,
                                   .body = t->request.body,
                                   .length = t->request.body ? (int64_t)strlen(t->request.body) : 0,
                                   .connect_ms = kube->timing.connect_ms,
                                   .timeout_ms = left_ms(t),
                                   .stall_ms = t->request.stall_ms,
                                   .data = t->request.data ? on_data : NULL,
                                   .answer_max_bytes = KUBE_ANSWER_MAX_BYTES,
                                   .done = on_end,
                                   .arg = t,
                               });
}

static void begin(struct kube_transfer *t)
{
    struct error err;
    int ready = kube_auth_prepare(t->kube->auth, &err);
    t->state = WAITING_FOR_CREDENTIALS;
    if (ready < 0)
        fail_soon(t, &err);
    else if (ready == KUBE_AUTH_READY)
        attach(t);
    else if (t->request.urgent && t->request.timeout_ms > 0)
        kube_timer_set(t->kube, t->alarm, left_ms(t));
}

static void on_alarm(evutil_socket_t fd, short what, void *arg);

struct kube_transfer *kube_transfer_start(struct kube *kube,
                                          const struct kube_transfer_request *request)
{
    struct kube_transfer *t = xcalloc(1, sizeof *t);
    struct buffer url = {0};
    buffer_printf(&url, "%s%s%s%s", kube->origin, request->path, request->query ? "?" : "",
                  request->query ? request->query : "");
    t->kube = kube;
    t->request = *request;
    t->begun_ms = kube_now_ms(kube);
    t->alarm = evtimer_new(kube->loop, on_alarm, t);
    t->url = url.data;
    TAILQ_INSERT_TAIL(&kube->transfers, t, link);
    begin(t);
    return t;
}

void kube_transfer_cancel(struct kube_transfer *t)
{
    if (t == NULL)
        return;
    TAILQ_REMOVE(&t->kube->transfers, t, link);
    http_cancel(t->http);
    kube_timer_free(t->kube, t->alarm);
    free(t->url);
    free(t);
}

static void finish(struct kube_transfer *t, int status, const struct buffer *body,
                   const struct error *err)
{
    struct kube_transfer_request request = t->request;
    kube_transfer_cancel(t);
    request.done(request.arg, status, body, err);
}

static void fail(struct kube_transfer *t, const struct error *err)
{
    const struct buffer nothing = {0};
    finish(t, 0, &nothing, err);
}

static void stall(struct kube_transfer *t, int status, const struct error *err)
{
    struct kube_transfer_request request = t->request;
    kube_transfer_cancel(t);
    request.stalled(request.arg, status, err);
}

static ERR_CHECKED int distrusted(const struct kube_transfer *t, const char *why,
                                  const char *remedy, struct error *err)
{
    return err_set_reason(err, ERR_TRANSPORT, "CertificateNotTrusted", "%s: %s; %s",
                          t->kube->config.server, why, remedy);
}

static ERR_CHECKED int too_late(const struct kube_transfer *t, struct error *err)
{
    return err_set_reason(err, ERR_TIMEOUT, "APIServerTimeout",
                          "%s: no answer to %s %s within %d ms", t->kube->config.server,
                          verbs[t->request.method], t->request.path, t->request.timeout_ms);
}

/* Why there was no answer, in terms of the kubeconfig's fields. */
static ERR_CHECKED int transport_error(const struct kube_transfer *t, const struct http_end *end,
                                       struct error *err)
{
    const char *server = t->kube->config.server, *detail = end->err->text;
    switch (end->trouble) {
    case HTTP_NOT_STARTED:
        *err = *end->err;
        return err->class;
    case HTTP_TOO_LARGE:
        return err_set(err, ERR_INTERNAL, "the answer of %s to %s is over the limit of %d bytes",
                       server, t->request.path, KUBE_ANSWER_MAX_BYTES);
    case HTTP_UNTRUSTED_NAME:
        return distrusted(t, detail, "set tls-server-name to a name in the certificate", err);
    case HTTP_UNTRUSTED_TIME:
        return distrusted(t, detail,
                          "renew the API server's certificate, or set this machine's clock", err);
    case HTTP_UNTRUSTED:
        return distrusted(t, detail,
                          "check that certificate-authority-data is the CA of this server", err);
    case HTTP_OWN_CERTIFICATE:
        return err_set_reason(
            err, ERR_INVALID, "ClientCertificateInvalid",
            "%s: %s; check that client-certificate and client-key belong together", server, detail);
    case HTTP_DEADLINE:
        return too_late(t, err);
    case HTTP_CONNECT_TIMEOUT:
    case HTTP_STALLED:
        return err_set_reason(err, ERR_TIMEOUT, "APIServerTimeout", "%s: %s", server, detail);
    default:
        return err_set_reason(err, ERR_TRANSPORT, "APIServerUnreachable", "%s: %s", server, detail);
    }
}

static void on_end(void *arg, const struct http_end *end)
{
    struct kube_transfer *t = arg;
    struct error err = {0};
    int begun = http_status(t->http);
    t->http = NULL;
    if (end->trouble != HTTP_ANSWERED) {
        err_ignore(transport_error(t, end, &err)); /* done() looks at the class */
        if (end->trouble == HTTP_STALLED)
            stall(t, begun, &err);
        else
            fail(t, &err);
        return;
    }
    t->kube->answered++;
    if (end->status == 401 && !t->renewed && kube_auth_renew(t->kube->auth)) {
        t->renewed = true;
        begin(t);
        return;
    }
    if (end->status >= 300)
        err_ignore(kube_reply_error(end->status, end->retry_after_s * t->kube->timing.second_ms,
                                    end->body->data, end->body->length, &err));
    finish(t, end->status, end->body, &err);
}

static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct kube_transfer *t = arg;
    struct error err = t->failure;
    if (t->state != FAILED)
        err_ignore(too_late(t, &err));
    fail(t, &err);
}

void kube_transfer_settled(struct kube *kube, const struct error *err)
{
    struct kube_transfer *t;
    TAILQ_FOREACH(t, &kube->transfers, link)
    {
        if (t->state != WAITING_FOR_CREDENTIALS)
            continue;
        if (err->class < 0)
            fail_soon(t, err);
        else
            attach(t);
    }
}
