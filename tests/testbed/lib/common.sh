# shellcheck shell=bash disable=SC2034
# What every script here shares: messages, waiting, locks and paths.
# A script sources this file first; it expects `set -euo pipefail`.

TESTBED_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE_DIR=${IMGOP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/imgop}/cluster

# iptables, ip and the like live in /usr/sbin, which is not in everyone's PATH.
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }
warn() { say "warning: $*"; }
die() {
    say "error: $*"
    exit 1
}

# Where the cluster lives. Every folder above containerd's state must be
# passable for others (0711), else a pod in a user namespace of its own cannot
# reach its root filesystem; home folders usually are not, /var/lib is.
default_state_dir() {
    if [[ $(id -u) == 0 ]]; then
        echo /var/lib/imgop-cluster
    else
        echo "${XDG_STATE_HOME:-$HOME/.local/state}/imgop-cluster"
    fi
}

# with_progress MESSAGE COMMAND...: runs a long step. Its output is shown only
# when it fails; meanwhile a line every 10 seconds says that it is still going.
with_progress() {
    local message=$1 log status ticker began=$SECONDS
    shift
    say "$message"
    log=$(mktemp)
    # The ticker must not outlive this script (kill -0) nor hold its locks.
    # shellcheck disable=SC2016
    bash -c 'for ((s = 1; ; s++)); do
                 sleep 1; kill -0 "$1" 2>/dev/null || exit 0
                 ((s % 10)) || printf "  … %s s\n" "$s" >&2
             done' _ $$ 8>&- 9>&- &
    ticker=$!
    # errexit must work inside the command, so it may not stand in a condition.
    set +e
    (
        set -e
        "$@"
    ) >"$log" 2>&1
    status=$?
    set -e
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    if ((status)); then
        tail -n 40 "$log" >&2
        rm -f "$log"
        die "failed after $((SECONDS - began)) s: $message"
    fi
    rm -f "$log"
    if ((SECONDS - began > 2)); then say "  done in $((SECONDS - began)) s"; fi
}

# wait_until SECONDS COMMAND...: tries every 0.1 s until it succeeds; a line
# every 10 s says for what it waits.
wait_until() {
    local limit=$1 began=$SECONDS told=$SECONDS
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS - began >= limit)); then return 1; fi
        if ((SECONDS - told >= 10)); then
            told=$SECONDS
            say "  … waiting $((SECONDS - began)) s for: $*"
        fi
        sleep 0.1
    done
}

# lock FD FILE WHAT: one at a time. The lock ends with this process and with
# what it started in the foreground (a compile that outlives a killed `up` still
# writes into the cache); long-lived processes are started without it.
lock() {
    local fd=$1 file=$2 what=$3
    mkdir -p "$(dirname "$file")"
    eval "exec $fd>>\"\$file\""
    flock -n "$fd" && return
    say "waiting: another $what is under way (lock $file)"
    flock "$fd"
}

# free_port: a port on which nothing listens, below the ports that the kernel gives to
# outgoing connections and below Kubernetes' node ports. Two callers may still
# choose the same one, so whoever starts a server tries again when it dies.
free_port() {
    local port hex
    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 10000))
        printf -v hex ':%04X ' "$port"
        grep -qs "$hex" /proc/net/tcp /proc/net/tcp6 || break
    done
    echo "$port"
}

# env_line KEY VALUE: a line for a file that a shell sources.
env_line() { printf "%s='%s'\n" "$1" "${2//\'/\'\\\'\'}"; }

# write_file PATH < text: at once or not at all, so that a script killed
# meanwhile leaves no half file.
write_file() {
    cat >"$1.new"
    mv "$1.new" "$1"
}

# Folders that these scripts remove as a whole hold this file from the first to
# the last moment. A folder without it is not ours and is never touched.
MARKER=.imgop-test

# claim_folder DIR: makes it ours; an empty one may exist. One that is ours keeps its marker as it is. The marker says for whom
# it was made (IMGOP_MADE_FOR), if anyone says so.
claim_folder() {
    require_own_folder "$1"
    mkdir -p "$1"
    [[ -e $1/$MARKER ]] || printf '%s' "${IMGOP_MADE_FOR:-}" >"$1/$MARKER"
}

require_own_folder() {
    if [[ -e $1 && ! -e $1/$MARKER ]] && ! rmdir "$1" 2>/dev/null; then
        die "$1 exists and holds other things than these tests': choose another folder"
    fi
}

# remove_folder DIR: the marker goes last, so that a killed removal can be
# repeated; never across a mount.
remove_folder() {
    require_own_folder "$1"
    [[ -d $1 ]] || return 0
    find "$1" -mindepth 1 -maxdepth 1 ! -name "$MARKER" -exec rm -rf --one-file-system {} +
    rm -f "$1/$MARKER"
    rmdir "$1"
}
