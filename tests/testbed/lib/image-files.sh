# shellcheck shell=bash
# Container images written by hand: a layer is a tar file, a config and a
# manifest are JSON that name files by their SHA-256. That needs no daemon, no
# root and no storage, takes milliseconds, and the same input always gives the
# same digests.

digest_of() { sha256sum "$1" | cut -d' ' -f1; }

# architecture_of PROGRAM: as OCI names it. The machine that an ELF program is made for stands at byte 18.
architecture_of() {
    case $(od -An -tu2 -j18 -N2 "$1" | tr -d ' ') in
    62) echo amd64 ;;
    183) echo arm64 ;;
    *) return 1 ;;
    esac
}

# pack_layer FOLDER OUT.tar: the same bytes for the same content, whoever packs it.
pack_layer() {
    tar --create --file "$2" --directory "$1" --sort=name --mtime=@0 \
        --owner=0 --group=0 --numeric-owner --format=gnu .
}

# image_config ARCHITECTURE CONFIG_JSON LAYER.tar...: CONFIG_JSON is the part that
# a Dockerfile's ENTRYPOINT, USER, ENV… make.
image_config() {
    local architecture=$1 config=$2 layer ids='' history=''
    shift 2
    for layer in "$@"; do
        ids+="${ids:+,}\"sha256:$(digest_of "$layer")\""
        history+="${history:+,}{\"created\":\"1970-01-01T00:00:00Z\",\"created_by\":\"imgop\"}"
    done
    printf '{"created":"1970-01-01T00:00:00Z","architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":[%s]},"history":[%s]}' \
        "$architecture" "$config" "$ids" "$history"
}

# write_docker_archive OUT NAME ARCHITECTURE CONFIG_JSON LAYER.tar: what `docker save`
# writes; `ctr images import`, `kind load image-archive` and `docker load` read it.
write_docker_archive() {
    local out=$1 name=$2 architecture=$3 config=$4 layer=$5 work
    work=$(mktemp -d)
    cp "$layer" "$work/layer.tar"
    image_config "$architecture" "$config" "$layer" >"$work/config.json"
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$name" >"$work/manifest.json"
    tar --create --file "$out.new" --directory "$work" --sort=name --mtime=@0 \
        --owner=0 --group=0 --numeric-owner manifest.json config.json layer.tar
    mv "$out.new" "$out"
    rm -rf "$work"
}

# add_blob LAYOUT FILE: copies FILE into an OCI layout, prints its digest.
add_blob() {
    local digest
    digest=$(digest_of "$2")
    cp "$2" "$1/blobs/sha256/$digest"
    echo "$digest"
}

# descriptor LAYOUT MEDIA_TYPE DIGEST [MORE_JSON]
descriptor() {
    printf '{"mediaType":"%s","digest":"sha256:%s","size":%s%s}' \
        "$2" "$3" "$(stat -c %s "$1/blobs/sha256/$3")" "${4:-}"
}
