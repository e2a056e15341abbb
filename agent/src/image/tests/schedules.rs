//! When an Image is looked at that has a schedule, by agents that come and go.

use super::*;

const SCHEDULE: &str = "0 3 * * *";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An Image that is in sync and has a schedule, and whose last recorded sync was then.
async fn scheduled(last_sync: &str) -> Stage {
    let mut stage = Stage::of_a_synced_image().await;
    in_sync(&stage);
    stage.image.spec.schedule = Some(SCHEDULE.to_owned());
    let mut status = stage.pass(&mut due_now(), now()).await.unwrap().report.unwrap().status;
    status.last_sync_time = Some(Time(at(last_sync)));
    stage.image.status = Some(status);
    stage
}

/// A new process begins.
fn restart(stage: &mut Stage, started: Timestamp) -> Memory {
    Arc::get_mut(&mut stage.images.agent).unwrap().started = started;
    Memory::default()
}

/// Returns how many requests the registries get in a pass, which writes nothing.
async fn requests(stage: &Stage, memory: &mut Memory, now: Timestamp) -> usize {
    let before = stage.registry.requests().len();
    let result = stage.pass(memory, now).await.unwrap();
    let status = result.report.map(|report| report.status);
    assert!(status.is_none() || status == stage.image.status, "an idle agent writes nothing: {status:?}");
    assert_eq!(stage.api.bodies("PUT").len() + stage.api.bodies("PATCH").len(), 0);
    assert!(result.next.is_some());
    stage.registry.requests().len() - before
}

#[tokio::test]
async fn a_restart_looks_at_nothing_before_its_time() {
    let mut stage = scheduled("2026-11-21T03:01:00Z").await;
    let mut memory = restart(&mut stage, now());
    assert_eq!(requests(&stage, &mut memory, now()).await, 0);
    assert_eq!(requests(&stage, &mut memory, at("2026-11-21T12:02:00Z")).await, 0);
    assert_eq!(requests(&stage, &mut memory, at("2026-11-22T02:59:59Z")).await, 0);
    assert!(requests(&stage, &mut memory, at("2026-11-22T03:01:00Z")).await > 0);
}

#[tokio::test]
async fn times_that_were_missed_are_made_up_for_by_one_look() {
    let mut stage = scheduled("2026-11-17T03:01:00Z").await;
    let mut memory = restart(&mut stage, now());
    assert!(requests(&stage, &mut memory, at("2026-11-21T12:01:00Z")).await > 0);
    for idle in ["2026-11-21T12:01:01Z", "2026-11-21T13:00:00Z", "2026-11-22T02:59:59Z"] {
        assert_eq!(requests(&stage, &mut memory, at(idle)).await, 0, "{idle}");
    }
    assert!(requests(&stage, &mut memory, at("2026-11-22T03:01:00Z")).await > 0);
    assert_eq!(requests(&stage, &mut memory, at("2026-11-22T03:01:01Z")).await, 0);
}

#[tokio::test]
async fn a_schedule_that_is_wrong_stalls_with_its_field_and_asks_nothing() {
    let mut stage = scheduled("2026-11-21T03:01:00Z").await;
    let before = stage.registry.requests().len();
    for (schedule, zone, field) in [
        ("0 3 30 2 *", None, "spec.schedule: \"0 3 30 2 *\" never comes"),
        (SCHEDULE, Some("Mars/Olympus"), "spec.timeZone: \"Mars/Olympus\" is no time zone"),
    ] {
        stage.image.spec.schedule = Some(schedule.to_owned());
        stage.image.spec.time_zone = zone.map(str::to_owned);
        let result = stage.pass(&mut due_now(), now()).await.unwrap();
        assert_eq!((reason(&result), result.next), (reasons::INVALID_SPEC, None));
        let status = result.report.unwrap().status;
        let message = &find(&status.conditions, READY).unwrap().message;
        assert!(message.contains(field), "{message}");
    }
    assert_eq!(stage.registry.requests().len(), before);
}
