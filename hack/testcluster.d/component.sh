# shellcheck shell=bash disable=SC2013 # pids and names, one word each
# Components as such: which machine they run on, their process, and what may be done to it.

# program_of COMPONENT: the name the kernel knows it by (15 characters of it).
program_of() {
    case $1 in
    etcd | coredns | volumes | kubelet | containerd) echo "$1" ;;
    apiserver) echo kube-apiserver ;;
    controller-manager) echo kube-controller ;;
    scheduler) echo kube-scheduler ;;
    kube-proxy) echo kube-proxy ;;
    *) die "unknown component '$1': etcd apiserver controller-manager scheduler coredns volumes" \
        "kubelet containerd kube-proxy" ;;
    esac
}

is_node_component() {
    [[ $1 == kubelet || $1 == containerd || $1 == kube-proxy ]]
}

components_of() {
    if [[ $1 != control ]]; then
        echo containerd kubelet kube-proxy
    elif [[ $(setting controllers) == no ]]; then
        echo etcd apiserver
    elif (($(setting nodes) == 0)); then
        echo etcd apiserver controller-manager scheduler
    else
        echo etcd apiserver controller-manager scheduler volumes coredns
    fi
}

# machines_for COMPONENT [NODE]: a node's component without NODE means that of every node.
machines_for() {
    if ! is_node_component "$1"; then
        echo control
    elif [[ -n ${2-} ]]; then
        check_node_name "$2"
        echo "$2"
    else
        node_names
    fi
}

# component_pid COMPONENT MACHINE: pid on the host; false when it does not run.
component_pid() {
    local pid comm program
    program=$(program_of "$1")
    for pid in $(cat "$CGROUP_TRACK/$MACHINE_CGROUP/$2/system/cgroup.procs" 2>/dev/null); do
        comm=
        read -r comm 2>/dev/null <"/proc/$pid/comm" || true
        [[ $comm == "$program" ]] && echo "$pid" && return
    done
    return 1
}

# component_state COMPONENT MACHINE: running, frozen or stopped.
component_state() {
    local pid stat
    pid=$(component_pid "$1" "$2") || { echo stopped && return; }
    ! cgroup_frozen "$MACHINE_CGROUP/$2" || { echo frozen && return; }
    stat=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) || true
    case $stat in
    T* | t*) echo frozen ;;
    Z* | '') echo stopped ;;
    *) echo running ;;
    esac
}

# start_component COMPONENT MACHINE: nothing to do when it runs.
start_component() {
    [[ $(component_state "$1" "$2") == stopped ]] || return 0
    case $1 in
    kubelet | containerd | kube-proxy) "start_${1//-/_}" "$2" ;;
    *) "start_${1//-/_}" ;;
    esac
}

# await_component COMPONENT MACHINE SECONDS: until it serves; says why when it died instead.
await_component() {
    local log
    log=$(log_file "$2" "$1")
    wait_until "$3" ready_or_dead "$1" "$2" ||
        die_with_log "$1 on $2 is not ready after $3 s" "$log"
    component_pid "$1" "$2" >/dev/null || die_with_log "$1 on $2 ended right after its start" "$log"
}

ready_or_dead() {
    # Before exec it goes by the name of what starts it. Asked in this order: who has that behind it
    # and is not there, is dead.
    ! component_starting "$2" || return 1
    component_pid "$1" "$2" >/dev/null || return 0
    "ready_${1//-/_}" "$2"
}

# component_starting MACHINE: something is on its way from run_in's fork to its own program.
component_starting() {
    local pid comm
    for pid in $(cat "$CGROUP_TRACK/$MACHINE_CGROUP/$1/system/cgroup.procs" 2>/dev/null); do
        comm=
        read -r comm 2>/dev/null <"/proc/$pid/comm" || true
        [[ $comm != setsid ]] || return 0
    done
    return 1
}

# stop_component COMPONENT MACHINE [SIGNAL]: TERM first; the API server would take a minute for it.
stop_component() {
    local pid
    pid=$(component_pid "$1" "$2") || return 0
    if [[ ${3-} != KILL && $1 != apiserver ]]; then
        kill -TERM "$pid" 2>/dev/null || true
        kill -CONT "$pid" 2>/dev/null || true
        wait_until 10 component_gone "$1" "$2" && return
    fi
    kill -KILL "$pid" 2>/dev/null || true
    wait_until 10 component_gone "$1" "$2" || die "$1 on $2 (pid $pid) does not end"
}

component_gone() {
    ! component_pid "$1" "$2" >/dev/null
}

signal_component() {
    local pid
    pid=$(component_pid "$1" "$2") || die "$1 on $2 does not run"
    kill "-$3" "$pid"
}
