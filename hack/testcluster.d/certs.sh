# shellcheck shell=bash
# Keys, certificates and kubeconfigs. One CA; elliptic keys, because twelve RSA keys cost seconds. With
# all extensions of RFC 5280: Python 3.13 and other strict clients refuse a CA without key usage.

certs_up() {
    local pki=$STATE/pki
    [[ ! -e $pki/done ]] || return 0
    mkdir -p "$pki"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
        -subj "/CN=$CLUSTER test cluster" -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$pki/sa.key" 2>/dev/null
    openssl pkey -in "$pki/sa.key" -pubout -out "$pki/sa.pub"
    certificate apiserver "/CN=kube-apiserver" \
        "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$(machine_address control),IP:$(net).128.1"
    certificate apiserver-kubelet "/O=system:masters/CN=kube-apiserver-kubelet-client"
    kubeconfig_for admin "/O=system:masters/CN=admin" "$KUBECONFIG_ADMIN"
    local component
    for component in kube-controller-manager kube-scheduler kube-proxy; do
        kubeconfig_for "$component" "/CN=system:$component" "$pki/$component.conf"
    done
    for component in coredns volumes; do
        kubeconfig_for "$component" "/O=system:masters/CN=$component" "$pki/$component.conf"
    done
    : >"$pki/done"
}

certs_node() {
    local pki=$STATE/pki
    [[ ! -e $pki/$1.conf ]] || return 0
    certificate "$1" "/O=system:nodes/CN=system:node:$1" "DNS:$1,IP:$(machine_address "$1")"
    kubeconfig_for "$1" "" "$pki/$1.conf"
}

# certificate NAME SUBJECT [ALTERNATIVE_NAMES]
certificate() {
    local pki=$STATE/pki
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
        -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -subj "$2" \
        -addext "basicConstraints=critical,CA:FALSE" \
        -addext "extendedKeyUsage=clientAuth,serverAuth" \
        ${3:+-addext "subjectAltName=$3"} \
        -keyout "$pki/$1.key" -out "$pki/$1.crt" 2>"$pki/openssl.log" ||
        die_with_log "certificate '$1' cannot be made" "$pki/openssl.log"
}

# kubeconfig_for NAME SUBJECT FILE: with an empty SUBJECT the certificate is there already.
kubeconfig_for() {
    local pki=$STATE/pki
    [[ -z $2 ]] || certificate "$1" "$2"
    (
        umask 077
        cat >"$3.new" <<EOT
apiVersion: v1
kind: Config
clusters:
- name: testcluster-$CLUSTER
  cluster:
    server: https://$(machine_address control):6443
    certificate-authority-data: $(base64 -w0 "$pki/ca.crt")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 "$pki/$1.crt")
    client-key-data: $(base64 -w0 "$pki/$1.key")
contexts:
- name: testcluster-$CLUSTER
  context: {cluster: testcluster-$CLUSTER, user: $1}
current-context: testcluster-$CLUSTER
EOT
    )
    mv "$3.new" "$3"
}
