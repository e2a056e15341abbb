//! What a namespace does with its own Secrets, while administrators lend nothing at all, and while they lend other registries.

use imgop_core::api::RegistryAccess;
use imgop_tests::lent::with_lent;
use imgop_tests::tenant::{CA_SECRET, PUSH_SECRET, Tenant, with_tenant};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use crate::AGENT;

/// An Image and an `ImageBuilder` as image-operator's users have them, but for how the registries are reached.
fn manifest(tenant: &Tenant, name: &str, base: &str) -> String {
    let repository = |path: &str| tenant.cluster.target.repository(&tenant.path(path));
    format!(
        "
apiVersion: skopeo.io/v1alpha1
kind: Image
metadata:
  name: {name}
spec:
  mode: OnceByTag
  frequency: 15m
  source:
    name: {source}
    version: v1.0.x
    useAwsIRSA: false
    tls: {{ mode: PlainHTTP }}
  destination:
    name: {copied}
    version: v1.0.x
    useAwsIRSA: false
    credentials: {{ secretName: {PUSH_SECRET} }}
    tls: {{ caSecretName: {CA_SECRET} }}
---
apiVersion: buildah.io/v1alpha1
kind: ImageBuilder
metadata:
  name: {name}
spec:
  architecture: amd64
  image:
    name: {built}
    version: v1
    useAwsIRSA: false
    credentials: {{ secretName: {PUSH_SECRET} }}
    tls: {{ caSecretName: {CA_SECRET} }}
  registries:
  - {{ host: \"{source_host}\", tls: {{ mode: PlainHTTP }} }}
  source: |
    FROM {base}
    LABEL name={name}
",
        source = tenant.cluster.source.repository(&tenant.path("busybox")),
        copied = repository(&format!("{name}-copied")),
        built = repository(&format!("{name}-built")),
        source_host = tenant.cluster.environment.source_registry,
    )
}

/// Asserts that manifests of both kinds, and `copy`, do with Secrets of the namespace all they should.
async fn everything_works(tenant: &Tenant, name: &str) -> anyhow::Result<()> {
    let target = &tenant.cluster.target;
    let base = tenant.base_image().await?;
    let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0", "v1.0.1"], "").await?;
    tenant.kubectl.apply(&manifest(tenant, name, &base)).await?.ok()?;
    let source = format!("{}:v1.0.x", tenant.cluster.source.repository(&tenant.path("busybox")));
    let destination = target.repository(&tenant.path(&format!("{name}-typed")));
    let [credentials, ca] =
        [format!("--destination-credentials={PUSH_SECRET}"), format!("--destination-ca-secret={CA_SECRET}")];
    let typed = format!("{name}-typed");
    let copy = ["copy", &source, &destination, "--name", &typed, "--wait", "--source-tls=PlainHTTP"];
    tenant.kubectl.imgop([&copy[..], &[&credentials, &ca]].concat()).await?.ok()?;
    tenant.ready(name).await?;
    let built = tenant.built(name).await?;
    for path in ["copied", "typed"] {
        assert_eq!(target.digests(&tenant.path(&format!("{name}-{path}"))).await?, pushed, "{path}");
    }
    let digest = target.digest(&tenant.path(&format!("{name}-built")), "v1").await?;
    assert_eq!(built.image.map(|image| image.digest), digest.map(|digest| digest.to_string()));
    for image in [name, &typed] {
        let lent = tenant.in_job_namespace(image).await?;
        assert_eq!((lent.jobs.len(), lent.secrets.len()), (0, 0), "{image}: its Jobs run beside it");
    }
    Ok(())
}

#[tokio::test]
async fn secrets_of_the_namespace_suffice_without_any_registry_access_and_beside_those_of_other_registries()
-> anyhow::Result<()> {
    let _agent = AGENT.lock().await;
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let accesses: Api<RegistryAccess> = Api::all(tenant.cluster.client.clone());
        assert_eq!(
            accesses.list(&ListParams::default()).await?.items.len(),
            0,
            "administrators lend nothing"
        );
        everything_works(tenant, "none").await?;
        // One selects this namespace, one does not, and one is of the same registry, elsewhere.
        let selected = json!({ "matchLabels": { "kubernetes.io/metadata.name": tenant.namespace } });
        let others = [
            json!({ "hosts": ["registry.example.com"], "repositories": ["/"], "actions": ["Pull", "Push"],
                "namespaceSelector": selected, "secretName": "no-such" }),
            json!({ "hosts": ["*.example.org"], "repositories": ["/"], "actions": ["Pull", "Push"] }),
            json!({ "hosts": [tenant.cluster.environment.target_registry], "actions": ["Pull", "Push"],
                "repositories": [tenant.path("kept/")] }),
        ];
        with_lent(tenant, &others, async || everything_works(tenant, "others").await).await
    })
    .await
}
