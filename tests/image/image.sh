# shellcheck shell=bash
# The operator's image, assembled from the file under test. Sourced by tests/image/run.

IMAGE_ROOT=$WORK/image-root
MAX_COMPRESSED=$((40 * 1048576))

assembles() {
    mkdir -p "$IMAGE_ROOT"
    layers | while read -r layer; do
        tar -xOf "$ARCHIVE" "$layer" | gzip -dcf | tar -x -C "$IMAGE_ROOT"
    done
    cmp "$PGKEEL" "$IMAGE_ROOT/usr/bin/pgkeel"
}

layers() { tar -xOf "$ARCHIVE" manifest.json | jq -r '.[0].Layers[]'; }

is_quick_and_lasting() {
    local before
    before=$(stat -c %y "$ARCHIVE")
    hack/image build --from-binary "$PGKEEL" --output "$ARCHIVE" --tag localhost/pgkeel:test
    [ "$(stat -c %y "$ARCHIVE")" = "$before" ]
}

is_reproducible() {
    hack/image build --from-binary "$PGKEEL" --output "$WORK/again.tar" --tag localhost/pgkeel:test
    cmp "$ARCHIVE" "$WORK/again.tar"
}

image_is_small() {
    local bytes
    bytes=$(gzip -6 <"$ARCHIVE" | wc -c)
    echo "$bytes bytes"
    [ "$bytes" -le "$MAX_COMPRESSED" ]
}

# Anything that is not the file, PgBouncer, the certificates, the account or a notice is too much.
holds_nothing_else() {
    find "$IMAGE_ROOT" ! -type d -printf '/%P\n' | sort >"$WORK/files"
    grep -x /usr/bin/pgkeel "$WORK/files"
    grep -x /usr/sbin/pgbouncer "$WORK/files"
    grep -x /etc/ssl/certs/ca-certificates.crt "$WORK/files"
    absent -vE '^/usr/share/(doc/[a-z0-9+.-]+/copyright|common-licenses/[A-Z][A-Za-z0-9.-]+)$|^/usr/bin/pgkeel$|^/usr/sbin/pgbouncer$|^/etc/(passwd|group|ssl/certs/ca-certificates\.crt)$' \
        <"$WORK/files"
    find "$IMAGE_ROOT" \( -perm /6000 -o -perm -0002 ! -type l \) -print | absent .
}

# What is linked into the two files and what lies beside them: each with its own words, in full.
holds_notices() {
    local share=$IMAGE_ROOT/usr/share name text
    for name in pgkeel curl postgresql-17 libpg-query cjson libssl-dev libevent-dev libnghttp2-dev \
        libc-ares-dev libyaml-dev zlib1g-dev libzstd-dev liblz4-dev libc6-dev pgbouncer ca-certificates; do
        text=$share/doc/$name/copyright
        grep -qiE 'copyright|licen[cs]e' "$text" || { echo "no notice in $text"; return 1; }
    done
    for name in 'Daniel Stenberg' 'PostgreSQL Global Development Group' 'pganalyze' 'Yann Collet' \
        'Dave Benson and the protobuf-c authors' 'Dave Gamble' 'OpenSSL' 'Niels Provos' 'Tatsuhiro Tsujikawa' \
        'Kirill Simonov' 'Jean-loup Gailly' 'Marko Kreen' 'Joel Sing' 'Troy D. Hanson'; do
        grep -rqF "$name" "$share/doc" || { echo "nobody names $name"; return 1; }
    done
    grep -rhoE '/usr/share/common-licenses/[A-Za-z0-9.+-]*[A-Za-z0-9]' "$share/doc" | sort -u >"$WORK/licences"
    [ -s "$WORK/licences" ]
    while read -r text; do
        [ -s "$IMAGE_ROOT$text" ] || { echo "a notice speaks of $text, which is not there"; return 1; }
    done <"$WORK/licences"
}

archive_is_true() {
    local root=$WORK/archive blob manifest config layer diff_id number=0
    mkdir -p "$root"
    tar -xf "$ARCHIVE" -C "$root"
    for blob in "$root"/blobs/sha256/*; do
        [ "$(sha256sum <"$blob" | cut -d' ' -f1)" = "$(basename "$blob")" ]
    done
    manifest=$root/blobs/sha256/$(jq -r '.manifests[0].digest' "$root/index.json" | cut -d: -f2)
    config=$root/blobs/sha256/$(jq -r .config.digest "$manifest" | cut -d: -f2)
    [ "$root/$(jq -r '.[0].Config' "$root/manifest.json")" = "$config" ]
    for layer in $(jq -r '.layers[].digest' "$manifest" | cut -d: -f2); do
        diff_id=$(gzip -dcf "$root/blobs/sha256/$layer" | sha256sum | cut -d' ' -f1)
        [ "$(jq -r ".rootfs.diff_ids[$number]" "$config")" = "sha256:$diff_id" ]
        [ "$(stat -c %s "$root/blobs/sha256/$layer")" = "$(jq -r ".layers[$number].size" "$manifest")" ]
        number=$((number + 1))
    done
    [ "$(jq -r '.manifests[0].annotations["io.containerd.image.name"]' "$root/index.json")" = localhost/pgkeel:test ]
    [ "$(jq -r '.[0].RepoTags[0]' "$root/manifest.json")" = localhost/pgkeel:test ]
    # A kubelet that is told runAsNonRoot believes numbers only.
    jq -e '.config.User == "65532:65532" and .config.Entrypoint == ["/usr/bin/pgkeel"]' "$config"
}

# The Containerfile's last stage and the quick assembly say the same about the image.
agrees_with_containerfile() {
    grep -qx 'USER 65532:65532' Containerfile
    grep -qx 'ENTRYPOINT \["/usr/bin/pgkeel"\]' Containerfile
    grep -qx 'ENV PATH=/usr/sbin:/usr/bin' Containerfile
    grep -qx 'FROM scratch' Containerfile
}

runs_read_only() {
    mount --bind "$IMAGE_ROOT" "$IMAGE_ROOT"
    mount -o remount,bind,ro "$IMAGE_ROOT"
    as 65532:65532 "$IMAGE_ROOT" /usr/bin/pgkeel version
    as 65532:65532 "$IMAGE_ROOT" /usr/sbin/pgbouncer --version
    umount "$IMAGE_ROOT"
}

has_certificates() {
    local count
    count=$(grep -c 'BEGIN CERTIFICATE' "$IMAGE_ROOT/etc/ssl/certs/ca-certificates.crt")
    echo "$count certificates"
    [ "$count" -ge 100 ]
}

# What make built into the file and what lies beside it would differ: a file of an older make, say.
refuses_another_pooler() {
    sed 's/^pgbouncer .*/pgbouncer 0.0.1-1/' <("$PGKEEL" version) >"$WORK/said"
    printf '#!/bin/sh\ncat %s\n' "$WORK/said" >"$WORK/older"
    chmod 755 "$WORK/older"
    expect "names pgbouncer 0.0.1-1" hack/image build --from-binary "$WORK/older" --output "$WORK/x.tar"
    [ ! -e "$WORK/x.tar" ]
}

refuses_dynamic() {
    expect "dynamically linked" hack/image build --from-binary /bin/ls --output "$WORK/x.tar"
    expect "run 'make' first" hack/image build --from-binary "$WORK/none" --output "$WORK/x.tar"
    expect "give --tag a tag" hack/image build --from-binary "$PGKEEL" --output "$WORK/x.tar" --tag localhost/pgkeel
    [ ! -e "$WORK/x.tar" ]
}

test_image() {
    check "image: it is assembled from the static file" assembles
    check "image: nothing is done again when nothing changed" is_quick_and_lasting
    check "image: the same input gives the same bytes" is_reproducible
    check "image: it is at most 40 MiB compressed" image_is_small
    check "image: it holds the file, PgBouncer, certificates, an account, notices, and nothing else" holds_nothing_else
    check "image: it holds the notices of what is linked into its two files, and the licences they name" holds_notices
    check "image: every digest in the archive is true, for OCI and docker readers" archive_is_true
    check "image: the Containerfile ends in the same account, entry point and path" agrees_with_containerfile
    check "image: pgkeel and PgBouncer run as uid 65532 on a read-only root" runs_read_only
    check "image: it holds the CA certificates" has_certificates
    check "image: a file that names another PgBouncer than the image would get is refused" refuses_another_pooler
    check "image: a dynamically linked file, a missing file and a reference without tag are refused" refuses_dynamic
}
