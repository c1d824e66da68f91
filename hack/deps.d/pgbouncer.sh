# shellcheck shell=bash
# PgBouncer as one static file, with the notices of what is in it. It is built apart from the libraries, in a
# folder by its own hash: neither is built again when only the other's pin changes, and what makes no image
# never builds it. Sourced by hack/deps, after fetch.sh, recipes.sh and notices.sh.
#
# The folder holds
#   version    of the source, and "+pgkeel" behind it where a patch of this project closes holes
#   archives   the source's two archives
#   root/      the file and the notices, as they lie in the image

# The static archives that it is linked from, beside those that libcrypto needs.
PGBOUNCER_ARCHIVES='libevent.a libcares.a libssl.a libcrypto.a libc.a'

pgbouncer_hash() {
    { toolchain && table_rows pgbouncer && echo "$SIZE_CFLAGS"; } |
        hash_of "$HERE"/deps.d/pgbouncer* "$HERE/deps.d/notices.sh"
}

# pgbouncer_patch VERSION: this project's own, if there is one for that version.
pgbouncer_patch() { echo "$HERE/deps.d/pgbouncer-$1.patch"; }

# pgbouncer_source FOLDER: decided once for the folder, because pgkeel names the version that the image has.
pgbouncer_source() {
    local folder=$1 orig debian version
    [ -e "$folder/version" ] && return
    mkdir -p "$folder"
    fetch_source pgbouncer >"$folder/archives" || return
    read -r orig debian <"$folder/archives"
    version=${debian##*/pgbouncer_}
    version=${version%.debian.tar.*}
    [ ! -e "$(pgbouncer_patch "$version")" ] || version+=+pgkeel
    echo "$version" >"$folder/version.new"
    mv "$folder/version.new" "$folder/version"
}

# Fast rather than small, and at an address of chance: it is what strangers talk to. Names are resolved by
# c-ares. No PAM, LDAP or systemd: they have no static form, and the pods have no use for them.
build_pgbouncer() {
    CFLAGS="$SIZE_CFLAGS -O2 -fPIE" LDFLAGS='-static-pie -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,-O1' \
        LIBS=$CRYPTO_LIBS PKG_CONFIG='pkg-config --static' ./configure --quiet --prefix=/usr \
        --with-cares --with-openssl --without-pam --without-ldap --without-systemd
    make -s -j"$JOBS" pgbouncer
    install -D -s -m 755 pgbouncer "$ROOT/usr/sbin/pgbouncer"
}

# What it says of itself: the version, and that it was not built without TLS or without c-ares.
probe_pgbouncer() {
    local said version=$2
    said=$("$1/usr/sbin/pgbouncer" --version) || return
    case $said in
        "PgBouncer ${version%-*}"$'\n'*"adns: c-ares"*"tls: OpenSSL"*) say "$(paste -sd';' <<<"$said")" ;;
        *) warn "PgBouncer $version says of itself: $said" && return 1 ;;
    esac
}

# pgbouncer_notices SOURCE SHARE: Debian's file names the first author only. What he took from others says whose it
# is in a comment of each file; of PostgreSQL's many, one.
pgbouncer_notices() {
    local file comment name
    local -A seen=()
    notice_of_source "$1" pgbouncer "$2" || return
    for file in "$1"/src/*.c "$1"/{src,include}/common/*.[ch] "$1"/lib/usual/{,*/}*.[ch]; do
        comment=$(awk '/\/\*/ { on = 1; text = "" } on { text = text $0 "\n" }
            /\*\// { if (text ~ /Copyright/) { printf "%s", text; exit } on = 0 }' "$file")
        case $comment in
            '' | *'Marko Kreen'*) continue ;;
            *'PostgreSQL Global Development Group'*) name=postgresql ;;
            *) name=$comment ;;
        esac
        [ -z "${seen[$name]:-}" ] || continue
        seen[$name]=1
        printf '\n==== %s\n\n%s\n' "${file#"$1"/}" "$comment"
    done >>"$2/doc/pgbouncer/copyright"
}

pgbouncer_build() {
    local folder=$1 orig debian version patch
    [ -e "$folder/root" ] && return
    need_room "$folder" 100 "building PgBouncer"
    # The archives may have been deleted since they were fetched.
    read -r orig debian <"$folder/archives"
    [ -e "$orig" ] && [ -e "$debian" ] || { rm "$folder/version" && pgbouncer_source "$folder"; } || return
    read -r orig debian <"$folder/archives"
    version=$(cat "$folder/version")
    patch=$(pgbouncer_patch "${version%+pgkeel}")
    WORK=$(mktemp -d "$folder/build.XXXXXX")
    trap 'rm -rf "$WORK"' EXIT
    ROOT=$WORK/root CRYPTO_LIBS=$(crypto_libs)
    export ROOT CRYPTO_LIBS JOBS SIZE_CFLAGS
    say "build PgBouncer $version (half a minute)"
    run_logged "$WORK/log" unpack_source "$orig" "$debian" "$WORK/source" || return
    [ ! -e "$patch" ] || run_logged "$WORK/log" patch -d "$WORK/source" -p1 --quiet --forward -i "$patch" || return
    run_logged "$WORK/log" bash -euo pipefail -c \
        ". '$HERE/deps.d/pgbouncer.sh'; cd '$WORK/source'; build_pgbouncer" || return
    probe_pgbouncer "$ROOT" "${version%+pgkeel}" || return
    pgbouncer_notices "$WORK/source" "$ROOT/usr/share" || return
    # shellcheck disable=SC2046,SC2086 # names
    notices_of_archives "$ROOT/usr/share" $PGBOUNCER_ARCHIVES $(archives_in "$CRYPTO_LIBS") || return
    chmod -R a+rX "$ROOT"
    mv "$ROOT" "$folder/root"
}
