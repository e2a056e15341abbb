# shellcheck shell=bash
# Programs for arm64 on a node of amd64, as the containers of builds run them: the kernel
# hands them to qemu, which it holds open (flag F), so that no container needs a file of it.

EMULATED=linux/arm64
# The beginning of a program for arm64 in the format ELF, and which of its bits count.
ARM64_MAGIC='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
ARM64_MASK='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'

ensure_emulation_packages() {
    if [[ $(dpkg --print-architecture) == amd64 ]]; then ensure_packages "${EMULATION_PACKAGES[@]}"; fi
}

# emulated_platforms DIR: what the node emulates; nothing where it is not known.
emulated_platforms() {
    if [[ -f $1/emulated ]]; then cat "$1/emulated"; fi
}

# start_emulation DIR: registers qemu in a mount of our own, which ends with the cluster.
start_emulation() {
    local dir=$1 entry
    [[ $(dpkg --print-architecture) == amd64 ]] || return 0
    mkdir -p "$dir/binfmt"
    if ! mount -t binfmt_misc binfmt_misc "$dir/binfmt"; then
        warn "this kernel has no binfmt_misc: nothing is built for $EMULATED"
        return 0
    fi
    # What was registered before serves as well, and stays.
    for entry in "$dir"/binfmt/*aarch64*; do
        if grep -qs '^flags:.*F' "$entry"; then
            echo "$EMULATED" >"$dir/emulated"
            return 0
        fi
    done
    echo ":imgop-aarch64:M:0:$ARM64_MAGIC:$ARM64_MASK:/usr/bin/qemu-aarch64-static:POF" >"$dir/binfmt/register"
    : >"$dir/registered"
    echo "$EMULATED" >"$dir/emulated"
}

# end_emulation DIR. Kernels before 6.7 keep what is registered when it is unmounted.
end_emulation() {
    if [[ -e $1/binfmt/imgop-aarch64 ]]; then echo -1 >"$1/binfmt/imgop-aarch64"; fi
}

# ensure_emulated ARCHITECTURE DIR: programs for it run on this machine. Dies where they cannot.
ensure_emulated() {
    [[ $1 != "$(dpkg --print-architecture)" ]] || return 0
    [[ linux/$1 == "$EMULATED" ]] || die "programs for $1 are not emulated on this machine"
    ensure_emulation_packages
    start_emulation "$2"
    [[ -e $2/emulated ]] || die "programs for $1 do not run here: the kernel has no binfmt_misc"
}

# end_own_emulation DIR: ends what ensure_emulated has registered. What a cluster has registered stays.
end_own_emulation() {
    if [[ -e $1/binfmt/register ]]; then
        if [[ -e $1/registered ]]; then end_emulation "$1"; fi
        umount "$1/binfmt"
    fi
}
