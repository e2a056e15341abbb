//! The next status of an Image. Pure, and equal to the old one when nothing is new: a sync that finds nothing to
//! do writes nothing.

use imgop_core::api::conditions::{self, reasons};
use imgop_core::api::{HistoryEntry, Image, ImageStatus, WaitingTag};
use imgop_core::copy::Readiness;
use imgop_registry::reference::Repository;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::findings::Findings;
use crate::cluster::status::WithConditions;

/// How many syncs are remembered.
const MAX_HISTORY: usize = 20;
/// How many failures are shown; their number stands in the counts.
const MAX_FAILURES: usize = 50;
/// How many tags that are too young are remembered.
const MAX_WAITING: usize = 100;

/// Bytes of a message. It quotes servers, nodes and sources, and the status must stay small.
const MAX_MESSAGE_BYTES: usize = 1_024;

impl WithConditions for ImageStatus {
    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

/// Returns the next status. `next_retry` is when what was not there, or did not answer, is tried again; it is
/// reported for as long as its pauses grow.
pub fn next_status(
    image: &Image,
    mut findings: Findings,
    next_retry: Option<Timestamp>,
    now: Timestamp,
) -> ImageStatus {
    for condition in &mut findings.readiness.conditions {
        shorten(&mut condition.message);
    }
    let old = image.status.clone().unwrap_or_default();
    let generation = findings.generation.or(image.metadata.generation);
    let ready =
        findings.readiness.conditions.iter().any(|c| c.type_ == conditions::READY && c.status == Some(true));
    let was_observed = findings.tags.is_some();
    let next_attempt = findings.tags.as_ref().and_then(|tags| tags.next_attempt);
    let next_retry = next_retry.filter(|_| is_retried(&findings.readiness));
    let next_sync_time = next_attempt.into_iter().chain(next_retry).min().map(Time);
    let mut new = ImageStatus {
        conditions: conditions::merge(&old.conditions, findings.readiness.conditions, generation, now),
        observed_generation: image.metadata.generation,
        phase: Some(findings.readiness.phase),
        progress: findings.readiness.progress.or_else(|| old.progress.clone()),
        last_handled_requested_at: findings.handled_request.or_else(|| old.last_handled_requested_at.clone()),
        written_to: written_to(image, findings.written_to),
        ..old.clone()
    };
    if let Some(tags) = findings.tags {
        new.counts = Some(tags.counts);
        new.failures = tags.failures;
        new.failures.truncate(MAX_FAILURES);
        new.failures.iter_mut().for_each(|failure| shorten(&mut failure.message));
        new.tag_already_synced = tags.already_synced;
        new.synced_from = tags.synced_from;
        new.set_from = tags.set_from;
        new.waiting = oldest(tags.waiting);
    }
    let Some(copied) = findings.ended else { return ImageStatus { next_sync_time, ..new } };
    if copied > 0 {
        let failed = new.counts.map(|c| c.failed);
        new.history.push(HistoryEntry { performed_at: Time(now), copied: Some(copied), failed });
        let surplus = new.history.len().saturating_sub(MAX_HISTORY);
        new.history.drain(..surplus);
    }
    // A pass that a registry refused is no sync, and a later next one alone is no news.
    if new != old && was_observed {
        new.last_sync_time = Some(Time(now));
        if ready {
            new.last_successful_sync_time = Some(Time(now));
        }
    }
    ImageStatus { next_sync_time, ..new }
}

/// Returns the destination of the spec if tags were put there by this process or, according to the status, by an
/// earlier one.
fn written_to(image: &Image, by_this_process: Option<Repository>) -> Option<String> {
    let destination: Repository = image.spec.destination.name.parse().ok()?;
    let by_another = image.status.as_ref().and_then(|status| status.written_to.as_deref()?.parse().ok());
    let mut places = [by_this_process, by_another].into_iter().flatten();
    places.any(|to: Repository| to.is_same_place(&destination)).then(|| destination.to_string())
}

/// Cuts a message to what a status keeps: its beginning, which names what failed.
fn shorten(message: &mut String) {
    const DOTS: &str = "…";
    if message.len() <= MAX_MESSAGE_BYTES {
        return;
    }
    let mut end = MAX_MESSAGE_BYTES - DOTS.len();
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    message.push_str(DOTS);
}

/// Returns those of the waiting tags that a status keeps, in the same order. The youngest are left out: they lose
/// the least if their wait begins anew after a restart.
fn oldest(mut waiting: Vec<WaitingTag>) -> Vec<WaitingTag> {
    let mut times: Vec<Timestamp> = waiting.iter().map(|tag| tag.since.0).collect();
    times.sort_unstable();
    if let Some(last) = times.get(MAX_WAITING.saturating_sub(1)) {
        let older = times.partition_point(|time| time < last);
        let mut as_old = MAX_WAITING.saturating_sub(older);
        waiting.retain(|tag| {
            let is_as_old = tag.since.0 == *last && as_old > 0;
            as_old -= usize::from(is_as_old);
            tag.since.0 < *last || is_as_old
        });
    }
    waiting
}

/// Returns whether the sync failed as a whole and is tried again without a change.
fn is_retried(readiness: &Readiness) -> bool {
    readiness
        .conditions
        .iter()
        .any(|c| c.type_ == conditions::RECONCILING && c.reason == reasons::PROGRESSING_WITH_RETRY)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use imgop_core::api::conditions::{NewCondition, READY};
    use imgop_core::api::{Counts, FailureReason, Mode, Phase, TagFailure};

    use super::*;
    use crate::image::findings::TagFindings;
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
            }),
            handled_request: None,
            generation: None,
            ended: Some(copied),
            written_to: None,
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
    fn where_tags_were_put_is_known_to_later_processes_until_the_destination_is_another() {
        let mut image = image(Mode::OnceByTag);
        let status = |image: &Image, findings| next_status(image, findings, None, now());
        image.status = Some(status(&image, success(0)));
        assert_eq!(image.status.clone().unwrap().written_to, None, "nothing was put");
        let put = |to: &str| Findings { written_to: Some(to.parse().unwrap()), ..success(1) };
        image.status = Some(status(&image, put("a.example/elsewhere")));
        assert_eq!(image.status.clone().unwrap().written_to, None, "it had another destination then");
        let destination = image.spec.destination.name.clone();
        image.status = Some(status(&image, put(&destination)));
        assert_eq!(image.status.clone().unwrap().written_to, Some(destination.clone()));
        let refused = Findings::of(Readiness::stalled(reasons::REGISTRY_UNAUTHORIZED, "HTTP 401"), None);
        assert_eq!(status(&image, refused).written_to, Some(destination), "it will be back");
        assert_eq!(status(&image, success(0)), image.status.clone().unwrap(), "and nothing new is written");
        image.spec.destination.name = "a.example/elsewhere".into();
        assert_eq!(status(&image, success(0)).written_to, None);
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
        let findings = Findings::of(readiness, None);
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
        let refused = Findings::of(readiness.clone(), None);
        let status = next_status(&image, refused.clone(), Some(later(120)), later(60));
        assert_eq!(status.next_sync_time, Some(Time(later(120))));
        assert_eq!(status.last_sync_time, Some(Time(now())), "both registries were not observed");
        image.status = Some(status);
        let absent = Findings { readiness, ..success(0) };
        let status = next_status(&image, absent, Some(later(240)), later(120));
        assert_eq!(status.next_sync_time, Some(Time(later(240))));
        image.status = Some(status);
        // What only a change can end is checked often, and its time would be written as often.
        let stalled = Findings::of(Readiness::stalled(reasons::REGISTRY_UNAUTHORIZED, "HTTP 401"), None);
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
        let unknown = next_status(&image, Findings::of(readiness, None), None, later(60));
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
}
