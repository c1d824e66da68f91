#include "postgres/certificate.h"

#include <arpa/inet.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static bool is_address(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

bool certificate_names(const char *pem, const char *host)
{
    BIO *text = BIO_new_mem_buf(pem, (int)strlen(pem));
    X509 *certificate = text ? PEM_read_bio_X509(text, NULL, NULL, NULL) : NULL;
    bool named = false;
    if (certificate != NULL && is_address(host))
        named = X509_check_ip_asc(certificate, host, 0) == 1;
    else if (certificate != NULL)
        named =
            X509_check_host(certificate, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
    X509_free(certificate);
    BIO_free(text);
    ERR_clear_error();
    return named;
}
