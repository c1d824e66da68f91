# shellcheck shell=bash
# PgBouncer as the image brings it: what kind of file it is, and what strangers do to it. Sourced by
# tests/image/run, after image.sh; test_postgres starts it, too.

POOLER_FILE=$IMAGE_ROOT/usr/sbin/pgbouncer
POOLER_PORT=6418

# pooler_start: on a read-only root under the image's own uid, with the configuration from stdin and what else
# the operator would mount. The password of postgres is 'secret', and that of alice 'wonder'.
pooler_start() {
    local config=$IMAGE_ROOT/etc/pgbouncer
    mkdir -p "$config" "$IMAGE_ROOT/dev"
    mount --bind "$IMAGE_ROOT" "$IMAGE_ROOT"
    mount -o remount,bind,ro "$IMAGE_ROOT"
    mount -t tmpfs none "$config"
    {
        cat
        printf '%s\n' 'listen_addr = 127.0.0.1' "listen_port = $POOLER_PORT" 'unix_socket_dir =' \
            'auth_file = /etc/pgbouncer/users' 'pool_mode = transaction'
    } >"$config/pgbouncer.ini"
    printf '"postgres" "secret"\n"alice" "wonder"\n' >"$config/users"
    printf 'host slow all 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n' >"$config/hba"
    chmod 644 "$config"/*
    chroot --userspec=65532:65532 "$IMAGE_ROOT" /usr/sbin/pgbouncer -q /etc/pgbouncer/pgbouncer.ini &
    POOLER=$!
}

# A process in an endless loop does not hear SIGINT.
pooler_stop() {
    kill "-${1:-INT}" "$POOLER"
    wait "$POOLER" || true
    umount "$IMAGE_ROOT/etc/pgbouncer"
    umount "$IMAGE_ROOT"
}

pooler_names_no_loader() {
    readelf --program-headers "$POOLER_FILE" | absent 'program interpreter'
    readelf --dynamic "$POOLER_FILE" | absent NEEDED
    find "$IMAGE_ROOT" -name '*.so*' | absent .
}

# At an address of chance, with nothing to write to but data.
pooler_is_hardened() {
    readelf --sections "$POOLER_FILE" | absent -E '\.symtab|\.debug_info'
    readelf --dynamic "$POOLER_FILE" | grep -E 'FLAGS_1.*NOW.*PIE'
    readelf --program-headers "$POOLER_FILE" >"$WORK/headers"
    grep GNU_RELRO "$WORK/headers"
    grep -A 1 GNU_STACK "$WORK/headers" | absent -E 'R?WE'
}

# The version that pgkeel names is the one that lies beside it, and has none of the holes that 1.25.2 closed.
pooler_is_the_one_named() {
    local named runs
    named=$("$IMAGE_ROOT/usr/bin/pgkeel" version | sed -n 's/^pgbouncer //p')
    "$POOLER_FILE" --version | tee "$WORK/version"
    grep -q '^adns: c-ares' "$WORK/version"
    grep -q '^tls: OpenSSL' "$WORK/version"
    runs=$(sed -n '1s/^PgBouncer //p' "$WORK/version")
    [ "${named%%-*}" = "$runs" ] || { echo "pgkeel names '$named'"; return 1; }
    printf '1.25.2\n%s\n' "$runs" | sort --version-sort --check
}

# withstands WHAT: stranger.py does it, and PgBouncer lets the next client begin its login.
withstands() {
    local status=0
    pooler_start <<EOF
[databases]
postgres = host=127.0.0.1 port=1
slow = host=127.0.0.1 port=6419 user=postgres password=secret
[pgbouncer]
auth_type = hba
auth_hba_file = /etc/pgbouncer/hba
server_tls_sslmode = disable
ignore_startup_parameters = extra_float_digits
EOF
    python3 tests/image/stranger.py "$POOLER_PORT" "$1" || status=$?
    pooler_stop KILL
    return "$status"
}

test_pooler() {
    [ -d "$IMAGE_ROOT" ] || check "image: it is assembled from the static file" assembles
    check "pgbouncer: it names no loader, and no shared library is left in the image" pooler_names_no_loader
    check "pgbouncer: it is stripped, position-independent, and read-only after its start" pooler_is_hardened
    check "pgbouncer: it is the version that 'pgkeel version' names, 1.25.2 or later" pooler_is_the_one_named
    check "pgbouncer: it withstands a SCRAM message without a nonce" withstands nonce
    check "pgbouncer: it withstands a startup option without a name" withstands option
    check "pgbouncer: it refuses another user within a login" withstands change
    check "pgbouncer: it refuses a server that asks for endless work" withstands work
}
