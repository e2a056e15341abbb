//! The facts of an Image on a page: its spec and its status.

use imgop_core::api::{Counts, Destination, Image, ImageStatus, Mode, Overwrite, Publish, Side, Source};
use imgop_core::default_destination::as_reported;
use jiff::Timestamp;

use super::checks::Checks;
use super::prune_text::prune;
use super::spec_text::{destination, mode, narrowing, source};
use crate::kinds::Kind as _;
use crate::kinds::endpoint_text::{access, creation, in_brackets};
use crate::kinds::job_text::job_template;
use crate::output::age::{ago, since, until};
use crate::output::table::Table;
use crate::output::text::none;

/// Returns what there is once: a label and a value each.
pub fn facts(image: &Image, now: Timestamp) -> Vec<(&'static str, String)> {
    let image = &as_reported(image.clone());
    let (spec, status) = (&image.spec, image.status.as_ref());
    let Source { credentials, tls, use_aws_irsa, immutable_tags, .. } = &spec.source;
    let of_source = access(credentials.as_ref(), *use_aws_irsa, tls);
    let Destination { credentials, use_aws_irsa, .. } = &spec.destination;
    let tls = spec.endpoint(Side::Destination).tls;
    let mut of_destination = access(credentials.as_ref(), *use_aws_irsa, tls);
    if let Some(defaulted) = status.and_then(|status| status.destination.as_ref()) {
        of_destination.push(format!("default of {}", defaulted.defaults_from));
    }
    if spec.destination.overwrite == Overwrite::IfMissing {
        of_destination.push("keeps tags that exist".to_owned());
    }
    if spec.destination.publish == Publish::Direct {
        of_destination.push("published directly".to_owned());
    }
    of_destination.extend(creation(spec.destination.create.as_deref()));
    let last_sync = status.and_then(|status| status.last_sync_time.as_ref());
    let last_success = status.and_then(|status| status.last_successful_sync_time.as_ref());
    let has_succeeded = last_sync.is_some() && last_sync == last_success;
    let next_try = status.and_then(|status| status.next_sync_time.as_ref());
    let is_ready = image.state().ready().is_some_and(|ready| ready.status == "True");
    let checks = Checks::of(image, now).map(|checks| checks.words(is_ready, now));
    vec![
        ("Mode", schedule(image)),
        ("Source", source(spec) + &in_brackets(&of_source)),
        ("Selection", narrowing(spec)),
        ("Immutable", immutable_tags.join(", ")),
        ("Destination", destination(spec) + &in_brackets(&of_destination)),
        ("Prune", prune(spec, status).unwrap_or_default()),
        ("Engine", spec.engine.map(|engine| engine.to_string()).unwrap_or_default()),
        ("Jobs", job_template(&spec.job_template)),
        ("Tags", status.and_then(|status| status.counts.as_ref()).map(counts).unwrap_or_default()),
        ("Last change", ago(last_sync, now) + if has_succeeded { ", which succeeded" } else { "" }),
        ("Last success", ago(last_success.filter(|_| !has_succeeded), now)),
        ("Checks", checks.unwrap_or_default()),
        ("Next try", next_try.map(|time| until(time, now)).unwrap_or_default()),
    ]
}

fn schedule(image: &Image) -> String {
    let spec = &image.spec;
    let every = if spec.mode == Mode::OneShot { String::new() } else { format!(", {}", spec.recurrence()) };
    let suspended = if spec.suspend { ", suspended" } else { "" };
    format!("{}{every}{suspended}", mode(spec.mode))
}

fn counts(counts: &Counts) -> String {
    let parts = [
        (counts.synced, "synced"),
        (counts.copying, "copying"),
        (counts.failed, "failed"),
        (counts.kept, "kept"),
        (counts.excluded, "excluded"),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let separator = if parts.is_empty() { "" } else { ": " };
    format!("{} matched{separator}{}", counts.matched, parts.join(", "))
}

/// Returns the tags that could not be copied, if any. One that has no pause of its own is tried with the next sync.
pub fn failures(status: &ImageStatus, now: Timestamp) -> Option<Table> {
    let mut table = Table::new(["FAILED-TAG", "REASON", "ATTEMPTS", "NEXT-ATTEMPT", "MESSAGE"]);
    for failure in &status.failures {
        let next = failure.next_attempt.as_ref().or(status.next_sync_time.as_ref());
        let next = next.map_or_else(none, |time| until(time, now));
        table.row([
            failure.tag.clone(),
            format!("{:?}", failure.reason),
            failure.attempts.to_string(),
            next,
            failure.message.clone(),
        ]);
    }
    (!status.failures.is_empty()).then_some(table)
}

/// Returns the tags that are too young, if any.
pub fn waiting(status: &ImageStatus, now: Timestamp) -> Option<Table> {
    let mut table = Table::new(["WAITING-TAG", "SINCE", "OLD-ENOUGH", "CONTENT"]);
    for tag in &status.waiting {
        let content = tag.digest.get(..19).unwrap_or(&tag.digest).to_owned();
        table.row([tag.tag.clone(), since(Some(&tag.since), now), until(&tag.until, now), content]);
    }
    (!status.waiting.is_empty()).then_some(table)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tag_without_a_pause_of_its_own_is_tried_with_the_next_sync() {
        let status: ImageStatus = serde_json::from_value(json!({ "nextSyncTime": "2026-01-01T00:00:20Z",
            "failures": [
                { "tag": "nope", "reason": "TagNotFound", "message": "no such tag" },
                { "tag": "v1", "reason": "CopyFailed", "message": "disk full", "attempts": 1,
                    "nextAttempt": "2026-01-01T00:00:40Z" },
            ] }))
        .unwrap();
        let table = failures(&status, "2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
        let lines: Vec<String> = table.lines(true).into_iter().map(|line| line.text).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        FAILED-TAG   REASON        ATTEMPTS   NEXT-ATTEMPT   MESSAGE
        nope         TagNotFound   0          in 20s         no such tag
        v1           CopyFailed    1          in 40s         disk full
        ");
    }
}
