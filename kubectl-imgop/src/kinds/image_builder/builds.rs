//! The history in the status of an ImageBuilder.

use imgop_core::api::{
    BuildDuration, BuildRecord, BuildResult, ImageBuilder, ImageBuilderStatus, PlatformState, PlatformStatus,
};
use jiff::Timestamp;

use crate::kinds::Kind as _;
use crate::kinds::past_sync::{PastColumn, PastLayout, PastSync, SyncResult};
use crate::kinds::progress::QuotedFailure;

/// What the history shows.
pub const LAYOUT: PastLayout = PastLayout {
    title: "BUILD",
    columns: &[
        PastColumn::Number,
        PastColumn::Cause,
        PastColumn::Changes,
        PastColumn::Duration,
        PastColumn::Digest,
    ],
    none_yet: "has not been built yet",
};

/// Returns the builds that ended, the newest first.
pub fn past_builds(status: &ImageBuilderStatus) -> Vec<PastSync> {
    let mut records: Vec<&BuildRecord> = status.history.iter().collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.number));
    let mut builds: Vec<PastSync> = records.into_iter().map(past_build).collect();
    // An older agent's record has a word alone; the parts are those of the last build.
    if let (None, Some(last)) = (&status.build, builds.first_mut())
        && last.result == SyncResult::Failed
        && last.message.is_none()
    {
        last.message = failed_part(status);
    }
    builds
}

/// Returns why the last build failed, if that is why the object is not ready, and what the failed steps printed.
pub fn quoted_failure(builder: &ImageBuilder) -> Option<QuotedFailure> {
    let status = builder.status.as_ref()?;
    let running = status.build.as_ref().map(|build| build.number);
    let number = running.or_else(|| status.history.last().map(|last| last.number))?;
    let start = format!("build {number} failed; ");
    builder.state().ready().filter(|ready| ready.status != "True" && ready.message.starts_with(&start))?;
    let failed: Vec<&PlatformStatus> =
        status.platforms.iter().filter(|part| part.state == PlatformState::Failed).collect();
    let why = |part: &&PlatformStatus| {
        format!("{}: {}", part.platform, part.message.as_deref().unwrap_or("it failed"))
    };
    let printed = failed.iter().flat_map(|part| {
        let of = if failed.len() > 1 { format!("[{}] ", part.platform) } else { String::new() };
        part.last_lines.iter().map(move |line| format!("{of}{line}"))
    });
    let printed: Vec<String> = printed.collect();
    let why = failed.iter().map(why).collect::<Vec<_>>().join("; ");
    (!printed.is_empty()).then(|| QuotedFailure { why: start + &why, printed })
}

/// Returns why the first part failed that did.
fn failed_part(status: &ImageBuilderStatus) -> Option<String> {
    let failed = status.platforms.iter().find(|part| part.state == PlatformState::Failed)?;
    Some(format!("{}: {}", failed.platform, failed.message.as_deref()?))
}

fn past_build(record: &BuildRecord) -> PastSync {
    let (reason, message) = record.failure.as_deref().map_or((None, None), reason_and_message);
    PastSync {
        time: record.started_at.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        result: match record.result {
            BuildResult::Succeeded => SyncResult::Succeeded,
            BuildResult::Failed => SyncResult::Failed,
            BuildResult::Cancelled => SyncResult::Cancelled,
            BuildResult::Superseded => SyncResult::Superseded,
            BuildResult::Unknown => SyncResult::Unknown,
        },
        number: Some(record.number),
        cause: Some(format!("{:?}", record.reason)),
        changes: record.changes.clone(),
        digest: record.digest.clone(),
        seconds: record.duration.map(whole),
        reason,
        message: record.message.clone().or(message),
        ..PastSync::default()
    }
}

/// Splits `StepFailed: …` where a reason stands in front.
fn reason_and_message(failure: &str) -> (Option<String>, Option<String>) {
    let (first, rest) = failure.split_once(": ").unwrap_or((failure, ""));
    let is_reason = first.starts_with(|c: char| c.is_ascii_uppercase())
        && first.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_reason {
        return (None, Some(failure.to_owned()));
    }
    (Some(first.to_owned()), (!rest.is_empty()).then(|| rest.to_owned()))
}

fn whole(duration: BuildDuration) -> u32 {
    let BuildDuration { queued, source, bases, build, push, publish } = duration;
    [queued, source, bases, build, push, publish].into_iter().fold(0, u32::saturating_add)
}
