# shellcheck shell=bash
# Debian trees by mmdebstrap from the host's own mirrors. Sourced after deps.d/lib.sh and deps.d/apt.sh.

# debian_tree VARIANT SUITE OUT.tar PACKAGE...: VARIANT is mmdebstrap's; "extract" unpacks packages
# with all they depend on and runs none of their scripts; "extract+lists" notes whose file each one is,
# too, as dpkg does where it installs.
debian_tree() {
    local variant=$1 suite=$2 out=$3 options=$3.options log=$3.log hook=()
    shift 3
    need_packages mmdebstrap
    # Proxies and the like: how this machine reaches its mirrors holds for the tree's packages too.
    apt-config dump | grep -E '^Acquire::(http|https|ftp|Check|Retries|Max)' >"$options" || true
    apt_lines deb "$suite" >"$options.list" || return
    say "fetching Debian $suite packages: $*"
    # shellcheck disable=SC2016 # mmdebstrap's shell expands it
    [ "$variant" = "${variant%+lists}" ] || hook+=(--extract-hook='for deb in "$1"/var/cache/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -t | sed "s/^\.//" >"$1/var/lib/dpkg/info/$(dpkg-deb -f "$deb" Package).list"
        done')
    # Descriptors that this shell inherited are closed: mmdebstrap hands the next free one to a sh that
    # understands one digit only.
    if ! run_logged "$log" nice -n 10 mmdebstrap --variant="${variant%+lists}" --aptopt="$options" \
        --include="$(tr ' ' , <<<"$*")" --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' "${hook[@]}" \
        "$suite" "$out.new.tar" "$options.list" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; then
        rm -f "$out.new.tar"
        return 1
    fi
    rm -f "$options" "$options.list" "$log"
    mv "$out.new.tar" "$out"
}

# with_tree TAR COMMAND...: COMMAND with the path of the unpacked tree behind it; device nodes, which
# only root could make and nobody needs, stay in the archive.
with_tree() {
    local tar=$1 tree status=0
    shift
    tree=$(mktemp -d "$tar.XXXXXX")
    tar -xf "$tar" -C "$tree" --exclude='./dev/*' --no-same-owner
    "$@" "$tree" || status=$?
    chmod -R u+w "$tree"
    rm -rf "$tree"
    return "$status"
}
