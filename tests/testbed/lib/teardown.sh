# shellcheck shell=bash
# Takes away everything that `up` and the components made, in an order in which
# nothing comes back: processes, rules, mounts, links, cgroups, files. Each step
# works on whatever is there, so that it also clears up after a killed `up`.

# Folders that some component makes outside of the state folder, whatever it is told.
FOREIGN_PATHS=(/var/lib/kubelet /var/lib/kubelet/device-plugins /var/log/containers /var/lib/cni /var/lib/cni/results)

# save_foreign_paths FILE: those that do not exist yet, so that `down` removes them.
save_foreign_paths() {
    local path
    for path in "${FOREIGN_PATHS[@]}"; do
        if [[ ! -e $path ]]; then echo "$path"; fi
    done | write_file "$1"
}

remove_foreign_paths() {
    local dir=$1 path
    # In folders of others, only what is ours.
    if [[ -d /var/log/containers ]]; then find /var/log/containers -lname "$dir/*" -delete; fi
    rm -f /var/lib/cni/results/imgop-*
    [[ -f $dir/foreign-paths ]] || return 0
    if grep -qx /var/lib/kubelet/device-plugins "$dir/foreign-paths"; then
        rm -f /var/lib/kubelet/device-plugins/{kubelet.sock,kubelet_internal_checkpoint,DEPRECATION}
    fi
    # Only if empty: meanwhile others may have come to use them.
    while read -r path; do
        if [[ -d $path ]]; then rmdir "$path" 2>/dev/null || true; fi
    done < <(tac "$dir/foreign-paths")
}

# Processes that name our folder but are in none of our cgroups (where cgroups
# could not be used): containerd's shims name its socket.
stray_pids() {
    local dir=$1 file pid
    for file in /proc/[0-9]*/cmdline; do
        pid=${file#/proc/}
        pid=${pid%/*}
        if [[ $pid != "$$" ]] && tr '\0' ' ' 2>/dev/null <"$file" |
            grep -qE -- "containerd-shim.* -address $dir/containerd/"; then
            echo "$pid"
        fi
    done
}

unmount_all() {
    local dir=$1 mounts mount
    # Newest first. Mounts can be stacked, so look again until none is left.
    for _ in 1 2 3 4 5; do
        mapfile -t mounts < <(cluster_mounts "$dir" | tac)
        ((${#mounts[@]})) || return 0
        for mount in "${mounts[@]}"; do umount "$mount" 2>/dev/null || true; done
    done
    for mount in "${mounts[@]}"; do umount --lazy "$mount" || warn "could not unmount $mount"; done
}

# Mount points below DIR, oldest first. (%b: the kernel writes a blank as \040.)
cluster_mounts() {
    local point
    while read -r _ _ _ _ point _; do
        printf -v point %b "$point"
        if [[ $point == "$1"/* ]]; then echo "$point"; fi
    done </proc/self/mountinfo
}

# teardown DIR
teardown() {
    local dir=$1 pids
    if [[ ! -d $dir ]] && ! ip link show "$BRIDGE" >/dev/null 2>&1; then
        kill_cluster_cgroups
        return
    fi
    stop_all "$dir"
    stop_all "$dir/registries"
    kill_cluster_cgroups
    pids=$(stray_pids "$dir")
    # shellcheck disable=SC2086
    if [[ $pids ]]; then kill -KILL $pids 2>/dev/null || true; fi
    if [[ -x $dir/bin/kube-proxy ]]; then
        "$dir/bin/kube-proxy" --cleanup >/dev/null 2>&1 || true # the rest is found by name
    fi
    remove_iptables_rules
    end_emulation "$dir"
    unmount_all "$dir"
    remove_links
    kill_cluster_cgroups
    restore_sysctls "$dir/sysctls"
    remove_foreign_paths "$dir"
    remove_folder "$dir" || warn "could not remove all of $dir"
}
