# shellcheck shell=bash
# Debian packages, Go modules, and a Go that is new enough.
# shellcheck disable=SC2034,SC2153 # GO is for build.sh; STATE is common.sh's

GO_NEEDED=1.21 # from here on Go fetches by itself the newer one that the modules ask for

# Packages and Debian trees by what the other scripts use, in this one's words.
LOG_NAME=testcluster
# shellcheck source=hack/deps.d/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../deps.d/lib.sh"
# shellcheck source=hack/image.d/debian.sh
source "$(dirname "${BASH_SOURCE[0]}")/../image.d/debian.sh"

# find_go: sets GO to one that is new enough, installing Debian's if need be; and has it fetch all modules,
# so that what follows needs no network.
find_go() {
    local module
    find_go_itself
    say "fetch Go modules (about 30 s)"
    for module in kube containerd runc; do
        need_toolchain "$module"
        fetch_modules "$module" || exit
    done
}

# tools_fetch: what a build begins with, while something else computes.
tools_fetch() {
    [[ ! -e $BIN/done ]] || return 0
    lock build 7
    need_packages ca-certificates gcc libc6-dev libseccomp-dev pkg-config
    find_go
    exec 7>&-
}

# fetch_modules MODULE: what go.sum names, and nothing else: a proxy that lies is left for the next.
fetch_modules() {
    by_proxies "$1" mod download ||
        modules_die "the modules of $1 cannot be fetched" "$STATE/log/modules.log"
}

modules_die() {
    printf 'testcluster: what was asked: GOPROXY=%s\n' "$(go_proxies "$1" | paste -sd ' ')" >&2
    die_with_log "$1. Run this again when the proxy answers; set GOPROXY to another one; or copy the folder $CACHE from a machine that has built it" "$2"
}

# go_proxies: the values of GOPROXY to try. As it is set, Go asks the next proxy only when one says that it has
# not got something: then the next one after whatever failure, and each by itself, for one that lies is found
# out too late for that. Only those that this machine names are asked.
go_proxies() {
    local named
    named=$("$GO" env GOPROXY)
    { echo "$named" && tr , '|' <<<"$named" && tr -s ',|' '[\n*]' <<<"$named"; } | awk 'NF && !seen[$0]++'
}

# by_proxies MODULE ARGUMENT...: go in the module's folder, by one of the proxies; the same again when all of
# them had a bad moment.
by_proxies() {
    local module=$1 proxy pause log=$STATE/log/modules.log
    shift
    mkdir -p "$STATE/log"
    for pause in 2 5 0; do
        while read -r proxy; do
            echo "== GOPROXY=$proxy go $*" >>"$log"
            (cd "$HERE/$module" && GOPROXY=$proxy GOTOOLCHAIN=auto GOFLAGS=-mod=readonly GOWORK=off \
                "$GO" "$@" </dev/null >"$log.attempt" 2>&1) && rm -f "$log.attempt" && return
            cat "$log.attempt" >>"$log"
        done < <(go_proxies)
        # An answer that will stay is not waited for.
        ! grep -qE '404 Not Found|checksum mismatch|GOPROXY=off|410 Gone' "$log.attempt" || return
        sleep "$pause"
    done
    return 1
}

find_go_itself() {
    local candidate
    for candidate in go /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
        go_new_enough "$candidate" && GO=$(command -v "$candidate") && return
    done
    apt-get update >>"$STATE/log/apt-update.log" 2>&1 || true
    if version_at_least "$(apt-cache policy golang-go | awk '/Candidate:/ { print $2 }')"; then
        need_packages golang-go
    fi
    for candidate in /usr/bin/go /usr/lib/go-*/bin/go; do
        go_new_enough "$candidate" && GO=$candidate && return
    done
    debian_go "$GO_NEEDED" golang-go golang-src ||
        die "no Go >= $GO_NEEDED found, and none can be downloaded; put one on PATH and run this again"
}

go_new_enough() {
    local version
    version=$(go_version "$1") && version_at_least "$version"
}

# go_version GO: of the program itself, not of one that it would fetch.
go_version() {
    local version
    version=$(cd / && GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) && echo "${version#go}"
}

# version_at_least VERSION [NEEDED]: Debian's carry an epoch ("2:1.19~1").
version_at_least() {
    [[ -n $1 && $1 != "(none)" ]] && dpkg --compare-versions "${1#*:}" ge "${2:-$GO_NEEDED}"
}

# need_toolchain MODULE: the Go that its go.mod asks for, from a proxy as Go itself does it, else Debian's.
need_toolchain() {
    local wanted series
    wanted=$(awk '$1 == "go" || $1 == "toolchain" { sub(/^go/, "", $2); print $2 }' "$HERE/$1/go.mod" | sort -V | tail -n 1)
    version_at_least "$(go_version "$GO")" "$wanted" && return
    by_proxies "$1" version && return
    series=$(cut -d. -f1,2 <<<"$wanted")
    say "no Go proxy has Go $wanted; looking for Debian's"
    debian_go "$wanted" "golang-$series-go" "golang-$series-src" ||
        modules_die "Go $wanted, which $1 asks for, is not available from any proxy or mirror of this machine" "$STATE/log/modules.log"
}

# debian_go VERSION PACKAGE...: sets GO to Debian's of that version or a newer one, unpacked into the cache; the
# machine's own packages stay as they are.
debian_go() {
    local wanted=$1 suite codename folder=$CACHE/go candidate
    shift
    for candidate in "$folder"/*/usr/lib/go-*/bin/go; do
        version_at_least "$(go_version "$candidate")" "$wanted" && GO=$candidate && return
    done
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    mkdir -p "$folder"
    for suite in "$codename" $(newer_than "$codename"); do
        debian_has "$suite" "$wanted" "$1" || continue
        debian_tree extract "$suite" "$folder/tree.tar" "$@" || continue
        rm -rf "${folder:?}/$suite"
        mkdir -p "$folder/$suite"
        tar -xf "$folder/tree.tar" -C "$folder/$suite" --no-same-owner --wildcards './usr/*/go-*'
        rm -f "$folder/tree.tar"
        for candidate in "$folder/$suite"/usr/lib/go-*/bin/go; do
            version_at_least "$(go_version "$candidate")" "$wanted" && GO=$candidate && return
        done
    done
    return 1
}

# debian_has SUITE VERSION PACKAGE: the suite or its backports list one that is as new.
debian_has() {
    local conf version
    # shellcheck disable=SC2046 # names of suites
    conf=$(APT_TYPE=deb apt_private "tree-$1" "$1" $(pockets_of "$1")) || return
    while read -r version; do
        version_at_least "$version" "$2" && return
    done < <(APT_CONFIG=$conf apt-cache madison "$3" 2>/dev/null | awk -F' *[|] *' '{ print $2 }')
    return 1
}
