# shellcheck shell=bash disable=SC2034
# Debian packages. Only what is missing is installed, and it is said before.

REGISTRY_PACKAGES=(docker-registry apache2-utils openssl)
# gcc and libc6-dev: the pause program, and runc, which needs libseccomp too.
NODE_PACKAGES=(containernetworking-plugins iptables conntrack socat iproute2 kmod
    gcc libc6-dev libseccomp-dev pkg-config)
IMAGE_PACKAGES=(skopeo ca-certificates gcc libc6-dev)
# For the agent's own image.
BUILD_PACKAGES=(buildah ca-certificates)
# What the containers of a build run.
BUILDER_PACKAGES=(git git-lfs openssh-client buildah skopeo uidmap crun ca-certificates)
# Git over ssh, for tests.
SSH_PACKAGES=(openssh-server)
# What runs programs for another architecture.
EMULATION_PACKAGES=(qemu-user-static)

package_installed() {
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true) == installed ]]
}

# ensure_packages PACKAGE...
ensure_packages() {
    local package missing=()
    command -v dpkg-query >/dev/null || die "this needs Debian's packages: $*"
    for package in "$@"; do
        if ! package_installed "$package"; then missing+=("$package"); fi
    done
    if ((${#missing[@]} == 0)); then return; fi
    if [[ $(id -u) != 0 ]]; then
        die "packages are missing; as root: apt-get install --no-install-recommends ${missing[*]}"
    fi
    with_progress "installing Debian packages: ${missing[*]}" install_packages "${missing[@]}"
}

# Recommended packages are left out, and a policy-rc.d (if there is none yet)
# keeps docker-registry from starting a service of its own. An apt that another
# (perhaps killed) script left running is waited for.
install_packages() {
    local apt=(apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0) status=0
    local policy=/usr/sbin/policy-rc.d ours="# by imgop's tests/testbed, while it installs packages"
    export DEBIAN_FRONTEND=noninteractive
    "${apt[@]}" update
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\n%s\nexit 101\n' "$ours" >"$policy"
        chmod +x "$policy"
    fi
    "${apt[@]}" install -y --no-install-recommends "$@" || status=$?
    if grep -qsF "$ours" "$policy"; then rm -f "$policy"; fi # ours, or of a run that was killed
    return "$status"
}
