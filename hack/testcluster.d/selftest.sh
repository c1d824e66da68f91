#!/usr/bin/env bash
# Proves what docs/testcluster.md promises, on a cluster of its own that is gone afterwards.
# Run as: hack/testcluster selftest
set -uo pipefail

export PGKEEL_TESTCLUSTER=selftest
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
WORK=$(mktemp -d)
PASSED=0 FAILED=0

tc() { "$HERE/../testcluster" "$@"; }
k() { tc kubectl -n smoke "$@"; }

# ok TITLE COMMAND...: the command's output is shown only when it fails.
ok() {
    local title=$1
    shift
    if "$@" >"$WORK/out" 2>&1; then
        PASSED=$((PASSED + 1)) && echo "ok - $title"
    else
        FAILED=$((FAILED + 1)) && echo "not ok - $title"
        tail -n 20 "$WORK/out" | sed 's/^/    /'
    fi
}

not() { ! "$@"; }

# within SECONDS COMMAND...
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.1
    done
}

# says TEXT COMMAND...
says() {
    local text=$1 got
    shift
    got=$("$@" 2>&1) || true
    [[ $got == *"$text"* ]] || { echo "expected '$text', got: $got" && return 1; }
}

finish() {
    tc down >/dev/null 2>&1
    rm -rf "$WORK"
    echo "$PASSED passed, $FAILED failed"
    ((FAILED == 0))
}

# An image to run pods from: one static busybox.
make_image() {
    local root=$WORK/root name
    mkdir -p "$root/bin" "$root/tmp" && chmod 1777 "$root/tmp"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for name in sh httpd nc nslookup id cat df dd sleep touch hostname; do
        ln "$root/bin/busybox" "$root/bin/$name"
    done
    tar -C "$root" --owner=0 --group=0 -cf "$WORK/layer.tar" .
    printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$(dpkg --print-architecture)" "$(sha256sum <"$WORK/layer.tar" | cut -d' ' -f1)" \
        >"$WORK/config.json"
    echo '[{"Config":"config.json","RepoTags":["localhost/busybox:1"],"Layers":["layer.tar"]}]' \
        >"$WORK/manifest.json"
    tar -C "$WORK" -cf "$WORK/image.tar" manifest.json config.json layer.tar
}

host_reaches() { curl -fsS -o /dev/null -m 2 "http://$1/"; }
pod_reaches() { k exec "$1" -- sh -c "nc -w 2 $2 $3 </dev/null"; }
pod_ip() { k get pod "$1" -o jsonpath='{.status.podIP}'; }
pod_node() { k get pod "$1" -o jsonpath='{.spec.nodeName}'; }
api_answers() { timeout 3 "$HERE/../testcluster" kubectl get --raw /readyz; }

run_basics() {
    ok "a cluster with two nodes comes up" tc up
    ok "up is idempotent" tc up
    ok "both nodes are Ready" tc kubectl wait --for=condition=Ready node/node1 node/node2 --timeout 30s
    ok "an image archive loads into every node" tc load-image "$WORK/image.tar"
    ok "objects apply" tc kubectl apply -f "$HERE/selftest.yaml"
    ok "restricted pods with volumes run on both nodes" k rollout status statefulset/web --timeout 60s
    ok "the two pods are on two nodes" not test "$(pod_node web-0)" = "$(pod_node web-1)"
    ok "logs show a pod's output" says serving k logs web-0
    ok "exec runs in a pod, fsGroup given" says 70000 k exec web-1 -- id
    ok "a volume belongs to the pod's fsGroup" k exec web-0 -- touch /data/mine
    ok "an image volume is mounted" k exec web-0 -- sh -c "test -x /image/pause"
    ok "a pod resolves a Service" says Address: k exec web-0 -- nslookup web.smoke.svc.cluster.local
    ok "an outside name fails at once" not k exec web-0 -- nslookup example.com
    local service
    service=$(k get service web -o jsonpath='{.spec.clusterIP}')
    ok "a pod reaches a Service" pod_reaches web-0 "$service" 80
    ok "a pod reaches the other node's pod" pod_reaches web-0 "$(pod_ip web-1)" 8080
    ok "the host reaches a pod" host_reaches "$(pod_ip web-1):8080"
    ok "the host reaches a Service" host_reaches "$service"
    ok "exec uses a node's network" tc exec node2 -- curl -fsS -m 2 -o /dev/null "http://$service/"
}

run_volumes() {
    ok "a standard volume expands" k patch pvc data-web-0 \
        -p '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'
    ok "a fixed volume refuses to expand" not k patch pvc fixed \
        -p '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'
    ok "a limited volume gets full" says "No space left" \
        k exec limited -- dd if=/dev/zero of=/data/fill bs=1M count=400
    ok "a limited volume expands" k patch pvc limited \
        -p '{"spec":{"resources":{"requests":{"storage":"500Mi"}}}}'
    # The kubelet looks at a running pod's volumes once a minute or so.
    ok "the expanded sizes arrive" k wait --timeout 120s \
        --for=jsonpath='{.status.capacity.storage}'=500Mi pvc/limited
    ok "the full volume has room again" k exec limited -- dd if=/dev/zero of=/data/more bs=1M count=100
}

run_faults() {
    local other component
    other=$(pod_node web-1)
    ok "a frozen API server does not answer" tc freeze apiserver
    ok "… until it is thawed" not api_answers
    ok "thaw" tc thaw apiserver && ok "… then it does" within 10 api_answers
    for component in etcd apiserver controller-manager scheduler coredns volumes kubelet \
        containerd kube-proxy; do
        ok "$component is killed" tc kill "$component"
        ok "… is seen to be stopped" says "stopped" tc status
        ok "… and starts again" tc start "$component"
    done
    ok "pods outlive their containerd" pod_reaches web-0 "$(pod_ip web-1)" 8080
    ok "cut $other from its peers" tc cut "$other" peers
    ok "… its pod is out of reach" not host_reaches "$(pod_ip web-1):8080"
    ok "cut $other from the API" tc cut "$other" api
    ok "… its pod is within reach" host_reaches "$(pod_ip web-1):8080"
    ok "… its API server is not" not tc exec "$other" -- curl -skm 2 "$(tc kubectl config view \
        -o jsonpath='{.clusters[0].cluster.server}')"
    ok "heal $other" tc heal "$other"
    ok "freeze $other" tc freeze node "$other"
    ok "… its pod is silent" not host_reaches "$(pod_ip web-1):8080"
    ok "thaw $other" tc thaw node "$other"
    ok "… its pod speaks" within 5 host_reaches "$(pod_ip web-1):8080"
    for component in kill stop; do
        ok "$component $other" tc "$component" node "$other"
        ok "… its pod is gone" not host_reaches "$(pod_ip web-1):8080"
        ok "start $other" tc start node "$other"
        ok "… its pod comes back with its volume" within 60 k exec web-1 -- cat /data/index.html
    done
}

# What is left when a test dies between a fault and its end.
run_leftovers() {
    tc freeze node node1 && tc freeze scheduler && tc cut node2 && tc freeze apiserver
    ok "up undoes forgotten faults" tc up
    ok "… so that nothing is frozen or cut" not says frozen tc status
    ok "a frozen node can be killed" tc freeze node node2 && ok "… now" tc kill node node2
    ok "up starts a node that is down" tc up
    tc freeze node node1
}

# interrupted_up: killed in its middle, without a chance to tidy up.
interrupted_up() {
    "$HERE/../testcluster" up >"$WORK/interrupted" 2>&1 &
    within 60 test -e /var/lib/pgkeel-testcluster/selftest/machines/node1/booted
    kill -KILL $!
    wait $! 2>/dev/null
}

run_ends() {
    ok "a second cluster runs beside it" env PGKEEL_TESTCLUSTER=selftest-2 \
        "$HERE/../testcluster" up --nodes 0 --no-controllers
    ok "… and goes alone" env PGKEEL_TESTCLUSTER=selftest-2 "$HERE/../testcluster" down
    ok "… leaving nothing" env PGKEEL_TESTCLUSTER=selftest-2 "$HERE/../testcluster" check-clean
    ok "the first is not touched" api_answers
    ok "down, with a node frozen" tc down
    ok "nothing is left" tc check-clean
    interrupted_up
    ok "down ends what a killed 'up' left" tc down
    interrupted_up
    rm -rf /var/lib/pgkeel-testcluster/selftest
    ok "… even when its state is lost" tc down
    ok "nothing is left of that either" tc check-clean
}

command -v busybox >/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends busybox-static
make_image
trap 'finish; exit $?' EXIT
run_basics
run_volumes
run_faults
run_leftovers
run_ends
