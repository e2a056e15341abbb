# shellcheck shell=bash
# The node: containerd, kubelet, kube-proxy. Everything that can be told to live
# in the state folder is told so; teardown.sh knows the few things that cannot.

NODE=imgop-node
CNI_PLUGINS=/usr/lib/cni # where Debian puts them

start_containerd() {
    local dir=$1
    mkdir -p "$dir"/containerd/{root,state} "$dir/shims" "$dir/cni" "$dir/etc/cni" "$dir/etc/certs.d"
    write_cni_config "$dir"
    write_containerd_config "$dir"
    # PATH: containerd looks there for its shim.
    start "$dir" containerd env "PATH=$BIN:$PATH" "$BIN/containerd" --config "$dir/etc/containerd.toml"
    { wait_until 30 containerd_answers_or_died "$dir" && alive "$dir/run/containerd"; } ||
        die "containerd does not start: see $dir/log/containerd.log"
}
node_ctr() { "$BIN/ctr" --address "$1/containerd/containerd.sock" --namespace k8s.io "${@:2}"; }
containerd_answers_or_died() { dead "$1/run/containerd" || node_ctr "$1" version; }

write_cni_config() {
    write_file "$1/etc/cni/10-imgop.conflist" <<END
{"cniVersion": "1.0.0", "name": "imgop", "plugins": [{
  "type": "bridge", "bridge": "$BRIDGE", "isGateway": true, "hairpinMode": true, "ipMasq": false,
  "mtu": $(bridge_mtu),
  "ipam": {"type": "host-local", "dataDir": "$1/cni", "routes": [{"dst": "0.0.0.0/0"}],
           "ranges": [[{"subnet": "$POD_NETWORK", "gateway": "$HOST_ADDRESS"}]]}}]}
END
}

write_containerd_config() {
    local dir=$1
    write_file "$dir/etc/containerd.toml" <<END
version = 3
root = "$dir/containerd/root"
state = "$dir/containerd/state"
imports = []
# Not needed for pods; some would make folders elsewhere.
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs",
  "io.containerd.image-verifier.v1.bindir"]

[grpc]
  address = "$dir/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$dir/containerd/opt"
[plugins."io.containerd.shim.v1.manager"]
  socket_dir = "$dir/shims"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  pinned_images.sandbox = "$PAUSE_IMAGE"
  registry.config_path = "$dir/etc/certs.d"
[plugins."io.containerd.transfer.v1.local"]
  config_path = "$dir/etc/certs.d"

[plugins."io.containerd.cri.v1.runtime"]
  # Root may lack CAP_SYS_RESOURCE (in small virtual machines): then no score may
  # be lowered, and runc would die with "can't get final child's PID from pipe".
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  # The loopback plugin would leave a file per pod in /var/lib/cni.
  cni.use_internal_loopback = true
  cni.bin_dirs = ["$CNI_PLUGINS"]
  cni.conf_dir = "$dir/etc/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "$BIN/runc"
      Root = "$dir/containerd/state/runc"
      SystemdCgroup = false
END
}

# trust_registries DIR: the node pulls from both test registries too. Read at
# each pull, so containerd needs no restart.
trust_registries() {
    local dir=$1 source target
    source=$HOST_ADDRESS:$(<"$dir/registries/source.port")
    target=$HOST_ADDRESS:$(<"$dir/registries/target.port")
    mkdir -p "$dir/etc/certs.d/$source" "$dir/etc/certs.d/$target"
    printf 'server = "http://%s"\n[host."http://%s"]\n' "$source" "$source" |
        write_file "$dir/etc/certs.d/$source/hosts.toml"
    printf 'server = "https://%s"\n[host."https://%s"]\n  ca = "%s"\n' "$target" "$target" "$dir/registries/ca.crt" |
        write_file "$dir/etc/certs.d/$target/hosts.toml"
}

write_kubelet_config() {
    local dir=$1 port=$2 resolv=/etc/resolv.conf
    # Pods cannot reach a resolver on this machine's loopback; systemd keeps the real ones there:
    if [[ -f /run/systemd/resolve/resolv.conf ]]; then resolv=/run/systemd/resolve/resolv.conf; fi
    write_file "$dir/etc/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$dir/containerd/containerd.sock
address: $HOST_ADDRESS
port: $port
healthzPort: 0
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $dir/pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $dir/pki/kubelet-server.crt
tlsPrivateKeyFile: $dir/pki/kubelet-server.key
podLogsDir: $dir/pod-logs
volumePluginDir: $dir/kubelet/volume-plugins
resolvConf: $resolv
failSwapOn: false
# Images are loaded once and must stay; a nearly full disk is no reason to end tests.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 50Mi, nodefs.available: 100Mi, imagefs.available: 100Mi, nodefs.inodesFree: 0%}
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
failCgroupV1: false
END
}

# The cgroup under which the kubelet makes those of the pods must exist before it.
# One of our own keeps pods apart from what else runs here; it also lets the
# kubelet manage cgroups where it may not change the root one.
make_pod_cgroups() {
    local group controller
    while read -r group; do
        mkdir -p "$group"
        [[ $(cgroup_version) == 2 ]] || continue
        for controller in $(</sys/fs/cgroup/cgroup.controllers); do
            echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || true
            echo "+$controller" >"$group/cgroup.subtree_control" || true
        done 2>/dev/null
    done < <(cluster_cgroups)
}

start_kubelet() {
    local dir=$1 attempt
    make_pod_cgroups
    mkdir -p "$dir/kubelet" "$dir/pod-logs"
    write_kubeconfig "$dir/etc/kubelet.kubeconfig" "https://127.0.0.1:$(<"$dir/apiserver.port")" "$dir/pki" kubelet
    for attempt in 1 2 3; do
        write_kubelet_config "$dir" "$(free_port)"
        start "$dir" kubelet env "PATH=$BIN:$PATH" "$BIN/kubelet" --config "$dir/etc/kubelet.yaml" \
            --kubeconfig "$dir/etc/kubelet.kubeconfig" --hostname-override "$NODE" --node-ip "$HOST_ADDRESS" \
            --root-dir "$dir/kubelet" --cert-dir "$dir/pki/kubelet"
        if wait_until 60 node_ready_or_dead "$dir" && alive "$dir/run/kubelet"; then return; fi
        if ((attempt == 3)); then die "the node does not become Ready: see $dir/log/kubelet.log"; fi
    done
}
admin() { "$BIN/kubectl" --kubeconfig "$STATE/kubeconfig" "$@"; }
node_ready() {
    [[ $(admin get node "$NODE" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') == True ]]
}
node_ready_or_dead() { dead "$1/run/kubelet" || node_ready; }

start_proxy() {
    local dir=$1
    write_kubeconfig "$dir/etc/proxy.kubeconfig" "https://127.0.0.1:$(<"$dir/apiserver.port")" "$dir/pki" proxy
    # 0 leaves the kernel's own limits for connections as they are.
    start "$dir" kube-proxy "$BIN/kube-proxy" --kubeconfig "$dir/etc/proxy.kubeconfig" \
        --hostname-override "$NODE" --proxy-mode iptables --cluster-cidr "$POD_NETWORK" \
        --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0s --conntrack-tcp-timeout-close-wait 0s \
        --healthz-bind-address '' --metrics-bind-address ''
}
services_work() { iptables-save -t nat | grep -q 'default/kubernetes:https'; }
