//! What administrators lend: it works without any Secret of the namespace, and stays where the namespace has no rights.

use std::collections::BTreeMap;

use imgop_core::api::{Credentials, Destination, ImageSpec, Tls, TlsMode};
use imgop_registry::DockerConfig;
use imgop_registry::reference::Repository;
use imgop_tests::lent::{LENT_LABEL, lends, with_lent};
use imgop_tests::tenant::{CA_SECRET, DEADLINE, PUSH_SECRET, Tenant, with_tenant};
use imgop_tests::wait;
use kube::ResourceExt as _;
use serde_json::json;

/// A spec that copies from the source registry to a repository of the target registry, and names no Secret.
fn without_secrets(tenant: &Tenant, destination: &str) -> ImageSpec {
    let repository = tenant.cluster.target.repository(destination);
    ImageSpec { destination: Destination::new(repository), ..tenant.spec("busybox", "v1.0.x", "replaced") }
}

/// Whether a file of credentials of a Job has some for this repository.
fn has_login(
    files: &BTreeMap<String, k8s_openapi::ByteString>,
    key: &str,
    repository: &str,
) -> anyhow::Result<bool> {
    let repository: Repository = repository.parse()?;
    let config = DockerConfig::parse(&files[key].0)?;
    Ok(config.credential(repository.host(), repository.path()).is_some())
}

/// Asserts that the namespace holds no Secret, and that the agent made nothing in it.
async fn has_nothing(tenant: &Tenant) -> anyhow::Result<()> {
    assert_eq!(tenant.secret_names().await?, Vec::<String>::new());
    assert_eq!((tenant.jobs().await?.len(), tenant.pods().await?.len()), (0, 0));
    Ok(())
}

#[tokio::test]
async fn a_namespace_without_secrets_pushes_with_lent_credentials_and_never_has_them() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.delete_secrets().await?;
        let tags = ["v1.0.0", "v1.0.1"];
        let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &tags, "").await?;
        with_lent(tenant, &[lends(tenant, "shared/", "Push", &json!({}))], async || {
            let destination = tenant.path("shared/busybox");
            tenant.apply("lent", &without_secrets(tenant, &destination)).await?;
            tenant.ready("lent").await?;
            assert_eq!(tenant.cluster.target.digests(&destination).await?, pushed);
            has_nothing(tenant).await?;

            let there = tenant.in_job_namespace("lent").await?;
            assert!(!there.jobs.is_empty() && there.secrets.len() == there.jobs.len(), "{there:?}");
            for secret in &there.secrets {
                let owner = &secret.owner_references()[0];
                assert!(there.jobs.iter().any(|job| job.uid().as_ref() == Some(&owner.uid)), "{owner:?}");
                let files = secret.data.as_ref().unwrap();
                let keys: Vec<&str> = files.keys().map(String::as_str).collect();
                assert_eq!(keys, ["destination.crt", "destination.json"], "no file is for the source");
                let at = |registry: &str| has_login(files, "destination.json", registry);
                assert!(at(&tenant.cluster.target.repository(&destination))?);
                assert!(!at(&tenant.cluster.source.repository(&destination))?, "its own registry alone");
            }
            tenant.nothing_is_left_of("lent").await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_namespace_that_is_not_selected_may_not_write_there_whatever_credentials_it_has()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let other = tenant.beside().await?;
        let pushed = other.cluster.source.fill(&other.path("busybox"), &["v1.0.0"], "").await?;
        with_lent(tenant, &[lends(tenant, "shared/", "Push", &json!({}))], async || {
            let destination = tenant.path("shared/other");
            let bare = without_secrets(&other, &destination);
            let mut own = other.spec("busybox", "v1.0.x", "replaced");
            own.destination.name.clone_from(&bare.destination.name);
            for (name, spec) in [("bare", &bare), ("own", &own)] {
                other.apply(name, spec).await?;
                let (reason, message) = other.stalled(name).await?;
                assert_eq!(reason, "DestinationNotAllowed", "{name}: {message}");
                assert!(message.contains("spec.destination: an administrator"), "{name}: {message}");
                let there = other.in_job_namespace(name).await?;
                assert_eq!((there.jobs.len(), there.secrets.len()), (0, 0), "{name}");
            }
            assert_eq!(other.jobs().await?.len(), 0);
            assert_eq!(tenant.cluster.target.tags(&destination).await?, Vec::<String>::new());

            // Once its namespace is selected, it would copy in a Job with what it has itself.
            other.kubectl.imgop(["delete", "own", "--yes"]).await?;
            // An administrator selects it.
            other.label(LENT_LABEL, &tenant.namespace).await?;
            // Labels that were read within the last second are recent enough for a sync.
            wait::poll("a sync succeeds", DEADLINE, || async {
                let sync = other.kubectl.imgop(["sync", "bare"]).await?;
                Ok((sync.code == Some(0)).then_some(()))
            })
            .await?;
            assert_eq!(tenant.cluster.target.digests(&destination).await?, pushed);
            assert_eq!(other.jobs().await?.len(), 0, "lent credentials are in no Job of a tenant");
            other.nothing_is_left_of("bare").await
        })
        .await?;
        other.delete().await
    })
    .await
}

#[tokio::test]
async fn a_source_that_is_lent_is_read_beside_a_secret_of_the_namespace_and_by_no_other_namespace()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let cluster = &tenant.cluster;
        let (source, target, referrers) = (&cluster.source, &cluster.target, &cluster.referrers);
        let pushed = source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        let vendor = tenant.path("vendor/busybox");
        target.take(&vendor, "v1.0.0", source, &tenant.path("busybox"), "v1.0.0").await?;
        // Of the tenant's own, for a registry that asks for none: what matters is where it goes.
        let copied = referrers.repository(&tenant.path("copied"));
        let (host, _) = copied.split_once('/').unwrap();
        let own = json!({ "auths": { host: { "username": "tenant", "password": "own" } } });
        tenant.login("own", own.to_string().into_bytes()).await?;
        with_lent(tenant, &[lends(tenant, "vendor/", "Pull", &json!({}))], async || {
            let mut spec = tenant.spec("replaced", "v1.0.x", "replaced");
            spec.source.name = target.repository(&vendor);
            spec.source.tls = Tls::default();
            spec.destination.name.clone_from(&copied);
            spec.destination.credentials = Some(Credentials { secret_name: "own".to_owned() });
            spec.destination.tls = Some(Tls { mode: TlsMode::PlainHttp, ca_secret_name: None });
            tenant.apply("lent", &spec).await?;
            tenant.ready("lent").await?;
            assert_eq!(referrers.digests(&tenant.path("copied")).await?, pushed);
            assert_eq!(tenant.secret_names().await?, ["own", PUSH_SECRET, CA_SECRET]);
            assert_eq!(tenant.jobs().await?.len(), 0);
            let there = tenant.in_job_namespace("lent").await?;
            let files = there.secrets[0].data.as_ref().unwrap();
            assert!(has_login(files, "source.json", &spec.source.name)?);
            assert!(!has_login(files, "source.json", &copied)?, "each side has its own registry alone");
            assert!(has_login(files, "destination.json", &copied)?);
            assert!(!has_login(files, "destination.json", &spec.source.name)?, "and no other one");
            tenant.nothing_is_left_of("lent").await?;

            let other = tenant.beside().await?;
            spec.source.tls = Tls { mode: TlsMode::Verify, ca_secret_name: Some(CA_SECRET.to_owned()) };
            spec.destination = Destination::new(other.cluster.target.repository(&other.path("copied")));
            spec.destination.credentials = Some(Credentials { secret_name: PUSH_SECRET.to_owned() });
            spec.destination.tls = Some(spec.source.tls.clone());
            other.apply("not-lent", &spec).await?;
            let (reason, message) = other.stalled("not-lent").await?;
            assert_eq!(reason, "RegistryUnauthorized", "{message}");
            assert_eq!(target.tags(&other.path("copied")).await?, Vec::<String>::new());
            other.delete().await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn copy_of_a_source_alone_goes_to_the_default_destination_with_what_is_lent() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.delete_secrets().await?;
        let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0", "v1.0.1"], "").await?;
        let target = &tenant.cluster.target;
        let prefix = format!("{}/{{namespace}}", target.repository(&tenant.path("mirror")));
        let source = &tenant.cluster.environment.source_registry;
        let reach = json!({ "hosts": [source], "secretName": null, "tls": { "mode": "PlainHTTP" } });
        let accesses = [
            lends(tenant, "mirror/", "Push", &json!({ "defaultDestination": { "prefix": prefix } })),
            lends(tenant, "", "Pull", &reach),
        ];
        with_lent(tenant, &accesses, async || {
            let source = format!("{}:v1.0.x", tenant.cluster.source.repository(&tenant.path("busybox")));
            let printed = tenant.kubectl.imgop(["copy", source.as_str(), "--wait"]).await?.ok()?;
            assert_eq!(printed, "image.skopeo.io/busybox-v1-0-x created\n");
            let path = format!("{}/{}", tenant.path("mirror"), tenant.path(&tenant.path("busybox")));
            assert_eq!(target.digests(&path).await?, pushed);
            has_nothing(tenant).await?;
            tenant.nothing_is_left_of("busybox-v1-0-x").await
        })
        .await
    })
    .await
}
