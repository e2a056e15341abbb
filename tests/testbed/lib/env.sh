# shellcheck shell=bash
# STATE/env: what tests and people source. Every value is quoted, every path absolute.

# One cluster per machine (the bridge and the iptables chains have fixed names),
# hence one lock, wherever the state is. Without root there is no cluster to
# share, only registries.
lock_file() {
    if [[ $(id -u) == 0 ]]; then echo /run/lock/imgop-cluster.lock; else echo "$1.lock"; fi
}

# The lock file also says where the running cluster lives. (A folder that is gone
# holds none; what it left behind elsewhere is cleared away by the next `up` or `down`.)
running_dir() {
    local dir
    dir=$(cat "$1" 2>/dev/null || true)
    if [[ $dir && -d $dir ]]; then echo "$dir"; fi
}

# state_dir: where the user says, else where a cluster runs, else the usual place.
state_dir() {
    local running
    running=$(running_dir "$(lock_file "$(default_state_dir)")")
    realpath -m "${IMGOP_CLUSTER_DIR:-${running:-$(default_state_dir)}}"
}

write_bundled_env() {
    local dir=$1
    {
        env_line KUBECONFIG "$dir/kubeconfig"
        env_line IMGOP_TEST_KUBECONFIG "$dir/kubeconfig"
        env_line IMGOP_CLUSTER_DIR "$dir"
        env_line IMGOP_CLUSTER_BIN "$dir/bin"
        env_line IMGOP_TEST_HOST "$HOST_ADDRESS"
        env_line IMGOP_TEST_AUDIT_LOG "$dir/log/audit.log"
        env_line IMGOP_TEST_EMULATED "$(emulated_platforms "$dir")"
        common_env "$dir"
        # An HTTP proxy of the user's must not come between this machine and the pods' network.
        if [[ ${http_proxy:-}${HTTP_PROXY:-}${https_proxy:-}${HTTPS_PROXY:-} ]]; then
            env_line NO_PROXY "${NO_PROXY:-${no_proxy:-}},$POD_NETWORK,$HOST_ADDRESS,10.96.0.0/16,127.0.0.1,localhost"
        fi
    } | write_file "$dir/env"
    give_to_caller "$dir"
}

# After `sudo up`, the caller may use the cluster and read what tests read.
give_to_caller() {
    [[ ${SUDO_UID:-} ]] || return 0
    chown "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$1/kubeconfig" "$1/env" "$1/log/audit.log" \
        "$1"/registries/{env,password,auth.json,log/*-access.log}
}

write_external_env() {
    local dir=$1
    {
        env_line KUBECONFIG "$(realpath "$IMGOP_TEST_KUBECONFIG")"
        env_line IMGOP_TEST_KUBECONFIG "$(realpath "$IMGOP_TEST_KUBECONFIG")"
        env_line IMGOP_CLUSTER_DIR "$dir"
        env_line IMGOP_TEST_HOST "$IMGOP_TEST_HOST"
        env_line IMGOP_TEST_LOAD_IMAGE "$IMGOP_TEST_LOAD_IMAGE"
        common_env "$dir"
    } | write_file "$dir/env"
}

common_env() {
    cat "$1/registries/env"
    env_line IMGOP_TEST_SKOPEO_IMAGE "$SKOPEO_IMAGE"
    env_line IMGOP_TEST_BUSYBOX_IMAGE "$BUSYBOX_IMAGE"
}
