# shellcheck shell=bash
# The cluster as a whole: up, down, and proof that nothing is left.

# up [--nodes N] [--no-controllers]
cluster_up() {
    local nodes='' controllers=''
    while (($#)); do
        case $1 in
        --nodes) nodes=${2-} && shift ;;
        --nodes=*) nodes=${1#*=} ;;
        --no-controllers) controllers=no ;;
        *) die "up: unknown option '$1'; see 'hack/testcluster help'" ;;
        esac
        shift
    done
    [[ -z $nodes || $nodes =~ ^[0-9]$ ]] || die "--nodes '$nodes': expected 0 to 9"
    cluster_settings "$nodes" "$controllers"
    mkdir -p "$STATE/machines" "$STATE/nodes" "$STATE/log" /var/lib/cni
    tools_up "$(setting nodes)"
    remember bin "$BIN"
    network_up
    certs_up
    faults_undo
    say "start control plane (about 8 s)"
    machine_boot control
    start_component etcd control
    start_component apiserver control
    nodes_prepare
    await_component etcd control 180
    await_component apiserver control 300
    say "API server ready at https://$(machine_address control):6443"
    [[ $(setting controllers) == no ]] || cluster_complete
    say "cluster '$CLUSTER' is up; export KUBECONFIG=$KUBECONFIG_ADMIN"
}

# faults_undo: what a test froze or cut and did not put right.
faults_undo() {
    local machine component
    for machine in $(machine_names); do
        freeze_cgroup "$MACHINE_CGROUP/$machine" off
        for component in $(components_of "$machine"); do
            [[ $(component_state "$component" "$machine") != frozen ]] ||
                signal_component "$component" "$machine" CONT
        done
        [[ $machine == control ]] || ! node_cut "$machine" || heal_node "$machine"
    done
}

# cluster_settings NODES CONTROLLERS: what was asked for at the first 'up' holds until 'down';
# later ones may add nodes.
cluster_settings() {
    local had
    had=$(setting nodes) || had=
    [[ -n $had ]] || { remember nodes "${1:-2}" && remember controllers "${2:-yes}"; }
    [[ $2 != no || $(setting nodes) == 0 ]] ||
        die "--no-controllers needs --nodes 0: without controllers no pod is ever made"
    [[ -z $1 || -z $had || $1 -ge $had ]] ||
        die "cluster '$CLUSTER' has $had nodes; fewer need 'hack/testcluster down' first"
    [[ -z $1 || -z $had || $had -ge $1 ]] || remember nodes "$1"
    [[ -z $had || $2 != no || $(setting controllers) == no ]] ||
        die "cluster '$CLUSTER' has controllers; 'hack/testcluster down' first"
}

# nodes_prepare: all that needs no API server yet, while that one starts.
nodes_prepare() {
    local node
    for node in $(node_names); do
        certs_node "$node"
        machine_boot "$node"
        start_component containerd "$node"
    done
    for node in $(node_names); do
        await_component containerd "$node" 180
        [[ -e $STATE/nodes/$node/pause-loaded ]] && continue
        import_image "$node" "$BIN/pause.tar" >"$STATE/log/$node/pause.log" 2>&1 ||
            die_with_log "pause image does not load on $node" "$STATE/log/$node/pause.log"
        : >"$STATE/nodes/$node/pause-loaded"
    done
}

# cluster_complete: everything beyond etcd and API server.
cluster_complete() {
    local machine component nodes
    say "start controllers$( (($(setting nodes))) && echo ' and nodes (about 10 s)')"
    for machine in $(machine_names); do
        for component in $(components_of "$machine"); do
            start_component "$component" "$machine"
        done
    done
    (($(setting nodes) == 0)) || control_objects
    for machine in $(machine_names); do
        for component in $(components_of "$machine"); do
            await_component "$component" "$machine" 180
        done
    done
    nodes=$(node_names | sed 's,^,node/,')
    [[ -z $nodes ]] || await_nodes "$nodes"
    kubectl_admin wait --for=create serviceaccount/default -n default --timeout 180s >/dev/null
}

await_nodes() {
    local log=$STATE/log/nodes.log
    # shellcheck disable=SC2086
    { kubectl_admin wait --for=create $1 --timeout 180s &&
        kubectl_admin wait --for=condition=Ready $1 --timeout 180s; } >"$log" 2>&1 || {
        kubectl_admin get nodes -o wide >>"$log" 2>&1 || true
        tail -n 5 "$STATE"/log/node*/kubelet.log >>"$log"
        die_with_log "nodes do not become Ready within 180 s" "$log"
    }
    say "nodes Ready: $(node_names | paste -sd ' ')"
}

kubectl_admin() {
    "$BIN/kubectl" --kubeconfig "$KUBECONFIG_ADMIN" "$@"
}

cluster_down() {
    local mount
    end_cgroup "$MACHINE_CGROUP"
    wait_until 60 cgroup_remove "$MACHINE_CGROUP" ||
        die "cgroup $CGROUP_TRACK/$MACHINE_CGROUP cannot be removed"
    for mount in $(cgroup_mounts); do
        rmdir "$mount/pgkeel-testcluster" 2>/dev/null || true
    done
    network_down
    wait_until 60 volumes_down || true # what is left is named below
    rm -rf --one-file-system "$STATE"
    rm -f "$LOCK_ROOT/$CLUSTER"
    rmdir "$STATE_ROOT" 2>/dev/null && leave_no_traces
    cluster_clean || die "something of cluster '$CLUSTER' is left, see above"
    say "cluster '$CLUSTER' is down"
}

# leave_no_traces: what clusters share, once the last one is gone.
leave_no_traces() {
    rm -rf "$LOCK_ROOT"
    rmdir /var/lib/cni 2>/dev/null || true
    [[ -d /run/netns && -z $(ls -A /run/netns) ]] || return 0
    umount /run/netns 2>/dev/null || true
    rmdir /run/netns 2>/dev/null || true
}

# Loop devices outlive the processes that used them.
volumes_down() {
    local device
    command -v losetup >/dev/null || return 0
    for device in $(losetup --list --noheadings --output NAME,BACK-FILE |
        awk -v below="$STATE/" 'index($2, below) == 1 { print $1 }'); do
        losetup --detach "$device" || true
    done
    # One that is still in use goes when its last user has.
    ! losetup --list --noheadings --output BACK-FILE | grep -qF "$STATE/"
}

# cluster_clean: true when nothing of the cluster is left on this machine; else names it.
cluster_clean() {
    local left=0 found
    for found in $(cgroup_pids "$MACHINE_CGROUP"); do
        left=1 && echo "process $found: $(tr '\0' ' ' <"/proc/$found/cmdline")" >&2
    done
    for found in $(for m in $(cgroup_mounts); do ls -d "$m/$MACHINE_CGROUP" 2>/dev/null; done); do
        left=1 && echo "cgroup $found" >&2
    done
    for found in /run/netns/pgkeel-"$CLUSTER"-*; do
        [[ -e $found ]] && cluster_netns "${found##*/}" && left=1 && echo "namespace $found" >&2
    done
    while read -r found; do
        left=1 && echo "mount $found" >&2
    done < <(awk -v at="$STATE/" 'index($5 "/", at) == 1 { print $5 }' /proc/*/mountinfo 2>/dev/null |
        sort -u)
    while read -r found; do
        left=1 && echo "process in $STATE: $found" >&2
    done < <(find /proc/[0-9]*/exe /proc/[0-9]*/cwd -lname "$STATE/*" 2>/dev/null)
    if command -v losetup >/dev/null && losetup --list --noheadings --output BACK-FILE |
        grep -F "$STATE/" >&2; then left=1; fi
    [[ ! -e $STATE ]] || { left=1 && echo "folder $STATE" >&2; }
    for found in $(host_links); do
        left=1 && echo "network interface $found" >&2
    done
    ((left == 0))
}
