mod division;

use std::collections::BTreeSet;

use super::*;
use crate::api::{ImageMirrorSpec, MirrorEntry, MirrorNaming, MirrorSync, MirrorTarget, NamingRule};

const HUB: &str = "docker.io/acme";
const CORP: &str = "registry.corp/mirror";

fn target(repository: &str, default: bool) -> MirrorTarget {
    MirrorTarget { repository: repository.to_owned(), default, ..MirrorTarget::default() }
}

fn entry(source: &str, tags: &[&str]) -> MirrorEntry {
    let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
    MirrorEntry { source: source.to_owned(), tags, ..MirrorEntry::default() }
}

fn spec(entries: Vec<MirrorEntry>) -> ImageMirrorSpec {
    let targets = vec![target(HUB, true), target(CORP, true)];
    ImageMirrorSpec { targets, entries, ..ImageMirrorSpec::default() }
}

fn inventory(spec: &ImageMirrorSpec) -> Inventory {
    Inventory::read(spec, &[]).unwrap()
}

fn problems(spec: &ImageMirrorSpec) -> Vec<String> {
    Inventory::read(spec, &[]).unwrap_err().problems.iter().map(ToString::to_string).collect()
}

fn rows(spec: &ImageMirrorSpec) -> Vec<String> {
    let rows = inventory(spec).rows();
    rows.into_iter().map(|Row { source, destination }| format!("{source} -> {destination}")).collect()
}

fn children(spec: &ImageMirrorSpec) -> Vec<Child> {
    inventory(spec).expand().unwrap().children
}

#[test]
fn each_entry_has_a_row_a_target_and_a_tag_in_the_order_in_which_they_are_written() {
    let rows = rows(&spec(vec![entry("quay.io/tools/widget", &["1.1", "1.0"])]));
    assert_eq!(
        rows,
        [
            "quay.io/tools/widget:1.1 -> docker.io/acme/mirrored-tools-widget:1.1",
            "quay.io/tools/widget:1.0 -> docker.io/acme/mirrored-tools-widget:1.0",
            "quay.io/tools/widget:1.1 -> registry.corp/mirror/mirrored-tools-widget:1.1",
            "quay.io/tools/widget:1.0 -> registry.corp/mirror/mirrored-tools-widget:1.0",
        ]
    );
}

#[test]
fn names_are_made_of_the_last_two_parts_as_they_are_written_registries_included() {
    let names = Names::default();
    for (source, name) in [
        ("quay.io/tools/widget", "mirrored-tools-widget"),
        ("tools/widget", "mirrored-tools-widget"),
        ("registry.k8s.io/pause", "mirrored-registry.k8s.io-pause"),
        ("registry.example/a/b/c", "mirrored-b-c"),
        ("dp.apps.rancher.io/charts/curl", "appco-curl"),
    ] {
        assert_eq!(names.name(source).unwrap(), name);
    }
    let naming = MirrorNaming {
        template: Some("{registry}/{path}".to_owned()),
        rules: vec![NamingRule { registry: "apps.example".to_owned(), template: "app-{name}".to_owned() }],
    };
    let names = Names::read(&naming).unwrap();
    assert_eq!(names.name("apps.example/shelf/curl").unwrap(), "app-curl");
    assert_eq!(names.name("registry.corp:5000/team/app").unwrap(), "registry.corp/team/app");
    assert_eq!(names.name("team/app").unwrap(), "docker.io/team/app");
}

#[test]
fn a_source_that_no_name_can_be_made_of_is_an_error_that_names_the_entry() {
    let messages = problems(&spec(vec![entry("widget", &["1"]), entry("host:5000/widget", &["1"])]));
    insta::assert_snapshot!(messages.join("\n"), @r#"
    spec.entries[0].source: it has one part, and the name at the targets takes 2 parts ({org} and {name}); write library/widget or give targetName
    spec.entries[1].source: {org} would be "host:5000/widget", which has a port and cannot be part of a name; give targetName
    "#);
}

#[test]
fn a_source_is_not_mirrored_to_itself_and_docker_hub_may_be_left_out_of_its_name() {
    let own = MirrorEntry {
        target_name: Some("mirrored-tools-widget".to_owned()),
        ..entry("acme/mirrored-tools-widget", &["1"])
    };
    let rows = rows(&spec(vec![own]));
    assert_eq!(rows, ["acme/mirrored-tools-widget:1 -> registry.corp/mirror/mirrored-tools-widget:1"]);
}

#[test]
fn what_is_excluded_has_no_row_and_no_empty_image() {
    let all = MirrorEntry { excluded: true, ..entry("quay.io/a/all", &["1", "2"]) };
    let one = MirrorEntry { excluded_tags: vec!["1".to_owned()], ..entry("quay.io/a/one", &["1", "2"]) };
    let none = MirrorEntry { excluded_tags: vec!["1".to_owned()], ..entry("quay.io/a/none", &["1"]) };
    let spec = spec(vec![all, one, none]);
    assert_eq!(rows(&spec).len(), 2);
    let children = children(&spec);
    assert!(children.iter().all(|child| child.source == "quay.io/a/one" && child.selected.len() == 1));
    assert_eq!(children.len(), 2);
}

#[test]
fn an_excluded_tag_that_is_not_there_is_a_warning() {
    let typo = MirrorEntry { excluded_tags: vec!["1.00".to_owned()], ..entry("quay.io/a/b", &["1.0"]) };
    let warnings = inventory(&spec(vec![typo])).warnings;
    insta::assert_snapshot!(warnings[0], @r#"spec.entries[0].excludedTags: "1.00" is not among the tags, so leaving it out changes nothing"#);
}

#[test]
fn an_entry_goes_to_exactly_the_targets_that_it_names_else_to_the_default_ones() {
    let other = "other.corp/x";
    let spec = |targets: &[&str]| ImageMirrorSpec {
        targets: vec![target(HUB, true), target(CORP, false), target(other, false)],
        entries: vec![MirrorEntry {
            targets: targets.iter().map(|&target| target.to_owned()).collect(),
            ..entry("quay.io/a/b", &["1"])
        }],
        ..ImageMirrorSpec::default()
    };
    assert_eq!(rows(&spec(&[])), ["quay.io/a/b:1 -> docker.io/acme/mirrored-a-b:1"]);
    assert_eq!(rows(&spec(&[other])), ["quay.io/a/b:1 -> other.corp/x/mirrored-a-b:1"]);
    insta::assert_snapshot!(problems(&spec(&["nowhere.corp"]))[0], @r#"spec.entries[0].targets[0]: "nowhere.corp" is none of the targets (docker.io/acme, registry.corp/mirror, other.corp/x)"#);
    let mut without_default = spec(&[]);
    without_default.targets[0].default = false;
    insta::assert_snapshot!(problems(&without_default)[0], @"spec.entries[0].targets: it names no target, and no target is the default; give targets, or set default of one");
}

#[test]
fn the_order_of_entries_tags_and_spellings_of_a_source_changes_neither_images_nor_their_names() {
    let a = vec![entry("nginx/app", &["1", "2"]), entry("quay.io/a/b", &["x", "1.x"])];
    let b = vec![entry("quay.io/a/b", &["1.x", "x"]), entry("docker.io/nginx/app", &["2", "1"])];
    let (a, b) = (children(&spec(a)), children(&spec(b)));
    assert_eq!(a, b);
    let names: BTreeSet<String> = a.iter().map(|child| child.name("inventory")).collect();
    assert_eq!(names.len(), a.len());
}

#[test]
fn another_tag_changes_exactly_the_images_of_its_entry() {
    let before = vec![entry("quay.io/a/b", &["1"]), entry("quay.io/c/d", &["1"])];
    let mut after = before.clone();
    after[1].tags.push("2".to_owned());
    let (before, after) = (children(&spec(before)), children(&spec(after)));
    let changed: Vec<_> = after.iter().filter(|child| !before.contains(child)).map(|c| &c.source).collect();
    assert_eq!(changed, ["quay.io/c/d", "quay.io/c/d"]);
    assert!(before.iter().zip(&after).all(|(before, after)| before.name("m") == after.name("m")));
}

#[test]
fn a_name_is_short_legal_and_begins_with_the_mirror_however_long_both_are() {
    let long = format!("{}.{}", "inventory".repeat(8), "b");
    for (mirror, base) in
        [("m", "x__y"), (long.as_str(), "z"), ("m", &"w".repeat(120)), (&long, &"w".repeat(120))]
    {
        let entry = MirrorEntry { target_name: Some(base.to_owned()), ..entry("quay.io/a/b", &["1"]) };
        for child in children(&spec(vec![entry])) {
            let name = child.name(mirror);
            assert!(name.len() <= 52, "{name}");
            assert!(crate::spec_error::is_object_name(&name), "{name}");
            assert!(name.starts_with(mirror.get(..10).unwrap_or(mirror)), "{name}");
        }
    }
    assert!(mirror_label(&long).len() <= 63 && mirror_label("short") == "short");
}

#[test]
fn a_tag_that_two_sources_would_become_is_copied_of_neither_and_all_else_goes_on() {
    let same = |source: &str| MirrorEntry {
        target_name: Some("app".to_owned()),
        ..entry(source, &["1", "only-here"])
    };
    let mut first = same("quay.io/x/app");
    first.tags.push("2".to_owned());
    let mut second = same("ghcr.io/x/app");
    second.tags = vec!["1".to_owned()];
    let expansion = inventory(&spec(vec![first, second])).expand().unwrap();
    let conflicts: Vec<_> =
        expansion.conflicts.iter().map(|conflict| conflict.destination.as_str()).collect();
    assert_eq!(conflicts, ["docker.io/acme/app:1", "registry.corp/mirror/app:1"]);
    assert_eq!(expansion.conflicts[0].sources, ["ghcr.io/x/app:1", "quay.io/x/app:1"]);
    let copied: Vec<Vec<String>> =
        expansion.children.iter().map(|child| child.selected.iter().map(Selected::text).collect()).collect();
    assert_eq!(copied, [["2", "only-here"], ["2", "only-here"]]);
}

#[test]
fn entries_of_one_source_and_destination_are_merged_unless_they_contradict_each_other() {
    let merged = children(&spec(vec![entry("quay.io/a/b", &["1"]), entry("quay.io/a/b", &["2", "1"])]));
    assert!(merged.len() == 2 && merged.iter().all(|child| child.selected.len() == 2));
    let excluded = MirrorEntry { excluded: true, ..entry("quay.io/a/b", &["2"]) };
    let error = inventory(&spec(vec![entry("quay.io/a/b", &["1"]), excluded])).expand().unwrap_err();
    insta::assert_snapshot!(error.problems[0], @"spec.entries[1]: spec.entries[0] has the same source and destination, and excludes something else; make one entry of both");
}

#[test]
fn patterns_are_images_of_their_own_and_tags_that_they_select_are_theirs() {
    let one = ImageMirrorSpec {
        targets: vec![target(CORP, true)],
        ..spec(vec![entry("quay.io/a/b", &["1.x", ">=3 <4", "1.2", "latest", "2.0"])])
    };
    let children: Vec<_> = children(&one)
        .into_iter()
        .map(|child| {
            (child.version().is_some(), child.selected.iter().map(Selected::text).collect::<Vec<_>>())
        })
        .collect();
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        children,
        [(true, texts(&["1.x"])), (true, texts(&[">=3 <4"])), (false, texts(&["2.0", "latest"]))]
    );
}

#[test]
fn what_follows_its_source_is_an_image_beside_what_is_only_filled_up() {
    let follow = vec!["latest".to_owned(), "1.x".to_owned()];
    let entries = vec![entry("quay.io/a/b", &["1.x", "2.0", "latest"])];
    let mirror = ImageMirrorSpec { targets: vec![target(CORP, true)], follow, ..spec(entries) };
    let found = children(&mirror);
    let texts: Vec<_> = found.iter().map(|child| (child.selected[0].text(), child.follows)).collect();
    assert_eq!(texts, [("1.x".to_owned(), true), ("2.0".to_owned(), false), ("latest".to_owned(), true)]);
    assert!(found.iter().all(|child| child.name("m").ends_with("-f") == child.follows));
    let all = ImageMirrorSpec { sync: MirrorSync::Follow, ..mirror };
    assert!(children(&all).iter().all(|child| child.follows && !child.name("m").ends_with("-f")));
}

#[test]
fn a_name_that_the_mirror_gives_is_told_from_one_of_a_user_and_from_that_of_another_mirror() {
    let follow = vec!["latest".to_owned()];
    let entries = vec![entry("quay.io/a/some_app", &["2.0", "latest"])];
    let mirror = ImageMirrorSpec { targets: vec![target(CORP, true)], follow, ..spec(entries) };
    for child in children(&mirror) {
        let name = child.name("m");
        assert!(is_child_name(&name, "m", &child.destination), "{name}");
        for other in [format!("{name}-copy"), format!("{name}0"), format!("x{name}"), "mine".to_owned()] {
            assert!(!is_child_name(&other, "m", &child.destination), "{other}");
        }
        assert!(!is_child_name(&name, "n", &child.destination));
        assert!(!is_child_name(&name, "m", "r.example.com/elsewhere"));
    }
}

#[test]
fn a_digest_has_a_tag_of_its_own_that_registries_do_not_take_for_a_signature() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let rows = rows(&spec(vec![entry("quay.io/a/b", &[&digest, &format!("1@{digest}")])]));
    let pin = format!("pin-sha256-{}", "0".repeat(64));
    assert_eq!(rows[0], format!("quay.io/a/b@{digest} -> docker.io/acme/mirrored-a-b:{pin}"));
    assert_eq!(rows[1], format!("quay.io/a/b:1@{digest} -> docker.io/acme/mirrored-a-b:1"));
}

#[test]
fn the_tags_of_files_are_exact_and_their_targets_join_those_of_the_spec() {
    let part = FilePart {
        file: "ConfigMap acme, key config.yaml".to_owned(),
        targets: vec![target(HUB, true), target("file.corp/x", true)],
        entries: vec![FileEntry { line: 7, entry: entry("quay.io/a/b", &["1.x"]) }],
    };
    let spec = ImageMirrorSpec { targets: vec![target(HUB, false)], ..ImageMirrorSpec::default() };
    let inventory = Inventory::read(&spec, std::slice::from_ref(&part)).unwrap();
    let children = inventory.expand().unwrap().children;
    assert_eq!(children.len(), 2);
    assert!(children.iter().all(|child| child.version().is_none()));
    let wrong =
        FilePart { entries: vec![FileEntry { line: 9, entry: entry("quay.io/a/b:1", &["1"]) }], ..part };
    let error = Inventory::read(&spec, &[wrong]).unwrap_err();
    assert!(error.to_string().starts_with("ConfigMap acme, key config.yaml, line 9: "), "{error}");
}

#[test]
fn every_problem_is_reported_with_its_field() {
    let mut spec = spec(vec![
        entry("quay.io/a/b:1", &["1"]),
        entry("quay.io/a/c", &["1", "1", "x y"]),
        entry("quay.io/a/d", &[]),
        MirrorEntry { target_name: Some("Upper".to_owned()), ..entry("quay.io/a/e", &["1"]) },
    ]);
    spec.naming.template = Some("{host}-{name}".to_owned());
    spec.targets.push(target(HUB, false));
    insta::assert_snapshot!(problems(&spec).join("\n"));
}

fn image_specs(spec: &ImageMirrorSpec) -> Vec<crate::api::ImageSpec> {
    let inventory = inventory(spec);
    let children = inventory.expand().unwrap().children;
    children.iter().map(|child| inventory.image_spec(child, spec)).collect()
}

#[test]
fn an_image_that_fills_up_replaces_no_tag_and_one_that_follows_does() {
    let one = |sync| ImageMirrorSpec {
        targets: vec![target(CORP, true)],
        sync,
        platforms: vec!["linux/amd64".to_owned()],
        min_age: Some("3d".to_owned()),
        ..spec(vec![entry("quay.io/a/b", &["1", "2"])])
    };
    let specs = [MirrorSync::Missing, MirrorSync::Follow].map(|sync| image_specs(&one(sync)).remove(0));
    insta::assert_snapshot!(serde_saphyr::to_string(&specs).unwrap());
    for spec in &specs {
        crate::copy::CopyRequest::parse(spec).unwrap();
    }
}

#[test]
fn the_longest_prefix_says_how_a_source_is_reached_and_a_target_how_it_is_written() {
    use crate::api::{Credentials, MirrorSource, Overwrite, Publish};
    let secret = |name: &str| Some(Credentials { secret_name: name.to_owned() });
    let source = |registry: &str| MirrorSource {
        registry: registry.to_owned(),
        credentials: secret(&registry.replace('/', "-")),
        ..MirrorSource::default()
    };
    let mut mirror = spec(vec![entry("quay.io/team/b", &["1"]), entry("quay.io/teams/c", &["1"])]);
    mirror.sources = ["quay.io", "quay.io/team", "ghcr.io"].map(source).to_vec();
    mirror.targets = vec![MirrorTarget {
        credentials: secret("push"),
        publish: Publish::Direct,
        overwrite: Some(Overwrite::IfDifferent),
        ..target(CORP, true)
    }];
    let specs = image_specs(&mirror);
    let names: Vec<_> = specs.iter().map(|spec| spec.source.credentials.clone()).collect();
    assert_eq!(names, [secret("quay.io-team"), secret("quay.io")]);
    let destination = &specs[0].destination;
    assert_eq!((destination.credentials.clone(), destination.publish), (secret("push"), Publish::Direct));
    assert!(destination.overwrite == Overwrite::IfDifferent && specs[0].source.immutable_tags.is_empty());
}
