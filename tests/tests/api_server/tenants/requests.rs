//! A tenant who asks for a sync again and again.

use std::time::{Duration, Instant};

use imgop_core::api::{Image, REQUESTED_AT_ANNOTATION};
use imgop_fakes::Catalog;
use imgop_tests::wait;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{Case, DEADLINE, assert_within_the_limit, image};

/// How long the loop goes on, and the least time between two syncs that are requested.
const LOOP: Duration = Duration::from_secs(30);
const MIN_INTERVAL: Duration = Duration::from_secs(5);
/// What the loop leaves to the tests beside it: hundreds of requests are left between two syncs.
const PAUSE: Duration = Duration::from_millis(20);

#[tokio::test]
async fn requests_in_a_loop_begin_a_sync_every_five_seconds_and_the_last_one_counts() -> anyhow::Result<()> {
    let case = Case::new().await?;
    case.enabled_namespace("team").await?;
    let registry = Catalog::default().with("app", &[("1.0.0", "one")]).with("copy", &[("1.0.0", "one")]);
    let registry = registry.start().await;
    let (source, destination) = (format!("{}/app", registry.address), format!("{}/copy", registry.address));
    case.create("team", [image("app", &source, &destination)]).await?;
    let agent = case.agent(&[]).await?;
    assert_eq!(case.reason("team", "app").await?, "Succeeded");

    let (images, began) = (case.images("team"), Instant::now());
    let syncs =
        || registry.http.seen().iter().filter(|seen| seen.target.contains("/copy/manifests/")).count();
    let (before, mut token) = (syncs(), 0);
    while began.elapsed() < LOOP {
        token += 1;
        let annotation = json!({ REQUESTED_AT_ANNOTATION: token.to_string() });
        let patch = Patch::Merge(json!({ "metadata": { "annotations": annotation } }));
        images.patch("app", &PatchParams::default(), &patch).await?;
        tokio::time::sleep(PAUSE).await;
    }
    let token = token.to_string();
    let is_handled = |image: &Image| {
        let status = image.status.as_ref();
        status.and_then(|status| status.last_handled_requested_at.as_ref()) == Some(&token)
    };
    wait::until(&images, "app", "has handled the last request", DEADLINE, is_handled).await?;
    let most = began.elapsed().as_secs() / MIN_INTERVAL.as_secs() + 1;
    let syncs = syncs() - before;
    anyhow::ensure!(syncs as u64 <= most, "{syncs} syncs for {token} requests, not {most} at most");
    assert_within_the_limit(&agent)
}
