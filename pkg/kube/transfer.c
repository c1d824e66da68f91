#include "kube/transfer.h"

#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "kube/auth.h"
#include "kube/reply.h"

enum state { WAITING_FOR_CREDENTIALS, RUNNING, FAILED };

enum { TRIM_AFTER = 16 };

/* A silent peer is found by the kernel in about a minute, under the stall deadline of a watch. */
enum { KEEPALIVE_S = 30, KEEPALIVE_INTERVAL_S = 10, USER_TIMEOUT_MS = 30000 };

struct kube_transfer {
    TAILQ_ENTRY(kube_transfer) link;
    struct kube *kube;
    struct kube_transfer_request request;
    char *url;
    CURL *easy;
    struct curl_slist *headers;
    struct buffer in;
    enum state state;
    bool fresh;                   /* bytes came that were not handed out yet */
    bool too_large;               /* the answer went over its limit */
    bool renewed;                 /* credentials were renewed after a 401 once */
    int64_t begun_ms, started_ms; /* when it was asked for, and sent */
    struct event *deadline;
    struct error failure;
    char detail[CURL_ERROR_SIZE];
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

int kube_transfer_status(const struct kube_transfer *transfer)
{
    long status = 0;
    if (transfer->easy != NULL)
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static bool refused(const struct kube_transfer *t)
{
    return kube_transfer_status(t) >= 300;
}

static size_t on_bytes(char *bytes, size_t one, size_t count, void *arg)
{
    struct kube_transfer *t = arg;
    bool streamed = t->request.data != NULL && !refused(t);
    size_t length = one * count;
    size_t limit = refused(t) ? KUBE_REFUSAL_MAX_BYTES : KUBE_ANSWER_MAX_BYTES;
    if (t->in.length + length > limit) {
        t->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    buffer_append(&t->in, bytes, length);
    t->fresh = t->fresh || streamed;
    return length;
}

/* OpenSSL's verdict stands; its reason is noted, because libcurl tells some of them as mere codes.
 */
static int on_verdict(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct kube *kube = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (!good && !kube->config.insecure)
        kube->verify_error = X509_STORE_CTX_get_error(store);
    return good;
}

/* Buffers of idle TLS connections go back to the heap: most connections here are idle. */
static CURLcode on_tls_context(CURL *easy, void *context, void *arg)
{
    (void)easy;
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_app_data(context, arg);
    SSL_CTX_set_verify(context, SSL_CTX_get_verify_mode(context), on_verdict);
    return CURLE_OK;
}

static int on_new_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    (void)arg, (void)purpose;
    int timeout = USER_TIMEOUT_MS;
    /* A kernel that does not know it leaves us the slower ways to notice. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
    return CURL_SOCKOPT_OK;
}

static struct curl_blob blob_of(const char *pem)
{
    return (struct curl_blob){(char *)pem, strlen(pem), CURL_BLOB_NOCOPY};
}

static void set_tls(struct kube_transfer *t)
{
    const struct kube_config *config = &t->kube->config;
    const char *cert = kube_auth_certificate(t->kube->auth), *key = kube_auth_key(t->kube->auth);
    curl_easy_setopt(t->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, config->insecure ? 0L : 1L);
    curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, config->insecure ? 0L : 2L);
    curl_easy_setopt(t->easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
    curl_easy_setopt(t->easy, CURLOPT_SSL_CTX_DATA, t->kube);
    if (config->ca_pem != NULL) {
        struct curl_blob ca = blob_of(config->ca_pem);
        curl_easy_setopt(t->easy, CURLOPT_CAINFO_BLOB, &ca);
        curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL); /* else the system's CAs count as well */
    }
    if (cert != NULL && key != NULL) {
        struct curl_blob cert_blob = blob_of(cert), key_blob = blob_of(key);
        curl_easy_setopt(t->easy, CURLOPT_SSLCERT_BLOB, &cert_blob);
        curl_easy_setopt(t->easy, CURLOPT_SSLKEY_BLOB, &key_blob);
    }
}

static void set_connection(struct kube_transfer *t)
{
    const struct kube *kube = t->kube;
    curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION,
                     kube->tls ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    /* Waiting for a connection to share is right while TLS finds out whether it can be shared; in
     * clear text only an answer tells, and a watch may be long in giving one. */
    curl_easy_setopt(t->easy, CURLOPT_PIPEWAIT, kube->tls && !t->request.apart ? 1L : 0L);
    curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, t->request.apart ? 1L : 0L);
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_BUFFERSIZE, 16384L);
    curl_easy_setopt(t->easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)kube->timing.connect_ms);
    curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL_S);
    curl_easy_setopt(t->easy, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
    curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, kube->connect_to);
    if (kube->config.proxy_url != NULL)
        curl_easy_setopt(t->easy, CURLOPT_PROXY, kube->config.proxy_url);
}

static void add_header(struct kube_transfer *t, const char *line)
{
    if (line != NULL)
        t->headers = curl_slist_append(t->headers, line);
}

static void set_headers(struct kube_transfer *t)
{
    const char **impersonate = t->kube->config.impersonate;
    add_header(t, t->request.accept);
    add_header(t, t->kube->host_header);
    add_header(t, kube_auth_line(t->kube->auth));
    for (; impersonate != NULL && *impersonate != NULL; impersonate++)
        add_header(t, *impersonate);
    if (t->request.body != NULL) {
        add_header(t, content_type(t->request.method));
        add_header(t, "Expect:"); /* no round trip before a large body */
    }
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(t->easy, CURLOPT_USERAGENT, t->kube->user_agent);
}

static void set_request(struct kube_transfer *t)
{
    curl_easy_setopt(t->easy, CURLOPT_URL, t->url);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->detail);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    if (t->request.body != NULL) {
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(t->request.body));
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->request.body);
    }
    if (t->request.method != KUBE_GET)
        curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, verbs[t->request.method]);
}

static void fail_soon(struct kube_transfer *t, const struct error *err)
{
    t->state = FAILED;
    t->failure = *err;
    event_active(t->kube->soon, 0, 0);
}

static void set_deadline(struct kube_transfer *t)
{
    int64_t ms = t->request.timeout_ms;
    if (t->request.urgent)
        ms += t->begun_ms - kube_now_ms(t->kube);
    if (t->request.timeout_ms > 0)
        kube_timer_set(t->kube, t->deadline, ms > 0 ? ms : 0);
}

static void attach(struct kube_transfer *t)
{
    struct kube *kube = t->kube;
    struct error err;
    t->easy = kube->idle_count > 0 ? kube->idle[--kube->idle_count] : curl_easy_init();
    t->state = RUNNING;
    t->started_ms = kube_now_ms(kube);
    kube->started++;
    set_deadline(t);
    CURLMcode code = CURLM_OUT_OF_MEMORY;
    if (t->easy != NULL) {
        set_request(t);
        set_connection(t);
        set_tls(t);
        set_headers(t);
        code = curl_multi_add_handle(kube->multi, t->easy);
    }
    if (code != CURLM_OK) {
        err_set(&err, ERR_INTERNAL, "libcurl cannot start a request: %s",
                curl_multi_strerror(code));
        fail_soon(t, &err);
    }
}

/* Gives libcurl's part back; wipes the header that holds the credentials. */
static void detach(struct kube_transfer *t)
{
    struct kube *kube = t->kube;
    kube_timer_set(kube, t->deadline, -1);
    for (struct curl_slist *line = t->headers; line != NULL; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    if (t->easy != NULL) {
        curl_multi_remove_handle(kube->multi, t->easy);
        curl_easy_reset(t->easy);
        if (kube->idle_count < KUBE_IDLE_HANDLES)
            kube->idle[kube->idle_count++] = t->easy;
        else
            curl_easy_cleanup(t->easy);
    }
    curl_slist_free_all(t->headers);
    t->easy = NULL;
    t->headers = NULL;
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
    else if (t->request.urgent)
        set_deadline(t);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg);

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
    t->deadline = evtimer_new(kube->loop, on_deadline, t);
    t->url = url.data;
    TAILQ_INSERT_TAIL(&kube->transfers, t, link);
    begin(t);
    return t;
}

static void discard(struct kube_transfer *t)
{
    TAILQ_REMOVE(&t->kube->transfers, t, link);
    detach(t);
    kube_timer_free(t->kube, t->deadline);
    buffer_free(&t->in);
    free(t->url);
    free(t);
}

void kube_transfer_cancel(struct kube_transfer *transfer)
{
    if (transfer != NULL)
        discard(transfer);
}

void kube_transfer_abandon(struct kube_transfer *transfer, int64_t since_ms)
{
    if (transfer != NULL && transfer->easy != NULL)
        kube_loop_cut_silent(transfer->kube, transfer->easy, since_ms);
    kube_transfer_cancel(transfer);
}

static int distrust(struct kube *kube, const char *detail, struct error *err)
{
    int why = kube->verify_error;
    const char *remedy =
        why == X509_V_OK ? "set tls-server-name to a name that the certificate bears"
        : why == X509_V_ERR_CERT_HAS_EXPIRED || why == X509_V_ERR_CERT_NOT_YET_VALID
            ? "renew the API server's certificate, or set this machine's clock"
            : "is certificate-authority-data the CA of this server, or of one before it?";
    kube->verify_error = X509_V_OK;
    return err_set_reason(err, ERR_TRANSPORT, "CertificateNotTrusted", "%s: %s; %s",
                          kube->config.server,
                          why == X509_V_OK ? detail : X509_verify_cert_error_string(why), remedy);
}

static int transport_error(struct kube_transfer *t, CURLcode code, struct error *err)
{
    const char *server = t->kube->config.server;
    const char *detail = t->detail[0] ? t->detail : curl_easy_strerror(code);
    if (t->too_large)
        return err_set(err, ERR_INTERNAL, "the answer of %s to %s is over the limit of %d bytes",
                       server, t->request.path, KUBE_ANSWER_MAX_BYTES);
    if (code == CURLE_SSL_CONNECT_ERROR && t->kube->verify_error != X509_V_OK)
        return distrust(t->kube, detail, err);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return err_set_reason(err, ERR_TIMEOUT, "APIServerTimeout", "%s: %s", server, detail);
    case CURLE_PEER_FAILED_VERIFICATION:
        return distrust(t->kube, detail, err);
    case CURLE_SSL_CERTPROBLEM:
        return err_set_reason(err, ERR_INVALID, "ClientCertificateInvalid",
                              "%s: %s; do client-certificate and client-key belong together?",
                              server, detail);
    default:
        return err_set_reason(err, ERR_TRANSPORT, "APIServerUnreachable", "%s: %s", server, detail);
    }
}

static void finish(struct kube_transfer *t, int status, const struct error *err)
{
    struct kube *kube = t->kube;
    struct kube_transfer_request request = t->request;
    struct buffer body = t->in;
    t->in = (struct buffer){0};
    discard(t);
    t = NULL;
    kube->ended_since_trim++;
    request.done(request.arg, status, &body, err);
    buffer_free(&body);
}

static void ended(struct kube_transfer *t, CURLcode code)
{
    struct error err = {0};
    long status = 0;
    curl_off_t retry_after_s = 0;
    if (code != CURLE_OK) {
        transport_error(t, code, &err);
        finish(t, 0, &err);
        return;
    }
    t->kube->answered++;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    if (status == 401 && !t->renewed && kube_auth_renew(t->kube->auth)) {
        t->renewed = true;
        t->in.length = 0;
        detach(t);
        begin(t);
        return;
    }
    if (status >= 300)
        err_ignore(kube_reply_error((int)status, (int)retry_after_s * t->kube->timing.second_ms,
                                    t->in.data, t->in.length,
                                    &err)); /* finish() looks at the class */
    finish(t, (int)status, &err);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct kube_transfer *t = arg;
    struct error err;
    err_set_reason(&err, ERR_TIMEOUT, "APIServerTimeout", "%s: no answer to %s %s within %d ms",
                   t->kube->config.server, verbs[t->request.method], t->request.path,
                   t->request.timeout_ms);
    if (t->easy != NULL)
        kube_loop_cut_silent(t->kube, t->easy, t->started_ms);
    finish(t, 0, &err);
}

static void hand_out(struct kube_transfer *t)
{
    t->fresh = false;
    t->request.data(t->request.arg, &t->in);
}

/* A callback may cancel any transfer, so each round looks at the list anew. */
static bool pump_one(struct kube *kube)
{
    struct kube_transfer *t;
    TAILQ_FOREACH(t, &kube->transfers, link)
    {
        if (t->fresh) {
            hand_out(t);
            return true;
        }
        if (t->state == FAILED) {
            struct error err = t->failure;
            finish(t, 0, &err);
            return true;
        }
    }
    return false;
}

/* After a burst of requests the heap is full of holes that the next hours do not need. */
static void trim(struct kube *kube)
{
    struct kube_transfer *t;
    if (kube->ended_since_trim < TRIM_AFTER)
        return;
    TAILQ_FOREACH(t, &kube->transfers, link)
    if (t->request.data == NULL)
        return;
    kube->ended_since_trim = 0;
    malloc_trim(0);
}

void kube_transfer_pump(struct kube *kube)
{
    CURLMsg *message;
    int left;
    do {
        while (pump_one(kube))
            ;
        message = curl_multi_info_read(kube->multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE) {
            struct kube_transfer *t = NULL;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
            ended(t, message->data.result);
        }
    } while (message != NULL);
    trim(kube);
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
