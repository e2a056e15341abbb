# shellcheck shell=bash
# etcd and the control plane. Used by the whole cluster (`up`) and, without the
# controller manager and scheduler, by `apiserver`.

# start_etcd DIR: on free ports, which DIR/etcd.port remembers.
start_etcd() {
    local dir=$1 client peer attempt
    for attempt in 1 2 3; do
        client=$(free_port) peer=$(free_port)
        # --unsafe-no-fsync: nothing here must survive a power cut, and a slow
        # disk would make every write of the API slow.
        start "$dir" etcd "$BIN/etcd" --name test --data-dir "$dir/etcd" --unsafe-no-fsync \
            --listen-client-urls "https://127.0.0.1:$client" --advertise-client-urls "https://127.0.0.1:$client" \
            --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
            --initial-cluster "test=http://127.0.0.1:$peer" \
            --cert-file "$dir/pki/etcd.crt" --key-file "$dir/pki/etcd.key" \
            --client-cert-auth --trusted-ca-file "$dir/pki/etcd-ca.crt" \
            --log-level warn --auto-compaction-retention 10m --quota-backend-bytes 4294967296
        echo "$client" >"$dir/etcd.port"
        if wait_until 30 listening_or_dead "$dir" etcd "$client" && alive "$dir/run/etcd"; then return; fi
        rm -rf "$dir/etcd"
        if ((attempt == 3)); then die "etcd does not start: see $dir/log/etcd.log"; fi
    done
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }
listening_or_dead() { dead "$1/run/$2" || listening "$3"; }

# What is logged of each request. Tests count writes and look at what was sent.
# The first rule that fits counts; bodies of Secrets, ConfigMaps and tokens are
# never written down.
write_audit_policy() {
    write_file "$1" <<'END'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: Metadata
  resources:
  - {group: "", resources: [secrets, configmaps, serviceaccounts/token]}
  - {group: authentication.k8s.io, resources: [tokenreviews]}
- level: RequestResponse
  resources:
  - {group: skopeo.io}
  - {group: buildah.io}
  - {group: batch, resources: [jobs, jobs/status]}
  - {group: "", resources: [pods, pods/status, events]}
  - {group: events.k8s.io, resources: [events]}
- level: Metadata
END
}

# start_apiserver DIR ADVERTISED_ADDRESS LISTEN_ADDRESS [FLAG...]: on a free port,
# which DIR/apiserver.port remembers.
start_apiserver() {
    local dir=$1 advertised=$2 listen=$3 port attempt pki=$1/pki
    shift 3
    write_audit_policy "$dir/audit-policy.yaml"
    for attempt in 1 2 3; do
        port=$(free_port)
        # The audit log is not rotated: tests read it while it grows.
        start "$dir" kube-apiserver "$BIN/kube-apiserver" \
            --bind-address "$listen" --secure-port "$port" --advertise-address "$advertised" \
            --etcd-servers "https://127.0.0.1:$(<"$dir/etcd.port")" --etcd-cafile "$pki/etcd-ca.crt" \
            --etcd-certfile "$pki/apiserver-etcd-client.crt" --etcd-keyfile "$pki/apiserver-etcd-client.key" \
            --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
            --client-ca-file "$pki/ca.crt" --authorization-mode Node,RBAC --allow-privileged \
            --service-cluster-ip-range 10.96.0.0/16 \
            --service-account-issuer https://kubernetes.default.svc.cluster.local \
            --service-account-key-file "$pki/service-accounts.pub" \
            --service-account-signing-key-file "$pki/service-accounts.key" \
            --audit-policy-file "$dir/audit-policy.yaml" --audit-log-path "$dir/log/audit.log" \
            --audit-log-maxsize 100000 "$@"
        echo "$port" >"$dir/apiserver.port"
        if wait_until 60 ready_or_dead "$dir" && alive "$dir/run/kube-apiserver"; then
            write_kubeconfig "$dir/kubeconfig" "https://127.0.0.1:$port" "$pki" admin
            return
        fi
        if ((attempt == 3)); then die "the API server does not start: see $dir/log/kube-apiserver.log"; fi
    done
}

# apiserver_ready DIR: /readyz, which also waits for RBAC's own roles. Asked with
# openssl, because kubectl takes longer to load than the answer to come.
apiserver_ready() {
    local answer
    answer=$(printf 'GET /readyz HTTP/1.0\r\n\r\n' |
        timeout 5 openssl s_client -quiet -verify_return_error -CAfile "$1/pki/ca.crt" \
            -connect "127.0.0.1:$(<"$1/apiserver.port")" 2>/dev/null || true)
    [[ $answer == *" 200 OK"* ]]
}
# Before it listens there is nothing to start openssl for.
ready_or_dead() {
    dead "$1/run/kube-apiserver" || { listening "$(<"$1/apiserver.port")" && apiserver_ready "$1"; }
}

# start_controllers DIR: controller manager and scheduler, all default controllers.
start_controllers() {
    local dir=$1 pki=$1/pki name server
    server=https://127.0.0.1:$(<"$dir/apiserver.port")
    for name in controller-manager scheduler; do
        write_kubeconfig "$dir/etc/$name.kubeconfig" "$server" "$pki" "$name"
    done
    # No leader election: there is one of each, and a lease would only cost time.
    # No port of their own (--secure-port 0): their metrics are not read here.
    start "$dir" kube-controller-manager "$BIN/kube-controller-manager" \
        --kubeconfig "$dir/etc/controller-manager.kubeconfig" --leader-elect=false \
        --authentication-kubeconfig "$dir/etc/controller-manager.kubeconfig" \
        --authorization-kubeconfig "$dir/etc/controller-manager.kubeconfig" \
        --secure-port 0 --use-service-account-credentials --flex-volume-plugin-dir "$dir/kubelet/volume-plugins" \
        --service-account-private-key-file "$pki/service-accounts.key" --root-ca-file "$pki/ca.crt" \
        --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key"
    start "$dir" kube-scheduler "$BIN/kube-scheduler" \
        --kubeconfig "$dir/etc/scheduler.kubeconfig" --leader-elect=false \
        --authentication-kubeconfig "$dir/etc/scheduler.kubeconfig" \
        --authorization-kubeconfig "$dir/etc/scheduler.kubeconfig" \
        --secure-port 0
}
