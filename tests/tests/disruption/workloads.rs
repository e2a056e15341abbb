//! Pods that the agent cannot list for a while. The right to see workloads is the whole cluster's, so no other test may need
//! it meanwhile.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::FutureExt as _;
use imgop_core::api::conditions::reasons;
use imgop_core::api::{Image, WorkloadMirror};
use imgop_tests::tenant::{DEADLINE, Tenant, with_tenant};
use imgop_tests::wait;
use imgop_tests::workloads::{ready, unused_since};

use crate::AGENT;

/// Each is the name of the pod that uses it, too.
const TAGS: [&str; 3] = ["runs", "seen", "unread"];
/// The shortest retention that there is, and as much as lies between two looks of a WorkloadMirror whose right is lacking.
const LONGER_THAN_RETENTION: Duration = Duration::from_secs(60 + 30);

/// Has a pod run for each tag, until all are mirrored, and returns the name of their Image.
async fn mirrored(tenant: &Tenant, app: &str, at: &str) -> anyhow::Result<String> {
    let source = &tenant.cluster.source;
    let pushed = source.fill(app, &TAGS, "").await?;
    for tag in TAGS {
        tenant.run_pod(tag, &format!("{}:{tag}", source.repository(app)), None).await?;
    }
    for tag in TAGS {
        tenant.running(tag).await?;
    }
    let mut spec = tenant.workload_mirror(&tenant.path("mirror"));
    spec.retention = "1m".into();
    // As nothing else changes, the end of a retention is noticed this often.
    spec.frequency = "10s".into();
    tenant.mirror_workloads(spec).await?;
    tenant.arrives(at, &pushed).await?;
    tenant.image_of(app).await
}

/// A pod ends that the agent cannot see any more. All tags stay, for longer than they would if it could.
async fn stays_without_the_right(tenant: &Tenant, name: &str) -> anyhow::Result<()> {
    tenant.cluster.kubectl.run(["delete", "clusterrolebinding", "imgop-agent-workloads"]).await?.ok()?;
    // A watch goes on for up to a minute with the right that it began with.
    tenant.cluster.kill_agent().await?;
    let lacks = |mirror: &WorkloadMirror| {
        ready(mirror).is_some_and(|ready| ready.reason == reasons::WORKLOADS_NOT_ALLOWED)
    };
    tenant.until_mirror("lacks the right", DEADLINE, lacks).await?;
    tenant.end_pod("unread").await?;
    let has_all = |image: &Image| image.spec.source.tags == TAGS && unused_since(image).keys().eq(["seen"]);
    wait::stays(&tenant.images(), name, "has all tags", LONGER_THAN_RETENTION, has_all).await
}

#[tokio::test]
async fn while_pods_cannot_be_listed_no_tag_becomes_unused_and_none_leaves_that_was() -> anyhow::Result<()> {
    let _agent = AGENT.lock().await;
    with_tenant(async |tenant| {
        let app = tenant.path("app");
        let at = format!("{}/{app}", tenant.path("mirror"));
        let name = mirrored(tenant, &app, &at).await?;
        let pushed = tenant.cluster.target.digests(&at).await?;
        tenant.end_pod("seen").await?;
        let is_noted = |image: &Image| unused_since(image).contains_key("seen");
        let noted = tenant.until(&name, "notes that nothing uses a tag", is_noted).await?;
        let seen = *unused_since(&noted).get("seen").context("it was noted")?;

        let result = AssertUnwindSafe(Box::pin(stays_without_the_right(tenant, &name))).catch_unwind().await;
        tenant.let_workloads_be_seen().await?;
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;

        // Its retention has been over for a while, and that of the other begins now.
        let has_lost = |image: &Image| image.spec.source.tags == ["runs", "unread"];
        let left = tenant.until(&name, "has lost what was unused before", has_lost).await?;
        let unused = unused_since(&left);
        let unread = *unused.get("unread").context("nothing uses it")?;
        ensure!(unread.duration_since(seen).as_secs() >= 60, "{unused:?}, the other {seen}");
        assert_eq!(tenant.cluster.target.digests(&at).await?, pushed, "nothing is deleted in the registry");
        Ok(())
    })
    .await
}
