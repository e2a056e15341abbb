//! The facts of a WorkloadMirror on a page: its spec and its status.

use imgop_core::api::{
    DigestUse, Tls, WorkloadCounts, WorkloadMirror, WorkloadMirrorSpec, WorkloadMode, WorkloadPlatformMode,
};
use jiff::Timestamp;

use crate::kinds::endpoint_text::{access, in_brackets};
use crate::kinds::job_text::job_template;
use crate::output::age::ago;
use crate::output::text::{count, count_repositories};

/// Returns what there is once: a label and a value each.
pub fn facts(mirror: &WorkloadMirror, now: Timestamp) -> Vec<(&'static str, String)> {
    let (spec, status) = (&mirror.spec, mirror.status.as_ref());
    let last_sync = status.and_then(|status| status.last_sync_time.as_ref());
    let last_success = status.and_then(|status| status.last_successful_sync_time.as_ref());
    let triggers: Vec<String> = spec.triggers.iter().map(|trigger| format!("{trigger:?}")).collect();
    let kinds: Vec<String> = spec.kinds.iter().map(|kind| format!("{kind:?}")).collect();
    vec![
        ("Destination", destination(spec)),
        ("Triggers", triggers.join(", ")),
        ("Namespaces", namespaces(spec)),
        ("Kinds", kinds.join(", ")),
        ("Excluded", excluded(spec)),
        ("Mode", mode(spec)),
        ("Digests", digests(spec)),
        ("Platforms", platforms(spec)),
        ("Overwrite", format!("{:?}", spec.overwrite.policy)),
        ("Retention", spec.retention.clone()),
        ("Min age", spec.min_age.clone().unwrap_or_default()),
        ("Engine", spec.engine.map(|engine| engine.to_string()).unwrap_or_default()),
        ("Jobs", job_template(&spec.job_template)),
        ("Workloads", status.and_then(|status| status.counts).map(workloads).unwrap_or_default()),
        ("Tags", status.and_then(|status| status.counts).map(tags).unwrap_or_default()),
        ("Last change", ago(last_sync, now)),
        ("Last success", ago(last_success, now)),
    ]
}

fn destination(spec: &WorkloadMirrorSpec) -> String {
    let given = &spec.destination;
    let tls = given.tls.as_ref().unwrap_or(&Tls::DEFAULT);
    let remarks = access(given.credentials.as_ref(), given.use_aws_irsa, tls);
    let prefix = if given.prefix.is_empty() { String::new() } else { format!("/{}", given.prefix) };
    format!("{}{prefix}{}", given.repository, in_brackets(&remarks))
}

fn namespaces(spec: &WorkloadMirrorSpec) -> String {
    let given = &spec.namespaces;
    let mut parts = given.include.clone();
    parts.extend(given.selector.as_ref().map(|_| "those that the selector selects".to_owned()));
    if parts.is_empty() {
        parts.push("its own".to_owned());
    }
    let mut text = parts.join(", ");
    if !given.exclude.is_empty() {
        text = format!("{text}, without {}", given.exclude.join(", "));
    }
    text
}

fn excluded(spec: &WorkloadMirrorSpec) -> String {
    let exclude = &spec.exclude;
    let workload = |one: &imgop_core::api::ExcludedWorkload| {
        let kind = one.kind.map_or_else(|| "*".to_owned(), |kind| format!("{kind:?}"));
        format!("{kind} {}/{}", one.namespace.as_deref().unwrap_or("*"), one.name)
    };
    let workloads = exclude.workloads.iter().map(workload);
    let names = exclude.registries.iter().chain(&exclude.images).cloned();
    workloads.chain(names).collect::<Vec<_>>().join(", ")
}

fn mode(spec: &WorkloadMirrorSpec) -> String {
    let suspended = if spec.suspend { ", suspended" } else { "" };
    let mode = match spec.mode {
        WorkloadMode::Active => "Active",
        WorkloadMode::Observe => "Observe (nothing is made anywhere)",
        WorkloadMode::Plan => "Plan (no registry is contacted)",
    };
    format!("{mode}, {}{suspended}", spec.recurrence())
}

fn digests(spec: &WorkloadMirrorSpec) -> String {
    match spec.digests.taken {
        DigestUse::Tag => "what tags show at their sources".to_owned(),
        DigestUse::Running => {
            let others = spec.digests.ignore_tags.join(", ");
            let except = if others.is_empty() { String::new() } else { format!(", except of {others}") };
            format!("what pods run{except}")
        }
    }
}

fn platforms(spec: &WorkloadMirrorSpec) -> String {
    match spec.platforms.mode {
        WorkloadPlatformMode::All => String::new(),
        WorkloadPlatformMode::Nodes => "those of the nodes that run an image".to_owned(),
        WorkloadPlatformMode::List => spec.platforms.list.join(", "),
    }
}

fn workloads(counts: WorkloadCounts) -> String {
    let WorkloadCounts { workloads, pods, images, .. } = counts;
    let others = [
        (counts.excluded, "excluded"),
        (counts.waiting_for_digest, "waiting for their digest"),
        (counts.origin_not_found, "found at no origin"),
    ];
    let number = |number: u32, thing: &str| count(usize::try_from(number).unwrap_or(usize::MAX), thing);
    format!("{workloads}, with {}, use {}{}", number(pods, "pod"), number(images, "image"), listed(&others))
}

fn tags(counts: WorkloadCounts) -> String {
    let others = [(counts.failed, "failed"), (counts.pinned, "by digest"), (counts.retained, "retained")];
    let repositories = count_repositories(usize::try_from(counts.repositories).unwrap_or(usize::MAX));
    format!("{} synced in {repositories}{}", counts.synced, listed(&others))
}

fn listed(numbers: &[(u32, &str)]) -> String {
    let parts = numbers.iter().filter(|(number, _)| *number > 0);
    let parts: Vec<String> = parts.map(|(number, what)| format!("{number} {what}")).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_thing_is_singular() {
        let counts =
            WorkloadCounts { workloads: 1, pods: 1, images: 1, repositories: 1, ..WorkloadCounts::default() };
        assert_eq!(workloads(counts), "1, with 1 pod, use 1 image");
        assert_eq!(tags(counts), "0 synced in 1 repository");
    }
}
