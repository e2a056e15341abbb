# shellcheck shell=bash
# The images that the node needs before any registry is asked: pause (one in each
# pod), skopeo (what the Jobs run) and busybox (for tests that want any program).
# They are made from Debian's packages, kept in the cache, and made again when the
# scripts or the packages change.

# shellcheck source=tests/testbed/lib/image-files.sh
source "$TESTBED_DIR/lib/image-files.sh"

PAUSE_IMAGE=localhost/imgop-test/pause:1
SKOPEO_IMAGE=localhost/imgop-test/skopeo:1
BUSYBOX_IMAGE=localhost/imgop-test/busybox:1

images_dir() {
    local key
    key=$({
        cat "$TESTBED_DIR"/images/{pause.c,skopeo,busybox} "$TESTBED_DIR"/lib/image{s,-files}.sh
        dpkg-query -W skopeo ca-certificates 2>/dev/null || true
        dpkg --print-architecture
    } | sha256sum | cut -c1-16)
    echo "$CACHE_DIR/images-$key"
}

# Each of pause.tar, skopeo.tar, busybox.tar and the folder busybox/ (the program
# for two architectures, which fill-registry uses too).
ensure_images() {
    ensure_packages "${IMAGE_PACKAGES[@]}"
    build_into "$(images_dir)" "making the images of pause, skopeo and busybox (once)" build_images
}

build_images() {
    local out=$1 architecture work
    architecture=$(dpkg --print-architecture)
    work=$(mktemp -d)

    mkdir -p "$work/pause"
    gcc -Os -static -s -o "$work/pause/pause" "$TESTBED_DIR/images/pause.c"
    pack_layer "$work/pause" "$work/pause.tar"
    write_docker_archive "$out/pause.tar" "$PAUSE_IMAGE" "$architecture" \
        '{"User":"65535","Entrypoint":["/pause"]}' "$work/pause.tar"

    "$TESTBED_DIR/images/skopeo" "$work/skopeo"
    pack_layer "$work/skopeo" "$work/skopeo.tar"
    write_docker_archive "$out/skopeo.tar" "$SKOPEO_IMAGE" "$architecture" \
        '{"User":"65532:65532","Env":["PATH=/usr/bin","HOME=/tmp"],"Entrypoint":["/usr/bin/skopeo"]}' "$work/skopeo.tar"

    "$TESTBED_DIR/images/busybox" "$out/busybox"
    busybox_layer "$out/busybox/$architecture" "$work/busybox.tar"
    write_docker_archive "$out/busybox.tar" "$BUSYBOX_IMAGE" "$architecture" "$BUSYBOX_CONFIG" "$work/busybox.tar"
    rm -rf "$work"
}

# The same for the image on the node and for those that fill-registry pushes.
# shellcheck disable=SC2089
BUSYBOX_CONFIG='{"Env":["PATH=/bin"],"Cmd":["/bin/busybox","sh"]}'

# busybox_layer PROGRAM OUT.tar: the program, some of its names, and a /tmp. (No
# wget: a static busybox of Debian dies when it resolves names; nc takes addresses.)
busybox_layer() {
    local root name
    root=$(mktemp -d)
    mkdir -p "$root/bin" "$root/etc"
    mkdir -m 1777 "$root/tmp"
    install -m 755 "$1" "$root/bin/busybox"
    for name in sh cat date echo env false id ls nc ps sleep true; do
        ln -s busybox "$root/bin/$name"
    done
    chmod 755 "$root" "$root/bin" "$root/etc"
    pack_layer "$root" "$2"
    rm -rf "$root"
}
