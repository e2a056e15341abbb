//! What stands in the next status.

use std::time::Duration;

use imgop_core::api::conditions::{NewCondition, READY};
use imgop_core::api::{Counts, FailureReason, Mode, Phase, TagFailure};
use imgop_registry::reference::Digest;

use super::*;
use crate::image::findings::TagFindings;
use crate::image::requests::Requests;
use crate::image::tests::fixtures::{image, now};

fn success(copied: u32) -> Findings {
    Findings {
        readiness: Readiness {
            conditions: vec![NewCondition {
                type_: READY,
                status: Some(true),
                reason: reasons::SUCCEEDED,
                message: "2 of 2 tags are there".into(),
            }],
            phase: Phase::Completed,
            progress: Some("2/2".into()),
        },
        tags: Some(TagFindings {
            counts: Counts { matched: 2, synced: 2, ..Counts::default() },
            failures: Vec::new(),
            already_synced: vec!["v2".into(), "v1".into()],
            synced_from: None,
            set_from: None,
            waiting: Vec::new(),
            next_attempt: None,
            credentials: None,
        }),
        handled: Requests::default(),
        generation: None,
        ended: Some((0..copied).map(|n| n.to_string().parse().unwrap()).collect()),
        destination: None,
        prune: None,
    }
}

fn later(seconds: u64) -> Timestamp {
    now() + Duration::from_secs(seconds)
}

#[test]
fn a_sync_that_finds_nothing_to_do_writes_nothing() {
    let mut image = image(Mode::OnceByTag);
    image.status = Some(next_status(&image, success(2), None, now()));
    assert_eq!(next_status(&image, success(0), None, later(300)), image.status.clone().unwrap());
}

#[test]
fn a_sync_that_copied_something_is_history() {
    let mut image = image(Mode::OnceByTag);
    for n in 0..25 {
        image.status = Some(next_status(&image, success(1), None, later(n)));
    }
    let status = image.status.unwrap();
    assert_eq!(status.history.len(), MAX_HISTORY);
    assert_eq!(status.history[19].performed_at, Time(later(24)));
    assert_eq!(status.last_successful_sync_time, Some(Time(later(24))));
}

#[test]
fn the_history_names_the_tags_of_a_sync_as_far_as_there_is_room() {
    let named = |tags: Vec<String>| {
        let copied: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let findings = Findings { ended: Some(copied), ..success(1) };
        next_status(&image(Mode::OnceByTag), findings, None, now()).history.remove(0).tags
    };
    let usual: Vec<String> = (0..30).map(|n| format!("v2.13.{n}")).collect();
    assert_eq!(named(usual.clone()), usual);
    let longest = |count: usize| (0..count).map(|n| format!("v{n:0127}")).collect::<Vec<_>>();
    assert_eq!(named(longest(9)), longest(3));
}

#[test]
fn what_is_read_back_is_what_was_written() {
    let mut image = image(Mode::OnceByTag);
    let written = next_status(&image, success(2), None, now());
    let read: ImageStatus = serde_json::from_value(serde_json::to_value(&written).unwrap()).unwrap();
    assert_eq!(read, written);
    image.status = Some(read.clone());
    assert_eq!(next_status(&image, success(0), None, later(300)), read);
}

#[test]
fn what_could_not_be_asked_leaves_what_is_known() {
    let mut image = image(Mode::OnceByTag);
    image.status = Some(next_status(&image, success(2), None, now()));
    let readiness = Readiness::retrying(reasons::REGISTRY_UNREACHABLE, "HTTP 503");
    let findings = Findings::of(readiness, Requests::default());
    let status = next_status(&image, findings.clone(), None, later(60));
    assert_eq!(status.tag_already_synced, ["v2", "v1"]);
    assert_eq!(status.progress.as_deref(), Some("2/2"));
    assert_eq!(status.phase, Some(Phase::Failed));
    assert_eq!(status.last_successful_sync_time, Some(Time(now())));
    image.status = Some(status.clone());
    assert_eq!(next_status(&image, findings, None, later(120)), status, "and is written once");
}

#[test]
fn what_is_waited_for_says_when_it_is_tried_again() {
    let mut image = image(Mode::OnceByTag);
    image.status = Some(next_status(&image, success(2), None, now()));
    let readiness = Readiness::retrying(reasons::REGISTRY_UNREACHABLE, "HTTP 503");
    let refused = Findings::of(readiness.clone(), Requests::default());
    let status = next_status(&image, refused.clone(), Some(later(120)), later(60));
    assert_eq!(status.next_sync_time, Some(Time(later(120))));
    assert_eq!(status.last_sync_time, Some(Time(now())), "both registries were not observed");
    image.status = Some(status);
    let absent = Findings { readiness, ..success(0) };
    let status = next_status(&image, absent, Some(later(240)), later(120));
    assert_eq!(status.next_sync_time, Some(Time(later(240))));
    image.status = Some(status);
    // What only a change can end is checked often, and its time would be written as often.
    let stalled =
        Findings::of(Readiness::stalled(reasons::REGISTRY_UNAUTHORIZED, "HTTP 401"), Requests::default());
    assert_eq!(next_status(&image, stalled, Some(later(270)), later(240)).next_sync_time, None);
    let status = next_status(&image, success(0), None, later(300));
    assert_eq!(status.next_sync_time, None, "it is over");
}

#[test]
fn that_the_next_pass_is_later_is_no_sync() {
    let mut image = image(Mode::OnceByTag);
    let readiness = Readiness::retrying(reasons::TAG_NOT_FOUND, "no v2");
    let absent = Findings { readiness, ..success(0) };
    image.status = Some(next_status(&image, absent.clone(), Some(later(60)), now()));
    let status = next_status(&image, absent, Some(later(180)), later(60));
    assert_eq!(status.last_sync_time, Some(Time(now())));
    assert_eq!(status.next_sync_time, Some(Time(later(180))));
}

/// A tag that is too young.
fn waiting(tag: &str, content: &str, since: Timestamp) -> WaitingTag {
    WaitingTag {
        tag: tag.to_owned(),
        digest: imgop_registry::reference::Digest::of(content.as_bytes()).to_string(),
        since: Time(since),
        until: Time(since + Duration::from_hours(72)),
    }
}

fn success_but(waiting: Vec<WaitingTag>) -> Findings {
    let mut findings = success(0);
    if let Some(tags) = &mut findings.tags {
        tags.waiting = waiting;
    }
    findings
}

#[test]
fn a_tag_that_goes_on_waiting_is_written_once() {
    let mut image = image(Mode::Recurrent);
    let findings = success_but(vec![waiting("v3", "a", now())]);
    let written = next_status(&image, findings.clone(), None, now());
    let read: ImageStatus = serde_json::from_value(serde_json::to_value(&written).unwrap()).unwrap();
    assert_eq!(read, written);
    image.status = Some(read.clone());
    assert_eq!(next_status(&image, findings, None, later(300)), read);
}

#[test]
fn a_tag_leaves_the_waiting_ones_when_it_is_taken_and_begins_anew_when_it_moves() {
    let mut image = image(Mode::Recurrent);
    image.status = Some(next_status(&image, success_but(vec![waiting("v3", "a", now())]), None, now()));
    let moved = next_status(&image, success_but(vec![waiting("v3", "b", later(60))]), None, later(60));
    assert_eq!(moved.waiting, [waiting("v3", "b", later(60))]);
    assert!(next_status(&image, success(1), None, later(60)).waiting.is_empty());
    let readiness = Readiness::retrying(reasons::REGISTRY_UNREACHABLE, "HTTP 503");
    let unknown = next_status(&image, Findings::of(readiness, Requests::default()), None, later(60));
    assert_eq!(unknown.waiting.len(), 1, "what could not be asked is not forgotten");
}

#[test]
fn a_message_keeps_its_beginning_and_no_more_than_a_kilobyte() {
    let image = image(Mode::Recurrent);
    let long = format!("ü says {}", "ü".repeat(5_000));
    let mut findings = success(0);
    findings.readiness = Readiness::retrying(reasons::REGISTRY_UNREACHABLE, long.clone());
    if let Some(tags) = &mut findings.tags {
        tags.failures = vec![TagFailure {
            tag: "v1".into(),
            reason: FailureReason::PlatformNotFound,
            message: long,
            digest: None,
            attempts: 0,
            attempts_before_reset: 0,
            next_attempt: None,
        }];
    }
    let status = next_status(&image, findings, None, now());
    let messages = status.conditions.iter().map(|c| &c.message);
    let long: Vec<&String> = messages.chain(status.failures.iter().map(|f| &f.message)).collect();
    assert!(long.iter().any(|message| message.len() > 1_000));
    assert!(long.iter().all(|message| message.len() <= MAX_MESSAGE_BYTES));
    assert!(status.failures[0].message.starts_with("ü says ü"));
    assert!(status.failures[0].message.ends_with("ü…"));
}

#[test]
fn of_too_many_that_wait_the_youngest_are_left_out() {
    let image = image(Mode::Recurrent);
    let times = (0..150).map(|n| waiting(&format!("v{n}"), "a", later(1000 - n))).collect();
    let kept = next_status(&image, success_but(times), None, later(2000)).waiting;
    let tags: Vec<&str> = kept.iter().map(|tag| tag.tag.as_str()).collect();
    assert_eq!((tags.len(), tags[0], tags[99]), (MAX_WAITING, "v50", "v149"));
}

#[test]
fn a_status_stays_small_whatever_a_thousand_tags_and_their_servers_are_called() {
    let mut image = image(Mode::OnceByTag);
    let mut findings = success(1);
    let long = |n: usize| format!("{n:0>128}");
    findings.readiness = Readiness::retrying(reasons::REGISTRY_UNREACHABLE, "x\"".repeat(2_000));
    if let Some(tags) = &mut findings.tags {
        tags.failures = (0..1_000)
            .map(|n| TagFailure {
                tag: long(n),
                reason: FailureReason::CopyFailed,
                message: "x\"".repeat(1_000),
                digest: Some(Digest::of(b"a").to_string()),
                attempts: 1,
                attempts_before_reset: 0,
                next_attempt: Some(Time(now())),
            })
            .collect();
        tags.waiting = (0..1_000).map(|n| waiting(&long(n), "a", now())).collect();
        tags.already_synced = (0..1_000).map(long).collect();
    }
    let tags: Vec<String> = (0..3).map(long).collect();
    assert!(super::bytes(&tags) > MAX_NAMED_BYTES - 10, "the longest that an entry names");
    let entry = HistoryEntry { performed_at: Time(now()), copied: Some(1_000), tags, failed: Some(1_000) };
    let history = vec![entry; MAX_HISTORY];
    image.status = Some(ImageStatus { history, ..ImageStatus::default() });
    let status = next_status(&image, findings, None, now());
    assert!(status.failures.len() > 10 && status.waiting.len() > 10, "{status:?}");
    let bytes = serde_json::to_string(&status).unwrap().len();
    assert!(bytes <= 32 * 1024, "{bytes}");
}

#[test]
fn the_names_of_a_thousand_usual_tags_have_room() {
    let image = image(Mode::OnceByTag);
    let mut findings = success(1);
    let names: Vec<String> = (0..1_000).map(|n| format!("v2.13.{n}-alpine")).collect();
    findings.tags.as_mut().unwrap().already_synced.clone_from(&names);
    assert_eq!(next_status(&image, findings, None, now()).tag_already_synced, names);
}

#[test]
fn only_how_far_a_sync_has_come_may_be_written_later() {
    let image = image(Mode::Recurrent);
    let status = |edit: &dyn Fn(&mut ImageStatus)| {
        let mut status = next_status(&image, success(1), None, now());
        edit(&mut status);
        status
    };
    let old = status(&|_| ());
    let is_progress = |edit: &dyn Fn(&mut ImageStatus)| is_progress(Some(&old), &status(edit));
    assert!(is_progress(&|s| s.progress = Some("1/2".into())));
    assert!(is_progress(&|s| s.conditions[0].message = "1 of 2 tags are there".into()));
    assert!(!is_progress(&|_| ()), "nothing is new");
    assert!(!is_progress(&|s| s.conditions[0].reason = reasons::PROGRESSING.into()));
    assert!(!is_progress(&|s| s.last_handled_requested_at = Some("now".into())));
    assert!(!super::is_progress(None, &old));
}

#[test]
fn no_list_grows_without_end() {
    let image = image(Mode::Recurrent);
    let mut findings = success(0);
    if let Some(tags) = &mut findings.tags {
        tags.failures = (0..500)
            .map(|n| TagFailure {
                tag: format!("v{n}"),
                reason: FailureReason::CopyFailed,
                message: "x".repeat(512),
                digest: None,
                attempts: 1,
                attempts_before_reset: 0,
                next_attempt: None,
            })
            .collect();
        tags.waiting = (0..500).map(|n| waiting(&format!("v{n}"), "a", now())).collect();
    }
    let status = next_status(&image, findings, None, now());
    assert_eq!(status.failures.len(), MAX_FAILURES);
    assert_eq!((status.waiting.len(), status.waiting[0].tag.as_str()), (MAX_WAITING, "v0"));
    assert!(serde_json::to_string(&status).unwrap().len() < 60 * 1024);
}
