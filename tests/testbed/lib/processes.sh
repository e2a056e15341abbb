# shellcheck shell=bash
# Long-lived processes: started as sessions of their own, recorded in
# DIR/run/NAME as "pid start-time boot-id", ended only if all three still agree.

CGROUP=imgop-cluster

# start DIR NAME COMMAND...: output goes to DIR/log/NAME.log. With JOIN_CGROUP
# set, the process and all it starts can be found again through its cgroup.
# With OUT set, standard output goes to that file instead.
start() {
    local dir=$1 name=$2 groups=() log=$1/log/$2.log
    shift 2
    mkdir -p "$dir/run" "$dir/log"
    if [[ ${JOIN_CGROUP:-} ]]; then mapfile -t groups < <(cluster_cgroup_procs); fi
    # 8 and 9 are the locks (cache, cluster): a component must not hold them.
    # shellcheck disable=SC2094 # both only append
    setsid "$TESTBED_DIR/lib/launch" "$dir/run/$name" "${OUT:-$log}" "$log" \
        ${groups[@]+"${groups[@]}"} -- "$@" 8>&- 9>&- </dev/null >/dev/null 2>>"$log" &
    disown
    wait_until 5 test -s "$dir/run/$name" || die "$name did not start: see $log"
}

# alive RECORD: does exactly this process still run?
alive() {
    local pid began boot stat fields
    read -r pid began boot 2>/dev/null <"$1" || return 1
    [[ $boot == "$(</proc/sys/kernel/random/boot_id)" ]] || return 1
    read -r stat 2>/dev/null <"/proc/$pid/stat" || return 1
    read -ra fields <<<"${stat##*) }"
    [[ ${fields[19]} == "$began" && ${fields[0]} != Z ]]
}

# pid_of DIR NAME
pid_of() { cut -d' ' -f1 "$1/run/$2"; }

dead() { ! alive "$1"; }

# stop_all DIR: ends the recorded processes of DIR. At once, without a TERM
# first: nothing here has data worth keeping, and an API server or etcd that
# shuts down in order takes seconds.
stop_all() {
    local record
    for record in "$1"/run/*; do
        if [[ -f $record ]] && alive "$record"; then
            kill -KILL "$(cut -d' ' -f1 "$record")" 2>/dev/null || true
        fi
    done
    for record in "$1"/run/*; do
        [[ -f $record ]] || continue
        wait_until 10 dead "$record" || warn "$(basename "$record") does not die"
        rm -f "$record"
    done
}

# --- cgroups: how `down` finds what the components themselves started ---------
# On cgroup v1 the pids hierarchy serves for finding the components' processes.

cgroup_version() {
    if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then echo 2; else echo 1; fi
}

# The folders of our cgroup, whether they exist or not.
cluster_cgroups() {
    local hierarchy
    if [[ $(cgroup_version) == 2 ]]; then
        echo "/sys/fs/cgroup/$CGROUP"
    else
        for hierarchy in /sys/fs/cgroup/*/; do echo "$hierarchy$CGROUP"; done
    fi
}

# On v2 only leaves may hold processes, so components sit beside the pods.
cluster_cgroup_procs() {
    local group
    while read -r group; do
        [[ $(cgroup_version) == 2 || $group == */pids/* || $group == */unified/* ]] || continue
        mkdir -p "$group/components"
        echo "$group/components/cgroup.procs"
    done < <(cluster_cgroups)
}

cluster_cgroup_pids() {
    local group
    while read -r group; do
        if [[ -d $group ]]; then find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null || true; fi
    done < <(cluster_cgroups) | sort -un
}

# Ends everything in our cgroups: shims, containers and whatever they started.
# Forks can be faster than a single sweep, hence the loop.
kill_cluster_cgroups() {
    local deadline=$((SECONDS + 20)) pids
    while pids=$(cluster_cgroup_pids) && [[ $pids ]]; do
        if ((SECONDS >= deadline)); then
            warn "processes that do not die: $pids"
            break
        fi
        # shellcheck disable=SC2086
        kill -KILL $pids 2>/dev/null || true
        sleep 0.1
    done
    # The kernel empties a group a moment after its last process ended.
    wait_until 5 remove_cluster_cgroups || warn "could not remove all cgroups"
}

remove_cluster_cgroups() {
    local group left=0
    while read -r group; do
        [[ -d $group ]] || continue
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
        if [[ -d $group ]]; then left=1; fi
    done < <(cluster_cgroups)
    return "$left"
}
