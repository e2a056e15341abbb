//! Where images come from that pods cannot pull.

use super::*;
use crate::access::tests::aliased;
use crate::api::{Mode, Overwrite, WorkloadOrigin, WorkloadTrigger};

fn stage(rules: &[(&str, &[&str])]) -> Stage {
    Stage::with(|spec| {
        spec.triggers = vec![WorkloadTrigger::PullFailure];
        "registry.corp:5000".clone_into(&mut spec.destination.repository);
        let rule = |(from, to): &(&str, &[&str])| WorkloadOrigin {
            from: (*from).to_owned(),
            to: to.iter().map(ToString::to_string).collect(),
        };
        spec.origins = rules.iter().map(rule).collect();
    })
}

fn asked(stage: &Stage, routes: &[Route], image: &str) -> Vec<String> {
    let origins = origins(&stage.request(), routes, &image.parse().unwrap());
    origins.iter().map(|origin| short(&format!("{} {}", origin.repository, origin.what))).collect()
}

#[test]
fn the_longest_from_is_asked_first_and_its_to_in_their_order() {
    let stage = stage(&[
        ("registry.corp:5000", &["ghcr.io"]),
        ("registry.corp:5000/team", &["quay.io/team", "docker.io/team"]),
    ]);
    // What ghcr.io has under this name is not asked for: it is another one's.
    assert_eq!(
        asked(&stage, &[], "registry.corp:5000/team/app:v1_2"),
        ["quay.io/team/app v1_2", "docker.io/team/app v1_2"]
    );
    assert_eq!(asked(&stage, &[], "registry.corp:5000/teams/app:1"), ["ghcr.io/teams/app 1"]);
}

#[test]
fn what_is_excluded_is_copied_on_the_fly_neither_by_its_name_nor_by_that_of_its_origin() {
    let mut stage = stage(&[("registry.corp:5000", &["docker.io", "quay.io"])]);
    stage.spec.exclude.registries = vec!["docker.io".to_owned()];
    stage.spec.exclude.images = vec!["registry.corp:5000/secret/*".to_owned()];
    assert_eq!(asked(&stage, &[], "registry.corp:5000/team/app:1"), ["quay.io/team/app 1"]);
    assert!(asked(&stage, &[], "registry.corp:5000/secret/app:1").is_empty());
}

#[test]
fn an_image_is_wanted_under_each_name_that_administrators_gave_its_registry_and_is_one_image() {
    let mut stage = stage(&[("registry.corp:5000/team", &["quay.io/team"])]);
    let by_alias: ImageReference = "mirror.corp/team/app:1".parse().unwrap();
    assert!(!wants(&stage.request(), &by_alias));
    stage.policy = aliased("registry.corp:5000", &["mirror.corp"]);
    let request = stage.request();
    assert!(wants(&request, &by_alias));
    assert_eq!(request.as_named_here(by_alias).to_string(), "registry.corp:5000/team/app:1");
    assert_eq!(asked(&stage, &[], "mirror.corp/team/app:1"), ["quay.io/team/app 1"]);
    let elsewhere: ImageReference = "quay.io/team/app:1".parse().unwrap();
    assert_eq!(request.as_named_here(elsewhere.clone()), elsewhere);
}

#[test]
fn without_origins_everything_below_the_destination_comes_from_docker_hub() {
    let stage = stage(&[]);
    for (image, origin) in [
        ("registry.corp:5000/nginx:1.27", "docker.io/library/nginx 1.27"),
        ("registry.corp:5000/grafana/grafana", "docker.io/grafana/grafana latest"),
        ("registry.corp:5000/a/b/c_d/e:V1.0-X", "docker.io/a/b/c_d/e V1.0-X"),
    ] {
        assert_eq!(asked(&stage, &[], image), [origin], "{image}");
    }
}

#[test]
fn a_path_that_begins_with_a_registry_names_its_origin() {
    assert_eq!(
        asked(&stage(&[]), &[], "registry.corp:5000/quay.io/a/b:1"),
        ["quay.io/a/b 1", "docker.io/quay.io/a/b 1"]
    );
}

#[test]
fn the_source_of_an_image_that_goes_there_is_asked_before_all_others() {
    let route = Route {
        source: repository("ghcr.io/acme/app"),
        destination: repository("registry.corp:5000/team/app"),
    };
    assert_eq!(
        asked(&stage(&[]), &[route], "registry.corp:5000/team/app:1"),
        ["ghcr.io/acme/app 1", "docker.io/team/app 1"]
    );
}

#[test]
fn an_image_under_another_host_is_none_of_ours() {
    let mut stage = stage(&[]);
    for image in ["registry.corp/team/app:1", "quay.io/a/b:1", "nginx"] {
        assert!(asked(&stage, &[], image).is_empty(), "{image}");
        assert!(!wants(&stage.request(), &image.parse().unwrap()));
    }
    stage.spec.destination.repository = "registry.corp:5000/mirror".to_owned();
    assert!(asked(&stage, &[], "registry.corp:5000/mirrors/app:1").is_empty());
}

#[test]
fn a_from_elsewhere_counts_too() {
    let stage = stage(&[("old.corp", &["quay.io/acme"])]);
    assert_eq!(asked(&stage, &[], "old.corp/app:1"), ["quay.io/acme/app 1"]);
    assert!(
        asked(&stage, &[], "registry.corp:5000/app:1").is_empty(),
        "origins stand in place of Docker Hub"
    );
}

#[test]
fn a_digest_is_asked_for_by_itself() {
    let (stage, digest) = (stage(&[]), content("A"));
    assert_eq!(asked(&stage, &[], &format!("registry.corp:5000/a/b@{digest}")), ["docker.io/a/b sha256:A"]);
    assert_eq!(
        asked(&stage, &[], &format!("registry.corp:5000/a/b:1@{digest}")),
        ["docker.io/a/b 1@sha256:A"]
    );
}

#[test]
fn nothing_comes_from_where_it_is_to_go() {
    let stage = stage(&[("registry.corp:5000/a", &["registry.corp:5000/b", "registry.corp:5000/a"])]);
    assert!(asked(&stage, &[], "registry.corp:5000/a/x:1").is_empty());
}

#[test]
fn what_is_found_nowhere_is_asked_for_again_after_one_two_four_and_at_most_sixty_minutes() {
    let minutes: Vec<u64> = (1..9).map(|times| next_try(times).as_secs() / 60).collect();
    assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(next_try(u32::MAX).as_secs(), 3600);
}

#[test]
fn a_namespace_has_so_many_copies_an_hour() {
    let mut limit = HourlyLimit::default();
    for second in 0..3 {
        assert_eq!(limit.allows("a", 2, time(START + second)), second < 2);
    }
    assert!(limit.allows("b", 2, time(START + 3)));
    assert!(!limit.allows("a", 2, time(START + 3599)), "what was refused does not count");
    assert!(limit.allows("a", 2, time(START + 3600)));
    assert!(!limit.allows("a", 2, time(START + 3600)));
}

fn found(stage: &mut Stage, image: &str) {
    let reference: ImageReference = image.parse().unwrap();
    let origin = origins(&stage.request(), &[], &reference).remove(0);
    stage.found.push(FoundOrigin { destination: reference.repository, origin });
}

#[test]
fn what_an_origin_has_is_copied_once_and_replaces_nothing() {
    let mut stage = stage(&[]);
    found(&mut stage, "registry.corp:5000/team/app:v1_2");
    let child = stage.plan(|plan| plan.children[0].clone());
    assert!(child.is_on_the_fly);
    let spec = stage.request().image_spec(&child);
    assert_eq!((spec.mode, spec.destination.overwrite), (Mode::OneShot, Overwrite::IfMissing));
    assert_eq!(
        (spec.source.name.as_str(), spec.source.tags.as_slice()),
        ("docker.io/team/app", ["v1_2".to_owned()].as_slice())
    );
    assert_eq!(spec.destination.name, "registry.corp:5000/team/app");
}

#[test]
fn what_was_copied_for_a_pod_stays_while_pods_use_it_and_for_the_retention_after() {
    let mut stage = stage(&[]);
    found(&mut stage, "registry.corp:5000/team/app:1");
    stage.names("registry.corp:5000/team/app:1");
    stage.act();
    stage.found.clear();
    stage.now += 30 * DAY;
    assert!(stage.act().is_empty());
    assert!(stage.children[0].is_on_the_fly && stage.children[0].tags.len() == 1);
    stage.usage = Usage::default();
    assert!(stage.act().is_empty());
    stage.now += 7 * DAY;
    assert_eq!(stage.act().len(), 1);
}

#[test]
fn a_second_tag_of_an_image_joins_the_first() {
    let mut stage = stage(&[]);
    found(&mut stage, "registry.corp:5000/team/app:1");
    stage.act();
    stage.found.clear();
    found(&mut stage, "registry.corp:5000/team/app:2");
    stage.names("registry.corp:5000/team/app:1");
    stage.act();
    assert_eq!((stage.children.len(), stage.children[0].tags.len()), (1, 2));
}

#[test]
fn a_tag_that_is_mirrored_anyway_is_not_copied_twice() {
    let mut stage = stage(&[]);
    stage.spec.triggers.push(WorkloadTrigger::Running);
    stage.names("docker.io/team/app:1");
    found(&mut stage, "registry.corp:5000/team/app:1");
    assert_eq!(stage.copies(), ["docker.io/team/app 1 -> registry.corp:5000/team/app:1"]);
    assert!(!stage.plan(|plan| plan.children[0].is_on_the_fly));
}
