# shellcheck shell=bash
# The components of the control machine: their command lines, and when each counts as started.

start_etcd() {
    mkdir -p "$STATE/etcd"
    # No fsync: losing this cluster's data in a crash of the whole machine costs nothing.
    run_in control etcd etcd --name main --data-dir "$STATE/etcd" --unsafe-no-fsync \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 \
        --initial-advertise-peer-urls http://127.0.0.1:2380 \
        --initial-cluster main=http://127.0.0.1:2380 \
        --quota-backend-bytes 8589934592 --log-level warn
}

start_apiserver() {
    local pki=$STATE/pki
    run_in control apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 \
        --advertise-address "$(machine_address control)" --secure-port 6443 \
        --service-cluster-ip-range "$(net).128.0/17" \
        --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
        --client-ca-file "$pki/ca.crt" --authorization-mode Node,RBAC \
        --enable-admission-plugins NodeRestriction \
        --kubelet-certificate-authority "$pki/ca.crt" \
        --kubelet-client-certificate "$pki/apiserver-kubelet.crt" \
        --kubelet-client-key "$pki/apiserver-kubelet.key" \
        --kubelet-preferred-address-types InternalIP \
        --service-account-issuer https://kubernetes.default.svc.cluster.local \
        --service-account-key-file "$pki/sa.pub" \
        --service-account-signing-key-file "$pki/sa.key" \
        --enable-aggregator-routing --allow-privileged \
        --max-requests-inflight 4000 --max-mutating-requests-inflight 2000
}

start_controller_manager() {
    local pki=$STATE/pki conf=$STATE/pki/kube-controller-manager.conf
    run_in control controller-manager kube-controller-manager --kubeconfig "$conf" \
        --authentication-kubeconfig "$conf" --authorization-kubeconfig "$conf" \
        --root-ca-file "$pki/ca.crt" --service-account-private-key-file "$pki/sa.key" \
        --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key" \
        --use-service-account-credentials --leader-elect=false
}

start_scheduler() {
    local conf=$STATE/pki/kube-scheduler.conf
    run_in control scheduler kube-scheduler --kubeconfig "$conf" \
        --authentication-kubeconfig "$conf" --authorization-kubeconfig "$conf" \
        --leader-elect=false
}

start_volumes() {
    run_in control volumes volumes --kubeconfig "$STATE/pki/volumes.conf" --nodes "$STATE/nodes"
}

# What is not the cluster's is nobody's: there is no outside to ask.
start_coredns() {
    cat >"$STATE/Corefile" <<EOT
.:53 {
    bind $(machine_address dns)
    errors
    ready $(machine_address dns):8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig $STATE/pki/coredns.conf
        ttl 30
    }
    template ANY ANY . {
        rcode NXDOMAIN
    }
}
EOT
    run_in control coredns coredns -conf "$STATE/Corefile"
}

ready_etcd() {
    enter control curl -fs --max-time 5 -o /dev/null http://127.0.0.1:2379/readyz
}

ready_apiserver() {
    local pki=$STATE/pki
    curl -fs -o /dev/null --max-time 5 --cacert "$pki/ca.crt" --cert "$pki/admin.crt" \
        --key "$pki/admin.key" "https://$(machine_address control):6443/readyz"
}

ready_controller_manager() {
    enter control curl -fsk --max-time 5 -o /dev/null https://127.0.0.1:10257/healthz
}

ready_scheduler() {
    enter control curl -fsk --max-time 5 -o /dev/null https://127.0.0.1:10259/readyz
}

ready_coredns() {
    curl -fs -o /dev/null --max-time 5 "http://$(machine_address dns):8181/ready"
}

ready_volumes() {
    component_pid volumes control >/dev/null
}

# The objects a cluster needs that no controller makes: DNS and storage.
control_objects() {
    "$BIN/kubectl" --kubeconfig "$KUBECONFIG_ADMIN" apply --validate=false -f - >/dev/null <<EOT
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec:
  clusterIP: $(net).128.10
  ports:
  - {name: dns, port: 53, protocol: UDP}
  - {name: dns-tcp, port: 53, protocol: TCP}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: kube-dns
  namespace: kube-system
  labels: {kubernetes.io/service-name: kube-dns}
addressType: IPv4
ports:
- {name: dns, port: 53, protocol: UDP}
- {name: dns-tcp, port: 53, protocol: TCP}
endpoints:
- {addresses: ["$(machine_address dns)"], conditions: {ready: true}}
$(storage_class standard true '{storageclass.kubernetes.io/is-default-class: "true"}' '{}')
$(storage_class fixed false '{}' '{}')
$(storage_class limited true '{}' '{limited: "true"}')
EOT
}

# storage_class NAME EXPANDABLE ANNOTATIONS PARAMETERS
storage_class() {
    cat <<EOT
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: $1, annotations: $3}
provisioner: testcluster.pgkeel.dev/volumes
parameters: $4
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: $2
EOT
}
