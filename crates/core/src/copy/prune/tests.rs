//! What is deleted, and above all what is not.

use proptest::prelude::*;

use super::*;
use crate::copy::fixtures::{now, request as parsed};

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn tags(texts: &[&str]) -> HashSet<Tag> {
    texts.iter().map(|text| tag(text)).collect()
}

fn request(keep: usize) -> PruneRequest {
    PruneRequest { policy: PrunePolicy::Delete, keep, min_age: Duration::from_hours(1) }
}

/// Tags whose content is their own text, put by the Image and not selected for this many hours.
fn made(texts: &[&str], hours: u64) -> MadeTags {
    let digits = texts.iter().map(|text| (tag(text), digits(&content(text)))).collect();
    let since = now() - Duration::from_hours(hours);
    MadeTags { digits, unselected: texts.iter().map(|text| (tag(text), since)).collect() }
}

fn content(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// The tags that are due where all of these are at both sides.
fn due_of(
    made: &MadeTags,
    keep: usize,
    edit: impl FnOnce(&mut [HashSet<Tag>; 3], &mut BTreeSet<Tag>),
) -> Vec<String> {
    let all: HashSet<Tag> = made.digits.keys().cloned().collect();
    let (mut lists, mut in_use) = ([HashSet::new(), all.clone(), all], BTreeSet::new());
    edit(&mut lists, &mut in_use);
    due_beside(made, keep, &lists, &in_use, &BTreeSet::new())
}

/// The tags that are due while these are selected, at the source and at the destination, in use, and these contents stay.
fn due_beside(
    made: &MadeTags,
    keep: usize,
    lists: &[HashSet<Tag>; 3],
    in_use: &BTreeSet<Tag>,
    kept: &BTreeSet<&Digest>,
) -> Vec<String> {
    let [selected, at_source, at_destination] = lists;
    let request = request(keep);
    let inputs = PruneInputs {
        request: &request,
        made,
        selected,
        at_source,
        at_destination,
        in_use,
        kept,
        now: now(),
    };
    due(inputs).iter().map(ToString::to_string).collect()
}

#[test]
fn the_oldest_versions_go_first_and_as_many_of_the_newest_stay_as_are_to_be_kept() {
    let made = made(&["1.9", "1.10", "1.8"], 2);
    assert_eq!(due_of(&made, 0, |_, _| ()), ["1.8", "1.9", "1.10"]);
    assert_eq!(due_of(&made, 2, |_, _| ()), ["1.8"]);
    assert!(due_of(&made, 3, |_, _| ()).is_empty());
}

#[test]
fn a_tag_stays_that_is_selected_or_only_here_or_gone_or_in_use_or_not_long_unselected() {
    let made_tags = made(&["1.0", "1.1"], 2);
    let left = |edit: fn(&mut [HashSet<Tag>; 3], &mut BTreeSet<Tag>)| due_of(&made_tags, 0, edit);
    assert_eq!(left(|lists, _| lists[0] = tags(&["1.0"])), ["1.1"], "selected");
    assert_eq!(left(|lists, _| lists[1] = tags(&["1.1"])), ["1.1"], "only at the destination");
    assert_eq!(left(|lists, _| lists[2] = tags(&["1.1"])), ["1.1"], "gone");
    assert_eq!(left(|_, in_use| in_use.extend([tag("1.0")])), ["1.1"], "used, or another object's");
    assert!(due_of(&made(&["1.0"], 0), 0, |_, _| ()).is_empty(), "a moment ago");
}

#[test]
fn what_runs_keeps_its_tag_by_its_name_here_or_at_the_source_and_by_its_content_under_any_name() {
    let made = made(&["1.0", "1.1", "1.2", "1.3"], 2);
    let used = |reference: &str, running: Option<&str>| {
        let all = [UsedImage { reference: reference.parse().unwrap(), running: running.map(content) }];
        let tags = made.used(&parsed("1.x"), &AccessPolicy::default(), &all);
        tags.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(used("registry.example.com/mirror:1.0", None), ["1.0"]);
    assert_eq!(used("quay.io/a/b:1.1", None), ["1.1"], "nodes may be told to pull it from here");
    assert_eq!(used(&format!("registry.example.com/mirror@{}", content("1.2")), None), ["1.2"]);
    assert_eq!(used("registry.example.com/mirror:latest", Some("1.3")), ["1.3"], "the tag has moved on");
    assert_eq!(used("proxy.example.com/anything:x", Some("1.3")), ["1.3"], "a rewriter names it otherwise");
    assert!(used("registry.example.com/mirror2:1.0", None).is_empty());
    assert!(used("registry.example.com/mirror:2.0", Some("2.0")).is_empty());
}

#[test]
fn signatures_and_pins_are_never_recorded_and_so_never_deleted() {
    let hex = content("x").hex().to_owned();
    let names = [format!("sha256-{hex}.sig"), format!("sha256-{hex}"), format!("pin-sha256-{hex}")];
    let (digest, all) = (content("x"), names.map(|name| tag(&name)));
    let mut made = MadeTags::default();
    made.update(all.iter().map(|tag| (tag, &digest)), |_| false, now());
    assert_eq!(made, MadeTags::default());
}

#[test]
fn what_shows_other_content_than_was_put_is_not_the_images_nor_what_a_tag_that_stays_shows_too() {
    let made = made(&["1.0", "1.1"], 2);
    assert!(made.shows(&tag("1.0"), &content("1.0")));
    assert!(!made.shows(&tag("1.0"), &content("another")) && !made.shows(&tag("1.2"), &content("1.2")));
    let all: HashSet<Tag> = tags(&["1.0", "1.1"]);
    let lists = [HashSet::new(), all.clone(), all];
    let kept = content("1.1");
    assert_eq!(due_beside(&made, 0, &lists, &BTreeSet::new(), &[&kept].into()), ["1.0"]);
}

#[test]
fn a_tag_that_is_selected_again_begins_anew_and_one_without_room_is_not_recorded() {
    let mut made = made(&["1.0"], 2);
    made.update(std::iter::empty(), |tag| tag.as_str() == "1.0", now());
    assert!(made.unselected.is_empty());
    made.update(std::iter::empty(), |_| false, now());
    assert_eq!(made.unselected[&tag("1.0")], now());
    let many: Vec<(Tag, Digest)> = (0..1000).map(|n| (tag(&format!("v1.{n}")), content("x"))).collect();
    made.update(many.iter().map(|(tag, digest)| (tag, digest)), |_| true, now());
    let bytes: usize = made.digits.keys().map(entry_bytes).sum();
    assert!(bytes <= MAX_MADE_BYTES && made.digits.len() > 80, "{}", made.digits.len());
}

fn any_tags() -> impl Strategy<Value = HashSet<Tag>> {
    let any = "(v?[12][.][0-9]|latest|sha256-[0-9a-f]{64}([.]sig)?|pin-sha256-[0-9a-f]{64})";
    prop::collection::hash_set(any.prop_map(|text| tag(&text)), 0..12)
}

proptest! {
    #[test]
    fn nothing_is_ever_deleted_that_is_not_this_images_alone(
        put in any_tags(), selected in any_tags(), at_source in any_tags(), at_destination in any_tags(),
        used in any_tags(), others in any_tags(), keep in 0_usize..4, hours in 0_u64..4,
    ) {
        let digest_of = |tag: &Tag| content(tag.as_str());
        let contents: Vec<(Tag, Digest)> = put.iter().map(|tag| (tag.clone(), digest_of(tag))).collect();
        let mut made = MadeTags::default();
        let before = now() - Duration::from_hours(hours);
        made.update(contents.iter().map(|(tag, digest)| (tag, digest)), |tag| selected.contains(tag), before);
        let in_use: BTreeSet<Tag> = used.iter().cloned().collect();
        let request = request(keep);
        let inputs = PruneInputs {
            request: &request, made: &made, selected: &selected, at_source: &at_source,
            at_destination: &at_destination, in_use: &in_use, kept: &BTreeSet::new(), now: now(),
        };
        let due = due(inputs);
        // Others have overwritten some.
        let shows = |tag: &Tag| if others.contains(tag) { content("another") } else { digest_of(tag) };
        for tag in due.iter().filter(|tag| made.shows(tag, &shows(tag))) {
            prop_assert!(put.contains(tag) && at_source.contains(tag) && at_destination.contains(tag));
            prop_assert!(!selected.contains(tag) && !used.contains(tag) && !others.contains(tag));
            prop_assert!(!tag.as_str().contains("sha256-") && hours >= 1);
        }
        let ours = put.iter().filter(|tag| is_ours(inputs, tag) && made.unselected.contains_key(*tag)).count();
        prop_assert!(due.len() <= ours.saturating_sub(keep));
    }
}
