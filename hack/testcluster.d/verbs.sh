# shellcheck shell=bash
# The verbs that look at a running cluster or hurt it.
# shellcheck disable=SC2153 # STATE is of common.sh

need_cluster() {
    [[ -n $(setting block) && -x $BIN/kubectl ]] ||
        die "cluster '$CLUSTER' is not up; run 'hack/testcluster up'"
}

verb_status() {
    local machine component state pid
    [[ -n $(setting block) ]] || { echo "cluster '$CLUSTER' is down" && return 3; }
    printf 'cluster %s: API https://%s:6443, pods %s.64.0/18, Services %s.128.0/17\n' \
        "$CLUSTER" "$(machine_address control)" "$(net)" "$(net)"
    for machine in $(machine_names); do
        state=up
        machine_up "$machine" || state=down
        cgroup_frozen "$MACHINE_CGROUP/$machine" && state=frozen
        [[ $machine == control ]] || ! node_cut "$machine" || state="$state, cut"
        printf '%s (%s, %s)\n' "$machine" "$(machine_address "$machine")" "$state"
        for component in $(components_of "$machine"); do
            pid=$(component_pid "$component" "$machine") || pid=-
            printf '  %-20s %-8s pid %-8s %6s KiB\n' "$component" \
                "$(component_state "$component" "$machine")" "$pid" "$(rss_of "$pid")"
        done
    done
}

rss_of() {
    awk '/^VmRSS:/ { n = $2 } END { print n + 0 }' "/proc/$1/status" 2>/dev/null || echo 0
}

# logs [-f] COMPONENT [NODE]
verb_logs() {
    local follow=() component machine
    [[ ${1-} != -f ]] || { follow=(-F) && shift; }
    component=${1-}
    if [[ $component == init ]]; then
        machine=${2:-control}
    else
        program_of "$component" >/dev/null
        machine=$(machines_for "$component" "${2-}") || exit 1
        machine=${machine%%$'\n'*}
    fi
    [[ -e $(log_file "$machine" "$component") ]] || die "$component on $machine has no log yet"
    tail -n +1 "${follow[@]}" "$(log_file "$machine" "$component")"
}

# load-image FILE...: into every node at once.
verb_load_image() {
    local file node failed=0 pids=()
    (($#)) || die "load-image FILE...: docker or OCI archives"
    for file in "$@"; do
        [[ -r $file ]] || die "load-image: '$file' cannot be read"
    done
    for node in $(node_names); do
        { for file in "$@"; do import_image "$node" "$file" || exit 1; done; } \
            >"$STATE/log/$node/load-image.log" 2>&1 &
        pids+=("$!:$node")
    done
    for node in "${pids[@]}"; do
        wait "${node%%:*}" || {
            failed=1
            sed "/DEPRECATION/d; s/^/${node#*:}: /" "$STATE/log/${node#*:}/load-image.log" >&2
        }
    done
    ((failed == 0)) || die "load-image failed"
    say "loaded $* on $(node_names | paste -sd ' ')"
}

# fault stop|start|freeze|thaw|kill COMPONENT [NODE], or the same with: node NAME
verb_fault() {
    local fault=$1 machine machines
    shift
    if [[ ${1-} == node ]]; then
        check_node_name "${2-}"
        "node_$fault" "$2"
        return
    fi
    program_of "${1-}" >/dev/null
    machines=$(machines_for "$1" "${2-}") || exit 1
    for machine in $machines; do
        case $fault in
        stop) stop_component "$1" "$machine" ;;
        kill) stop_component "$1" "$machine" KILL ;;
        freeze) signal_component "$1" "$machine" STOP ;;
        thaw) signal_component "$1" "$machine" CONT ;;
        start)
            start_component "$1" "$machine"
            await_component "$1" "$machine" 300
            ;;
        esac
    done
}

# A machine is shut down as one does: kubelet first, or it would restart what ends; then everybody
# is asked to end, and after 10 s the power goes.
node_stop() {
    local pids
    stop_component kubelet "$1"
    pids=$(cgroup_pids "$MACHINE_CGROUP/$1")
    # shellcheck disable=SC2086
    kill -TERM $pids 2>/dev/null || true
    wait_until 10 node_idle "$1" || true
    machine_end "$1"
}

node_idle() {
    [[ -z $(cgroup_pids "$MACHINE_CGROUP/$1") ]]
}

node_kill() {
    machine_end "$1"
}

node_freeze() {
    freeze_cgroup "$MACHINE_CGROUP/$1" on
}

node_thaw() {
    freeze_cgroup "$MACHINE_CGROUP/$1" off
}

node_start() {
    local component
    machine_boot "$1"
    for component in $(components_of "$1"); do
        start_component "$component" "$1"
    done
    for component in $(components_of "$1"); do
        await_component "$component" "$1" 180
    done
}

# exec NODE -- COMMAND: the host's files, the node's network; ends with the cluster.
verb_exec() {
    local node=${1-}
    [[ $node == control ]] || check_node_name "$node"
    shift
    [[ ${1-} != -- ]] || shift
    (($#)) || die "exec NODE -- COMMAND [ARGUMENT...]"
    mkdir -p "$CGROUP_TRACK/$MACHINE_CGROUP/exec"
    echo "$BASHPID" >"$CGROUP_TRACK/$MACHINE_CGROUP/exec/cgroup.procs"
    exec nsenter --net="/run/netns/$(netns_name "$node")" -- "$@"
}
