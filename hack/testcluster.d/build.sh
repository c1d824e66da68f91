# shellcheck shell=bash
# Where the binaries come from: Go modules and a C compiler. All of them land in the cache under the
# hash of what they are made from, this file included; with that folder there, no Go is needed.

KUBERNETES_VERSION=v1.37.2

tools_hash() {
    (cd "$HERE" && find kube containerd runc init.c build.sh -type f | LC_ALL=C sort |
        xargs sha256sum | sha256sum | cut -c1-16)
}

# A cluster keeps the binaries it came up with, however the sources change meanwhile.
BIN=$(setting bin) && [[ -e $BIN/done ]] || BIN=$CACHE/$(tools_hash)/bin

tools_up() {
    [[ -e /etc/debian_version ]] || die "needs Debian 12 or newer: packages come from apt-get"
    need_packages curl iproute2 nftables openssl util-linux
    (($1 == 0)) || need_packages containernetworking-plugins iptables libseccomp2 xfsprogs
    [[ ! -e $BIN/done ]] || { touch "$BIN" && return; }
    lock build 7
    [[ -e $BIN/done ]] || tools_build
    exec 7>&-
}

tools_build() {
    need_packages ca-certificates gcc libc6-dev libseccomp-dev pkg-config
    find_go
    local work
    work=$(dirname "$BIN")
    mkdir -p "$BIN"
    say "build Kubernetes, containerd and runc into $BIN (first time only)"
    go_build kube "about 9 min on 2 cores" 0 "" "$(version_flags)" ./...
    go_build containerd "about 90 s" 0 "no_btrfs no_devmapper no_zfs" "" tool
    go_build runc "about 15 s" 1 seccomp "" tool
    local part
    for part in etcd kubectl kubelet kube-apiserver kube-controller-manager kube-proxy \
        kube-scheduler; do
        ln -sf kube "$BIN/$part"
    done
    mv "$BIN/dns" "$BIN/coredns"
    gcc -Wall -Wextra -Os -static -s -o "$BIN/init" "$HERE/init.c"
    pause_image "$work"
    : >"$BIN/done"
    prune_cache
}

# prune_cache: 330 MB each; those that no 'up' has asked for in two weeks go.
prune_cache() {
    find "$CACHE" -mindepth 2 -maxdepth 2 -name bin -mtime +14 -printf '%h\0' | xargs -0r rm -rf
}

# Without these the server calls itself v0.0.0, and clients believe it.
version_flags() {
    local at=k8s.io/component-base/version minor=${KUBERNETES_VERSION#v1.}
    echo "-X $at.gitVersion=$KUBERNETES_VERSION -X $at.gitMajor=1 -X $at.gitMinor=${minor%.*}"
}

# go_build MODULE ESTIMATE CGO TAGS LINKER_FLAGS PACKAGES
go_build() {
    local log=$STATE/log/build-$1.log total pid began=${EPOCHREALTIME/[.,]/}
    (
        cd "$HERE/$1" || exit
        export GOTOOLCHAIN=auto GOFLAGS="-mod=readonly -buildvcs=false" GOWORK=off CGO_ENABLED=$3
        "$GO" mod download >"$log" 2>&1 || die_with_log "modules of $1 cannot be fetched" "$log"
        "$GO" list -deps "$6" 2>/dev/null | wc -l >"$log.total"
        exec nice "$GO" build -v -tags "$4" -ldflags "-s -w $5" -o "$BIN/" "$6" >>"$log" 2>&1
    ) &
    pid=$!
    # Ctrl-C does not reach what runs in the background.
    # shellcheck disable=SC2064 # this pid
    trap "kill $pid 2>/dev/null; exit 130" INT TERM
    say "build $1 ($2)"
    while ! wait_until 30 process_over "$pid"; do
        total=$(cat "$log.total" 2>/dev/null) || total='?'
        say "build $1: $(since "$began") s, $(wc -l <"$log") of at most $total packages compiled"
    done
    wait "$pid" || die_with_log "build of $1 failed" "$log"
    trap - INT TERM
    say "built $1 in $(since "$began") s"
}

process_over() {
    ! kill -0 "$1" 2>/dev/null
}

# pause_image DIR: a docker archive whose only layer holds the static init program.
pause_image() {
    local dir=$1/pause config layer
    rm -rf "$dir"
    mkdir -p "$dir/root"
    cp "$BIN/init" "$dir/root/pause"
    tar -C "$dir/root" --owner=0 --group=0 --mtime=@0 -cf "$dir/layer.tar" pause
    layer=$(sha256sum <"$dir/layer.tar" | cut -d' ' -f1)
    printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/pause"]},' \
        "$(dpkg --print-architecture)" >"$dir/config.json"
    printf '"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$layer" >>"$dir/config.json"
    config=config.json
    printf '[{"Config":"%s","RepoTags":["localhost/pause:1"],"Layers":["layer.tar"]}]' \
        "$config" >"$dir/manifest.json"
    tar -C "$dir" -cf "$BIN/pause.tar" manifest.json config.json layer.tar
    rm -rf "$dir"
}
