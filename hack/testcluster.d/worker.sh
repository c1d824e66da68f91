# shellcheck shell=bash
# The components of a node: containerd, kubelet, kube-proxy.

start_containerd() {
    local dir=$STATE/nodes/$1
    mkdir -p "$dir/containerd" "$dir/cni-conf" "$dir/volumes"
    cat >"$dir/containerd.toml" <<EOT
version = 3
root = "$dir/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs",
]
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "localhost/pause:1"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
disable_apparmor = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = "$dir/cni-conf"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = "$BIN/runc"
SystemdCgroup = false
EOT
    # ptp, not bridge: between two pods of one node, too, packets pass the node's routing, so that
    # Services work without the kernel's bridge filter.
    cat >"$dir/cni-conf/10-pods.conflist" <<EOT
{"cniVersion": "1.0.0", "name": "pods", "plugins": [{
  "type": "ptp", "mtu": 1500,
  "ipam": {"type": "host-local", "dataDir": "/run/cni-addresses",
           "ranges": [[{"subnet": "$(pod_cidr "$1")"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
EOT
    run_in "$1" containerd containerd --config "$dir/containerd.toml" \
        --address /run/containerd/containerd.sock --log-level warn
}

start_kubelet() {
    local dir=$STATE/nodes/$1 pki=$STATE/pki
    mkdir -p "$dir/kubelet" "$dir/pod-logs"
    : >"$dir/resolv.conf"
    # Files of Secrets and sizes of volumes follow when a pod is next looked at, which would be a minute.
    cat >"$dir/kubelet.yaml" <<EOT
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $pki/$1.crt
tlsPrivateKeyFile: $pki/$1.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
clusterDomain: cluster.local
clusterDNS: ["$(net).128.10"]
resolvConf: $dir/resolv.conf
serializeImagePulls: false
syncFrequency: 20s
maxPods: 110
podLogsDir: $dir/pod-logs
volumePluginDir: $dir/kubelet/volume-plugins
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard:
  memory.available: "0%"
  nodefs.available: "0%"
  nodefs.inodesFree: "0%"
  imagefs.available: "0%"
  imagefs.inodesFree: "0%"
EOT
    run_in "$1" kubelet kubelet --config "$dir/kubelet.yaml" --kubeconfig "$pki/$1.conf" \
        --root-dir "$dir/kubelet" --hostname-override "$1" --node-ip "$(machine_address "$1")" \
        --node-labels "topology.kubernetes.io/zone=zone-$1,topology.kubernetes.io/region=local"
}

start_kube_proxy() {
    run_in "$1" kube-proxy kube-proxy --kubeconfig "$STATE/pki/kube-proxy.conf" \
        --proxy-mode nftables --hostname-override "$1" --cluster-cidr "$(net).64.0/18" \
        --healthz-bind-address "$(machine_address "$1"):10256" \
        --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 \
        --conntrack-tcp-timeout-close-wait 0
}

ready_containerd() {
    enter "$1" "$BIN/ctr" --connect-timeout 1s version >/dev/null 2>&1
}

ready_kubelet() {
    enter "$1" curl -fs --max-time 5 -o /dev/null http://127.0.0.1:10248/healthz
}

ready_kube_proxy() {
    curl -fs -o /dev/null --max-time 5 "http://$(machine_address "$1"):10256/healthz"
}

# import_image NODE FILE: docker or OCI archive, plain or gzip.
import_image() {
    enter "$1" "$BIN/ctr" -n k8s.io images import --local --all-platforms=false - <"$2"
}
