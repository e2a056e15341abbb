//! A tag that keeps failing, over restarts of the agent, and a tenant who asks for another try.

use imgop_core::api::{COPIES_ANNOTATION, Image};
use imgop_core::copy::CopyRecord;
use imgop_fakes::Catalog;
use imgop_tests::wait;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::{Case, DEADLINE, image};

const NAMESPACE: &str = "cooldown";

/// What the Jobs of the namespace copy.
async fn copies(jobs: &Api<Job>) -> anyhow::Result<Vec<CopyRecord>> {
    let jobs = jobs.list(&ListParams::default()).await?.items;
    let copies = jobs.iter().filter_map(|job| job.annotations().get(COPIES_ANNOTATION));
    let copies = copies.map(|copies| serde_json::from_str::<Vec<CopyRecord>>(copies));
    Ok(copies.collect::<Result<Vec<_>, _>>()?.concat())
}

#[tokio::test]
async fn a_cooldown_survives_a_restart_and_a_retry_that_is_requested_ends_it() -> anyhow::Result<()> {
    let case = Case::with_namespaces(&[NAMESPACE]).await?;
    let registry = Catalog::default().with("app", &[("1.0.0", "one")]).with("copy", &[]).start().await;
    let (source, destination) = (format!("{}/app", registry.address), format!("{}/copy", registry.address));
    case.create(NAMESPACE, [image("app", &source, &destination)]).await?;
    let (images, jobs) = (case.images(NAMESPACE), Api::<Job>::namespaced(case.client.clone(), NAMESPACE));
    let generation = images.get("app").await?.metadata.generation;

    let agent = case.agent(&[]).await?;
    let first = async || Ok(copies(&jobs).await?.pop());
    let copy = wait::poll("a Job is created", DEADLINE, first).await?;
    agent.stop().await?;
    jobs.delete_collection(&DeleteParams::background(), &ListParams::default()).await?;
    let in_half_an_hour = Timestamp::now() + SignedDuration::from_mins(30);
    let failure = json!({ "tag": "1.0.0", "reason": "CopyFailed", "message": "disk full",
        "digest": copy.digest, "attempts": 5, "nextAttempt": in_half_an_hour });
    let condition = |type_: &str, status: &str, reason: &str| {
        json!({ "type": type_, "status": status, "reason": reason, "message": "as of an earlier agent",
            "lastTransitionTime": "2026-11-21T12:00:00Z" })
    };
    let conditions =
        [condition("Ready", "False", "CopyFailed"), condition("Reconciling", "True", "ProgressingWithRetry")];
    // The agent creates Jobs before it says so, and it may have been stopped in between: without the generation that
    // was acted on, the spec is a new one, which ends a cooldown.
    let status = json!({ "observedGeneration": generation, "phase": "FAILED", "failures": [failure],
        "conditions": conditions });
    let patch = Patch::Merge(json!({ "status": status }));
    images.patch_status("app", &PatchParams::default(), &patch).await?;

    let agent = case.agent(&[]).await?;
    let how = format!("kubectl imgop sync app -n {NAMESPACE} --retry");
    let says_how = |image: &Image| {
        let conditions = image.status.iter().flat_map(|status| &status.conditions);
        conditions.into_iter().any(|it| it.message.ends_with(how.as_str()))
    };
    let left_alone = wait::until(&images, "app", "says what ends the cooldown", DEADLINE, says_how).await?;
    let failures = left_alone.status.unwrap_or_default().failures;
    anyhow::ensure!(failures.len() == 1 && failures[0].attempts == 5, "{failures:?}");
    anyhow::ensure!(copies(&jobs).await?.is_empty(), "it is left alone");
    anyhow::ensure!(agent.counter("imgop_tags_in_cooldown").await? == 1);

    let kubectl = case.server.kubectl()?.in_namespace(NAMESPACE);
    kubectl.imgop(["sync", "app", "--retry=1.0.0", "--no-wait"]).await?.ok()?;
    let is_handled =
        |image: &Image| image.status.as_ref().is_some_and(|status| status.last_handled_reset.is_some());
    let image = wait::until(&images, "app", "has handled the reset", DEADLINE, is_handled).await?;
    let status = image.status.unwrap_or_default();
    let failures: Vec<_> = status.failures.iter().map(|f| (f.attempts, f.attempts_before_reset)).collect();
    anyhow::ensure!(failures == [(0, 5)], "{:?}", status.failures);
    let attempts: Vec<u32> = copies(&jobs).await?.iter().map(|copy| copy.attempt).collect();
    anyhow::ensure!(attempts == [6], "{attempts:?}");
    Ok(())
}
