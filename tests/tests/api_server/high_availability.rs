//! Two agents as processes: one works, the other takes over. Each test has an API server of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use imgop_core::api::{Image, REQUESTED_AT_ANNOTATION};
use imgop_fakes::Catalog;
use imgop_tests::elected_agents::{ACCOUNT, DEADLINE, ElectedAgents, LEADS, WAITS};
use imgop_tests::{audit, wait};
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::tenants::{Case, image};

/// Less than a Lease is waited for that is not released.
const AT_ONCE: Duration = Duration::from_secs(9);
/// Images that two agents work for at once.
const IMAGES: usize = 5;
/// Syncs that are requested one after the other. The agents let five seconds pass between two of them.
const REQUESTS: usize = 3;
/// Within which another agent leads after a kill, and a little for a busy machine.
const AFTER_A_KILL: Duration = Duration::from_secs(18);

#[tokio::test]
async fn another_agent_leads_at_once_after_a_stop_and_within_15_seconds_after_a_kill() -> anyhow::Result<()> {
    let case = ElectedAgents::new().await?;
    let mut first = case.agent("first")?;
    first.says(LEADS, DEADLINE).await?;
    let mut second = case.agent("second")?;
    second.says(WAITS, DEADLINE).await?;
    second.says("; first_", DEADLINE).await?;
    assert!(second.metrics().await?.contains("imgop_leading 0"), "and says so in its metrics");
    case.create("before").await?;
    case.has_status("before").await?;

    first.signal("TERM").await?;
    assert_eq!(first.ended(DEADLINE).await?, Some(0));
    second.says(LEADS, AT_ONCE).await?;
    assert_eq!(case.holder().await?, "second");
    assert!(second.metrics().await?.contains("imgop_leading 1"));
    case.create("between").await?;
    case.has_status("between").await?;

    let third = case.agent("third")?;
    third.says(WAITS, DEADLINE).await?;
    second.signal("KILL").await?;
    second.ended(DEADLINE).await?;
    wait::poll("the third leads", AFTER_A_KILL, || async {
        Ok((case.holder().await? == "third").then_some(()))
    })
    .await?;
    third.says(LEADS, DEADLINE).await?;
    case.create("after").await?;
    case.has_status("after").await?;
    Ok(())
}

#[tokio::test]
async fn an_agent_that_was_paused_until_another_one_led_writes_nothing_any_more_and_ends()
-> anyhow::Result<()> {
    let case = ElectedAgents::new().await?;
    let mut paused = case.agent("paused")?;
    paused.says(LEADS, DEADLINE).await?;
    // Another account, so that the API server's record tells the two apart.
    let other = case.agent_of_an_administrator("other")?;
    other.says(WAITS, DEADLINE).await?;
    // The first is in the middle of its work when it is paused, and would go on with it.
    let names: Vec<String> = (0..200).map(|number| format!("image-{number}")).collect();
    let created = stream::iter(&names).map(|name| case.create(name)).buffer_unordered(32).try_collect::<()>();
    let (created, is_paused) = tokio::join!(created, async {
        case.has_status("image-20").await?;
        paused.signal("STOP").await
    });
    created.and(is_paused)?;
    other.says(LEADS, DEADLINE).await?;
    // What the API server still had to do of the first is done once all Images have a status.
    for name in &names {
        case.has_status(name).await?;
    }
    let log = case.server.audit_log();
    let from = audit::mark(&log)?;
    paused.signal("CONT").await?;
    assert_eq!(paused.ended(DEADLINE).await?, Some(1));
    // A write of it would be in the record before this one.
    case.create("last").await?;
    case.has_status("last").await?;
    // Each of the agent's two threads may have been paused between its last look at the Lease and the system call that
    // sends: a status, which the one that leads works out again, or the event that belongs to it.
    let written = audit::writes(&log, ACCOUNT, from)?;
    let sent_at_the_pause = [("patch", "images"), ("create", "events")];
    let are_such = written.keys().all(|(verb, of)| sent_at_the_pause.contains(&(verb.as_str(), of.as_str())));
    assert!(are_such && written.values().sum::<usize>() <= 2, "{written:?}");
    other.says(LEADS, DEADLINE).await?;
    Ok(())
}

#[tokio::test]
async fn two_agents_at_rest_write_the_lease_and_nothing_else() -> anyhow::Result<()> {
    let case = ElectedAgents::new().await?;
    let first = case.agent("first")?;
    first.says(LEADS, DEADLINE).await?;
    let second = case.agent("second")?;
    second.says(WAITS, DEADLINE).await?;
    case.create("image").await?;
    case.has_status("image").await?;
    // The event that belongs to it is written behind it.
    let log = case.server.audit_log();
    let renewals = |from: u64| {
        let log = log.clone();
        async move {
            wait::poll("the Lease is renewed five times", DEADLINE, || async {
                let writes = audit::writes(&log, ACCOUNT, from)?;
                let update = ("update".to_owned(), "leases".to_owned());
                Ok((writes.get(&update).is_some_and(|renewals| *renewals >= 5)).then_some(writes))
            })
            .await
        }
    };
    renewals(audit::mark(&log)?).await?;
    let writes = renewals(audit::mark(&log)?).await?;
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert_eq!(case.lease().await?.lease_transitions, Some(0), "one held it all the time");
    Ok(())
}

#[tokio::test]
async fn two_agents_that_both_work_create_each_job_once_and_overwrite_no_status_in_turn() -> anyhow::Result<()>
{
    let case = Case::new().await?;
    case.enabled_namespace("team").await?;
    let source = Catalog::default().with("app", &[("1.0.0", "one")]);
    let destination = |n: usize| format!("copy-{n}");
    let registry = (0..IMAGES).fold(source, |catalog, n| catalog.with(&destination(n), &[])).start().await;
    // Neither asks for the Lease.
    let _agents = tokio::try_join!(case.agent(&[]), case.agent(&[]))?;
    let at = |path: &str| format!("{}/{path}", registry.address);
    let copies = (0..IMAGES).map(|n| image(&format!("image-{n}"), &at("app"), &at(&destination(n))));
    case.create("team", copies).await?;
    let jobs: Api<Job> = Api::namespaced(case.client().clone(), "team");
    wait::poll("each Image has a Job", DEADLINE, || async {
        Ok((jobs.list(&ListParams::default()).await?.items.len() == IMAGES).then_some(()))
    })
    .await?;
    let (log, images) = (case.server.audit_log(), case.images("team"));
    let from = audit::mark(&log)?;
    for request in (0..REQUESTS).map(|n| format!("request-{n}")) {
        let annotations = json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: request } } });
        images.patch("image-0", &PatchParams::default(), &Patch::Merge(&annotations)).await?;
        let is_handled = |image: &Image| {
            let handled =
                image.status.as_ref().and_then(|status| status.last_handled_requested_at.as_deref());
            handled == Some(request.as_str())
        };
        wait::until(&images, "image-0", "has handled the request", DEADLINE, is_handled).await?;
    }
    let created = audit::created_jobs(&log, "team")?;
    let names: BTreeSet<&String> = created.iter().collect();
    assert_eq!((created.len(), names.len()), (IMAGES, IMAGES), "{created:?}");
    // Each may say twice of each Image where it stands, and twice of each request.
    let writes = audit::writes(&log, ACCOUNT, from)?;
    let statuses = writes.get(&("patch".to_owned(), "images".to_owned())).copied().unwrap_or_default();
    assert!(statuses <= 2 * 2 * (IMAGES + REQUESTS), "{writes:?}");
    Ok(())
}
