#!/bin/sh
# First program of a machine, run as process 1 of fresh namespaces: gives it its own /proc, /sys,
# /run and a few files, then becomes init. Nothing done here is seen outside, and all of it goes
# when process 1 goes.
# Usage: boot.sh MACHINE DIR INIT v1|v2 DNS_ADDRESS SYSTEM_CGROUP
set -eu
machine=$1 dir=$2 init=$3 cgroups=$4 dns=$5

# Not to hold on to namespaces of other clusters by copies of their mounts.
umount --recursive --lazy /run/netns 2>/dev/null || true
# Pods' mounts must reach the pods, so share below here.
mount --make-rshared /
controllers=
if [ "$cgroups" = v1 ]; then
    controllers=$(awk -F ' - ' '{ split($2, f, " "); n = split(f[3], o, ","); s = ""
        if (f[1] != "cgroup" || f[3] ~ /name=/) next
        for (i = 1; i <= n; i++) if (o[i] != "rw") s = s (s == "" ? "" : ",") o[i]
        if (!seen[s]++) print s }' /proc/self/mountinfo)
    echo $$ >"$6/cgroup.procs"
fi

mount -t proc proc /proc
umount --recursive --lazy /sys
mount -t sysfs sysfs /sys
if [ "$cgroups" = v1 ]; then
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    for c in $controllers; do
        mkdir "/sys/fs/cgroup/$c"
        mount -t cgroup -o "$c" cgroup "/sys/fs/cgroup/$c"
    done
else
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    echo $$ >/sys/fs/cgroup/system/cgroup.procs
fi
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns
mount -t tmpfs -o mode=755 tmpfs /var/log
mkdir -p "$dir/cni"
mount --bind "$dir/cni" /var/lib/cni

# Where the cluster's own DNS answers, an image or name outside fails at once, not by timeout.
printf 'nameserver %s\n' "$dns" >"$dir/resolv.conf"
mount --bind "$dir/resolv.conf" /etc/resolv.conf

# The kubelet would set these for the whole host. It finds what it wants and writes nothing.
for tunable in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    [ -e "/proc/sys/${tunable%=*}" ] || continue
    file=$dir/$(echo "${tunable%=*}" | tr / _)
    echo "${tunable#*=}" >"$file"
    mount --bind "$file" "/proc/sys/${tunable%=*}"
done

hostname "$machine"
: >"$dir/booted"
exec "$init" "$dir/ended"
