# shellcheck shell=bash
# The PostgreSQL test images serve, and the operator image's PgBouncer reaches them. Sourced by
# tests/image/run, after install.sh, image.sh and pooler.sh.

# start_postgres NAME OWNER PORT: initdb and a server on loopback, inside the image's root.
start_postgres() {
    local name=$1 owner=$2 port=$3 root
    root=$(root_of "$name")
    mount -t tmpfs -o mode=0755 none "$root/dev"
    mkdir -m 1777 "$root/dev/shm"
    mknod -m 666 "$root/dev/null" c 1 3
    mknod -m 666 "$root/dev/urandom" c 1 9
    in_image "$name" "$owner" sh -eu -c '
        rm -rf /tmp/data /tmp/log
        initdb -D /tmp/data --data-checksums -E UTF8 --auth=trust --no-sync >/tmp/initdb.log
        pg_ctl -D /tmp/data -w -l /tmp/log -o "-p '"$port"' -c listen_addresses=127.0.0.1 -c fsync=off" start ||
            { cat /tmp/log; exit 1; }'
}

stop_postgres() {
    local root
    root=$(root_of "$1")
    in_image "$1" "$2" pg_ctl -D /tmp/data -m fast -w stop
    # pg_ctl waits for the end of the pid file, which the process outlives by its last few steps.
    eventually umount "$root/dev"
}

in_image() {
    local root major=${1#postgres:} owner=$2
    root=$(root_of "$1")
    shift 2
    as "$owner" "$root" /usr/bin/env -i "PATH=/usr/lib/postgresql/$major/bin:/usr/bin" LANG=C.UTF-8 \
        HOME=/tmp "$@"
}

# serves NAME OWNER: a server, the contributed modules, time zones, a base backup, pg_rewind.
serves() {
    local name=$1 owner=$2 major=${1#postgres:}
    start_postgres "$name" "$owner" "54$major"
    in_image "$name" "$owner" psql -X -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "54$major" -d postgres -At \
        -c 'CREATE EXTENSION pg_stat_statements' -c 'CREATE EXTENSION pgcrypto' \
        -c "SELECT timestamptz '2024-07-01 00:00Z' AT TIME ZONE 'Europe/Berlin'" >"$WORK/answer"
    grep -x '2024-07-01 02:00:00' "$WORK/answer"
    in_image "$name" "$owner" pg_basebackup -h 127.0.0.1 -p "54$major" -D /tmp/copy -X stream -c fast
    in_image "$name" "$owner" pg_rewind --version
    stop_postgres "$name" "$owner"
}

# The image's PgBouncer, in front of a server.
pools() {
    local owner=26:26
    start_postgres postgres:17 "$owner" 5418
    pooler_start <<EOF
[databases]
* = host=127.0.0.1 port=5418
[pgbouncer]
auth_type = scram-sha-256
EOF
    eventually ask_pooler "$owner"
    ask_pooler "$owner" >"$WORK/answer"
    pooler_stop
    stop_postgres postgres:17 "$owner"
    grep -x 'PostgreSQL 17' "$WORK/answer"
}

ask_pooler() {
    in_image postgres:17 "$1" env PGPASSWORD=secret psql -X -h 127.0.0.1 -p "$POOLER_PORT" -U postgres -d postgres -At \
        -c "SELECT substring(version() FROM 'PostgreSQL [0-9]+')"
}

test_postgres() {
    check "postgres: PostgreSQL 17 of the test image serves as uid 26" serves postgres:17 26:26
    check "postgres: PostgreSQL 15 of the test image serves as uid 100, gid 102" serves postgres:15 100:102
    [ -d "$IMAGE_ROOT" ] || check "image: it is assembled from the static file" assembles
    check "postgres: the operator image's PgBouncer pools for PostgreSQL 17 on a read-only root" pools
}
