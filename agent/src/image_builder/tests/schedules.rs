//! Builds that begin by a schedule.

use std::sync::Arc;
use std::time::Duration;

use imgop_core::api::BuildReason;
use imgop_core::build::BuildFailure;
use jiff::Timestamp;

use super::stage::Stage;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A build that has succeeded at noon, of an ImageBuilder that builds each night.
async fn nightly() -> Stage {
    let mut stage = Stage::new(|spec, _| spec.schedule = Some("0 3 * * *".into())).await;
    stage.passes(2).await;
    stage.succeeds().await;
    stage
}

/// The agent is another process now, that begins now.
fn restart(stage: &mut Stage, now: &str) {
    stage.restart();
    stage.now = at(now);
    Arc::get_mut(&mut stage.builders.agent).unwrap().started = stage.now;
}

/// Returns number and reason of the build that runs after a pass at this time.
async fn build_at(stage: &mut Stage, now: &str) -> Option<(u64, BuildReason)> {
    stage.now = at(now);
    stage.pass().await.build.map(|build| (build.number, build.reason))
}

#[tokio::test]
async fn a_build_begins_at_each_time_of_the_schedule_though_nothing_has_changed_and_not_before() {
    let mut stage = nightly().await;
    for early in ["2026-11-21T13:00:00Z", "2026-11-22T02:59:50Z"] {
        assert_eq!(build_at(&mut stage, early).await, None, "{early}");
    }
    restart(&mut stage, "2026-11-22T02:59:55Z");
    assert_eq!(build_at(&mut stage, "2026-11-22T02:59:57Z").await, None);
    let begun = build_at(&mut stage, "2026-11-22T03:01:30Z").await;
    assert_eq!(begun, Some((2, BuildReason::Schedule)));
    stage.pass().await;
    assert_eq!(stage.parts(), ["1 linux/amd64 1", "2 linux/amd64 1"], "it is built anew");
}

#[tokio::test]
async fn times_that_were_missed_are_made_up_for_by_one_build() {
    let mut stage = nightly().await;
    restart(&mut stage, "2026-11-25T12:00:00Z");
    let begun = build_at(&mut stage, "2026-11-25T12:01:00Z").await;
    assert_eq!(begun, Some((2, BuildReason::Schedule)));
    stage.pass().await;
    let digest = stage.pushed("linux/amd64", "2");
    stage.end_well(1, &digest);
    stage.pass().await;
    restart(&mut stage, "2026-11-25T14:00:00Z");
    for idle in ["2026-11-25T14:02:00Z", "2026-11-26T02:59:50Z"] {
        assert_eq!(build_at(&mut stage, idle).await, None, "{idle}");
    }
    assert_eq!(build_at(&mut stage, "2026-11-26T03:01:30Z").await, Some((3, BuildReason::Schedule)));
}

#[tokio::test]
async fn a_build_that_failed_is_followed_by_that_of_the_next_time() {
    let mut stage = Stage::new(|spec, _| {
        (spec.schedule, spec.rebuild_on) = (Some("0 3 * * *".into()), Vec::new());
    })
    .await;
    stage.passes(2).await;
    stage.end_badly(0, BuildFailure::StepFailed);
    assert!(stage.pass().await.build.is_none());
    let mut now = stage.now;
    let until = at("2026-11-22T03:01:30Z");
    let mut begun = None;
    while begun.is_none() && now < until {
        stage.now = now;
        let result = stage.try_pass().await.unwrap();
        begun =
            result.report.and_then(|report| report.status.build).map(|build| (build.number, build.reason));
        now += result.next.unwrap();
    }
    assert_eq!(begun, Some((2, BuildReason::Schedule)), "by {now}");
}

#[tokio::test]
async fn a_time_that_comes_during_a_build_ends_it_not() {
    let mut stage = Stage::new(|spec, _| spec.schedule = Some("*/10 * * * *".into())).await;
    stage.passes(2).await;
    stage.now += Duration::from_mins(25);
    for _ in 0..3 {
        assert_eq!(stage.pass().await.build.map(|build| build.number), Some(1));
    }
    assert_eq!(stage.deleted(), 0);
}
