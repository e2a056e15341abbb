//! Many Images that wait for a place for their Jobs.

use imgop_core::api::{Image, REQUESTED_AT_ANNOTATION};
use imgop_fakes::{Catalog, CatalogRegistry};
use imgop_tests::agent_process::AgentProcess;
use imgop_tests::wait;
use jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use super::{Case, DEADLINE, assert_within_the_limit, image};

const WAITING: u64 = 1_000;
/// How often an Image of another namespace is synced meanwhile: at least five seconds lie between two.
const SYNCS: u64 = 4;
/// In how many rounds of such syncs the agent must have come to rest: each Image is looked at once more after its status
/// was written, and on a slow machine once again a quarter of a minute after that.
const ROUNDS: usize = 5;

#[tokio::test]
async fn images_that_wait_for_a_place_are_left_alone_until_there_is_one() -> anyhow::Result<()> {
    let case = Case::new().await?;
    case.enabled_namespace("waiting").await?;
    case.enabled_namespace("other").await?;
    let registry = Catalog::default().with("app", &[("1.0.0", "one")]).with("copy", &[("1.0.0", "one")]);
    let registry = registry.start().await;
    let source = format!("{}/app", registry.address);
    let images = (0..WAITING)
        .map(|n| image(&format!("app-{n}"), &source, &format!("{}/missing-{n}", registry.address)));
    case.create("waiting", images).await?;
    let destination = format!("{}/copy", registry.address);
    case.create("other", [image("synced", &source, &destination)]).await?;

    let agent = case.agent(&[]).await?;
    assert_eq!(case.reason("other", "synced").await?, "Succeeded");
    let all_wait = || async {
        // A list of them is large, so it is asked for only once there is something to see.
        if agent.counter("imgop_status_writes_total").await? < WAITING {
            return Ok(None);
        }
        let images = case.images("waiting").list(&ListParams::default()).await?.items;
        Ok(images.iter().all(|image| image.status.is_some()).then_some(()))
    };
    wait::poll("all Images have a status", DEADLINE, all_wait).await?;

    let mut seen = Vec::new();
    for _ in 0..ROUNDS {
        let round = Round::of(&case, &agent, &registry).await?;
        if round.passes < WAITING / 10 && round.requests < 100 {
            return assert_within_the_limit(&agent);
        }
        seen.push(round);
    }
    anyhow::bail!("{SYNCS} syncs wake those that wait, each time: {seen:?}")
}

/// What the agent did while another Image was synced a few times. Watches of Jobs and a place that is kept for an owner
/// may wake some; all of them at once would be 1,000.
#[derive(Debug)]
struct Round {
    passes: u64,
    requests: usize,
}

impl Round {
    async fn of(case: &Case, agent: &AgentProcess, registry: &CatalogRegistry) -> anyhow::Result<Self> {
        let before = (passes(agent).await?, registry.http.seen().len());
        for _ in 0..SYNCS {
            sync(case).await?;
        }
        let requests = registry.http.seen().len() - before.1;
        Ok(Self { passes: passes(agent).await? - before.0, requests })
    }
}

async fn passes(agent: &AgentProcess) -> anyhow::Result<u64> {
    agent.counter("imgop_reconciliations_total").await
}

/// Asks for a sync of the Image that waits for nothing, and waits until it is done.
async fn sync(case: &Case) -> anyhow::Result<()> {
    let token = Timestamp::now().to_string();
    let images = case.images("other");
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: token } } }));
    images.patch("synced", &PatchParams::default(), &patch).await?;
    let is_handled = |image: &Image| {
        image.status.as_ref().and_then(|status| status.last_handled_requested_at.as_deref())
            == Some(token.as_str())
    };
    wait::until(&images, "synced", "is synced", DEADLINE, is_handled).await?;
    Ok(())
}
