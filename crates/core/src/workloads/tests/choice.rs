//! Which namespaces, workloads and images count.

use super::*;
use crate::access::tests::aliased;
use crate::api::{ExcludedWorkload, WorkloadKind, WorkloadNamespaces, WorkloadTrigger};

fn choice(include: &[&str], exclude: &[&str]) -> NamespaceChoice {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let (include, exclude) = (owned(include), owned(exclude));
    Stage::with(|spec| spec.namespaces = WorkloadNamespaces { include, exclude, selector: None })
        .request()
        .namespaces
}

fn selected(choice: &NamespaceChoice) -> Vec<&'static str> {
    let there = ["team-a", "team-b", "team-bc", "kube-system"];
    there.into_iter().filter(|name| choice.selects(name, &BTreeMap::new())).collect()
}

#[test]
fn without_a_name_only_the_own_namespace_counts() {
    assert_eq!(selected(&choice(&[], &[])), ["team-a"]);
    assert_eq!(choice(&[], &[]).named(), Some(vec!["team-a"]));
}

#[test]
fn names_may_have_stars_and_what_is_excluded_does_not_count() {
    assert_eq!(selected(&choice(&["*"], &[])), ["team-a", "team-b", "team-bc", "kube-system"]);
    assert_eq!(selected(&choice(&["*"], &["kube-*", "team-b"])), ["team-a", "team-bc"]);
    assert_eq!(selected(&choice(&["team-?"], &[])), ["team-a", "team-b"]);
    assert_eq!(selected(&choice(&["team-b"], &[])), ["team-b"]);
    assert_eq!(choice(&["team-b", "x"], &["x"]).named(), Some(vec!["team-b"]));
    assert_eq!(choice(&["team-*"], &[]).named(), None);
}

#[test]
fn c2_a_pattern_that_fits_no_namespace_selects_none_and_not_everything() {
    let choice = choice(&["prod-*"], &[]);
    assert!(selected(&choice).is_empty());
    assert_eq!(choice.without_namespace(&["team-a", "kube-system"]), ["prod-*"]);
    // A namespace that is new counts at once.
    assert!(choice.selects("prod-1", &BTreeMap::new()));
}

#[test]
fn namespaces_may_be_selected_by_their_labels_as_well() {
    let choice = Stage::with(|spec| {
        spec.namespaces.include = vec!["team-b".to_owned()];
        let labels = BTreeMap::from([("mirror".to_owned(), "yes".to_owned())]);
        spec.namespaces.selector =
            Some(crate::api::NamespaceSelector { match_labels: labels, match_expressions: Vec::new() });
    });
    let choice = choice.request().namespaces;
    let labels = BTreeMap::from([("mirror".to_owned(), "yes".to_owned())]);
    assert!(choice.selects("x", &labels) && choice.selects("team-b", &BTreeMap::new()));
    assert!(!choice.selects("team-a", &BTreeMap::new()), "the own one is not among them");
}

fn excluded(change: impl FnOnce(&mut crate::api::WorkloadExclusions), image: &str) -> Option<String> {
    let mut stage = Stage::with(|spec| change(&mut spec.exclude));
    stage.names(image);
    stage.copies().is_empty().then(|| stage.outcomes()[0].clone())
}

#[test]
fn a_registry_is_excluded_by_whole_parts_of_its_name() {
    for (registry, image, is_excluded) in [
        ("quay.io", "quay.io/a/b:1", true),
        ("quay.io", "quay.io.example.com/a/b:1", false),
        ("quay.io/acme", "quay.io/acme/app:1", true),
        ("quay.io/acme", "quay.io/acmes/app:1", false),
        ("docker.io", "nginx", true),
        ("registry-1.docker.io", "nginx", true),
        ("docker.io", "localhost/x", false),
        ("example.com", "example.com:5000/x", false),
        ("*.corp.example", "r.corp.example/x", true),
    ] {
        let found = excluded(|exclude| exclude.registries = vec![registry.to_owned()], image);
        assert_eq!(found.is_some(), is_excluded, "{registry} {image}");
    }
}

#[test]
fn an_image_is_excluded_by_its_whole_name() {
    for (glob, image, is_excluded) in [
        ("docker.io/library/*", "nginx", true),
        ("docker.io/library/ngin", "nginx", false),
        ("docker.io/*", "nginx", false),
        ("quay.io/acme/*:dev-*", "quay.io/acme/app:dev-1", true),
        ("quay.io/acme/*:dev-*", "quay.io/acme/app:v1", false),
        ("r.corp:5000/a", "r.corp:5000/a:1", true),
    ] {
        let found = excluded(|exclude| exclude.images = vec![glob.to_owned()], image);
        assert_eq!(found.is_some(), is_excluded, "{glob} {image}");
    }
}

#[test]
fn a_workload_is_excluded_by_kind_namespace_and_name_and_the_image_stays_that_others_use() {
    let of = |kind, namespace: Option<&str>, name: &str| ExcludedWorkload {
        kind,
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    };
    for (workload, is_excluded) in [
        (of(Some(WorkloadKind::Deployment), Some("team-a"), "web"), true),
        (of(None, None, "web"), true),
        (of(Some(WorkloadKind::Deployment), None, "*"), true),
        (of(Some(WorkloadKind::Pod), None, "web"), false),
        (of(None, Some("team-b"), "*"), false),
        (of(None, None, "we"), false),
    ] {
        let found = excluded(|exclude| exclude.workloads = vec![workload.clone()], "nginx:1");
        assert_eq!(found.is_some(), is_excluded, "{workload:?}");
        let mut stage = Stage::with(|spec| spec.exclude.workloads = vec![workload]);
        stage.names("nginx:1");
        stage.named_by("nginx:1", user("CronJob", "night"));
        assert_eq!(stage.copies().len(), 1);
    }
}

#[test]
fn a_workload_that_opts_out_is_not_mirrored() {
    let mut stage = Stage::new();
    stage.named_by("nginx:1", ImageUser { is_opted_out: true, ..user("Deployment", "web") });
    assert!(stage.copies().is_empty());
    assert!(stage.outcomes()[0].contains("an annotation"));
}

#[test]
fn the_destination_and_all_targets_of_mirrors_are_excluded_always() {
    let mut stage = Stage::new();
    stage.targets = vec![MirrorTarget { place: "other.corp/mirror".parse().unwrap(), only_of: None }];
    for image in ["registry.corp:5000/mirror/a:1", "other.corp/mirror/b:1", "registry.corp:5000/mirrors/c:1"]
    {
        stage.names(image);
    }
    assert_eq!(stage.copies(), ["registry.corp:5000/mirrors/c 1 -> registry.corp:5000/mirror/mirrors/c:1"]);
    let outcomes = stage.outcomes();
    assert_eq!(outcomes[0], "other.corp/mirror/b:1: it is at other.corp/mirror, where a mirror brings it");
    assert_eq!(outcomes[1], "registry.corp:5000/mirror/a:1: it names the destination itself");
    assert_eq!(stage.plan(|plan| plan.counts.excluded), 2);
}

#[test]
fn the_destination_is_excluded_under_each_name_that_administrators_gave_its_registry() {
    let mut stage = Stage::new();
    stage.names("mirror.corp/mirror/a:1");
    stage.names("mirror.corp/other/a:1");
    assert_eq!(stage.copies().len(), 2, "another registry, as far as is known");
    stage.policy = aliased("registry.corp:5000", &["mirror.corp"]);
    assert_eq!(stage.copies(), ["mirror.corp/other/a 1 -> registry.corp:5000/mirror/other/a:1"]);
    assert!(stage.outcomes()[0].ends_with("it names the destination itself"), "{:?}", stage.outcomes());
}

#[test]
fn the_target_of_a_mirror_of_another_namespace_excludes_what_runs_there_alone() {
    let mut stage = Stage::new();
    let of_team_b = MirrorTarget { place: "docker.io".parse().unwrap(), only_of: Some("team-b".to_owned()) };
    stage.targets = vec![of_team_b];
    let in_namespace = |namespace: &str| ImageUser { namespace: namespace.to_owned(), ..user("Pod", "web") };
    stage.named_by("nginx:1", in_namespace("team-a"));
    stage.named_by("redis:1", in_namespace("team-b"));
    stage.named_by("both:1", in_namespace("team-a"));
    stage.named_by("both:1", in_namespace("team-b"));
    let copies = stage.copies().join(" ");
    assert!(
        copies.contains("/nginx 1") && copies.contains("/both 1") && !copies.contains("redis"),
        "{copies}"
    );
}

#[test]
fn without_the_trigger_running_nothing_is_mirrored_that_runs() {
    let mut stage = Stage::with(|spec| spec.triggers = vec![WorkloadTrigger::PullFailure]);
    stage.names("nginx:1");
    assert!(stage.copies().is_empty());
    assert!(stage.outcomes()[0].contains("PullFailure"));
}

#[test]
fn kinds_are_all_unless_some_are_named() {
    assert!(Stage::new().request().looks_at(WorkloadKind::CronJob));
    let pods = Stage::with(|spec| spec.kinds = vec![WorkloadKind::Pod]).request();
    assert!(pods.looks_at(WorkloadKind::Pod) && !pods.looks_at(WorkloadKind::CronJob));
}
