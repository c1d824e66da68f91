# shellcheck shell=bash
# Gathers programs out of an unpacked Debian tree together with exactly the shared libraries they
# name, so that an image holds those and no package. Sourced; set $DEBIAN (the tree, "" for this
# machine's root) and $OUT (the new root).

gather_die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# find_library SONAME: its path within the tree, by the loader's default folders.
find_library() {
    local folder
    for folder in "$DEBIAN"/usr/lib/*-linux-gnu* "$DEBIAN"/lib/*-linux-gnu* "$DEBIAN"/usr/lib "$DEBIAN"/lib; do
        [ -e "$folder/$1" ] && echo "$folder/$1" && return
    done
    gather_die "no library $1 in ${DEBIAN:-/}: is its package unpacked there?"
}

# gather_file SOURCE TARGET MODE: one regular file. Links are followed, but only the last: an absolute
# link in a tree that is not the root would lead out of it.
gather_file() {
    local source=$1 link
    while [ -L "$source" ]; do
        link=$(readlink "$source")
        case $link in /*) source=$DEBIAN$link ;; *) source=$(dirname "$source")/$link ;; esac
    done
    install -D -m "$3" "$source" "$OUT$2"
}

# gather_needed FILE: the libraries that FILE names, and what those name, each once.
gather_needed() {
    local needed library target
    for needed in $(readelf --dynamic "$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
        case $needed in ld-linux*) continue ;; esac # found by its path in the program, see gather_program
        [ -n "${GATHERED[$needed]:-}" ] && continue
        GATHERED[$needed]=1
        library=$(find_library "$needed") || exit
        target=${library#"$DEBIAN"}
        gather_file "$library" "/usr${target#/usr}" 644
        gather_needed "$library"
    done
}
declare -A GATHERED=()

# gather_program FILE TARGET: a program with its libraries and its loader.
gather_program() {
    local interpreter
    gather_file "$1" "$2" 755
    gather_needed "$OUT$2"
    interpreter=$(readelf --program-headers "$OUT$2" 2>/dev/null | sed -n 's/.*program interpreter: \(.*\)\]/\1/p')
    if [ -n "$interpreter" ] && [ ! -e "$OUT$interpreter" ]; then
        gather_file "$(find_library "$(basename "$interpreter")")" "$interpreter" 755
    fi
}

# gather_account NAME UID GID HOME: root and one account that is not root.
gather_account() {
    mkdir -p "$OUT/etc"
    printf 'root:x:0:0:root:/:/nonexistent\n%s:x:%d:%d:%s:%s:/nonexistent\n' "$1" "$2" "$3" "$1" "$4" >"$OUT/etc/passwd"
    printf 'root:x:0:\n%s:x:%d:\n' "$1" "$3" >"$OUT/etc/group"
    chmod 644 "$OUT/etc/passwd" "$OUT/etc/group"
}
