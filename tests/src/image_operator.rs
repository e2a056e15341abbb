//! The manifests of image-operator's README, but for the registries and what reaching these takes.

use crate::tenant::{CA_SECRET, PUSH_SECRET, Tenant};

/// What an Image says of how the registries of the tests are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// By its own fields.
    ByItself,
    /// By what an administrator lends: the manifest is word for word that of the README but for its registries.
    AsLent,
}

/// The Image: it copies `argocd` of the source registry to the target registry.
pub fn image(tenant: &Tenant, reached: Reached) -> String {
    let [source, destination] = [&tenant.cluster.source, &tenant.cluster.target]
        .map(|registry| registry.repository(&tenant.path("argocd")));
    let (of_source, of_destination) = match reached {
        Reached::ByItself => (
            "\n    tls: { mode: PlainHTTP }".to_owned(),
            format!(
                "\n    credentials: {{ secretName: {PUSH_SECRET} }}\n    tls: {{ caSecretName: {CA_SECRET} }}"
            ),
        ),
        Reached::AsLent => (String::new(), String::new()),
    };
    format!(
        "
apiVersion: skopeo.io/v1alpha1
kind: Image
metadata:
  name: argocd
spec:
  allowCandidateRelease: true
  mode: OnceByTag
  frequency: 15m
  source:
    name: {source}
    version: v2.13.x
    useAwsIRSA: false{of_source}
  destination:
    name: {destination}
    version: v2.13.x
    useAwsIRSA: false{of_destination}
"
    )
}

/// The ImageBuilder, of this name and version: it builds `built` in the target registry.
pub fn image_builder(tenant: &Tenant, name: &str, architecture: &str, base: &str) -> String {
    format!(
        "
apiVersion: buildah.io/v1alpha1
kind: ImageBuilder
metadata:
  name: {name}
spec:
  architecture: {architecture}
  image:
    name: {repository}
    version: {name}
    useAwsIRSA: false
    credentials: {{ secretName: {PUSH_SECRET} }}
    tls: {{ mode: Verify, caSecretName: {CA_SECRET} }}
  registries:
  - {{ host: \"{source}\", tls: {{ mode: PlainHTTP }} }}
  resources:
    limits: {{ cpu: \"1\", memory: 8Gi }}
    requests: {{ cpu: 200m, memory: 200Mi }}
  source: |
    FROM {base}
    ARG TARGETARCH
    ARG TARGETPLATFORM
    RUN echo \"$TARGETPLATFORM|$TARGETARCH|$(/bin/busybox uname -m)\" > /platform
    CMD [\"cat\", \"/platform\"]
",
        repository = tenant.cluster.target.repository(&tenant.path("built")),
        source = tenant.cluster.environment.source_registry,
    )
}
