# shellcheck shell=bash
# One network namespace per machine, joined by a bridge in a namespace of its own: there the host's
# firewall (Docker's FORWARD DROP, say) has no hand in what machines say to each other. The host is
# one more port, with routes to pods and Services. Nothing routes to the outside.

netns_name() {
    echo "pgkeel-$CLUSTER-$1"
}

# The name is too short for the cluster's; the interface's alias tells whose it is.
host_link() {
    echo "pgkeel-$(setting block)"
}

host_alias() {
    echo "pgkeel-testcluster $CLUSTER"
}

# host_links: of this cluster, whether or not its state is still there.
host_links() {
    local link
    for link in /sys/class/net/pgkeel-*; do
        [[ $(cat "$link/ifalias" 2>/dev/null) != "$(host_alias)" ]] || echo "${link##*/}"
    done
}

# network_block: the first 10.X.0.0/16 that no other cluster and no route of the host uses.
network_block() {
    local block used
    used=$(cat "$STATE_ROOT"/*/settings/block 2>/dev/null || true)
    for block in 96 {100..199}; do
        grep -qx "$block" <<<"$used" && continue
        [[ -z $(ip -o route show root "10.$block.0.0/16") ]] || continue
        echo "$block"
        return
    done
    die "no free network 10.96.0.0/16 or 10.100-199.0.0/16; take a cluster down"
}

network_up() {
    [[ -n $(setting block) ]] || {
        lock addresses 8
        remember block "$(network_block)"
        exec 8>&-
    }
    local switch link
    switch=$(netns_name switch) link=$(host_link)
    netns_make "$switch"
    ip -n "$switch" link show br0 >/dev/null 2>&1 || ip -n "$switch" link add br0 type bridge
    ip -n "$switch" -batch - <<<"link set lo up
        link set br0 up"
    # All but the making is done every time: an 'up' that was killed may have stopped anywhere.
    [[ -e /sys/class/net/$link ]] ||
        ip link add "$link" alias "$(host_alias)" type veth peer name host netns "$switch"
    ip -n "$switch" link set host master br0 up
    ip address replace "$(machine_address host)/24" dev "$link"
    ip link set "$link" up alias "$(host_alias)"
    local machine
    for machine in $(machine_names); do
        network_machine "$machine"
    done
    network_routes
}

# netns_make NAME: an empty file there is the rest of one that is gone.
netns_make() {
    [[ $(stat -fc %T "/run/netns/$1" 2>/dev/null) != nsfs ]] || return 0
    rm -f "/run/netns/$1"
    ip netns add "$1"
}

network_machine() {
    local switch name
    switch=$(netns_name switch) name=$(netns_name "$1")
    netns_make "$name"
    ip -n "$name" link show eth0 >/dev/null 2>&1 ||
        ip -n "$switch" link add "$1" type veth peer name eth0 netns "$name"
    ip -n "$switch" link set "$1" master br0 up
    local extra=
    [[ $1 != control ]] || extra="address replace $(machine_address dns)/24 dev eth0"
    ip -n "$name" -batch - <<<"link set lo up
        address replace $(machine_address "$1")/24 dev eth0
        $extra
        link set eth0 up
        route replace default via $(machine_address host)"
    nsenter --net="/run/netns/$name" sh -c 'cd /proc/sys/net/ipv4
        echo 1 >ip_forward; echo 0 >conf/all/rp_filter; echo 0 >conf/default/rp_filter'
}

# network_routes: everybody knows where every node's pods are. Services are reached through a node,
# whose kube-proxy rewrites them: the host's and the control machine's way in is the first node.
network_routes() {
    local from to
    for to in $(node_names); do
        ip route replace "$(pod_cidr "$to")" via "$(machine_address "$to")"
        for from in $(machine_names); do
            [[ $from == "$to" ]] || ip -n "$(netns_name "$from")" route replace \
                "$(pod_cidr "$to")" via "$(machine_address "$to")"
        done
    done
    (($(setting nodes) > 0)) || return 0
    ip route replace "$(net).128.0/17" via "$(machine_address node1)"
    ip -n "$(netns_name control)" route replace "$(net).128.0/17" via "$(machine_address node1)"
}

network_down() {
    local link name
    for link in $(host_links); do
        ip link delete "$link"
    done
    for name in /run/netns/pgkeel-"$CLUSTER"-*; do
        { [[ -e $name ]] && cluster_netns "${name##*/}"; } || continue
        ip netns delete "${name##*/}" 2>/dev/null || rm -f "$name"
    done
}

# cluster_netns NAME: ours, not that of a cluster whose name starts with ours and a dash.
cluster_netns() {
    [[ $1 =~ ^pgkeel-$CLUSTER-(switch|control|node[0-9]+)$ ]]
}

# cut NODE api|peers|all: packets vanish, as when a switch dies; connections see silence.
# Filtered after the Service rewriting, where the address is the real one.
cut_node() {
    local api dns name
    api=$(machine_address control) dns=$(machine_address dns) name=$(netns_name "$1")
    local in='iifname "eth0" ip saddr' out='oifname "eth0" ip daddr'
    case $2 in
    api) in="$in $api drop" out="$out $api drop" ;;
    peers) in="$in != { $api, $dns } drop" out="$out != { $api, $dns } drop" ;;
    all) in='iifname "eth0" drop' out='oifname "eth0" drop' ;;
    *) die "cut $1 $2: expected api, peers or all" ;;
    esac
    heal_node "$1"
    nsenter --net="/run/netns/$name" nft -f - <<EOT
table inet pgkeel_cut {
    chain in { type filter hook prerouting priority -300; $in; }
    chain out { type filter hook postrouting priority 300; $out; }
}
EOT
}

heal_node() {
    nsenter --net="/run/netns/$(netns_name "$1")" nft -f - <<EOT
table inet pgkeel_cut
delete table inet pgkeel_cut
EOT
}

node_cut() {
    nsenter --net="/run/netns/$(netns_name "$1")" nft list table inet pgkeel_cut >/dev/null 2>&1
}
