/* The names of a server certificate, as libpq compares them. */
#include "kube_pki.h"

#include "postgres/certificate.h"

static void a_name_is_found_among_all_and_nothing_else_passes_for_it(void **state)
{
    (void)state;
    AUTO_ARENA arena = arena_new();
    const char *pem =
        identity_new(arena, "a-ro.shop.svc",
                     "DNS:a-r.shop.svc,DNS:a-rw.shop.svc,DNS:*.a-pods.shop.svc,IP:127.0.0.1", NULL,
                     3600)
            ->certificate_pem;
    assert_true(certificate_names(pem, "a-rw.shop.svc"));
    assert_true(certificate_names(pem, "A-RW.shop.svc"));
    assert_true(certificate_names(pem, "a-1-0.a-pods.shop.svc"));
    assert_true(certificate_names(pem, "127.0.0.1"));
    assert_false(certificate_names(pem, "127.0.0.2"));
    assert_false(certificate_names(pem, "b-rw.shop.svc"));
    assert_false(certificate_names(pem, "a-rw.shop.svc.cluster.local"));
    assert_false(certificate_names(pem, "a.b.a-pods.shop.svc"));
    assert_false(certificate_names(pem, "a-ro.shop.svc")); /* with names, the subject is none */
}

static void what_is_no_certificate_names_nobody(void **state)
{
    (void)state;
    assert_false(certificate_names("", "a-rw.shop.svc"));
    assert_false(certificate_names("-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n",
                                   "a-rw.shop.svc"));
}

int main(void)
{
    (void)tls_server; /* nobody speaks TLS here */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_found_among_all_and_nothing_else_passes_for_it),
        cmocka_unit_test(what_is_no_certificate_names_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
