//! What becomes of a tag when nothing uses it any more, and when something uses it again in time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use imgop_core::api::Image;
use imgop_registry::reference::Digest;
use imgop_tests::tenant::{DEADLINE, Tenant, with_tenant};
use imgop_tests::wait;
use imgop_tests::workloads::unused_since;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::DeleteParams;

use super::{deploy, is_available};

/// The shortest retention that there is.
const RETENTION: Duration = Duration::from_mins(1);

/// Has a Deployment and two pods run, until their images are mirrored: two tags of one repository, and the only tag of
/// another. Returns what the registry has of both.
async fn mirrored(
    tenant: &Tenant,
    app: &str,
    alone: &str,
) -> anyhow::Result<[(String, BTreeMap<String, Digest>); 2]> {
    let (source, path) = (&tenant.cluster.source, tenant.path("mirror"));
    let of_app = source.fill(app, &["back", "gone"], "").await?;
    let of_alone = source.fill(alone, &["1.0"], "alone").await?;
    deploy(tenant, &format!("{}:gone", source.repository(app))).await?;
    tenant.run_pod("back", &format!("{}:back", source.repository(app)), None).await?;
    tenant.run_pod("alone", &format!("{}:1.0", source.repository(alone)), None).await?;
    let mut spec = tenant.workload_mirror(&path);
    spec.retention = "1m".into();
    // As nothing else changes, the end of a retention is noticed this often.
    spec.frequency = "10s".into();
    tenant.mirror_workloads(spec).await?;
    is_available(tenant).await?;
    tenant.running("back").await?;
    tenant.running("alone").await?;
    let both = [(format!("{path}/{app}"), of_app), (format!("{path}/{alone}"), of_alone)];
    for (at, pushed) in &both {
        tenant.arrives(at, pushed).await?;
    }
    Ok(both)
}

/// The only pod with a tag goes, and another one comes once that is noted.
async fn is_used_again(tenant: &Tenant, name: &str, image: &str) -> anyhow::Result<()> {
    tenant.end_pod("back").await?;
    let is_noted = |image: &Image| unused_since(image).contains_key("back");
    let noted = tenant.until(name, "notes that nothing uses the tag", is_noted).await?;
    ensure!(noted.spec.source.tags == ["back", "gone"], "it is kept: {:?}", noted.spec.source.tags);
    tenant.run_pod("back-again", image, None).await?;
    let is_used = |image: &Image| unused_since(image).is_empty();
    let used = tenant.until(name, "notes that something does", is_used).await?;
    ensure!(used.spec.source.tags == ["back", "gone"], "it is used: {:?}", used.spec.source.tags);
    Ok(())
}

/// The last users of the other tag and of the other repository go. Waits until both have left their Images.
async fn the_others_leave(tenant: &Tenant, of_app: &str, of_alone: &str) -> anyhow::Result<()> {
    // They must be there for the whole retention, which begins after this.
    let before = Instant::now();
    let deployments: Api<Deployment> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    deployments.delete("web", &DeleteParams::default()).await?;
    tenant.end_pod("alone").await?;
    let images = tenant.images();
    let is_without = |image: &Image| !image.spec.source.tags.iter().any(|tag| tag == "gone");
    let loses = async {
        let left = tenant.until(of_app, "has lost the tag", is_without).await?;
        anyhow::Ok((left, before.elapsed()))
    };
    let goes = async {
        wait::until_gone(&images, of_alone, DEADLINE).await?;
        anyhow::Ok(before.elapsed())
    };
    let ((left, lost), gone) = tokio::try_join!(loses, goes)?;
    ensure!(lost.min(gone) >= RETENTION, "too early: {lost:?}, {gone:?}");
    // Nothing used it for a while that began before: by now that would be over too.
    assert_eq!(left.spec.source.tags, ["back"], "what is used again stays");
    assert_eq!(unused_since(&left), BTreeMap::new());
    Ok(())
}

#[tokio::test]
async fn a_tag_that_nothing_uses_leaves_its_image_after_the_retention_and_is_not_deleted_in_the_registry()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (app, alone) = (tenant.path("app"), tenant.path("alone"));
        let both = mirrored(tenant, &app, &alone).await?;
        let (of_app, of_alone) = (tenant.image_of(&app).await?, tenant.image_of(&alone).await?);
        let target = &tenant.cluster.target;
        let from = target.mark().await?;
        let back = format!("{}:back", tenant.cluster.source.repository(&app));
        is_used_again(tenant, &of_app, &back).await?;
        the_others_leave(tenant, &of_app, &of_alone).await?;

        // An Image that is ready again has looked at what it has at the registry.
        tenant.ready(&of_app).await?;
        let to = target.mark().await?;
        for (at, pushed) in both {
            assert_eq!(target.digests(&at).await?, pushed, "{at}");
            let asked = target.requests(&at, from, to)?;
            assert!(asked.iter().all(|request| request.method != "DELETE"), "{asked:#?}");
        }
        Ok(())
    })
    .await
}
