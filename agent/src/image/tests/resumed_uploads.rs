//! Uploads that Jobs of the agent's own program have left.

use imgop_core::api::{Engine, NATIVE_CONTAINER};
use serde_json::json;

use super::*;

/// Where an upload that was left is.
const PLACE: &str = "https://registry.example.com/uploads/1";

/// An agent whose Jobs copy a tag each. One of another tag has ended and left an upload.
async fn left() -> Stage {
    let mut stage = Stage::of_a_synced_image().await;
    let agent = fixtures::agent_with(stage.api.client(), &["--native-tags-per-job=1"]);
    stage.images = Images::new(agent, Objects::new([]));
    stage.image.spec.engine = Some(Engine::Native);
    stage.is_reconciling(reasons::PROGRESSING);
    stage.has_job(&copy_of("v2.13.0", "{}"));
    let upload = json!({ "blob": Digest::of(b"layer"), "place": PLACE });
    let terminated = json!({ "exitCode": 0, "reason": "Completed",
        "message": json!({ "done": "0", "uploads": [upload] }).to_string(),
        "startedAt": now() - Duration::from_mins(2), "finishedAt": now() - Duration::from_mins(1) });
    let container = json!({ "name": NATIVE_CONTAINER, "state": { "terminated": terminated } });
    stage.has_pod(&json!({ "phase": "Succeeded", "containerStatuses": [container] }));
    stage
}

/// Begins these copies while others run. Returns of each new Job whether it goes on with the upload.
async fn go_on(stage: &Stage, copies: &[&Copy], running: &[&Copy]) -> Vec<bool> {
    let all: Vec<&Copy> = copies.iter().chain(running).copied().collect();
    let mut memory = memory(running, (now(), observed(&all)));
    memory.sync().probed.extend(all.into_iter().cloned());
    stage.pass(&mut memory, now()).await.unwrap();
    let jobs = stage.api.bodies("POST").into_iter().filter(|body| body["kind"] == "Job");
    jobs.map(|job| job.to_string().contains(PLACE)).collect()
}

#[tokio::test]
async fn of_several_jobs_one_alone_goes_on_with_the_uploads_and_none_while_another_may_do_so() {
    let (first, second) = (copy_of("v2.13.1", "{ }"), copy_of("v2.13.2", "{  }"));
    let mut goes_on = go_on(&left().await, &[&first, &second], &[]).await;
    goes_on.sort_unstable();
    assert_eq!(goes_on, [false, true]);
    let stage = left().await;
    stage.has_job(&second);
    assert_eq!(go_on(&stage, &[&first], &[&second]).await, [false]);
}
