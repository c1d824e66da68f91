/*
 * Links, statically and without getting in each other's way, one entry of every library that pgkeel
 * stands on, and runs it. hack/deps accepts no prefix that this does not build and pass with.
 */
#include <ares.h>
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <event2/bufferevent_ssl.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/http.h>
#include <libpq-fe.h>
#include <lz4.h>
#include <openssl/ssl.h>
#include <pg_query.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>
#include <zlib.h>
#include <zstd.h>

static int failed;

static void expect(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "probe: %s\n", what);
        failed = 1;
    }
}

static void probe_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    const int wanted =
        CURL_VERSION_SSL | CURL_VERSION_HTTP2 | CURL_VERSION_LIBZ | CURL_VERSION_ASYNCHDNS;
    expect((info->features & wanted) == wanted,
           "libcurl lacks one of TLS, HTTP/2, zlib, asynchronous DNS");
    expect(info->ares != NULL, "libcurl resolves names without c-ares");
    for (const char *const *p = info->protocols; *p; p++)
        expect(!strcmp(*p, "http") || !strcmp(*p, "https"),
               "libcurl speaks more than http and https");
    CURLM *multi = curl_multi_init();
    expect(multi != NULL, "curl_multi_init failed");
    curl_multi_cleanup(multi);
    curl_global_cleanup();
}

static void probe_event(void)
{
    struct event_base *base = event_base_new();
    struct evdns_base *dns = evdns_base_new(base, 0);
    struct evhttp *http = evhttp_new(base);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    struct bufferevent *tls = bufferevent_openssl_socket_new(
        base, -1, SSL_new(context), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    expect(dns && http && tls, "libevent lacks one of evdns, evhttp, bufferevent_openssl");
    bufferevent_free(tls);
    evhttp_free(http);
    evdns_base_free(dns, 0);
    event_base_free(base);
    SSL_CTX_free(context);
}

/* libpq and libpg_query each bring a copy of PostgreSQL's encoding tables: both must answer. */
static void probe_postgres(void)
{
    PGconn *connection = PQconnectdb("host=/nonexistent user=probe dbname=probe");
    expect(PQstatus(connection) == CONNECTION_BAD, "libpq connected to a folder that is not there");
    expect(PQmblen("\xc3\xa4", 6) == 2, "libpq does not know UTF-8");
    PQfinish(connection);
    char *verifier = PQencryptPasswordConn(NULL, "", "", "");
    expect(verifier == NULL, "libpq made a verifier without a connection");

    PgQueryProtobufParseResult good =
        pg_query_parse_protobuf("MERGE INTO a USING b ON a.i = b.i "
                                "WHEN NOT MATCHED BY SOURCE THEN DELETE");
    expect(good.error == NULL, "libpg_query does not parse PostgreSQL 17");
    pg_query_free_protobuf_parse_result(good);
    PgQueryProtobufParseResult bad = pg_query_parse_protobuf("SELEC 1");
    expect(bad.error != NULL && bad.error->cursorpos == 1,
           "libpg_query does not locate a syntax error");
    pg_query_free_protobuf_parse_result(bad);
}

static void probe_small(void)
{
    cJSON *object = cJSON_Parse("{\"a\": [1]}");
    expect(cJSON_GetArraySize(cJSON_GetObjectItem(object, "a")) == 1, "cJSON misread an array");
    cJSON_Delete(object);

    yaml_parser_t parser;
    expect(yaml_parser_initialize(&parser) == 1, "libyaml cannot make a parser");
    yaml_parser_delete(&parser);

    int major, minor, patch;
    yaml_get_version(&major, &minor, &patch);
    expect(crc32(0, (const Bytef *)"123456789", 9) == 0xcbf43926UL, "zlib computes a wrong CRC");
    expect(ZSTD_versionNumber() >= 10400 && LZ4_versionNumber() >= 10900, "zstd or lz4 is too old");
    expect(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS, "c-ares cannot start");
    ares_library_cleanup();
}

int main(void)
{
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    probe_curl();
    probe_event();
    probe_postgres();
    probe_small();
    printf("%s; libpq %d; libpg_query %s; %s; libevent %s; zstd %s; lz4 %s\n", curl_version(),
           PQlibVersion(), PG_VERSION, OpenSSL_version(OPENSSL_VERSION), event_get_version(),
           ZSTD_versionString(), LZ4_versionString());
    return failed;
}
