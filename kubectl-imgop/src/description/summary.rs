//! What the Image itself says: its spec and its status.

use imgop_core::api::{
    Counts, Credentials, Destination, Image, ImageStatus, Mode, Overwrite, Phase, Publish, Source, Tls,
    TlsMode,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use crate::age::{since, until};
use crate::image_list::{destination, mode, narrowing, source};
use crate::table::Table;

/// One line for each thing that there is once.
pub fn facts(image: &Image, status: &ImageStatus, now: Timestamp) -> Table {
    let spec = &image.spec;
    let mut table = Table::new([]);
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            table.row([format!("{name}:"), value]);
        }
    };
    fact("Name", image.name_any());
    fact("Namespace", image.namespace().unwrap_or_default());
    fact("Mode", schedule(image));
    let Source { credentials, tls, use_aws_irsa, immutable_tags, .. } = &spec.source;
    fact("Source", source(spec) + &remarks(&access(credentials.as_ref(), *use_aws_irsa, tls)));
    fact("Selection", narrowing(spec));
    fact("Never move", immutable_tags.join(", "));
    let Destination { credentials, tls, use_aws_irsa, .. } = &spec.destination;
    let mut of_destination = access(credentials.as_ref(), *use_aws_irsa, tls);
    if spec.destination.overwrite == Overwrite::IfMissing {
        of_destination.push("keeps tags that exist".to_owned());
    }
    if spec.destination.publish == Publish::Direct {
        of_destination.push("published directly".to_owned());
    }
    fact("Destination", destination(spec) + &remarks(&of_destination));
    fact("Tags", status.counts.as_ref().map(counts).unwrap_or_default());
    fact("Last sync", ago(status.last_sync_time.as_ref(), now));
    fact("Last success", ago(status.last_successful_sync_time.as_ref(), now));
    fact("Next try", status.next_sync_time.as_ref().map(|time| until(time, now)).unwrap_or_default());
    fact("Age", since(image.metadata.creation_timestamp.as_ref(), now));
    table
}

/// Whether the last sync of this very spec copied everything, so that no copy runs.
pub fn is_over(image: &Image, status: &ImageStatus) -> bool {
    status.phase == Some(Phase::Completed) && status.observed_generation == image.metadata.generation
}

fn schedule(image: &Image) -> String {
    let spec = &image.spec;
    let every =
        if spec.mode == Mode::OneShot { String::new() } else { format!(", every {}", spec.frequency) };
    let suspended = if spec.suspend { ", suspended" } else { "" };
    format!("{}{every}{suspended}", mode(spec.mode))
}

fn access(credentials: Option<&Credentials>, use_aws: bool, tls: &Tls) -> Vec<String> {
    let mut remarks = Vec::new();
    remarks.extend(use_aws.then(|| "with the agent's AWS identity".to_owned()));
    remarks.extend(credentials.map(|c| format!("credentials in Secret {}", c.secret_name)));
    remarks.extend(tls.ca_secret_name.as_ref().map(|name| format!("CA in Secret {name}")));
    match tls.mode {
        TlsMode::Verify => {}
        TlsMode::SkipVerify => remarks.push("any certificate is taken".to_owned()),
        TlsMode::PlainHttp => remarks.push("plain HTTP".to_owned()),
    }
    remarks
}

fn remarks(remarks: &[String]) -> String {
    if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) }
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

fn ago(time: Option<&Time>, now: Timestamp) -> String {
    time.map(|time| format!("{} ago ({})", since(Some(time), now), time.0)).unwrap_or_default()
}

/// The conditions; without one, nobody has looked at the Image yet.
pub fn conditions(status: &ImageStatus, now: Timestamp) -> Table {
    let mut table = Table::new(["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"]);
    for condition in &status.conditions {
        table.row([
            condition.type_.clone(),
            condition.status.clone(),
            condition.reason.clone(),
            since(Some(&condition.last_transition_time), now),
            condition.message.clone(),
        ]);
    }
    if status.conditions.is_empty() {
        let unknown = "<unknown>".to_owned();
        table.row([
            "Ready".to_owned(),
            unknown,
            "<pending>".to_owned(),
            "<none>".to_owned(),
            "the agent has not looked at it yet".to_owned(),
        ]);
    }
    table
}

/// The tags that could not be copied, if any.
pub fn failures(status: &ImageStatus, now: Timestamp) -> Option<Table> {
    let mut table = Table::new(["FAILED-TAG", "REASON", "ATTEMPTS", "NEXT-ATTEMPT", "MESSAGE"]);
    for failure in &status.failures {
        let next = failure.next_attempt.as_ref().map_or_else(|| "<none>".to_owned(), |time| until(time, now));
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

/// The tags that are too young, if any.
pub fn waiting(status: &ImageStatus, now: Timestamp) -> Option<Table> {
    let mut table = Table::new(["WAITING-TAG", "SINCE", "OLD-ENOUGH", "CONTENT"]);
    for tag in &status.waiting {
        let content = tag.digest.get(..19).unwrap_or(&tag.digest).to_owned();
        table.row([tag.tag.clone(), since(Some(&tag.since), now), until(&tag.until, now), content]);
    }
    (!status.waiting.is_empty()).then_some(table)
}

/// The last syncs that had something to do, the newest first.
pub fn history(status: &ImageStatus, now: Timestamp) -> Option<Table> {
    let number = |n: Option<u32>| n.map_or_else(|| "<unknown>".to_owned(), |n| n.to_string());
    let mut entries: Vec<_> = status.history.iter().collect();
    entries.sort_by(|a, b| b.performed_at.cmp(&a.performed_at));
    let mut table = Table::new(["SYNC", "COPIED", "FAILED"]);
    for entry in &entries {
        table.row([
            format!("{} ago", since(Some(&entry.performed_at), now)),
            number(entry.copied),
            number(entry.failed),
        ]);
    }
    (!entries.is_empty()).then_some(table)
}
