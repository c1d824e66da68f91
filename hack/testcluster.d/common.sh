# shellcheck shell=bash
# What every part of the test cluster uses: names and places, messages, waiting.
# shellcheck disable=SC2034 # used by the other parts

CLUSTER=${PGKEEL_TESTCLUSTER:-main}
STATE_ROOT=/var/lib/pgkeel-testcluster
STATE=$STATE_ROOT/$CLUSTER
CACHE=${PGKEEL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pgkeel}/testcluster
LOCK_ROOT=/run/lock/pgkeel-testcluster
KUBECONFIG_ADMIN=$STATE/kubeconfig
STARTED_US=${EPOCHREALTIME/[.,]/}

# since START_US: seconds with one digit.
since() {
    local tenths=$(((${EPOCHREALTIME/[.,]/} - $1) / 100000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# say TEXT: one line of progress, with the time since the command started.
say() {
    printf '[%6ss] %s\n' "$(since "$STARTED_US")" "$*" >&2
}

die() {
    printf 'testcluster: %s\n' "$*" >&2
    exit 1
}

# die_with_log TEXT FILE: the reason is nearly always in the last lines.
die_with_log() {
    printf 'testcluster: %s; last lines of %s:\n' "$1" "$2" >&2
    tail -n 15 "$2" 2>/dev/null | cut -c1-400 | sed 's/^/    /' >&2 || true
    exit 1
}

# wait_until SECONDS COMMAND...: polls every 50 ms; false when the time is over.
wait_until() {
    local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
    shift
    until "$@"; do
        ((${EPOCHREALTIME/[.,]/} < end)) || return 1
        sleep 0.05
    done
}

need_root() {
    ((EUID == 0)) || die "must run as root: it makes network namespaces, cgroups and mounts"
}

check_cluster_name() {
    [[ $CLUSTER =~ ^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$ ]] ||
        die "PGKEEL_TESTCLUSTER='$CLUSTER': lower-case letters, digits and '-', at most 20"
}

# lock NAME FD: one command at a time per cluster (or for all, when addresses are given out).
# Daemons must not inherit the descriptor, or the lock would outlive the command: run_in closes it.
lock() {
    local said=
    while :; do
        mkdir -p "$LOCK_ROOT"
        eval "exec $2>\"\$LOCK_ROOT/\$1\""
        if flock -n "$2"; then
            # 'down' removes the file; a lock on one that is gone keeps nobody out.
            [[ $LOCK_ROOT/$1 -ef /dev/fd/$2 ]] && return
        else
            [[ -n $said ]] || say "waiting for another testcluster command on '$1'"
            said=1
            flock "$2"
        fi
    done
}

setting() {
    cat "$STATE/settings/$1" 2>/dev/null
}

remember() {
    mkdir -p "$STATE/settings"
    printf '%s\n' "$2" >"$STATE/settings/$1"
}

# The machines: 'control' holds etcd, API server, controllers and DNS; node1, node2, ... run pods.
node_names() {
    local n
    for ((n = 1; n <= $(setting nodes || echo 0); n++)); do
        echo "node$n"
    done
}

machine_names() {
    echo control
    node_names
}

check_node_name() {
    [[ -n $1 && " $(node_names | paste -sd ' ') " == *" $1 "* ]] ||
        die "no node '$1' in cluster '$CLUSTER'; nodes: $(node_names | paste -sd ' ')"
}

# Addresses: each cluster owns 10.BLOCK.0.0/16. Machines .0.0/24, pods of node N .(64+N).0/24,
# Services .128.0/17.
net() {
    echo "10.$(setting block)"
}

machine_address() {
    case $1 in
    host) echo "$(net).0.1" ;;
    control) echo "$(net).0.2" ;;
    dns) echo "$(net).0.3" ;;
    node*) echo "$(net).0.$((10 + ${1#node}))" ;;
    esac
}

pod_cidr() {
    echo "$(net).$((64 + ${1#node})).0/24"
}

log_file() {
    echo "$STATE/log/$1/$2.log"
}
