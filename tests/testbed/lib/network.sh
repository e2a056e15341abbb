# shellcheck shell=bash
# The network of the one node: a bridge whose address is this machine as pods see
# it, and three iptables rules. Services are kube-proxy's.

BRIDGE=imgop0
HOST_ADDRESS=10.244.0.1
POD_NETWORK=10.244.0.0/24

# Refuses where something else uses what we would use (and later clean away).
require_free_network() {
    local route
    route=$(ip -4 route show "$POD_NETWORK" | grep -v "dev $BRIDGE" || true)
    [[ ! $route ]] || die "the network $POD_NETWORK is in use here: $route"
    if iptables-save -t nat 2>/dev/null | grep -q '^:KUBE-SERVICES'; then
        die "another Kubernetes node runs on this machine (iptables chain KUBE-SERVICES). Use it for the" \
            "tests instead: set IMGOP_TEST_KUBECONFIG and IMGOP_TEST_HOST (README.md)"
    fi
}

# The bridge exists before the first pod (CNI would make it too), because the
# kubelet and the registries need its address at once.
make_bridge() {
    ip link add "$BRIDGE" type bridge
    ip addr add "$HOST_ADDRESS/24" dev "$BRIDGE"
    ip link set "$BRIDGE" up mtu "$(bridge_mtu)"
}

# Pods reach the outside through the default route, so no packet may be larger
# than what passes there.
bridge_mtu() {
    local device
    device=$(ip -4 route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
    if [[ $device ]]; then cat "/sys/class/net/$device/mtu"; else echo 1500; fi
}

# One masquerade rule for all pods, instead of CNI's chain per pod: quicker, and
# simple to take away. The FORWARD rules matter where a firewall (docker's, for
# example) drops what it does not know.
add_iptables_rules() {
    local comment=(-m comment --comment imgop-cluster)
    iptables -w -t nat -A POSTROUTING -s "$POD_NETWORK" ! -d "$POD_NETWORK" "${comment[@]}" -j MASQUERADE
    iptables -w -I FORWARD -s "$POD_NETWORK" "${comment[@]}" -j ACCEPT
    iptables -w -I FORWARD -d "$POD_NETWORK" "${comment[@]}" -j ACCEPT
}

# What we, the kubelet and kube-proxy may set; `down` puts back what it was.
SYSCTLS=(net/ipv4/ip_forward net/bridge/bridge-nf-call-iptables net/bridge/bridge-nf-call-ip6tables
    net/ipv4/conf/all/route_localnet vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes net/netfilter/nf_conntrack_max
    net/netfilter/nf_conntrack_tcp_timeout_established net/netfilter/nf_conntrack_tcp_timeout_close_wait)

save_sysctls() {
    local name
    for name in "${SYSCTLS[@]}"; do
        if [[ -r /proc/sys/$name ]]; then echo "$name $(<"/proc/sys/$name")"; fi
    done | write_file "$1"
}

set_sysctls() {
    modprobe br_netfilter 2>/dev/null || true # may be built in
    echo 1 >/proc/sys/net/ipv4/ip_forward
    # Without it a pod that reaches another pod through a service gets the answer
    # straight from the bridge, from an address that it never asked.
    if [[ -w /proc/sys/net/bridge/bridge-nf-call-iptables ]]; then
        echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
    fi
}

restore_sysctls() {
    local name value
    [[ -f $1 ]] || return 0
    while read -r name value; do
        if [[ $(cat "/proc/sys/$name" 2>/dev/null) != "$value" ]]; then
            echo "$value" 2>/dev/null >"/proc/sys/$name" || warn "could not restore sysctl $name to $value"
        fi
    done <"$1"
}

# cluster_rules IPTABLES TABLE: our rules and those of the kubelet and kube-proxy.
cluster_rules() {
    "$1-save" -t "$2" 2>/dev/null | grep -E '^:KUBE-|^-A KUBE-|imgop-cluster|-j KUBE-|^-A .* --comment "?kubernetes ' || true
}

# kube-proxy --cleanup leaves what the kubelet made, and cannot run when its
# binary is gone; so the rest is found by name. One transaction per table.
remove_iptables_rules() {
    local tool table rules
    for tool in iptables ip6tables; do
        command -v "$tool-save" >/dev/null || continue
        for table in nat filter mangle raw; do
            rules=$(cluster_rules "$tool" "$table")
            [[ $rules ]] || continue
            {
                echo "*$table"
                # Emptied first (":CHAIN - [0:0]"), so that no chain refers to another.
                sed -n 's/^:\(KUBE-[^ ]*\) .*/:\1 - [0:0]/p' <<<"$rules"
                grep '^-A' <<<"$rules" | grep -v '^-A KUBE-' | sed 's/^-A/-D/' || true
                sed -n 's/^:\(KUBE-[^ ]*\) .*/-X \1/p' <<<"$rules"
                echo COMMIT
            } | "$tool-restore" -w --noflush || warn "$tool: could not remove rules of table $table"
        done
    done
}

remove_links() {
    local link
    ip link show "$BRIDGE" >/dev/null 2>&1 || return 0
    for link in $(ip -o link show master "$BRIDGE" | sed -n 's/^[0-9]*: \([^@:]*\).*/\1/p'); do
        ip link del "$link" 2>/dev/null || true
    done
    ip link del "$BRIDGE"
}
