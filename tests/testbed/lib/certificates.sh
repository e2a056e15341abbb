# shellcheck shell=bash
# Certificates and kubeconfigs. Elliptic curve keys: a dozen are made in a blink,
# where RSA keys would take seconds. Everything ends with the cluster's folder.

# make_ca DIR NAME COMMON_NAME: DIR/NAME.crt and DIR/NAME.key
make_ca() {
    local dir=$1 name=$2 common_name=$3
    mkdir -p "$dir"
    (
        umask 077
        openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 \
            -days 3650 -subj "/CN=$common_name" -keyout "$dir/$name.key" -out "$dir/$name.crt" \
            -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature 2>/dev/null
    )
}

# make_certificate DIR CA NAME SUBJECT [SAN]: for a client; with SAN for a server too.
make_certificate() {
    local dir=$1 ca=$2 name=$3 subject=$4 san=${5:-} usage=clientAuth
    if [[ $san ]]; then usage=serverAuth,clientAuth; fi
    (
        umask 077
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 \
            -subj "$subject" -keyout "$dir/$name.key" 2>/dev/null |
            openssl x509 -req -sha256 -days 3650 -CA "$dir/$ca.crt" -CAkey "$dir/$ca.key" \
                -set_serial "0x00$(openssl rand -hex 12)" -out "$dir/$name.crt" -extfile <(
                echo "basicConstraints=critical,CA:FALSE"
                echo "keyUsage=critical,digitalSignature"
                echo "extendedKeyUsage=$usage"
                echo "authorityKeyIdentifier=keyid"
                if [[ $san ]]; then echo "subjectAltName=$san"; fi
            ) 2>/dev/null
    )
}

# san_of ADDRESS: IP:… or DNS:…, as a certificate names it.
san_of() {
    if [[ $1 =~ ^[0-9.]+$ || $1 == *:* ]]; then echo "IP:$1"; else echo "DNS:$1"; fi
}

# make_control_plane_certificates PKI ADDRESS...: what etcd and the API server need.
# etcd has a CA of its own: whoever may talk to etcd is above all of RBAC.
make_control_plane_certificates() {
    local pki=$1 address san=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost
    shift
    for address in "$@"; do san+=",$(san_of "$address")"; done
    make_ca "$pki" etcd-ca imgop-test-etcd-ca
    make_certificate "$pki" etcd-ca etcd /CN=etcd IP:127.0.0.1
    make_certificate "$pki" etcd-ca apiserver-etcd-client /CN=kube-apiserver
    make_ca "$pki" ca imgop-test-ca
    make_certificate "$pki" ca apiserver /CN=kube-apiserver "$san"
    make_certificate "$pki" ca admin /O=system:masters/CN=imgop-test-admin
    (umask 077 && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$pki/service-accounts.key" 2>/dev/null)
    openssl pkey -in "$pki/service-accounts.key" -pubout -out "$pki/service-accounts.pub"
}

# make_node_certificates PKI NODE ADDRESS: what the other components need.
make_node_certificates() {
    local pki=$1 node=$2 address=$3
    make_certificate "$pki" ca controller-manager /CN=system:kube-controller-manager
    make_certificate "$pki" ca scheduler /CN=system:kube-scheduler
    make_certificate "$pki" ca proxy /CN=system:kube-proxy
    make_certificate "$pki" ca kubelet "/O=system:nodes/CN=system:node:$node"
    make_certificate "$pki" ca kubelet-server "/O=system:nodes/CN=system:node:$node" "IP:$address,DNS:$node"
    # What the API server shows to the kubelet for `kubectl logs` and `exec`.
    make_certificate "$pki" ca apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
}

# write_kubeconfig FILE SERVER PKI NAME: logs in with PKI/NAME.crt. The file holds
# everything itself, so that it can be copied elsewhere.
write_kubeconfig() {
    local file=$1 server=$2 pki=$3 name=$4
    (
        umask 077
        write_file "$file" <<END
apiVersion: v1
kind: Config
current-context: imgop-test
clusters:
- name: imgop-test
  cluster:
    server: $server
    certificate-authority-data: $(base64 -w0 "$pki/ca.crt")
contexts:
- name: imgop-test
  context: {cluster: imgop-test, user: $name}
users:
- name: $name
  user:
    client-certificate-data: $(base64 -w0 "$pki/$name.crt")
    client-key-data: $(base64 -w0 "$pki/$name.key")
END
    )
}
