//! Which content each tag has.

use super::*;
use crate::api::{DigestUse, UnknownDigest};

fn running() -> Stage {
    Stage::with(|spec| spec.digests.taken = DigestUse::Running)
}

const TO: &str = "registry.corp:5000/mirror/quay.io/a";

/// Copies of `quay.io/a/b`, without the names of repositories.
fn tags(stage: &Stage) -> Vec<String> {
    let short = |copy: String| {
        let (source, tag) = copy.split_once(" -> ").map(|(s, d)| (s.to_owned(), d.to_owned())).unwrap();
        let what = source.rsplit(' ').next().unwrap_or_default().to_owned();
        format!("{what} as {}", tag.rsplit(':').next().unwrap_or_default())
    };
    stage.copies().into_iter().map(short).collect()
}

#[test]
fn each_image_of_a_deployment_a_cron_job_and_a_pod_is_mirrored_once() {
    let mut stage = Stage::with(|spec| spec.destination.prefix = "$registry".to_owned());
    for (pod, started) in [("web-1", 1), ("web-2", 2)] {
        stage.runs("quay.io/a/b:1", Some(&content("A")), pod, started, "linux/amd64");
    }
    stage.named_by("quay.io/a/b:1", user("CronJob", "night"));
    stage.named_by("quay.io/a/b:1", user("Pod", "alone"));
    stage.names("quay.io/a/b:2");
    assert_eq!(stage.copies(), [format!("quay.io/a/b 1 -> {TO}/b:1"), format!("quay.io/a/b 2 -> {TO}/b:2")]);
    let counts = stage.plan(|plan| plan.counts);
    assert_eq!((counts.workloads, counts.images, counts.repositories, counts.pinned), (3, 2, 1, 0));
}

#[test]
fn a_tag_is_taken_as_its_source_shows_it_unless_the_running_content_is_asked_for() {
    let mut stage = Stage::new();
    stage.runs("quay.io/a/b:1", Some(&content("A")), "web-1", 1, "linux/amd64");
    assert_eq!(tags(&stage), ["1 as 1"]);
    stage.spec.digests.taken = DigestUse::Running;
    assert_eq!(tags(&stage), ["1@sha256:A as 1"]);
}

#[test]
fn c3_a_digest_without_a_tag_never_lands_on_latest() {
    let mut stage = Stage::new();
    for name in ["A", "B"] {
        stage.names(&format!("quay.io/a/b@{}", content(name)));
    }
    assert_eq!(tags(&stage), ["sha256:A as pin-sha256-A", "sha256:B as pin-sha256-B"]);
    stage.names("quay.io/a/b");
    assert_eq!(tags(&stage)[0], "latest as latest");
}

#[test]
fn a_tag_with_a_digest_is_this_content_under_the_tag_and_under_its_pin_tag() {
    let mut stage = Stage::new();
    stage.names(&format!("quay.io/a/b:1@{}", content("A")));
    assert_eq!(tags(&stage), ["1@sha256:A as 1", "sha256:A as pin-sha256-A"]);
    // What is asked for without a digest needs the tag, the other is pulled by its digest.
    stage.names("quay.io/a/b:1");
    assert_eq!(tags(&stage), ["1 as 1", "sha256:A as pin-sha256-A"]);
}

#[test]
fn a_tag_has_the_content_of_the_newest_pod_and_what_others_run_keeps_its_digest() {
    let mut stage = running();
    stage.runs("quay.io/a/b:stable", Some(&content("A")), "web-1", 100, "linux/amd64");
    stage.runs("quay.io/a/b:stable", Some(&content("B")), "web-2", 200, "linux/amd64");
    assert_eq!(tags(&stage), ["sha256:A as pin-sha256-A", "stable@sha256:B as stable"]);
    // Of two that started at once the name decides.
    stage.runs("quay.io/a/b:stable", Some(&content("A")), "web-3", 200, "linux/amd64");
    assert_eq!(tags(&stage), ["sha256:B as pin-sha256-B", "stable@sha256:A as stable"]);
    assert_eq!(stage.plan(|plan| plan.counts.pinned), 2);
}

#[test]
fn what_ran_until_now_is_kept_by_its_digest_when_the_tag_moves_on() {
    let mut stage = running();
    stage.runs("quay.io/a/b:stable", Some(&content("A")), "web-1", 100, "linux/amd64");
    stage.act();
    stage.usage = Usage::default();
    stage.runs("quay.io/a/b:stable", Some(&content("B")), "web-2", 200, "linux/amd64");
    stage.act();
    assert_eq!(tags(&stage), ["sha256:A as pin-sha256-A", "stable@sha256:B as stable"]);
    assert_eq!(stage.plan(|plan| plan.counts.retained), 1);
    stage.now += 8 * DAY;
    stage.act();
    assert_eq!(tags(&stage), ["stable@sha256:B as stable"]);
}

#[test]
fn the_newest_pod_is_looked_for_among_those_of_the_destination() {
    let mut stage = running();
    stage.spec.destination.prefix = "$namespace".to_owned();
    let other = ImageUser { namespace: "team-b".to_owned(), ..user("Deployment", "web") };
    let pods = |pod: &str, started| {
        RunningPods::one(Some(Newest { started: time(started), pod: pod.to_owned() }), None)
    };
    for (name, who, started) in
        [("A", user("Deployment", "web"), 1), ("B", user("Deployment", "web"), 2), ("A", other, 3)]
    {
        let reference = "quay.io/a/b:stable".parse().unwrap();
        stage.usage.add(reference, Some(content(name)), who, pods("web", started));
    }
    let copies = stage.copies();
    assert!(
        copies
            .iter()
            .any(|copy| copy.starts_with("quay.io/a/b stable@sha256:B") && copy.contains("/team-a/")),
        "{copies:?}"
    );
    assert!(
        copies
            .iter()
            .any(|copy| copy.starts_with("quay.io/a/b stable@sha256:A") && copy.contains("/team-b/")),
        "{copies:?}"
    );
}

#[test]
fn a_tag_waits_until_a_pod_reports_its_content_or_is_asked_for_at_the_source() {
    let mut stage = running();
    stage.names("quay.io/a/b:1");
    assert!(tags(&stage).is_empty());
    assert!(stage.outcomes()[0].contains("no pod has reported its content yet"));
    assert_eq!(stage.plan(|plan| plan.counts.waiting_for_digest), 1);
    stage.spec.digests.if_unknown = UnknownDigest::Resolve;
    assert_eq!(tags(&stage), ["1 as 1"]);
    stage.runs("quay.io/a/b:1", Some(&content("A")), "web-1", 1, "linux/amd64");
    assert_eq!(tags(&stage), ["1@sha256:A as 1"]);
}

#[test]
fn a_tag_that_waits_again_stays_as_it_is() {
    let mut stage = running();
    stage.runs("quay.io/a/b:1", Some(&content("A")), "web-1", 1, "linux/amd64");
    stage.act();
    stage.usage = Usage::default();
    stage.names("quay.io/a/b:1");
    stage.now += 30 * DAY;
    stage.act();
    assert_eq!(tags(&stage), ["1@sha256:A as 1"]);
    assert_eq!(stage.plan(|plan| plan.counts.retained), 0);
}

#[test]
fn ignored_tags_are_taken_as_their_source_shows_them() {
    let mut stage = running();
    stage.runs("quay.io/a/b", Some(&content("A")), "web-1", 1, "linux/amd64");
    assert_eq!(tags(&stage), ["latest as latest"]);
    stage.spec.digests.ignore_tags = Vec::new();
    assert_eq!(tags(&stage), ["latest@sha256:A as latest"]);
}

#[test]
fn two_sources_for_one_tag_are_reported_and_the_older_image_keeps_it() {
    let mut stage = Stage::new();
    stage.names("quay.io/x/y:1");
    stage.act();
    stage.now += 60;
    stage.names("docker.io/x/y:1");
    let expected = "registry.corp:5000/mirror/x/y:1 is what quay.io/x/y:1 and docker.io/x/y:1 would become; the first \
                    has it, add $registry to destination.prefix, so that each has a place";
    assert_eq!(
        stage.plan(|plan| plan.findings.iter().map(ToString::to_string).collect::<Vec<_>>()),
        [expected]
    );
    assert_eq!(stage.copies(), ["quay.io/x/y 1 -> registry.corp:5000/mirror/x/y:1"]);
    let outcomes = stage.outcomes();
    assert!(
        outcomes[0]
            .starts_with("docker.io/x/y:1: quay.io/x/y:1 has registry.corp:5000/mirror/x/y:1; add $registry")
    );
    stage.spec.destination.prefix = "$registry".to_owned();
    assert!(stage.plan(|plan| plan.findings.is_empty()));
}

#[test]
fn other_tags_of_two_sources_share_a_destination_without_a_conflict() {
    let mut stage = Stage::new();
    stage.names("quay.io/x/y:1");
    stage.names("docker.io/x/y:2");
    assert_eq!(stage.copies().len(), 2);
    assert!(stage.plan(|plan| plan.findings.is_empty()));
}
