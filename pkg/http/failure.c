/* Why libcurl gave up, as an enum http_trouble. */
#include "http/internal.h"

#include <stdint.h>

#include <openssl/ssl.h>

/* Where a TLS context keeps the number of the transfer for which it was created. */
static int number_index(void)
{
    static int index = -1;
    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return index;
}

/* Keeps OpenSSL's verdict and notes its reason, because libcurl reports some reasons only as
 * numbers. */
static int on_verdict(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    SSL_CTX *context = SSL_get_SSL_CTX(ssl);
    struct http *http = SSL_CTX_get_app_data(context);
    if (!good && SSL_CTX_get_verify_mode(context) != SSL_VERIFY_NONE) {
        http->verify_error = X509_STORE_CTX_get_error(store);
        http->verify_number = (intptr_t)SSL_CTX_get_ex_data(context, number_index());
    }
    return good;
}

CURLcode http_failure_watch_tls(CURL *easy, void *context, void *transfer)
{
    (void)easy;
    const struct http_transfer *t = transfer;
    /* The context lives as long as the connection, which may be longer than the transfer. */
    SSL_CTX_set_app_data(context, t->http);
    SSL_CTX_set_ex_data(context, number_index(), (void *)(intptr_t)t->number);
    SSL_CTX_set_verify(context, SSL_CTX_get_verify_mode(context), on_verdict);
    /* Buffers of idle TLS connections go back to the heap: most connections here are idle. */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return CURLE_OK;
}

static ERR_CHECKED enum http_trouble distrust(struct http *http, int why, const char *detail,
                                              struct error *err)
{
    http->verify_error = X509_V_OK;
    err_set(err, ERR_TRANSPORT, "%s",
            why == X509_V_OK ? detail : X509_verify_cert_error_string(why));
    switch (why) {
    case X509_V_OK: /* libcurl's own check, after OpenSSL's: the name */
        return HTTP_UNTRUSTED_NAME;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return HTTP_UNTRUSTED_TIME;
    default:
        return HTTP_UNTRUSTED;
    }
}

enum http_trouble http_failure(struct http_transfer *t, CURLcode code, struct error *err)
{
    struct http *http = t->http;
    const char *detail = t->detail[0] ? t->detail : curl_easy_strerror(code);
    int why = http->verify_number == t->number ? http->verify_error : X509_V_OK;
    if (t->too_large) {
        err_set(err, ERR_INTERNAL, "the answer is over the limit of %zu bytes", http_body_limit(t));
        return HTTP_TOO_LARGE;
    }
    if (code == CURLE_PEER_FAILED_VERIFICATION ||
        (code == CURLE_SSL_CONNECT_ERROR && why != X509_V_OK))
        return distrust(http, why, detail, err);
    err_set(err, ERR_TRANSPORT, "%s", detail);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        err->class = ERR_TIMEOUT;
        return HTTP_CONNECT_TIMEOUT;
    case CURLE_SSL_CERTPROBLEM:
        err->class = ERR_INVALID;
        return HTTP_OWN_CERTIFICATE;
    case CURLE_PARTIAL_FILE:
        return HTTP_CUT_OFF;
    default:
        return HTTP_UNREACHABLE;
    }
}
