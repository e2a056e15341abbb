//! What is done to the Images of a mirror, by what the inventory asks for and by what there is.

use std::collections::HashMap;

use imgop_core::api::{
    Image, ImageMirrorSpec, MIRRORED_SPEC_ANNOTATION, MirrorEntry, MirrorPrune, MirrorTarget,
};
use imgop_core::inventory::Inventory;

use crate::children::{Changes, Desired, Gone, Mirrored, Occupant, Requests, Situation};
use crate::controller::NotKept;
use crate::image_mirror::desired::{desired, gone};
use crate::object_room::RoomLimit;

/// A mirror of this number of repositories, each with these tags.
fn mirror(repositories: usize, tags: &[&str]) -> ImageMirrorSpec {
    let entry = |n| MirrorEntry {
        source: format!("quay.io/tools/widget{n}"),
        tags: tags.iter().map(ToString::to_string).collect(),
        ..MirrorEntry::default()
    };
    ImageMirrorSpec {
        targets: vec![MirrorTarget {
            repository: "r.example.com/acme".into(),
            default: true,
            ..MirrorTarget::default()
        }],
        entries: (0..repositories).map(entry).collect(),
        ..ImageMirrorSpec::default()
    }
}

fn of(spec: &ImageMirrorSpec) -> Vec<Desired> {
    let inventory = Inventory::read(spec, &[]).unwrap();
    let expansion = inventory.expand().unwrap();
    desired("acme", spec, &inventory, &expansion)
}

/// Images as they are after they were written.
fn there(desired: &[Desired]) -> Vec<Mirrored> {
    let image = |one: &Desired| {
        let mut image = Image::new(&one.name, one.spec.clone());
        image.metadata.uid = Some(format!("uid of {}", one.name));
        image.metadata.annotations = Some([(MIRRORED_SPEC_ANNOTATION.to_owned(), one.hash.clone())].into());
        Mirrored::of(&image)
    };
    let mut all: Vec<Mirrored> = desired.iter().map(image).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

struct Case {
    desired: Vec<Desired>,
    mirrored: Vec<Mirrored>,
    occupants: HashMap<String, Occupant>,
    requests: Requests,
    policy: MirrorPrune,
    is_released: bool,
}

impl Case {
    fn new(desired: Vec<Desired>, mirrored: Vec<Mirrored>) -> Self {
        let (occupants, requests) = (HashMap::new(), Requests::default());
        Self { desired, mirrored, occupants, requests, policy: MirrorPrune::Children, is_released: false }
    }

    fn changes(&self) -> Changes<'_> {
        let Self { desired, mirrored, occupants, requests, policy, is_released } = self;
        let left = gone("acme", desired, mirrored);
        let gone = match policy {
            MirrorPrune::Never => Gone::Kept,
            MirrorPrune::Children if *is_released => Gone::Deleted(&left),
            MirrorPrune::Children => Gone::DeletedUnlessMany(&left),
        };
        Situation { desired, mirrored, occupants, requests, gone }.changes()
    }
}

#[test]
fn the_same_inventory_in_another_order_changes_nothing() {
    let spec = mirror(20, &["1.0", "1.1"]);
    let mut reordered = spec.clone();
    reordered.entries.reverse();
    reordered.entries.iter_mut().for_each(|entry| entry.tags.reverse());
    let case = Case::new(of(&reordered), there(&of(&spec)));
    assert_eq!(case.changes(), Changes::default());
}

#[test]
fn one_more_tag_changes_the_images_of_its_entry_and_no_other() {
    let spec = mirror(20, &["1.0"]);
    let mut more = spec.clone();
    more.entries[7].tags.push("1.1".into());
    let case = Case::new(of(&more), there(&of(&spec)));
    let changes = case.changes();
    let written: Vec<&str> = changes.writes.iter().map(|one| one.desired.spec.source.name.as_str()).collect();
    assert_eq!(written, ["quay.io/tools/widget7"]);
    assert!(changes.writes[0].uid.is_some() && changes.prune.is_empty());
}

#[test]
fn an_entry_that_is_gone_takes_its_image_with_it_and_prune_never_keeps_it() {
    let (spec, fewer) = (mirror(20, &["1.0"]), mirror(19, &["1.0"]));
    let mut case = Case::new(of(&fewer), there(&of(&spec)));
    let changes = case.changes();
    assert_eq!((changes.prune.len(), changes.held, changes.writes.len()), (1, 0, 0));
    assert!(changes.prune[0].0.contains("widget19"), "{:?}", changes.prune);
    case.policy = MirrorPrune::Never;
    assert_eq!(case.changes(), Changes::default());
}

#[test]
fn many_that_would_go_in_one_step_are_held_until_a_user_lets_them_go() {
    let spec = mirror(100, &["1.0"]);
    for (left, held) in [(0, 100), (69, 31), (70, 0), (89, 0)] {
        let mut case = Case::new(of(&mirror(left, &["1.0"])), there(&of(&spec)));
        let changes = case.changes();
        assert_eq!(
            (changes.held, changes.prune.len()),
            (held, if held > 0 { 0 } else { 100 - left }),
            "{left}"
        );
        case.is_released = true;
        assert_eq!((case.changes().held, case.changes().prune.len()), (0, 100 - left));
    }
    let ten = Case::new(of(&mirror(2, &["1.0"])), there(&of(&mirror(12, &["1.0"]))));
    assert_eq!(ten.changes().held, 0, "ten are few");
}

#[test]
fn an_image_with_a_name_that_the_mirror_does_not_give_is_another_s_and_is_left_alone() {
    let spec = mirror(20, &["1.0"]);
    let mut mirrored = there(&of(&spec));
    mirrored[0].name = "mine".into();
    let mut case = Case::new(of(&spec), mirrored);
    for is_released in [false, true] {
        case.is_released = is_released;
        assert_eq!((case.changes().prune.len(), case.changes().held), (0, 0));
    }
}

#[test]
fn an_image_that_the_agent_does_not_keep_is_neither_written_nor_taken_for_another_s() {
    let all = of(&mirror(2, &["1.0"]));
    let mut case = Case::new(all.clone(), Vec::new());
    let why = NotKept::NoRoom(RoomLimit::OfAll(40 << 20));
    case.occupants = [(all[0].name.clone(), Occupant::NotKept(why.clone()))].into();
    let changes = case.changes();
    assert_eq!((changes.writes.len(), changes.taken.len()), (1, 0));
    assert_eq!(changes.not_kept, [(all[0].name.clone(), why)]);
}

#[test]
fn an_emptied_inventory_deletes_nothing_however_small_it_was() {
    let case = Case::new(Vec::new(), there(&of(&mirror(2, &["1.0"]))));
    let changes = case.changes();
    assert_eq!((changes.held, changes.prune.len()), (2, 0));
}

#[test]
fn what_others_set_on_an_image_stays_and_what_the_mirror_says_is_set_right() {
    let all = of(&mirror(1, &["1.0"]));
    let with = |edit: fn(&mut Mirrored)| {
        let mut mirrored = there(&all);
        edit(&mut mirrored[0]);
        Case::new(all.clone(), mirrored).changes().writes.len()
    };
    assert_eq!(with(|_| ()), 0);
    assert_eq!(with(|one| one.spec.suspend = true), 0);
    assert_eq!(with(|one| one.spec.platforms = vec!["linux/amd64".into()]), 0);
    assert_eq!(with(|one| one.spec.source.tags = vec!["2.0".into()]), 1);
    assert_eq!(with(|one| one.written = None), 1);
}

#[test]
fn images_of_others_are_left_alone_unless_they_may_be_taken_over() {
    let all = of(&mirror(2, &["1.0"]));
    let mut case = Case::new(all.clone(), Vec::new());
    case.occupants = [
        (all[0].name.clone(), Occupant::Foreign),
        (all[1].name.clone(), Occupant::Adoptable { uid: "u".into(), spec: serde_json::Value::Null }),
    ]
    .into();
    let changes = case.changes();
    assert_eq!(changes.taken, [all[0].name.clone()]);
    assert_eq!(changes.writes.len(), 1);
    assert_eq!(changes.writes[0].uid.as_deref(), Some("u"));
}

#[test]
fn a_request_is_handed_to_every_image_that_does_not_have_it() {
    let all = of(&mirror(3, &["1.0"]));
    let mut mirrored = there(&all);
    mirrored[0].requested_at = Some("now".into());
    let mut case = Case::new(all, mirrored);
    case.requests.sync = Some("now".into());
    assert_eq!(case.changes().writes.len(), 2);
    case.requests = Requests { sync: None, reset: Some("again".into()) };
    assert_eq!(case.changes().writes.len(), 3);
}

#[test]
fn images_of_one_destination_are_written_one_after_the_other() {
    let mut spec = mirror(6, &["1.0"]);
    for (n, entry) in spec.entries.iter_mut().enumerate() {
        entry.target_name = Some(format!("app{}", n % 2));
        entry.tags = vec![format!("1.{n}")];
    }
    let all = of(&spec);
    let destinations = |changes: &Changes<'_>| {
        let mut names: Vec<String> =
            changes.writes.iter().map(|one| one.desired.spec.destination.name.clone()).collect();
        names.dedup();
        names
    };
    let wanted = ["r.example.com/acme/app0", "r.example.com/acme/app1"];
    let mut case = Case::new(all.clone(), Vec::new());
    assert_eq!(destinations(&case.changes()), wanted);
    (case.mirrored, case.requests.sync) = (there(&all), Some("now".into()));
    assert_eq!(destinations(&case.changes()), wanted);
}
