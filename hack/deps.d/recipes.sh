# shellcheck shell=bash
# How each library becomes a static archive in $PREFIX. Every recipe runs in the folder of its own
# unpacked source, with $PREFIX, $JOBS and $SIZE_CFLAGS set. Sourced by hack/deps.

# Small, and in one section per function, so that the final link drops what is never called; hardened
# as Debian hardens its packages, because libcurl and libpq read what strangers send.
SIZE_CFLAGS='-Os -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -w'
SIZE_CFLAGS+=' -fstack-protector-strong -D_FORTIFY_SOURCE=2'

build_cjson() {
    # shellcheck disable=SC2086
    gcc $SIZE_CFLAGS -DCJSON_NESTING_LIMIT=200 -c cJSON.c -o cJSON.o
    ar rcs "$PREFIX/lib/libcjson.a" cJSON.o
    install -D -m 644 cJSON.h "$PREFIX/include/cjson/cJSON.h"
}

# HTTP(S) with HTTP/2 by c-ares, proxies, and the S3 signature; no other protocol, no login scheme that
# drags Kerberos in, and no OpenSSL configuration read from whatever image the file happens to run in.
build_curl() {
    CFLAGS=$SIZE_CFLAGS ./configure --quiet --prefix="$PREFIX" --disable-shared --enable-static \
        --disable-dependency-tracking --with-openssl --disable-openssl-auto-load-config \
        --with-nghttp2 --enable-ares --with-zlib --without-zstd --without-brotli --without-libpsl \
        --without-libidn2 --without-libssh2 --without-librtmp --without-libgsasl --without-gssapi \
        --without-ca-path --with-ca-bundle=/etc/ssl/certs/ca-certificates.crt \
        --disable-docs --disable-manual --disable-libcurl-option \
        --disable-ftp --disable-file --disable-ipfs --disable-ldap --disable-ldaps --disable-rtsp \
        --disable-dict --disable-telnet --disable-tftp --disable-pop3 --disable-imap --disable-smb \
        --disable-smtp --disable-gopher --disable-mqtt --disable-websockets --disable-doh \
        --disable-ntlm --disable-kerberos-auth --disable-negotiate-auth --disable-tls-srp \
        --disable-digest-auth --enable-aws --disable-netrc --disable-alt-svc --disable-hsts \
        --disable-cookies --disable-form-api --disable-mime --disable-progress-meter
    make -s -C lib -j"$JOBS" install
    make -s -C include install
}

build_libpq() {
    CFLAGS="$SIZE_CFLAGS -fno-strict-aliasing -fwrapv" ./configure --quiet --prefix="$PREFIX" \
        --with-openssl --without-gssapi --without-ldap --without-icu --without-readline --without-zlib \
        --without-lz4 --without-zstd --without-llvm --without-systemd
    # First and alone: with -j the libraries would start before the headers they share are there.
    make -s -C src/backend generated-headers
    make -s -j"$JOBS" -C src/interfaces/libpq all-static-lib
    make -s -j"$JOBS" -C src/common libpgcommon_shlib.a
    make -s -j"$JOBS" -C src/port libpgport_shlib.a
    install -m 644 src/interfaces/libpq/libpq.a src/common/libpgcommon_shlib.a src/port/libpgport_shlib.a "$PREFIX/lib/"
    install -m 644 src/interfaces/libpq/libpq-fe.h src/interfaces/libpq/libpq-events.h \
        src/include/postgres_ext.h src/include/pg_config_ext.h "$PREFIX/include/"
}

# libpg_query carries its own copy of PostgreSQL's wchar, string and memory code under the names that
# libpq uses for its copy. One relocatable object with all of them made local cannot clash.
build_libpg_query() {
    local object=pg_query_all.o
    make -s -j"$JOBS" build CFLAGS_OPT_LEVEL="$SIZE_CFLAGS -g0"
    ld -r --whole-archive libpg_query.a -o "$object"
    # raw_expression_tree_walker_impl walks what pg_query_raw_parse returns.
    objcopy --wildcard --keep-global-symbol='pg_query_*' \
        --keep-global-symbol=raw_expression_tree_walker_impl "$object"
    ar rcs "$PREFIX/lib/libpg_query.a" "$object"
    install -m 644 pg_query.h "$PREFIX/include/pg_query.h"
    mkdir -p "$PREFIX/include/pg_query"
    install -m 644 src/pg_query_internal.h protobuf/pg_query.pb-c.h "$PREFIX/include/pg_query/"
    mkdir -p "$PREFIX/include/protobuf-c"
    install -m 644 vendor/protobuf-c/protobuf-c.h "$PREFIX/include/protobuf-c/"
    # The parse tree's own headers, apart, because their names are as common as c.h.
    cp -r src/postgres/include "$PREFIX/include/pg_query/postgres"
}
