//! The next status of an Image. Pure, and equal to the old one when there is nothing new to say:
//! a sync that finds nothing to do writes nothing.

use imgop_core::api::conditions;
use imgop_core::api::{Counts, HistoryEntry, Image, ImageStatus, TagFailure};
use imgop_core::plan::Verdict;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// How many syncs are remembered.
const HISTORY: usize = 20;
/// How many failures are shown; their number stands in the counts.
const FAILURES: usize = 50;

/// What a look at an Image found out.
#[derive(Debug, Clone)]
pub struct Findings {
    /// Conditions, phase and progress.
    pub verdict: Verdict,
    /// What is known of the tags; none when the registries could not be asked, and then what was
    /// known before stays.
    pub tags: Option<TagFindings>,
    /// The request that was acted on.
    pub handled_request: Option<String>,
    /// Whether the sync has ended, and how many tags it copied.
    pub ended: Option<u32>,
}

/// What is known of the tags.
#[derive(Debug, Clone)]
pub struct TagFindings {
    /// How many are in which state.
    pub counts: Counts,
    /// Those that failed.
    pub failures: Vec<TagFailure>,
    /// Those that mode `OnceByTag` need not look at again.
    pub already_synced: Vec<String>,
    /// When the next failed one is tried again.
    pub next_attempt: Option<Timestamp>,
}

/// Works out the next status.
pub fn next_status(image: &Image, findings: Findings, now: Timestamp) -> ImageStatus {
    let old = image.status.clone().unwrap_or_default();
    let generation = image.metadata.generation;
    let ready =
        findings.verdict.conditions.iter().any(|c| c.type_ == conditions::READY && c.status == Some(true));
    let mut new = ImageStatus {
        conditions: conditions::merge(&old.conditions, findings.verdict.conditions, generation, now),
        observed_generation: generation,
        phase: Some(findings.verdict.phase),
        progress: findings.verdict.progress.or_else(|| old.progress.clone()),
        last_handled_requested_at: findings.handled_request.or_else(|| old.last_handled_requested_at.clone()),
        ..old.clone()
    };
    if let Some(tags) = findings.tags {
        new.counts = Some(tags.counts);
        new.failures = tags.failures;
        new.failures.truncate(FAILURES);
        new.tag_already_synced = tags.already_synced;
        new.next_sync_time = tags.next_attempt.map(Time);
    }
    let Some(copied) = findings.ended else { return new };
    if copied > 0 {
        let failed = new.counts.map(|c| c.failed);
        new.history.push(HistoryEntry { performed_at: Time(now), copied: Some(copied), failed });
        let surplus = new.history.len().saturating_sub(HISTORY);
        new.history.drain(..surplus);
    }
    if new != old {
        new.last_sync_time = Some(Time(now));
        if ready {
            new.last_successful_sync_time = Some(Time(now));
        }
    }
    new
}
