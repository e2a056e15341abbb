# shellcheck shell=bash disable=SC2034
# The versions of everything that is compiled. Changing one makes a new cache
# key (see binaries.sh), so the next `up` compiles again.
# KUBERNETES must agree with components/go.mod.
KUBERNETES=v1.36.3
CONTAINERD=v2.4.2
RUNC=v1.5.2
