# shellcheck shell=bash
# Three real registries on this machine: the source speaks plain HTTP to anyone,
# the target speaks TLS under a CA of its own and asks for a password, and
# `referrers` is a source that has the referrers API and forgets all at its end.
# Pods and this machine reach them under the same host:port.

# start_registries DIR HOST: writes DIR/env. HOST is this machine's address as
# pods see it; the registries listen on no other.
start_registries() (
    dir=$1 host=$2
    umask 077 # in a subshell (the round brackets), so that only this is private
    mkdir -p "$dir/log"
    chmod 711 "$dir" "$dir/log"
    make_registry_credentials "$dir" "$host"
    start_registry "$dir" source "$host"
    start_registry "$dir" target "$host"
    start_registry "$dir" referrers "$host"
    write_registries_env "$dir" "$host"
)

# A password of its own for each cluster. It goes through files and pipes only,
# because every user may read the arguments of a process.
make_registry_credentials() {
    local dir=$1 host=$2 hash
    openssl rand -hex 16 >"$dir/password"
    hash=$(htpasswd -niB imgop-test <"$dir/password")
    printf '%s\n' "$hash" | grep . >"$dir/htpasswd"
    make_ca "$dir" ca imgop-test-registry-ca
    make_certificate "$dir" ca registry /CN=imgop-test-registry "$(san_of "$host"),IP:127.0.0.1,DNS:localhost"
    chmod 644 "$dir/ca.crt"
}

# registry_program NAME: the compiled distribution 3 for names such as
# distribution-tls, else Debian's docker-registry, which is 2.8.
registry_program() {
    if [[ $1 == distribution-* ]]; then echo "$(distribution_dir)/registry"; else echo docker-registry; fi
}

# start_registry DIR NAME HOST: on a free port, remembered in DIR/NAME.port. The
# name says how it is spoken to: target and *-password (TLS and a password),
# *-tls (TLS), *-token (tokens of $TOKEN_REALM), all others plain HTTP. It also
# says which program it is; `referrers` needs no configuration.
start_registry() {
    local dir=$1 name=$2 host=$3 port attempt command
    for attempt in 1 2 3; do
        port=$(free_port)
        if [[ $name == referrers ]]; then
            command=("$(referrers_registry_dir)/referrers-registry" "$host:$port")
        else
            write_registry_config "$dir" "$name" "$host" "$port"
            command=("$(registry_program "$name")" serve "$dir/$name.yaml")
        fi
        # Standard output is the access log, standard error the rest.
        # Distribution 3 would send traces to a collector that is not there.
        OUT=$dir/log/$name-access.log start "$dir" "registry-$name" \
            env OTEL_TRACES_EXPORTER=none "${command[@]}"
        echo "$port" >"$dir/$name.port"
        if wait_until 20 registry_listens_or_died "$dir" "$name" "$host" && alive "$dir/run/registry-$name"; then return; fi
        if ((attempt == 3)); then die "the $name registry does not start on $host: see $dir/log/registry-$name.log"; fi
    done
}

registry_listens_or_died() {
    dead "$1/run/registry-$2" || (exec 3<>"/dev/tcp/$3/$(<"$1/$2.port")")
}

write_registry_config() {
    local dir=$1 name=$2 host=$3 port=$4
    {
        cat <<END
version: 0.1
log:
  level: warn
  accesslog: {disabled: false}
storage:
  filesystem: {rootdirectory: $dir/$name}
  delete: {enabled: true}
  # Tests count requests and delete behind the registry's back: no cache lies.
  maintenance: {uploadpurging: {enabled: false}}
http:
  addr: "$host:$port"
  secret: $(openssl rand -hex 16)
END
        if [[ $name == target || $name == *-password || $name == *-tls ]]; then
            echo "  tls: {certificate: $dir/registry.crt, key: $dir/registry.key}"
        fi
        case $name in
        target | *-password) printf 'auth:\n  htpasswd: {realm: imgop-test, path: %s}\n' "$dir/htpasswd" ;;
        *-token)
            cat <<END
auth:
  token: {realm: $TOKEN_REALM, service: imgop-test, issuer: imgop-test, rootcertbundle: $dir/token.crt}
END
            ;;
        esac
        # Layers that are kept elsewhere, of one host.
        if [[ $name == *-open ]]; then
            echo "validation: {manifests: {urls: {allow: ['^https://example[.]com/']}}}"
        fi
        # Small pages, so that not even a thousand tags fit into one. 2.8 knows no pages.
        if [[ $name == distribution-* ]]; then echo "tags: {maxtags: 100}"; fi
    } | write_file "$dir/$name.yaml"
}

write_registries_env() {
    local dir=$1 host=$2 target
    target=$host:$(<"$dir/target.port")
    # The same login as a file for skopeo and as content for a pull Secret.
    write_file "$dir/auth.json" <<END
{"auths": {"$target": {"auth": "$(printf 'imgop-test:%s' "$(<"$dir/password")" | base64 -w0)"}}}
END
    # What skopeo wants for --src-cert-dir and --dest-cert-dir.
    mkdir -p "$dir/certs"
    cp "$dir/ca.crt" "$dir/certs/ca.crt"
    chmod 711 "$dir/certs"
    {
        env_line IMGOP_TEST_SOURCE_REGISTRY "$host:$(<"$dir/source.port")"
        env_line IMGOP_TEST_SOURCE_REGISTRY_LOG "$dir/log/source-access.log"
        env_line IMGOP_TEST_REFERRERS_REGISTRY "$host:$(<"$dir/referrers.port")"
        env_line IMGOP_TEST_REFERRERS_REGISTRY_LOG "$dir/log/referrers-access.log"
        env_line IMGOP_TEST_TARGET_REGISTRY "$target"
        env_line IMGOP_TEST_TARGET_REGISTRY_LOG "$dir/log/target-access.log"
        env_line IMGOP_TEST_TARGET_CA "$dir/ca.crt"
        env_line IMGOP_TEST_TARGET_CERT_DIR "$dir/certs"
        env_line IMGOP_TEST_TARGET_USERNAME imgop-test
        env_line IMGOP_TEST_TARGET_PASSWORD_FILE "$dir/password"
        env_line IMGOP_TEST_TARGET_AUTHFILE "$dir/auth.json"
    } | write_file "$dir/env"
}

# registries_up DIR: do all of them still run?
registries_up() {
    local name
    [[ -f $1/env ]] || return 1
    for name in source target referrers; do alive "$1/run/registry-$name" || return 1; done
}
