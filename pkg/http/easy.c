/* The options of a transfer in libcurl: address, TLS, connection, headers. */
#include "http/internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* The kernel notices a silent peer within about a minute, before the stall deadline of a watch. */
enum { KEEPALIVE_S = 30, KEEPALIVE_INTERVAL_S = 10, USER_TIMEOUT_MS = 30000 };

enum { BUFFER_BYTES = 16384 };

static int on_new_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    (void)arg, (void)purpose;
    int timeout = USER_TIMEOUT_MS;
    /* Without it (old kernels) a silent peer is noticed more slowly. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
    return CURL_SOCKOPT_OK;
}

static struct curl_blob blob_of(const char *pem)
{
    return (struct curl_blob){(char *)pem, strlen(pem), CURL_BLOB_COPY};
}

static void set_tls(struct http_transfer *t)
{
    const struct http_tls system = {0};
    const struct http_tls *tls = t->request.tls ? t->request.tls : &system;
    curl_easy_setopt(t->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, tls->insecure ? 0L : 1L);
    curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, tls->insecure ? 0L : 2L);
    curl_easy_setopt(t->easy, CURLOPT_SSL_CTX_FUNCTION, http_failure_watch_tls);
    curl_easy_setopt(t->easy, CURLOPT_SSL_CTX_DATA, t);
    if (tls->ca_pem != NULL) {
        struct curl_blob ca = blob_of(tls->ca_pem);
        curl_easy_setopt(t->easy, CURLOPT_CAINFO_BLOB, &ca);
        curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL); /* else the system's CAs count as well */
    }
    if (tls->certificate_pem != NULL && tls->key_pem != NULL) {
        struct curl_blob certificate = blob_of(tls->certificate_pem), key = blob_of(tls->key_pem);
        curl_easy_setopt(t->easy, CURLOPT_SSLCERT_BLOB, &certificate);
        curl_easy_setopt(t->easy, CURLOPT_SSLKEY_BLOB, &key);
    }
}

static void set_connection(struct http_transfer *t)
{
    bool encrypted = strncasecmp(t->request.url, "https:", 6) == 0;
    /* Over TLS, HTTP/2 is negotiated; in clear text it is HTTP/1.1. */
    curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION,
                     encrypted ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    /* Over TLS it waits for a new connection that it may share: the handshake soon shows whether it
     * can. In clear text only the first answer would show it, and a long poll may answer late. */
    curl_easy_setopt(t->easy, CURLOPT_PIPEWAIT, encrypted && !t->request.apart ? 1L : 0L);
    curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, t->request.apart ? 1L : 0L);
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    curl_easy_setopt(t->easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_BYTES);
    if (t->request.connect_ms > 0)
        curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)t->request.connect_ms);
    curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL_S);
    curl_easy_setopt(t->easy, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
    curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (t->request.connect_to != NULL)
        t->connect_to = curl_slist_append(NULL, t->request.connect_to);
    curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to);
    if (t->request.proxy != NULL)
        curl_easy_setopt(t->easy, CURLOPT_PROXY, t->request.proxy);
}

static bool has_body(const struct http_transfer *t)
{
    return t->request.body != NULL || t->request.supply != NULL;
}

static void set_headers(struct http_transfer *t)
{
    const char *const *line = t->request.headers;
    for (; line != NULL && *line != NULL; line++)
        t->headers = curl_slist_append(t->headers, *line);
    if (has_body(t))
        t->headers = curl_slist_append(t->headers, "Expect:"); /* no round trip before the body */
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(t->easy, CURLOPT_USERAGENT, t->http->user_agent);
}

void http_easy_set(struct http_transfer *t)
{
    curl_easy_setopt(t->easy, CURLOPT_URL, t->request.url);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->detail);
    http_body_set(t);
    if (strcmp(t->request.method, "HEAD") == 0)
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    else if (strcmp(t->request.method, "GET") != 0 || has_body(t))
        curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, t->request.method);
    set_connection(t);
    set_tls(t);
    set_headers(t);
}
