//! Which namespaces are seen, and whose targets count.

use super::*;
use crate::api::{
    ImageMirror, ImageMirrorSpec, MirrorTarget as InventoryTarget, WorkloadMirror, WorkloadMirrorSpec,
};

fn selected(name: &str, allows: Option<bool>) -> SelectedNamespace<'_> {
    SelectedNamespace { name, has_workloads: true, was_seen: false, is_gone: false, allows }
}

fn before(marks: &[String]) -> SeenBefore<'_> {
    SeenBefore { marks, has_images: true }
}

#[test]
fn a_namespace_that_never_allowed_it_is_hidden_and_one_that_did_is_missed() {
    let all = |allows| [selected(NAMESPACE, None), selected("team-b", Some(allows))];
    let seen = Sight::of(NAMESPACE, all(true), SeenBefore::default(), true);
    assert_eq!(seen.namespaces, [NAMESPACE, "team-b"].map(str::to_owned).into());
    assert!(seen.is_complete && seen.hidden.is_empty() && seen.marks.len() == 2);
    let never = Sight::of(NAMESPACE, all(false), SeenBefore::default(), true);
    assert_eq!((never.is_complete, never.withdrawn.len(), never.hidden.len()), (true, 0, 1));
    let withdrawn = Sight::of(NAMESPACE, all(false), before(&seen.marks), true);
    assert!(!withdrawn.is_complete && withdrawn.withdrawn.contains("team-b"), "{withdrawn:?}");
    assert_eq!(withdrawn.marks, seen.marks, "it is missed until it is back");
    // What an earlier version has not recorded may have been seen.
    assert!(!Sight::of(NAMESPACE, all(false), before(&[]), true).withdrawn.is_empty());
}

#[test]
fn a_namespace_whose_right_is_withdrawn_is_missed_whether_or_not_anything_runs_there_now() {
    let there = Sight::of(NAMESPACE, [selected("team-b", Some(true))], SeenBefore::default(), true);
    let idle = |allows| SelectedNamespace { has_workloads: false, ..selected("team-b", Some(allows)) };
    let missed = Sight::of(NAMESPACE, [idle(false)], before(&there.marks), true);
    assert!(!missed.is_complete && missed.withdrawn.contains("team-b"), "{missed:?}");
    assert_eq!(missed.marks, there.marks, "it is not forgotten");
    // One that lets itself be seen, and has nothing, uses nothing.
    let seen = Sight::of(NAMESPACE, [idle(true)], before(&there.marks), true);
    assert_eq!((seen.is_complete, seen.marks.len()), (true, 1), "{seen:?}");
    // One that was never seen is not missed.
    let never = Sight::of(NAMESPACE, [idle(false)], before(&seen.marks), true);
    assert!(never.is_complete && never.withdrawn.is_empty(), "{never:?}");
}

#[test]
fn a_namespace_that_was_seen_and_is_gone_is_not_missed_and_no_longer_recorded() {
    let there = Sight::of(NAMESPACE, [selected("team-b", Some(true))], SeenBefore::default(), true);
    let gone = SelectedNamespace { has_workloads: false, is_gone: true, ..selected("team-b", Some(false)) };
    let sight = Sight::of(NAMESPACE, [gone], before(&there.marks), true);
    assert!(sight.is_complete && sight.withdrawn.is_empty() && sight.marks.len() == 1, "{sight:?}");
    // Nor where something else is not known.
    let sight = Sight::of(NAMESPACE, [gone], before(&there.marks), false);
    assert_eq!(sight.marks.len(), 1);
}

#[test]
fn what_is_not_asked_yet_is_neither_seen_nor_hidden_and_makes_nothing_unused() {
    let sight = Sight::of(NAMESPACE, [selected("team-b", None)], SeenBefore::default(), true);
    assert!(!sight.is_complete && sight.namespaces.is_empty() && sight.hidden.is_empty());
    assert!(!Sight::of(NAMESPACE, [], SeenBefore::default(), false).is_complete);
}

#[test]
fn a_namespace_that_was_seen_is_missed_although_nothing_runs_there_while_its_answer_is_not_known() {
    let there = Sight::of(NAMESPACE, [selected("team-b", Some(true))], SeenBefore::default(), true);
    let idle = SelectedNamespace { has_workloads: false, ..selected("team-b", None) };
    let sight = Sight::of(NAMESPACE, [idle], before(&there.marks), true);
    assert_eq!((sight.is_complete, sight.marks), (false, there.marks), "it is not forgotten");
    let own = Sight::of(NAMESPACE, [], SeenBefore::default(), true).marks;
    assert!(Sight::of(NAMESPACE, [idle], before(&own), true).is_complete, "one that was never seen");
}

#[test]
fn a_namespace_that_is_known_to_have_been_seen_is_missed_although_the_record_has_no_room_for_it() {
    let full: Vec<String> = (0..300).map(|n| format!("{n:08}")).collect();
    for allows in [Some(false), None] {
        let never = SelectedNamespace { has_workloads: false, ..selected("team-b", allows) };
        assert!(Sight::of(NAMESPACE, [never], before(&full), true).is_complete, "{allows:?}");
        let seen = SelectedNamespace { was_seen: true, ..never };
        assert!(!Sight::of(NAMESPACE, [seen], before(&full), true).is_complete, "{allows:?}");
    }
}

#[test]
fn targets_count_for_all_in_the_own_namespace_and_elsewhere_for_the_pods_there_if_they_are_seen() {
    let inventory = |namespace: &str, repository: &str| {
        let targets = vec![InventoryTarget { repository: repository.into(), ..InventoryTarget::default() }];
        let mut mirror = ImageMirror::new("x", ImageMirrorSpec { targets, ..ImageMirrorSpec::default() });
        mirror.metadata.namespace = Some(namespace.to_owned());
        mirror
    };
    let destination = WorkloadDestination { repository: "w.example.com".into(), ..Default::default() };
    let mut mirror = WorkloadMirror::new("y", WorkloadMirrorSpec::new(destination));
    mirror.metadata.namespace = Some(NAMESPACE.to_owned());
    let inventories = [
        inventory(NAMESPACE, "a.example.com"),
        inventory("team-b", "b.example.com/x"),
        inventory("team-c", "c.example.com"),
    ];
    let seen = ["team-b".to_owned()].into();
    let targets: Vec<(String, Option<String>)> = targets_in_sight(NAMESPACE, &seen, &inventories, [mirror])
        .into_iter()
        .map(|target| (target.place.to_string(), target.only_of))
        .collect();
    let expected = [("a.example.com", None), ("b.example.com/x", Some("team-b")), ("w.example.com", None)];
    assert_eq!(targets, expected.map(|(place, of)| (place.to_owned(), of.map(str::to_owned))));
}
