//! ImageMirrors: an inventory that is really copied.

use std::collections::{BTreeMap, BTreeSet};

use imgop_core::api::{
    Credentials, Image, ImageMirror, ImageMirrorSpec, MirrorEntry, MirrorSource, MirrorTarget, Tls, TlsMode,
};
use imgop_registry::reference::Digest;
use imgop_tests::registry::Registry;
use imgop_tests::tenant::{CA_SECRET, DEADLINE, PUSH_SECRET, Tenant, with_tenant};
use imgop_tests::wait;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};

const OBJECT: &str = "imagemirror/acme";

/// The targets of the mirror: three registries, one of them with TLS and a password.
fn targets(tenant: &Tenant) -> [(&Registry, String); 3] {
    let cluster = &tenant.cluster;
    [&cluster.target, &cluster.referrers, &cluster.source].map(|registry| (registry, tenant.path("mirror")))
}

fn spec(tenant: &Tenant, entries: &[(&str, &[&str])]) -> ImageMirrorSpec {
    let plain = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };
    let target = |(registry, path): (&Registry, String)| MirrorTarget {
        repository: registry.repository(&path),
        default: true,
        tls: Some(plain.clone()),
        ..MirrorTarget::default()
    };
    let mut targets = targets(tenant).map(target).to_vec();
    targets[0].tls = Some(Tls { mode: TlsMode::Verify, ca_secret_name: Some(CA_SECRET.to_owned()) });
    targets[0].credentials = Some(Credentials { secret_name: PUSH_SECRET.to_owned() });
    let entry = |(name, tags): &(&str, &[&str])| MirrorEntry {
        source: tenant.cluster.source.repository(&tenant.path(name)),
        tags: tags.iter().map(ToString::to_string).collect(),
        target_name: Some((*name).to_owned()),
        ..MirrorEntry::default()
    };
    ImageMirrorSpec {
        targets,
        entries: entries.iter().map(entry).collect(),
        sources: vec![MirrorSource {
            registry: tenant.cluster.source.repository(&tenant.namespace),
            tls: plain,
            ..MirrorSource::default()
        }],
        frequency: "1h".to_owned(),
        ..ImageMirrorSpec::default()
    }
}

async fn apply(tenant: &Tenant, spec: ImageMirrorSpec) -> anyhow::Result<()> {
    let mirrors: Api<ImageMirror> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    let force = PatchParams::apply("imgop-tests").force();
    mirrors.patch("acme", &force, &Patch::Apply(&ImageMirror::new("acme", spec))).await?;
    Ok(())
}

/// Returns the Images by their names, once there are this many.
async fn images(tenant: &Tenant, count: usize) -> anyhow::Result<BTreeMap<String, Image>> {
    wait::poll(&format!("there are {count} Images"), DEADLINE, || async {
        let all = tenant.images().list(&ListParams::default()).await?.items;
        Ok((all.len() == count).then(|| all.into_iter().map(|image| (image.name_any(), image)).collect()))
    })
    .await
}

async fn ready(tenant: &Tenant) -> anyhow::Result<()> {
    let waited = tenant.kubectl.imgop(["wait", OBJECT, "--for=Ready", "--timeout=5m"]).await?;
    anyhow::ensure!(waited.code == Some(0), "{waited:?}");
    Ok(())
}

/// Returns what each target has of a repository.
async fn there(tenant: &Tenant, name: &str) -> anyhow::Result<Vec<BTreeMap<String, Digest>>> {
    let mut all = Vec::new();
    for (registry, path) in targets(tenant) {
        all.push(registry.digests(&format!("{path}/{name}")).await?);
    }
    Ok(all)
}

#[tokio::test]
async fn an_inventory_is_copied_to_three_registries_and_an_entry_that_goes_takes_its_images_alone()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let source = &tenant.cluster.source;
        let widget = source.fill(&tenant.path("widget"), &["1.0", "1.1"], "").await?;
        let gadget = source.fill(&tenant.path("gadget"), &["2.0"], "gadget").await?;
        let gizmo = source.fill(&tenant.path("gizmo"), &["3.0.1", "3.0.2", "4.0.0"], "gizmo").await?;
        let all: [(&str, &[&str]); 3] =
            [("widget", &["1.0", "1.1"]), ("gadget", &["2.0"]), ("gizmo", &["3.0.x"])];
        apply(tenant, spec(tenant, &all)).await?;
        ready(tenant).await?;
        let before = images(tenant, 9).await?;
        assert_eq!(there(tenant, "widget").await?, vec![widget.clone(); 3]);
        assert_eq!(there(tenant, "gadget").await?, vec![gadget.clone(); 3]);
        let selected: BTreeMap<_, _> = gizmo.into_iter().filter(|(tag, _)| tag.starts_with("3.0.")).collect();
        assert_eq!(there(tenant, "gizmo").await?, vec![selected; 3]);
        tenant.jobs_ended().await?;
        let names = async || -> anyhow::Result<BTreeSet<String>> {
            Ok(tenant.jobs().await?.iter().map(ResourceExt::name_any).collect())
        };
        let jobs = names().await?;

        apply(tenant, spec(tenant, &[all[2], all[0]])).await?;
        let left = images(tenant, 6).await?;
        assert!(left.values().all(|image| !image.spec.source.name.ends_with("/gadget")));
        let versions = |image: &Image| (image.uid(), image.metadata.generation);
        assert!(left.iter().all(|(name, image)| versions(image) == versions(&before[name])));
        ready(tenant).await?;
        // Those of the Images that are gone go with them.
        assert!(names().await?.is_subset(&jobs), "nothing is copied for that");
        assert_eq!(there(tenant, "gadget").await?, vec![gadget; 3], "no tag of a registry is deleted");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_mirror_is_listed_described_waited_for_and_synced_by_its_name() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, [(target, path), ..]) = (&tenant.cluster.source, targets(tenant));
        let pushed = source.fill(&tenant.path("widget"), &["1.0", "1.1"], "").await?;
        apply(tenant, spec(tenant, &[("widget", &["1.0", "1.1"])])).await?;
        ready(tenant).await?;

        let listed = tenant.kubectl.imgop(["list", OBJECT, "--no-headers"]).await?.ok()?;
        let cells: Vec<&str> = listed.split_whitespace().take(6).collect();
        assert_eq!(cells, ["acme", "1", "3/3", "True", "Succeeded", "6/6"], "{listed}");
        let described = tenant.kubectl.imgop(["describe", OBJECT]).await?.ok()?;
        for part in ["3 Images, 3 ready", "6 matched: 6 synced", &target.repository(&path)] {
            assert!(described.contains(part), "{part}: {described}");
        }

        // The registry loses a tag; a sync of the mirror is one of all its Images.
        target.delete(&format!("{path}/widget"), "1.1").await?;
        let synced = tenant.kubectl.imgop(["sync", OBJECT]).await?;
        assert_eq!(synced.code, Some(0), "{synced:?}");
        assert_eq!(target.digests(&format!("{path}/widget")).await?, pushed);

        // And what cannot be copied is said of the mirror, whose other Images are not held up.
        let entries: [(&str, &[&str]); 2] = [("widget", &["1.0", "1.1"]), ("absent", &["9.9"])];
        apply(tenant, spec(tenant, &entries)).await?;
        let failed = wait::poll("the mirror says which Image fails", DEADLINE, || async {
            let described = tenant.kubectl.imgop(["describe", OBJECT]).await?.ok()?;
            let (_, failing) = described.split_once("FAILING-IMAGE").unwrap_or_default();
            Ok(failing.contains("absent").then_some(described))
        })
        .await?;
        assert!(failed.contains("3 ready"), "{failed}");
        Ok(())
    })
    .await
}
