# shellcheck shell=bash
# The Containerfile by whichever engine works here. Sourced by hack/image.

PULL_SECONDS=60

# engine_pick: docker or podman that answers, else buildah, which needs no daemon.
engine_pick() {
    local engine
    for engine in docker podman; do
        command -v "$engine" >/dev/null && timeout 20 "$engine" info >/dev/null 2>&1 && echo "$engine" && return
    done
    need_packages buildah
    echo buildah
}

engine_has_base() {
    case $1 in
        buildah) buildah inspect --type image "$2" >/dev/null 2>&1 ;;
        *) "$1" image inspect "$2" >/dev/null 2>&1 ;;
    esac
}

# engine_base ENGINE: print the image that the Containerfile begins with. Where no registry answers,
# mmdebstrap's tree of the same release stands in, under a name of its own by what it is made by.
engine_base() {
    local engine=$1 base=debian:$SUITE-slim tree hash
    if [ -n "$FRESH" ] || ! engine_has_base "$engine" "$base"; then
        say "pulling $base"
        timeout "$PULL_SECONDS" "$engine" pull "$base" >/dev/null 2>&1 || base=
    fi
    [ -z "$base" ] || { echo "$base" && return; }
    hash=$(echo "$SUITE" | hash_of "$HERE/image.d/debian.sh")
    base=localhost/pgkeel-base:$hash
    if [ -n "$FRESH" ] || ! engine_has_base "$engine" "$base"; then
        warn "no registry gave debian:$SUITE-slim; a tree made from this machine's Debian mirrors stands in"
        tree=$(cache_dir)/image/base-$hash.tar
        [ -n "$FRESH" ] && rm -f "$tree"
        [ -e "$tree" ] || with_lock "$tree.lock" debian_tree minbase "$SUITE" "$tree" ca-certificates || return
        engine_import "$engine" "$base" "$tree" || return
    fi
    echo "$base"
}

engine_import() {
    local engine=$1 base=$2 tree=$3 container
    case $engine in
        buildah)
            container=$(buildah from scratch)
            buildah add --quiet "$container" "$tree" / >/dev/null
            buildah commit --quiet --rm "$container" "$base" >/dev/null
            ;;
        *) "$engine" import "$tree" "$base" >/dev/null ;;
    esac
}

# engine_build: the Containerfile's image as $OUTPUT.
engine_build() {
    local engine base
    engine=$(engine_pick) || return
    base=$(engine_base "$engine") || die "no base image for the Containerfile; see above"
    say "building the Containerfile with $engine (minutes when cold)"
    rm -f "$OUTPUT.new" "$OUTPUT.log"
    case $engine in
        # A chroot is the only isolation that works inside another container.
        buildah) set -- nice -n 10 buildah build --isolation chroot --layers --force-rm --pull-never ;;
        podman) set -- podman build --layers ;;
        docker) set -- docker build ;;
    esac
    run_logged "$OUTPUT.log" "$@" --build-arg "BASE=$base" -f "$ROOT/Containerfile" -t "$TAG" "$ROOT" ||
        die "$engine could not build the Containerfile; the whole log is $OUTPUT.log"
    case $engine in
        buildah) run_logged "$OUTPUT.log" buildah push "$TAG" "docker-archive:$OUTPUT.new:$TAG" ;;
        podman) run_logged "$OUTPUT.log" podman save --format docker-archive -o "$OUTPUT.new" "$TAG" ;;
        docker) run_logged "$OUTPUT.log" docker save -o "$OUTPUT.new" "$TAG" ;;
    esac || die "$engine could not save $TAG"
    mv "$OUTPUT.new" "$OUTPUT"
}
