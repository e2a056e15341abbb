use proptest::prelude::*;

use super::*;

const UID: &str = "6f1d9a52-0000-4000-8000-000000000001";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn every(frequency: &str) -> Recurrence {
    Recurrence::Every(frequency.parse().unwrap())
}

fn daily() -> Recurrence {
    Recurrence::parse(RecurrenceRef { frequency: "5m", schedule: Some("0 3 * * *"), time_zone: None })
        .unwrap()
}

fn started(text: &str) -> Uptime {
    Uptime { started: at(text), earlier_heartbeat: None }
}

/// What is wrong with the fields that say when.
fn problems(frequency: &str, schedule: Option<&str>, time_zone: Option<&str>) -> Vec<String> {
    let mut problems = Problems::<String>::default();
    let fields = RecurrenceFields { frequency: "frequency", schedule: "schedule", time_zone: "timeZone" };
    let read = Recurrence::read(RecurrenceRef { frequency, schedule, time_zone }, fields, &mut problems);
    assert_eq!(read.is_some(), problems.0.is_empty());
    problems.0.into_iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
}

#[test]
fn one_of_frequency_and_schedule_says_when_and_the_default_that_a_server_fills_in_says_nothing() {
    assert_eq!(problems("1h", None, None), Vec::<String>::new());
    assert_eq!(problems("5m", Some("@daily"), Some("Europe/Berlin")), Vec::<String>::new());
    let both = problems("1h", Some("@daily"), None);
    assert_eq!(both, ["schedule: it does not go with frequency; leave one of them out"]);
    let alone = problems("5m", None, Some("Europe/Berlin"));
    assert_eq!(alone, ["timeZone: it goes with schedule only; give a schedule, or leave it out"]);
    let wrong = problems("5m", Some("0 3 * *"), Some("Europe/Berln"));
    assert!(wrong.len() == 1 && wrong[0].starts_with("schedule: "), "{wrong:?}");
    let wrong = problems("5m", Some("@daily"), Some("Europe/Berln"));
    assert!(wrong.len() == 1 && wrong[0].starts_with("timeZone: "), "{wrong:?}");
}

#[test]
fn the_next_sync_is_never_later_than_the_frequency() {
    let now = at("2026-11-21T12:00:00Z");
    let next = every("5m").next(UID, now);
    assert!(next > now + Duration::from_secs(280) && next <= now + Duration::from_mins(5));
}

#[test]
fn objects_that_were_made_together_drift_apart() {
    let now = at("2026-11-21T12:00:00Z");
    let waits = (0..1000).map(|n| remaining(every("1h").next(&format!("uid-{n}"), now), now));
    let different: std::collections::BTreeSet<Duration> = waits.collect();
    assert!(different.len() > 100, "{} at once", different.len());
    let least = Duration::from_mins(57);
    assert!(different.iter().all(|wait| (least..=Duration::from_hours(1)).contains(wait)), "{different:?}");
}

#[test]
fn who_asks_between_a_time_of_the_schedule_and_the_look_for_it_is_told_of_this_look() {
    let time = at("2026-11-22T03:00:00Z");
    let look = daily().next(UID, time - Duration::from_hours(1));
    assert!(look > time, "{UID} waits a little: {look}");
    assert_eq!(daily().next(UID, time), look);
    assert_eq!(daily().next(UID, look), look + Duration::from_hours(24));
}

#[test]
fn a_thousand_objects_of_one_schedule_do_not_ask_at_once_and_none_waits_longer_than_a_minute() {
    let now = at("2026-11-21T12:00:00Z");
    let time = at("2026-11-22T03:00:00Z");
    let all: Vec<Timestamp> = (0..1000).map(|n| daily().next(&format!("uid-{n}"), now)).collect();
    assert!(all.iter().all(|next| (time..time + Duration::from_mins(1)).contains(next)));
    for second in 0..60 {
        let at_once = all.iter().filter(|next| next.as_second() == time.as_second() + second).count();
        assert!(at_once < 50, "{at_once} of 1000 in one second");
    }
    assert_eq!(daily().next("uid-7", now), all[7], "and the same one always at the same time");
    let each_minute = RecurrenceRef { frequency: "5m", schedule: Some("* * * * *"), time_zone: None };
    let each_minute = Recurrence::parse(each_minute).unwrap();
    let latest = (0..1000).map(|n| each_minute.next(&format!("uid-{n}"), now)).max().unwrap();
    assert!(latest < now + Duration::from_secs(66), "a tenth of the period: {latest}");
}

#[test]
fn a_restart_runs_nothing_early() {
    let uptime = started("2026-11-21T12:00:00Z");
    let last = Some(at("2026-11-21T03:01:00Z"));
    let next = daily().resume(UID, last, &uptime, uptime.started);
    assert_eq!(next, daily().next(UID, uptime.started));
    assert!(next > at("2026-11-22T02:59:59Z"));
    let next = every("1d").resume(UID, last, &uptime, uptime.started);
    assert!(next > at("2026-11-22T01:00:00Z"), "{next}");
}

#[test]
fn what_was_missed_while_no_agent_ran_is_made_up_for_once_and_within_a_minute() {
    let uptime = started("2026-11-21T12:00:00Z");
    for recurrence in [daily(), every("1h")] {
        for last in [Some(at("2026-11-17T03:01:00Z")), None] {
            let due = |uid: &str| recurrence.resume(uid, last, &uptime, uptime.started);
            let minute = uptime.started..uptime.started + Duration::from_mins(1);
            assert!((0..100).all(|n| minute.contains(&due(&format!("uid-{n}")))));
            let halves = (0..100).filter(|n| due(&format!("uid-{n}")).as_second() % 60 < 30).count();
            assert!((30..70).contains(&halves), "{halves}");
            // What is recorded of it, or remembered, is later than all that was missed.
            assert!(recurrence.next(UID, due(UID)) > minute.end);
        }
    }
}

#[test]
fn what_an_agent_did_until_its_last_heartbeat_is_not_made_up_for() {
    let last = Some(at("2026-11-17T03:01:00Z"));
    let with = |recurrence: &Recurrence, heartbeat: &str| {
        let earlier_heartbeat = Some(at(heartbeat));
        let uptime = Uptime { earlier_heartbeat, ..started("2026-11-21T12:00:00Z") };
        recurrence.resume(UID, last, &uptime, uptime.started)
    };
    let catch_up = daily().resume(UID, last, &started("2026-11-21T12:00:00Z"), at("2026-11-21T12:00:00Z"));
    let tomorrow = daily().next(UID, at("2026-11-21T12:00:00Z"));
    assert_eq!(with(&daily(), "2026-11-21T11:59:55Z"), tomorrow);
    assert_eq!(with(&daily(), "2026-11-21T02:59:00Z"), catch_up, "it ended before");
    assert_eq!(
        with(&daily(), "2026-11-21T03:00:30Z"),
        catch_up,
        "it may have ended before it was this one's turn"
    );
    assert_eq!(with(&daily(), "2099-01-01T00:00:00Z"), tomorrow, "a clock that was ahead");
    let hourly = with(&every("1h"), "2026-11-21T11:59:55Z");
    let soon = at("2026-11-21T12:00:00Z")..=at("2026-11-21T13:00:00Z");
    assert!(soon.contains(&hourly), "{hourly}: within a period of the heartbeat");
    assert_ne!(
        hourly,
        every("1h").resume(UID, last, &started("2026-11-21T12:00:00Z"), at("2026-11-21T12:00:00Z"))
    );
}

#[test]
fn a_clock_that_was_ahead_silences_nothing() {
    let uptime = started("2026-11-21T12:00:00Z");
    let next = daily().resume(UID, Some(at("2031-01-01T00:00:00Z")), &uptime, uptime.started);
    assert_eq!(next, daily().next(UID, uptime.started));
}

#[test]
fn the_last_look_follows_from_the_schedule_and_from_what_is_recorded() {
    let last = |recorded: &str, now: &str| daily().last(UID, at(recorded), at(now)).unwrap();
    let look = daily().next(UID, at("2026-11-21T02:00:00Z"));
    assert_eq!(last("2026-11-17T03:01:00Z", "2026-11-21T12:00:00Z"), look);
    assert_eq!(last("2026-11-21T09:00:00Z", "2026-11-21T12:00:00Z"), at("2026-11-21T09:00:00Z"), "a request");
    let before = daily().next(UID, at("2026-11-20T02:00:00Z"));
    assert_eq!(last("2026-11-17T03:01:00Z", "2026-11-21T03:00:00Z"), before, "it waits its jitter yet");
    assert_eq!(every("1h").last(UID, at("2026-11-17T03:01:00Z"), at("2026-11-21T12:00:00Z")), None);
}

#[test]
fn answers_are_shared_by_those_that_look_at_the_same_time_and_not_kept_for_the_next_one() {
    let now = at("2026-11-21T03:00:30Z");
    assert_eq!(daily().shared_age(now), Duration::from_mins(1));
    assert_eq!(every("1h").shared_age(now), Duration::from_hours(1));
}

proptest! {
    #[test]
    fn looks_of_an_object_come_one_after_the_other_and_never_stop(
        minute in 0u8..60, step in 1u8..24, start in 0i64..4_000_000_000, uid in "[a-f0-9]{8}",
        zone in proptest::sample::select(&["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca"][..]),
    ) {
        let schedule = format!("{minute} */{step} * * *");
        let written = RecurrenceRef { frequency: "5m", schedule: Some(&schedule), time_zone: Some(zone) };
        let recurrence = Recurrence::parse(written).unwrap();
        let mut last = Timestamp::from_second(start).unwrap();
        for _ in 0..60 {
            let next = recurrence.next(&uid, last);
            prop_assert!(next > last && next < last + Duration::from_hours(50), "{last} {next}");
            let uptime = Uptime { started: last, earlier_heartbeat: None };
            prop_assert_eq!(recurrence.resume(&uid, Some(last), &uptime, last), next, "a restart changes nothing");
            last = next;
        }
    }
}
