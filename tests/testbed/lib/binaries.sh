# shellcheck shell=bash
# Compiles Kubernetes, containerd, runc and two registries, once per set of versions.
# No release archives are downloaded: everything comes as Go modules, whose
# checksums go.sum and Go's checksum database vouch for.

# shellcheck source=tests/testbed/lib/versions.sh
source "$TESTBED_DIR/lib/versions.sh"

COMPONENT_NAMES=(etcd kubectl kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)

binaries_key() {
    {
        cat "$TESTBED_DIR"/components/{go.mod,go.sum,main.go} "$TESTBED_DIR/lib/versions.sh"
        uname -m
    } | sha256sum | cut -c1-16
}

# The folders that hold the compiled programs (they exist after ensure_*).
components_dir() { echo "$CACHE_DIR/$(binaries_key)/kubernetes"; }
runtime_dir() { echo "$CACHE_DIR/$(binaries_key)/runtime"; }

# build_into FOLDER MESSAGE FUNCTION: FUNCTION fills a temporary folder, which is
# renamed when all is done: a build killed half-way never looks like a whole one.
build_into() {
    local folder=$1 message=$2 fill=$3
    if [[ -d $folder ]]; then return; fi
    lock 8 "$CACHE_DIR/lock" "compile into $CACHE_DIR"
    if [[ ! -d $folder ]]; then
        # Under the lock, so whatever is there was left by a killed build.
        rm -rf "$CACHE_DIR"/*/*.partial
        mkdir -p "$folder.partial"
        with_progress "$message" "$fill" "$folder.partial"
        mv "$folder.partial" "$folder"
    fi
    exec 8>&-
}

require_go() {
    command -v go >/dev/null || die "Go 1.26 or newer is needed to compile what the tests use (https://go.dev/dl)"
}

ensure_components() {
    [[ -d $(components_dir) ]] || require_go
    build_into "$(components_dir)" \
        "compiling Kubernetes $KUBERNETES (once; about 10 minutes on 2 cores)" build_components
}

build_components() {
    local out=$1 name stamp="-s -w" package
    # Without the stamp every component calls itself v0.0.0-master+$Format:%H$.
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        stamp+=" -X $package.gitVersion=$KUBERNETES -X $package.gitMajor=1 -X $package.gitMinor=36"
        stamp+=" -X $package.gitTreeState=clean"
    done
    cd "$TESTBED_DIR/components" || return
    CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false -ldflags "$stamp" -o "$out/components" .
    for name in "${COMPONENT_NAMES[@]}"; do ln -s components "$out/$name"; done
}

ensure_runtime() {
    [[ -d $(runtime_dir) ]] || require_go
    build_into "$(runtime_dir)" \
        "compiling containerd $CONTAINERD and runc $RUNC (once; about 2 minutes on 2 cores)" build_runtime
}

build_runtime() {
    local out=$1 commands=github.com/containerd/containerd/v2/cmd
    export GOBIN=$out GOFLAGS=-mod=mod
    cd / # outside any module, so that the versions below alone decide
    CGO_ENABLED=0 go install -trimpath -ldflags "-s -w" \
        "$commands/containerd@$CONTAINERD" \
        "$commands/containerd-shim-runc-v2@$CONTAINERD" \
        "$commands/ctr@$CONTAINERD"
    # runc's own C part needs cgo; seccomp is what RuntimeDefault profiles need.
    CGO_ENABLED=1 go install -trimpath -ldflags "-s -w" -tags seccomp \
        "github.com/opencontainers/runc@$RUNC"
}

# CNCF distribution, for the tests of the registry client (every-registry). Its
# version stands here and not in versions.sh: Kubernetes need not be compiled again
# because of it. Its own go.sum pins all that it is made of.
DISTRIBUTION=v3.1.2

distribution_dir() { echo "$CACHE_DIR/distribution-$DISTRIBUTION-$(uname -m)/bin"; }

ensure_distribution() {
    [[ -d $(distribution_dir) ]] || require_go
    build_into "$(distribution_dir)" \
        "compiling the registry distribution $DISTRIBUTION (once; about 1 minute on 2 cores)" build_distribution
}

build_distribution() {
    cd / # outside any module, as above
    GOBIN=$1 GOFLAGS=-mod=mod CGO_ENABLED=0 go install -trimpath -ldflags "-s -w" \
        "github.com/distribution/distribution/v3/cmd/registry@$DISTRIBUTION"
}

# The registry with the referrers API, from its folder here.
referrers_registry_dir() {
    local key
    key=$(cat "$TESTBED_DIR"/referrers-registry/{go.mod,go.sum,main.go} | sha256sum | cut -c1-16)
    echo "$CACHE_DIR/referrers-registry-$key-$(uname -m)/bin"
}

ensure_referrers_registry() {
    [[ -d $(referrers_registry_dir) ]] || require_go
    build_into "$(referrers_registry_dir)" \
        "compiling a registry with the referrers API (once; about 20 seconds on 2 cores)" build_referrers_registry
}

build_referrers_registry() {
    cd "$TESTBED_DIR/referrers-registry" || return
    CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false -ldflags "-s -w" -o "$1/referrers-registry" .
}

# Helm, for the tests of the chart. Its version stands here for the same reason as distribution's.
HELM=v4.3.2

helm_dir() { echo "$CACHE_DIR/helm-$HELM-$(uname -m)/bin"; }

ensure_helm() {
    [[ -d $(helm_dir) ]] || require_go
    build_into "$(helm_dir)" "compiling Helm $HELM (once; about 3 minutes on 2 cores)" build_helm
}

build_helm() {
    local major=${HELM%%.*}
    cd / # outside any module, as above
    # Helm compares the cluster's version with a chart's kubeVersion; without the stamp it has none of its own.
    GOBIN=$1 GOFLAGS=-mod=mod CGO_ENABLED=0 go install -trimpath \
        -ldflags "-s -w -X helm.sh/helm/$major/internal/version.version=$HELM" "helm.sh/helm/$major/cmd/helm@$HELM"
}

# The CRDs of the Prometheus operator, which are in its Go module.
PROMETHEUS_OPERATOR=v0.85.0

monitoring_crds_dir() { echo "$CACHE_DIR/monitoring-crds-$PROMETHEUS_OPERATOR"; }

ensure_monitoring_crds() {
    [[ -d $(monitoring_crds_dir) ]] || require_go
    build_into "$(monitoring_crds_dir)" "downloading the CRDs of the Prometheus operator (once)" copy_monitoring_crds
}

copy_monitoring_crds() {
    local module kind
    cd / # outside any module, as above
    module=$(go mod download -json "github.com/prometheus-operator/prometheus-operator@$PROMETHEUS_OPERATOR" |
        sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    for kind in podmonitors servicemonitors prometheusrules; do
        install -m 644 "$module/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml" "$1/"
    done
}

# krew, for the tests of releases.
KREW=v0.4.3

krew_dir() { echo "$CACHE_DIR/krew-$KREW-$(uname -m)/bin"; }

ensure_krew() {
    [[ -d $(krew_dir) ]] || require_go
    build_into "$(krew_dir)" "compiling krew $KREW (once; about 1 minute on 2 cores)" build_krew
}

build_krew() {
    cd / # outside any module, as above
    GOBIN=$1 GOFLAGS=-mod=mod CGO_ENABLED=0 go install -trimpath -ldflags "-s -w" "sigs.k8s.io/krew/cmd/krew@$KREW"
}
