# shellcheck shell=bash disable=SC2013 # pids and names, one word each
# A machine is a set of namespaces (network, mounts, processes, host name, cgroups) with one
# process 1 of its own. Killing that process is a power loss: the kernel takes everything else,
# mounts included. Cgroups tell what belongs to whom, so that no pid file can be lost or lie.

MACHINE_CGROUP=pgkeel-testcluster/$CLUSTER

# cgroup_mode: v2, or v1 where the controllers sit in hierarchies of their own.
cgroup_mode() {
    if [[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]]; then echo v2; else echo v1; fi
}

# cgroup_mounts: where to make a machine's cgroups, the one that freezes and lists first.
cgroup_mounts() {
    if [[ $(cgroup_mode) == v2 ]]; then
        echo /sys/fs/cgroup
        return
    fi
    # Each hierarchy once, however often it is mounted.
    awk '{ for (i = 7; $i != "-"; i++); if ($(i + 1) == "cgroup" && $(i + 3) !~ /name=/)
           last[$(i + 3)] = $5 }
         END { for (o in last) print (o ~ /freezer/ ? 0 : 1), last[o] }' /proc/self/mountinfo |
        sort | awk '{ print $2 }'
}

CGROUP_TRACK=$(cgroup_mounts | sed -n 1p)

# cgroup_create PATH: in every hierarchy.
cgroup_create() {
    local mount dir
    for mount in $(cgroup_mounts); do
        dir=$mount
        for part in ${1//\// }; do
            if [[ $(cgroup_mode) == v2 && $part != system ]]; then
                cgroup_delegate "$dir"
            fi
            if [[ ! -d $dir/$part ]]; then
                mkdir -p "$dir/$part"
                cgroup_cpuset "$dir" "$dir/$part"
            fi
            dir=$dir/$part
        done
    done
}

# A fresh v1 cpuset holds no CPU and lets nothing in.
cgroup_cpuset() {
    [[ -e $2/cpuset.cpus && $(cgroup_mode) == v1 ]] || return 0
    cat "$1/cpuset.cpus" >"$2/cpuset.cpus"
    cat "$1/cpuset.mems" >"$2/cpuset.mems"
}

cgroup_delegate() {
    local controller
    for controller in $(cat "$1/cgroup.controllers"); do
        echo "+$controller" >"$1/cgroup.subtree_control" 2>/dev/null || true
    done
}

# cgroup_enter MACHINE [SUB]: moves the calling (sub)shell into the machine's cgroups. SUB says where
# in the one that lists; with v2, only its leaves may hold processes.
cgroup_enter() {
    local mount
    for mount in $(cgroup_mounts); do
        if [[ $mount == "$CGROUP_TRACK" ]]; then
            echo "$BASHPID" >"$mount/$MACHINE_CGROUP/$1/${2-}/cgroup.procs"
        else
            echo "$BASHPID" >"$mount/$MACHINE_CGROUP/$1/cgroup.procs"
        fi
    done
}

# cgroup_pids PATH: every process at and below, as the host counts them.
cgroup_pids() {
    find "$CGROUP_TRACK/$1" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}

cgroup_remove() {
    local mount
    for mount in $(cgroup_mounts); do
        [[ -d $mount/$1 ]] || continue
        find "$mount/$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
    ! ls -d "$CGROUP_TRACK/$1" >/dev/null 2>&1
}

# freeze_cgroup PATH on|off: everything below at once, pods included.
freeze_cgroup() {
    local dir=$CGROUP_TRACK/$1
    [[ -d $dir ]] || return 0
    if [[ $(cgroup_mode) == v2 ]]; then
        [[ $2 == on ]] || { echo 0 >"$dir/cgroup.freeze" && return; }
        echo 1 >"$dir/cgroup.freeze"
        wait_until 60 grep -qx 'frozen 1' "$dir/cgroup.events"
    elif [[ $2 == on ]]; then
        echo FROZEN >"$dir/freezer.state"
        wait_until 60 grep -q FROZEN "$dir/freezer.state"
    else
        echo THAWED >"$dir/freezer.state"
    fi
}

# thaw_below PATH: it and all under it; who is frozen does not notice that it was killed.
thaw_below() {
    local file
    while read -r file; do
        { [[ $file == */freezer.state ]] && echo THAWED || echo 0; } 2>/dev/null >"$file" || true
    done < <(find "$CGROUP_TRACK/$1" -name freezer.state -o -name cgroup.freeze)
}

cgroup_frozen() {
    grep -qsx -e 'FROZEN' -e 1 "$CGROUP_TRACK/$1/freezer.state" "$CGROUP_TRACK/$1/cgroup.freeze"
}

# end_cgroup PATH: SIGKILL to all, also when frozen, until nobody is left.
end_cgroup() {
    wait_until 120 end_cgroup_once "$1" || die "processes of cgroup $1 do not end: $(cgroup_pids "$1" | paste -sd ' ')"
}

end_cgroup_once() {
    local pids
    pids=$(cgroup_pids "$1")
    [[ -n $pids ]] || return 0
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null || true
    thaw_below "$1"
    return 1
}

# machine_init MACHINE: the host's pid of its process 1, nothing when it is down.
machine_init() {
    local pid
    for pid in $(cat "$CGROUP_TRACK/$MACHINE_CGROUP/$1/system/cgroup.procs" 2>/dev/null); do
        awk -v pid="$pid" '/^NSpid:/ && NF > 2 && $NF == 1 { print pid }' "/proc/$pid/status" \
            2>/dev/null || true # it may have ended meanwhile
    done | sed -n 1p
}

machine_up() {
    [[ -n $(machine_init "$1") && -e $STATE/machines/$1/booted ]]
}

# machine_boot MACHINE: namespaces and process 1; its network must be there.
machine_boot() {
    local dir=$STATE/machines/$1
    machine_up "$1" && return
    mkdir -p "$dir" "$STATE/log/$1"
    rm -f "$dir/booted"
    cgroup_create "$MACHINE_CGROUP/$1/system"
    (
        cgroup_enter "$1"
        exec 8>&- 9>&- </dev/null >>"$(log_file "$1" init)" 2>&1
        exec nsenter --net="/run/netns/$(netns_name "$1")" \
            setsid unshare --cgroup --ipc --mount --pid --uts --fork --propagation slave \
            /bin/sh "$HERE/boot.sh" "$1" "$dir" "$BIN/init" \
            "$(cgroup_mode)" "$(machine_address dns)" "$CGROUP_TRACK/$MACHINE_CGROUP/$1/system"
    ) &
    wait_until 120 machine_up "$1" ||
        die_with_log "machine '$1' does not come up" "$(log_file "$1" init)"
    # unshare itself waits outside; with v2 it would keep the controllers from the pods.
    local pid cgroup=$CGROUP_TRACK/$MACHINE_CGROUP/$1
    for pid in $(cat "$cgroup/cgroup.procs"); do
        echo "$pid" 2>/dev/null >"$cgroup/system/cgroup.procs" || true
    done
    [[ $(cgroup_mode) == v1 ]] || cgroup_delegate "$cgroup"
}

# enter MACHINE COMMAND...: inside all of its namespaces, in its cgroups.
enter() {
    local init machine=$1
    shift
    init=$(machine_init "$machine")
    [[ -n $init ]] || die "machine '$machine' is down; 'hack/testcluster start node $machine'"
    (
        cgroup_enter "$machine" system
        exec nsenter --target "$init" --cgroup --ipc --mount --net --pid --uts -- "$@"
    )
}

# gogc: how far a component's heap may grow, in percent of what it uses, before garbage is collected.
# Go's default is 100. The API servers take more of the processors than all the rest; where there is
# memory for it, they are spared most collections.
gogc() {
    local kib
    kib=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
    if ((kib > 16 << 20)); then echo 600; else echo 200; fi
}

# run_in MACHINE COMPONENT COMMAND...: starts a daemon; the machine's process 1 adopts it.
run_in() {
    local machine=$1 component=$2 log
    shift 2
    log=$(log_file "$machine" "$component")
    printf -- '---- started %s\n' "$(date -u +%FT%TZ)" >>"$log"
    ulimit -n "$(ulimit -Hn)"
    enter "$machine" env -i PATH="$BIN:/usr/sbin:/usr/bin:/sbin:/bin" HOME=/root GOGC="$(gogc)" \
        GOMEMLIMIT=2GiB setsid -f "$@" 8>&- 9>&- </dev/null >>"$log" 2>&1
}

# machine_end MACHINE: the power loss.
machine_end() {
    end_cgroup "$MACHINE_CGROUP/$1"
    rm -f "$STATE/machines/$1/booted"
    wait_until 60 cgroup_remove "$MACHINE_CGROUP/$1" ||
        die "cgroup $CGROUP_TRACK/$MACHINE_CGROUP/$1 cannot be removed"
}
