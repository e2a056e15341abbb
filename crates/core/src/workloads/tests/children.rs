//! The Images that it becomes.

use super::*;
use crate::api::{Credentials, MirrorSource, Mode, Overwrite, Tls, TlsMode};

fn specs(stage: &Stage) -> Vec<(String, ImageSpec)> {
    let request = stage.request();
    stage.plan(|plan| {
        plan.children.iter().map(|child| (child.name.clone(), request.image_spec(child))).collect()
    })
}

#[test]
fn an_image_has_what_the_mirror_says_of_both_registries() {
    let mut stage = Stage::with(|spec| {
        let secret = |name: &str| Some(Credentials { secret_name: name.to_owned() });
        spec.destination.credentials = secret("push");
        spec.destination.tls = Some(Tls { mode: TlsMode::PlainHttp, ca_secret_name: None });
        let source = |registry: &str, name: &str| MirrorSource {
            registry: registry.to_owned(),
            credentials: secret(name),
            ..MirrorSource::default()
        };
        spec.sources = vec![
            source("*.corp.example", "star"),
            source("r.corp.example", "exact"),
            source("r.corp.example/team", "team"),
        ];
        spec.min_age = Some("3d".to_owned());
        spec.frequency = "1h".to_owned();
    });
    for image in ["x.corp.example/star:1", "r.corp.example/a:1", "r.corp.example/team/a:1", "quay.io/a/b:1"] {
        stage.names(image);
    }
    let secrets: BTreeMap<String, Option<String>> = specs(&stage)
        .into_iter()
        .map(|(_, spec)| (spec.source.name, spec.source.credentials.map(|secret| secret.secret_name)))
        .collect();
    let expected = [
        ("quay.io/a/b", None),
        ("r.corp.example/a", Some("exact")),
        ("r.corp.example/team/a", Some("team")),
        ("x.corp.example/star", Some("star")),
    ];
    let expected = expected.map(|(name, secret)| (name.to_owned(), secret.map(str::to_owned)));
    assert_eq!(secrets, BTreeMap::from(expected));
    let (_, spec) = specs(&stage).remove(0);
    assert_eq!((spec.mode, spec.frequency.as_str()), (Mode::Recurrent, "1h"));
    assert_eq!(spec.source.select.and_then(|select| select.min_age).as_deref(), Some("3d"));
    assert_eq!(spec.destination.credentials.map(|secret| secret.secret_name).as_deref(), Some("push"));
    assert_eq!(spec.destination.tls.map(|tls| tls.mode), Some(TlsMode::PlainHttp));
}

#[test]
fn tags_are_replaced_unless_the_policy_keeps_them_and_latest_is_an_exception() {
    let mut stage = Stage::new();
    stage.names("nginx:1");
    stage.names("nginx");
    let overwrites = |stage: &Stage| -> Vec<(String, Overwrite, usize)> {
        let specs = specs(stage).into_iter();
        let mut all: Vec<_> = specs
            .map(|(_, spec)| {
                (spec.source.tags.join(","), spec.destination.overwrite, spec.source.immutable_tags.len())
            })
            .collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    };
    assert_eq!(overwrites(&stage), [("1,latest".to_owned(), Overwrite::IfDifferent, 0)]);
    stage.spec.overwrite.policy = Overwrite::IfMissing;
    assert_eq!(
        overwrites(&stage),
        [("1".to_owned(), Overwrite::IfMissing, 1), ("latest".to_owned(), Overwrite::IfDifferent, 0)]
    );
}

#[test]
fn a_tag_that_becomes_an_exception_leaves_the_image_of_the_others_at_once() {
    let mut stage = Stage::with(|spec| spec.overwrite.policy = Overwrite::IfMissing);
    stage.spec.overwrite.except = Vec::new();
    stage.names("nginx:1");
    stage.names("nginx");
    stage.act();
    stage.spec.overwrite.except = vec!["latest".to_owned()];
    stage.act();
    let tags: Vec<usize> = stage.children.iter().map(|child| child.tags.len()).collect();
    assert_eq!(tags, [1, 1]);
}

#[test]
fn names_are_short_and_stay_the_same_and_differ_from_those_of_an_image_mirror() {
    let mut stage = Stage::new();
    stage.names(&format!("quay.io/{}/some_app:1", "a".repeat(60)));
    stage.names("nginx:1");
    let names: Vec<String> = specs(&stage).into_iter().map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| name.len() <= 52 && name.starts_with("cluster-")), "{names:?}");
    insta::assert_snapshot!(names.join("\n"));
    let of_inventory = crate::inventory::Child {
        source: "docker.io/library/nginx".to_owned(),
        destination: "registry.corp:5000/mirror/library/nginx".to_owned(),
        target: 0,
        selected: Vec::new(),
        left_out: Vec::new(),
        part: 0,
        follows: false,
        is_exception: false,
        found: Vec::new(),
    };
    assert!(!names.contains(&of_inventory.name(MIRROR)));
}

#[test]
fn an_image_is_read_as_it_was_planned() {
    let mut stage = Stage::with(|spec| spec.digests.taken = crate::api::DigestUse::Running);
    stage.runs("nginx:1", Some(&content("A")), "web-1", 1, "linux/amd64");
    stage.runs(&format!("nginx@{}", content("B")), None, "web-2", 1, "linux/amd64");
    stage.act();
    let tags: Vec<String> = stage.children[0].tags.iter().map(|one| short(&one.recorded())).collect();
    assert_eq!(tags, ["1@sha256:A", "pin-sha256-B@sha256:B"]);
    assert_eq!(stage.children[0].named(pinned("B").name().unwrap()), Some(&pinned("B")));
}

#[test]
fn more_images_than_the_limit_are_reported_and_those_that_are_there_stay() {
    let mut stage = Stage::new();
    stage.names("nginx:9");
    stage.act();
    for tag in 1..4 {
        stage.names(&format!("nginx:{tag}"));
    }
    stage.spec.limits.images = 2;
    let finding = stage.plan(|plan| plan.findings[0].to_string());
    assert_eq!(finding, "workloads use 4 images, and 2 are mirrored; raise limits.images");
    let outcomes = stage.outcomes();
    assert!(outcomes[0].contains("nginx 1") || outcomes[0].contains("library/nginx 1"), "{outcomes:?}");
    assert!(outcomes[1].contains("raise limits.images") && outcomes[2].contains("raise limits.images"));
    assert!(outcomes[3].ends_with("mirror/library/nginx 9"), "{outcomes:?}");
}

#[test]
fn beyond_the_limit_an_image_by_its_digest_that_is_there_stays_before_a_new_one() {
    let mut stage = Stage::new();
    stage.names(&format!("nginx@{}", content("A")));
    stage.act();
    // By its name it would come first.
    stage.names("alpine:1");
    stage.spec.limits.images = 1;
    stage.act();
    let there = "docker.io/library/nginx sha256:A -> registry.corp:5000/mirror/library/nginx:pin-sha256-A";
    assert_eq!(stage.copies(), [there]);
    assert!(stage.children.iter().all(|child| child.unused_since == UnusedSince::default()));
    assert!(stage.outcomes()[0].contains("raise limits.images"), "{:?}", stage.outcomes());
}

#[test]
fn more_tags_than_an_image_has_are_reported_and_those_go_first_that_are_not_used() {
    let mut stage = Stage::new();
    stage.names("nginx:old");
    stage.act();
    stage.usage = Usage::default();
    for tag in 0..1000 {
        stage.names(&format!("nginx:{tag}"));
    }
    stage.plan(|plan| {
        assert_eq!(plan.children[0].tags.len(), 1000);
        assert!(plan.children[0].tags.iter().all(|one| one.to_string() != "old"));
        assert!(
            plan.findings[0].to_string().starts_with("1 tags of docker.io/library/nginx are not mirrored")
        );
    });
}

#[test]
fn a_thousand_pods_of_one_image_are_one_image() {
    let mut stage = Stage::new();
    for pod in 0..1000 {
        stage.runs("nginx:1", Some(&content("A")), &format!("web-{pod}"), pod, "linux/amd64");
    }
    let used = stage.usage.clone().into_images();
    assert_eq!(used.len(), 1);
    let pods = used[0].users.values().next().unwrap();
    assert_eq!((pods.count, pods.newest.as_ref().unwrap().pod.as_str()), (1000, "web-999"));
}

/// An Image that may have two tags and has two, none of which is seen to be used any more, while another tag is.
fn with_a_tag_too_many() -> Stage {
    let mut stage = Stage::new();
    stage.max_tags = 2;
    stage.names("nginx:1");
    stage.names("nginx:2");
    stage.act();
    stage.usage = Usage::default();
    stage.names("nginx:9");
    stage
}

/// The tags of what is copied.
fn tags(stage: &Stage) -> Vec<String> {
    let copies = stage.copies().into_iter();
    copies.filter_map(|copy| copy.rsplit(':').next().map(str::to_owned)).collect()
}

#[test]
fn beyond_the_tags_of_an_image_what_runs_stays_before_what_nothing_uses() {
    let stage = with_a_tag_too_many();
    assert_eq!(tags(&stage), ["1", "9"]);
    let said = stage.plan(|plan| plan.findings.iter().map(ToString::to_string).collect::<String>());
    assert!(said.contains("an Image has 2 at most") && said.contains("MAX_TAGS_PER_IMAGE"), "{said}");
}

#[test]
fn beyond_the_tags_of_an_image_a_list_that_is_not_complete_puts_nothing_in_the_place_of_what_may_be_used() {
    let mut stage = with_a_tag_too_many();
    stage.is_complete = false;
    assert_eq!(tags(&stage), ["1", "2"]);
    let said = stage.plan(|plan| plan.findings.iter().map(ToString::to_string).collect::<String>());
    assert!(said.starts_with("1 tags of docker.io/library/nginx are not mirrored"), "{said}");
    // What was known to be unused before has no such place.
    stage.children[0].unused_since.0.insert("1".to_owned(), time(START));
    assert_eq!(tags(&stage), ["2", "9"]);
    // Among what is there, what is seen to be used comes first.
    stage.children[0].unused_since = UnusedSince::default();
    stage.names("nginx:2");
    stage.max_tags = 1;
    assert_eq!(tags(&stage), ["2"]);
}
