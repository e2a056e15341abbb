use super::*;
use crate::api::{ImageMirrorSpec, MirrorEntry, MirrorTarget, UpdateSource};

fn entry(source: &str, tags: &[&str]) -> MirrorEntry {
    let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
    MirrorEntry { source: source.to_owned(), tags, ..MirrorEntry::default() }
}

fn inventory(entries: Vec<MirrorEntry>) -> Inventory {
    let target =
        MirrorTarget { repository: "registry.corp".to_owned(), default: true, ..MirrorTarget::default() };
    let spec = ImageMirrorSpec { targets: vec![target], entries, ..ImageMirrorSpec::default() };
    Inventory::read(&spec, &[]).unwrap()
}

fn found(source: &str, tags: &[&str]) -> FoundImage {
    let entry = EntryRef { source: Source::parse(source).unwrap(), target_name: None };
    FoundImage { entry, tags: tags.iter().map(|&tag| tag.to_owned()).collect() }
}

fn update(from: UpdateSource) -> MirrorUpdate {
    MirrorUpdate {
        name: "widget".to_owned(),
        from,
        entries: vec![UpdatedEntry { source: "quay.io/tools/widget".to_owned(), target_name: None }],
        mode: UpdateMode::Apply,
        frequency: "6h".to_owned(),
    }
}

#[test]
fn what_no_entry_has_is_missing_and_is_so_no_more_once_it_is_added() {
    let excluded =
        MirrorEntry { excluded_tags: vec!["v9".to_owned()], ..entry("quay.io/a/b", &["v9", "v1", "2.x"]) };
    let mut inventory = inventory(vec![excluded, entry("quay.io/c/d", &["v1"])]);
    let found =
        [found("quay.io/a/b", &["v9", "v3", "v1", "2.4", "v3"]), found("quay.io/not/listed", &["v1"])];
    let missing = inventory.missing(&found);
    assert_eq!(missing.iter().flat_map(MissingTags::references).collect::<Vec<_>>(), ["quay.io/a/b:v3"]);
    inventory.add(&missing);
    assert!(inventory.missing(&found).is_empty());
    assert!(inventory.rows().iter().any(|row| row.source == "quay.io/a/b:v3"));
}

#[test]
fn an_excluded_entry_lacks_nothing() {
    let inventory = inventory(vec![MirrorEntry { excluded: true, ..entry("quay.io/a/b", &["v1"]) }]);
    assert!(inventory.missing(&[found("quay.io/a/b", &["v2"])]).is_empty());
}

#[test]
fn an_update_is_read_with_its_rule_its_period_and_what_becomes_of_it() {
    let release = GithubReleaseSource {
        owner: "tools".to_owned(),
        repository: "widget".to_owned(),
        latest_only: false,
        version_regex: Some("^v(.*)".to_owned()),
        version_constraint: Some(">1.8".to_owned()),
        token_secret_name: Some("github".to_owned()),
    };
    let from = UpdateSource { github_release: Some(release), ..UpdateSource::default() };
    let read = MirrorUpdateRequest::read_all(&[update(from)]).unwrap().remove(0);
    assert_eq!((read.mode, read.period), (UpdateMode::Apply, Duration::from_hours(6)));
    assert_eq!(read.token_secret.as_deref(), Some("github"));
    let VersionSource::GithubRelease(GithubRelease { rule, .. }) = read.update.source else {
        panic!("another source")
    };
    assert!(rule.regex.is_some() && rule.constraint.is_some());
}

#[test]
fn each_mistake_of_an_update_names_its_field() {
    let registry = |filter: &str| UpdateSource {
        registry: Some(RegistryTagsSource {
            version_filter: Some(filter.to_owned()),
            ..RegistryTagsSource::default()
        }),
        ..UpdateSource::default()
    };
    let without_entries = MirrorUpdate { entries: Vec::new(), ..update(registry("^v")) };
    let one_part = UpdatedEntry { source: "widget".to_owned(), target_name: None };
    let one_part = MirrorUpdate { entries: vec![one_part], ..update(registry("^v")) };
    let often = MirrorUpdate { frequency: "often".to_owned(), ..update(registry("^v")) };
    let updates = [update(UpdateSource::default()), update(registry("(")), without_entries, one_part, often];
    let problems = MirrorUpdateRequest::read_all(&updates).unwrap_err().problems;
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(problems.join("\n"));
}

#[test]
fn what_was_added_once_stays_as_long_as_an_update_names_its_entry() {
    let tags: Vec<Tag> = ["v2", "v3"].map(|tag| tag.parse().unwrap()).to_vec();
    let registry = UpdateSource { registry: Some(RegistryTagsSource::default()), ..UpdateSource::default() };
    let applied = MirrorUpdateRequest::read_all(&[update(registry)]).unwrap();
    let before = inventory(vec![entry("quay.io/tools/widget", &["v1", "v2"])]);
    let child = before.expand().unwrap().children.remove(0);
    assert!(child.found.is_empty());

    let mut with = before.clone();
    with.restore(&child.source, &child.destination, &tags, &applied);
    let again = with.expand().unwrap().children.remove(0);
    assert_eq!(again.found, tags[1..], "v2 is the inventory's own");
    assert_eq!(again.selected.len(), 3);
    assert_eq!(again.name("m"), child.name("m"));

    let proposed = MirrorUpdateRequest { mode: UpdateMode::Propose, ..applied[0].clone() };
    let mut kept = before.clone();
    kept.restore(&child.source, &child.destination, &tags, &[proposed]);
    assert_eq!(kept, with);
    let mut without = before.clone();
    without.restore(&child.source, &child.destination, &tags, &[]);
    assert_eq!(without, before);
}
