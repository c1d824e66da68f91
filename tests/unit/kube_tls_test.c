#include "kube_server.h"

#include "kube_pki.h"

struct scene {
    struct world world;
    struct identity *ca, *server;
    int done;
    struct error err;
    char peer[64], sni[64]; /* what the server saw of the client */
};

static void on_done(void *arg, const cJSON *body, const struct error *err)
{
    (void)body;
    struct scene *s = arg;
    s->done++;
    s->err = *err;
}

static void answer(struct server *server, struct exchange *x)
{
    struct scene *s = server->arg;
    SSL *ssl = bufferevent_openssl_get_ssl(x->stream);
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    X509 *peer = SSL_get1_peer_certificate(ssl);
    snprintf(s->sni, sizeof s->sni, "%s", name ? name : "");
    if (peer != NULL)
        X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, s->peer,
                                  sizeof s->peer);
    X509_free(peer);
    reply(x, 200, "", "{}");
}

static void never_answer(struct server *server, struct exchange *x)
{
    (void)server, (void)x;
}

static int open_scene(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    world_open(&s->world, answer, s);
    s->ca = identity_new(s->world.arena, "ca", NULL, NULL, 3600);
    s->server = identity_new(s->world.arena, "server", "DNS:api.example,IP:127.0.0.1", s->ca, 3600);
    s->world.server->tls = tls_server(s->server, NULL);
    s->world.config.server =
        arena_printf(s->world.arena, "https://127.0.0.1:%d", s->world.server->port);
    s->world.config.ca_pem = s->ca->certificate_pem;
    *state = s;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *s = *state;
    world_close(&s->world);
    free(s);
    return 0;
}

static void serve_as(struct scene *s, const struct identity *identity,
                     const struct identity *client_ca)
{
    SSL_CTX_free(s->world.server->tls);
    s->world.server->tls = tls_server(identity, client_ca);
}

static void ask(struct scene *s)
{
    struct kube_request request = {.path = "/version"};
    kube_free(s->world.kube);
    world_client(&s->world);
    s->done = 0;
    kube_call_start(s->world.kube, &request, on_done, s);
    run_until(s->world.loop, &s->done, 1);
}

static void expect_distrust(struct scene *s, const char *remedy)
{
    assert_int_equal(s->err.class, ERR_TRANSPORT);
    assert_string_equal(s->err.reason, "CertificateNotTrusted");
    if (strstr(s->err.text, remedy) == NULL)
        fail_msg("'%s' is not in '%s'", remedy, s->err.text);
    assert_int_equal(s->world.server->requests, 0);
}

static void a_server_of_the_given_ca_is_trusted(void **state)
{
    struct scene *s = *state;
    ask(s);
    assert_int_equal(s->err.class, 0);
    assert_string_equal(s->peer, "");
}

static void a_server_of_another_ca_is_refused(void **state)
{
    struct scene *s = *state;
    s->world.config.ca_pem = identity_new(s->world.arena, "ca", NULL, NULL, 3600)->certificate_pem;
    ask(s);
    expect_distrust(s, "certificate-authority-data");
}

static void a_server_is_refused_by_the_systems_cas(void **state)
{
    struct scene *s = *state;
    s->world.config.ca_pem = NULL;
    ask(s);
    expect_distrust(s, "certificate-authority-data");
}

static void a_certificate_for_another_name_is_refused(void **state)
{
    struct scene *s = *state;
    serve_as(s, identity_new(s->world.arena, "x", "DNS:other.example", s->ca, 3600), NULL);
    ask(s);
    expect_distrust(s, "tls-server-name");
}

static void an_expired_certificate_is_refused(void **state)
{
    struct scene *s = *state;
    serve_as(s, identity_new(s->world.arena, "x", "IP:127.0.0.1", s->ca, -60), NULL);
    ask(s);
    expect_distrust(s, "certificate has expired; renew");
}

static void tls_server_name_is_verified_in_place_of_the_address(void **state)
{
    struct scene *s = *state;
    serve_as(s, identity_new(s->world.arena, "x", "DNS:api.example", s->ca, 3600), NULL);
    s->world.config.tls_server_name = "api.example";
    ask(s);
    assert_int_equal(s->err.class, 0);
    assert_string_equal(s->sni, "api.example");
    assert_non_null(strstr(s->world.server->last_headers, "\r\nHost: 127.0.0.1:"));
    s->world.config.tls_server_name = "other.example";
    s->world.server->requests = 0;
    ask(s);
    expect_distrust(s, "tls-server-name");
}

static void an_allowed_insecure_server_is_not_verified(void **state)
{
    struct scene *s = *state;
    s->world.config.ca_pem = NULL;
    s->world.config.insecure = true;
    ask(s);
    assert_int_equal(s->err.class, 0);
}

static void a_client_certificate_is_shown(void **state)
{
    struct scene *s = *state;
    struct identity *client = identity_new(s->world.arena, "jane", "", s->ca, 3600);
    serve_as(s, s->server, s->ca);
    s->world.config.client_cert_pem = client->certificate_pem;
    s->world.config.client_key_pem = client->key_pem;
    ask(s);
    assert_int_equal(s->err.class, 0);
    assert_string_equal(s->peer, "jane");
}

static void a_server_that_wants_a_client_certificate_refuses_without(void **state)
{
    struct scene *s = *state;
    serve_as(s, s->server, s->ca);
    ask(s);
    assert_int_equal(s->err.class, ERR_TRANSPORT);
    assert_int_equal(s->world.server->requests, 0);
}

static void a_key_of_another_certificate_is_named(void **state)
{
    struct scene *s = *state;
    struct identity *client = identity_new(s->world.arena, "jane", "", s->ca, 3600);
    s->world.config.client_cert_pem = client->certificate_pem;
    s->world.config.client_key_pem = s->server->key_pem;
    ask(s);
    assert_int_equal(s->err.class, ERR_INVALID);
    assert_string_equal(s->err.reason, "ClientCertificateInvalid");
}

static void a_server_that_speaks_no_tls_is_a_transport_failure(void **state)
{
    struct scene *s = *state;
    SSL_CTX_free(s->world.server->tls);
    s->world.server->tls = NULL;
    s->world.server->answer = never_answer;
    struct kube_timing timing = quick;
    timing.connect_ms = 100;
    struct kube_request request = {.path = "/version"};
    kube_free(s->world.kube);
    world_client(&s->world);
    kube_set_timing(s->world.kube, &timing);
    kube_call_start(s->world.kube, &request, on_done, s);
    run_until(s->world.loop, &s->done, 1);
    assert_int_equal(s->err.class, ERR_TIMEOUT);
}

static void a_proxy_is_asked_for_a_tunnel(void **state)
{
    struct scene *s = *state;
    struct kube_request request = {.path = "/version"};
    SSL_CTX_free(s->world.server->tls);
    s->world.server->tls = NULL;
    s->world.server->answer = never_answer;
    s->world.config.proxy_url =
        arena_printf(s->world.arena, "http://127.0.0.1:%d", s->world.server->port);
    s->world.config.server = "https://10.255.0.1:443";
    kube_free(s->world.kube);
    world_client(&s->world);
    struct kube_call *call = kube_call_start(s->world.kube, &request, on_done, s);
    run_until(s->world.loop, &s->world.server->requests, 1);
    assert_string_equal(s->world.server->last_method, "CONNECT");
    assert_string_equal(s->world.server->last_target, "10.255.0.1:443");
    kube_call_cancel(call);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_server_of_the_given_ca_is_trusted),
        TEST(a_server_of_another_ca_is_refused),
        TEST(a_server_is_refused_by_the_systems_cas),
        TEST(a_certificate_for_another_name_is_refused),
        TEST(an_expired_certificate_is_refused),
        TEST(tls_server_name_is_verified_in_place_of_the_address),
        TEST(an_allowed_insecure_server_is_not_verified),
        TEST(a_client_certificate_is_shown),
        TEST(a_server_that_wants_a_client_certificate_refuses_without),
        TEST(a_key_of_another_certificate_is_named),
        TEST(a_server_that_speaks_no_tls_is_a_transport_failure),
        TEST(a_proxy_is_asked_for_a_tunnel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
