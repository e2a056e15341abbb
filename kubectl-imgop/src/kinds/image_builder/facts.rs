//! The facts of an ImageBuilder on a page: its spec and its status.

use imgop_core::api::{BuildResult, ImageBuilder, ImageBuilderStatus, PlatformState};
use imgop_core::schedule::Recurrence;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::none;
use super::spec_text::{
    arguments, cache, context, dockerfile, image, platforms, rebuilds, registries, secrets,
};
use crate::kinds::endpoint_text::creation;
use crate::kinds::job_text::job_template;
use crate::output::age::{ago, since, until};
use crate::output::table::Table;
use crate::output::text::bytes;

/// Returns what there is once: a label and a value each.
pub fn facts(builder: &ImageBuilder, now: Timestamp) -> Vec<(&'static str, String)> {
    let spec = &builder.spec;
    let mut facts = vec![
        ("Image", image(builder)),
        ("More tags", spec.image.additional_tags.join(", ")),
        ("Repositories", creation(spec.image.create.as_deref()).unwrap_or_default()),
        ("Platforms", platforms(spec)),
        ("Dockerfile", dockerfile(spec)),
        ("Context", context(spec.context.as_ref())),
        ("Arguments", arguments(spec)),
        ("Secrets", secrets(spec)),
        ("Registries", registries(spec)),
        ("Cache", cache(&spec.cache)),
        ("Rebuilds", rebuilds(spec)),
        ("Jobs", job_template(&spec.job_template)),
    ];
    facts.extend(builder.status.as_ref().map(|status| of_status(builder, status, now)).into_iter().flatten());
    facts
}

fn of_status(
    builder: &ImageBuilder,
    status: &ImageBuilderStatus,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let source = status.source.as_ref();
    let running = status.build.as_ref().map(|build| {
        format!(
            "build {}, begun {} ago ({:?})",
            build.number,
            since(Some(&build.started_at), now),
            build.reason
        )
    });
    let last = status.last_build_time.as_ref().filter(|_| status.build.is_none());
    vec![
        ("Built", built(status, now)),
        ("Commit", source.and_then(|source| source.commit.clone()).unwrap_or_default()),
        ("Running", running.unwrap_or_default()),
        ("Last build", ago(last, now)),
        ("Next build", next_build(status, now)),
        ("Checks", checks(builder, status, now).unwrap_or_default()),
    ]
}

/// Returns when a build begins by the schedule, or when it is checked whether one is to. That follows from the spec and the
/// last build: a check that finds nothing new is not recorded.
fn checks(builder: &ImageBuilder, status: &ImageBuilderStatus, now: Timestamp) -> Option<String> {
    let (spec, uid) = (&builder.spec, builder.metadata.uid.as_deref().unwrap_or_default());
    let recurrence = Recurrence::parse(spec.recurrence()).filter(|_| !spec.suspend)?;
    let last_build = status.last_build_time.as_ref()?.0;
    let last = recurrence.last(uid, last_build, now)?;
    if spec.rebuild_on.is_empty() {
        let next = recurrence.next(uid, last_build.min(now));
        return Some(format!("next build by the schedule {}", until(&Time(next), now)));
    }
    let next = until(&Time(recurrence.next(uid, last)), now);
    Some(format!("last {}, next {next}", ago(Some(&Time(last)), now)))
}

/// Returns when a build begins. After one that succeeded, that is something new which minInterval holds back.
fn next_build(status: &ImageBuilderStatus, now: Timestamp) -> String {
    let Some(time) = &status.next_build_time else { return String::new() };
    let last = status.history.last().map(|last| last.result);
    let when = until(time, now);
    match last {
        Some(BuildResult::Succeeded) => format!("{when}, for what is new: minInterval holds it back"),
        _ => when,
    }
}

/// Returns the last image that has its tags.
fn built(status: &ImageBuilderStatus, now: Timestamp) -> String {
    let Some(image) = &status.image else { return String::new() };
    let mut text = image.digest.clone();
    if let Some(size) = image.size {
        text = format!("{text}, {}", bytes(size));
    }
    match image.built_at.as_ref().or(status.last_successful_build_time.as_ref()) {
        Some(time) => format!("{text}, {} ago", since(Some(time), now)),
        None => text,
    }
}

/// Returns what there is more than one of: parts, bases, warnings.
pub fn tables(status: &ImageBuilderStatus, now: Timestamp) -> Vec<Table> {
    let tables = [parts(status, now), bases(status), warnings(status)];
    tables.into_iter().flatten().collect()
}

fn parts(status: &ImageBuilderStatus, now: Timestamp) -> Option<Table> {
    let mut table =
        Table::new(["PLATFORM", "STATE", "REASON", "STEP", "ATTEMPTS", "NEXT-ATTEMPT", "MESSAGE"]);
    for part in &status.platforms {
        let is_cancelled = part.reason.as_deref() == Some(super::CANCELLED);
        let state = match part.state {
            PlatformState::Failed if is_cancelled => super::CANCELLED,
            // An older agent leaves the parts of a cancelled build as they were.
            PlatformState::Pending | PlatformState::Running if super::is_cancelled(status) => {
                super::CANCELLED
            }
            PlatformState::Pending => "Pending",
            PlatformState::Running => "Running",
            PlatformState::Built => "Built",
            PlatformState::Failed => "Failed",
            PlatformState::Unknown => "<unknown>",
        };
        table.row([
            part.platform.clone(),
            if part.emulated { format!("{state} (emulated)") } else { state.to_owned() },
            part.reason.clone().unwrap_or_else(none),
            part.step.clone().unwrap_or_else(none),
            part.attempts.to_string(),
            part.next_attempt.as_ref().map_or_else(none, |time| until(time, now)),
            part.message.clone().or_else(|| part.digest.clone()).unwrap_or_else(none),
        ]);
    }
    (!status.platforms.is_empty()).then_some(table)
}

fn bases(status: &ImageBuilderStatus) -> Option<Table> {
    let mut table = Table::new(["BASE-IMAGE", "DIGEST"]);
    status.base_images.iter().for_each(|base| table.row([base.reference.clone(), base.digest.clone()]));
    (!status.base_images.is_empty()).then_some(table)
}

fn warnings(status: &ImageBuilderStatus) -> Option<Table> {
    let mut table = Table::new(["WARNING"]);
    status.warnings.iter().for_each(|warning| table.row([warning.clone()]));
    (!status.warnings.is_empty()).then_some(table)
}
