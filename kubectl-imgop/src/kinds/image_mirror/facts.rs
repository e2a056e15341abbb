//! The facts of an ImageMirror on a page: its spec and its status.

use imgop_core::api::{
    ImageMirror, ImageMirrorSpec, ImageMirrorStatus, MirrorConflict, MirrorFailure, MirrorPrune, MirrorSync,
    MirrorTags, MirroredChildren, Tls,
};
use jiff::Timestamp;

use crate::kinds::endpoint_text::{access, in_brackets};
use crate::kinds::job_text::job_template;
use crate::output::age::ago;
use crate::output::table::Table;
use crate::output::text::{count, none};

/// Returns what there is once: a label and a value each.
pub fn facts(mirror: &ImageMirror, now: Timestamp) -> Vec<(&'static str, String)> {
    let (spec, status) = (&mirror.spec, mirror.status.as_ref());
    let suspended = if spec.suspend { ", suspended" } else { "" };
    let last_sync = status.and_then(|status| status.last_sync_time.as_ref());
    let last_success = status.and_then(|status| status.last_successful_sync_time.as_ref());
    let read = status.and_then(|status| status.inventory.as_ref());
    vec![
        ("Targets", targets(spec)),
        ("Entries", entries(spec, status)),
        ("Files", files(spec)),
        ("Sync", format!("{}, {}{suspended}", sync(spec), spec.recurrence())),
        ("Naming", spec.naming.template.clone().unwrap_or_default()),
        ("Platforms", spec.platforms.join(", ")),
        ("Min age", spec.min_age.clone().unwrap_or_default()),
        ("Prune", if spec.prune == MirrorPrune::Never { "never".to_owned() } else { String::new() }),
        ("Updates", updates(spec)),
        ("Engine", spec.engine.map(|engine| engine.to_string()).unwrap_or_default()),
        ("Jobs", job_template(&spec.job_template)),
        ("Images", status.and_then(|status| status.children).map(images).unwrap_or_default()),
        ("Tags", status.and_then(|status| status.tags).map(tags).unwrap_or_default()),
        ("Inventory", read.map(|read| format!("changed {}", ago(Some(&read.time), now))).unwrap_or_default()),
        ("Last change", ago(last_sync, now)),
        ("Last success", ago(last_success, now)),
    ]
}

fn targets(spec: &ImageMirrorSpec) -> String {
    let target = |target: &imgop_core::api::MirrorTarget| {
        let tls = target.tls.as_ref().unwrap_or(&Tls::DEFAULT);
        let mut remarks = access(target.credentials.as_ref(), target.use_aws_irsa, tls);
        if target.default {
            remarks.insert(0, "default".to_owned());
        }
        target.repository.clone() + &in_brackets(&remarks)
    };
    spec.targets.iter().map(target).collect::<Vec<_>>().join(", ")
}

fn entries(spec: &ImageMirrorSpec, status: Option<&ImageMirrorStatus>) -> String {
    let all = status.and_then(|status| status.entries).map(|entries| entries.to_string());
    all.unwrap_or_else(|| format!("{} in the spec", spec.entries.len()))
}

fn files(spec: &ImageMirrorSpec) -> String {
    let file = |file: &imgop_core::api::InventoryFile| {
        format!("ConfigMap {}, key {} ({:?})", file.config_map.name, file.config_map.key, file.format)
    };
    spec.from.iter().map(file).collect::<Vec<_>>().join(", ")
}

fn sync(spec: &ImageMirrorSpec) -> String {
    let word = match spec.sync {
        MirrorSync::Missing => "Missing",
        MirrorSync::Follow => "Follow",
    };
    match spec.follow.as_slice() {
        [] => word.to_owned(),
        follow => format!("{word}, following {}", follow.join(", ")),
    }
}

fn updates(spec: &ImageMirrorSpec) -> String {
    let update = |update: &imgop_core::api::MirrorUpdate| {
        format!("{} ({:?}, every {})", update.name, update.mode, update.frequency)
    };
    spec.updates.iter().map(update).collect::<Vec<_>>().join(", ")
}

fn images(children: MirroredChildren) -> String {
    let MirroredChildren { desired, current, ready, prune_held } = children;
    let absent = if current < desired { format!(", {current} of them there") } else { String::new() };
    let held = if prune_held > 0 { format!("; deletion of {prune_held} held") } else { String::new() };
    format!("{}, {ready} ready{absent}{held}", count(usize::try_from(desired).unwrap_or_default(), "Image"))
}

fn tags(tags: MirrorTags) -> String {
    let parts =
        [(tags.synced, "synced"), (tags.copying, "copying"), (tags.failed, "failed"), (tags.kept, "kept")];
    let parts: Vec<String> =
        parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let separator = if parts.is_empty() { "" } else { ": " };
    format!("{} matched{separator}{}", tags.matched, parts.join(", "))
}

/// Returns the tags that several sources would become, if any.
pub fn conflicts(conflicts: &[MirrorConflict], number: u32) -> Option<Table> {
    let mut table = Table::new(["CONFLICT", "SOURCES"]);
    for conflict in conflicts {
        table.row([conflict.destination.clone(), conflict.sources.join(", ")]);
    }
    let shown = u32::try_from(conflicts.len()).unwrap_or(u32::MAX);
    match number.saturating_sub(shown) {
        0 => {}
        more => table.row([format!("and {more} more"), String::new()]),
    }
    (!conflicts.is_empty()).then_some(table)
}

/// Returns the Images that are not ready, if any.
pub fn failing(failing: &[MirrorFailure]) -> Option<Table> {
    let mut table = Table::new(["FAILING-IMAGE", "REASON", "TAG"]);
    for image in failing {
        let tag = image.tag.clone().unwrap_or_else(none);
        table.row([image.image.clone(), image.reason.clone(), tag]);
    }
    (!failing.is_empty()).then_some(table)
}

/// Returns the tags that version sources announce and no entry has, if any.
pub fn proposals(status: &ImageMirrorStatus) -> Option<Table> {
    let proposals = status.proposals.as_ref()?;
    let mut table = Table::new(["PROPOSED-TAG"]);
    for tag in &proposals.tags {
        table.row([tag.clone()]);
    }
    let shown = u32::try_from(proposals.tags.len()).unwrap_or(u32::MAX);
    match proposals.count.saturating_sub(shown) {
        0 => {}
        more => table.row([format!("and {more} more")]),
    }
    Some(table)
}

/// Returns what is wrong with version sources, if anything.
pub fn failed_updates(status: &ImageMirrorStatus) -> Option<Table> {
    let mut table = Table::new(["UPDATE", "PROBLEM"]);
    for failed in &status.failed_updates {
        table.row([failed.name.clone(), failed.message.clone()]);
    }
    (!status.failed_updates.is_empty()).then_some(table)
}
