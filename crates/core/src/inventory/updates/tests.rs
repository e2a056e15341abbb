use std::time::Duration;

use super::*;
use crate::api::{
    ChartSource, ChartTier, GithubReleaseSource, GithubReleases, HelmChartSource, ImageMirrorSpec,
    MirrorEntry, MirrorTarget, MirrorUpdate, RegistryTagsSource, UpdateMode, UpdateSource, UpdatedEntry,
};
use crate::sources::{ChartLocation, GithubRelease, ImageTier, VersionSource};

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
    assert_eq!(missing.iter().flat_map(Addition::references).collect::<Vec<_>>(), ["quay.io/a/b:v3"]);
    assert!(inventory.add(missing).is_empty());
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
    let releases = GithubReleases {
        owner: "tools".to_owned(),
        repository: "widget".to_owned(),
        version_regex: Some("^v(.*)".to_owned()),
        version_constraint: Some(">1.8".to_owned()),
        token_secret_name: Some("github".to_owned()),
    };
    let release = GithubReleaseSource { releases, latest_only: false };
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
    let chart = |name: &str, version: &str| ChartSource {
        name: name.to_owned(),
        version: Some(version.to_owned()),
        ..ChartSource::default()
    };
    let charts = vec![chart("oci://r.example.com/web", "1.2.3"), chart("web", "newest")];
    let repository = Some("https://charts.example.com".to_owned());
    let helm = HelmChartSource { repository, charts, ..HelmChartSource::default() };
    let helm = update(UpdateSource { helm_chart: Some(helm), ..UpdateSource::default() });
    let updates =
        [update(UpdateSource::default()), update(registry("(")), without_entries, one_part, often, helm];
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
    let there = [KeptTags { source: &child.source, destination: &child.destination, tags: &tags }];
    assert!(with.restore(&there, &applied).is_empty());
    let again = with.expand().unwrap().children.remove(0);
    assert_eq!(again.found, tags[1..], "v2 is the inventory's own");
    assert_eq!(again.selected.len(), 3);
    assert_eq!(again.name("m"), child.name("m"));

    let proposed = MirrorUpdateRequest { mode: UpdateMode::Propose, ..applied[0].clone() };
    let mut kept = before.clone();
    kept.restore(&there, &[proposed]);
    assert_eq!(kept, with);
    let mut without = before.clone();
    without.restore(&there, &[]);
    assert_eq!(without, before);
}

#[test]
fn charts_are_read_with_their_tiers_versions_and_environments() {
    let chart = ChartSource {
        name: "web".to_owned(),
        version: Some("~1.2".to_owned()),
        additional_versions: vec!["1.0.0".to_owned()],
        ..ChartSource::default()
    };
    let helm = HelmChartSource {
        repository: Some("https://charts.example.com".to_owned()),
        charts: vec![chart],
        images_from: vec![ChartTier::Template],
        kube_version: Some("1.33".to_owned()),
        ..HelmChartSource::default()
    };
    let from = UpdateSource { helm_chart: Some(helm.clone()), ..UpdateSource::default() };
    let any_entry = MirrorUpdate { entries: Vec::new(), ..update(from) };
    let read = MirrorUpdateRequest::read_all(&[any_entry]).unwrap().remove(0);
    assert_eq!(read.update.entries, None);
    let VersionSource::HelmChart(charts) = read.update.source else { panic!("another source") };
    assert_eq!(charts.location, ChartLocation::Repository("https://charts.example.com".to_owned()));
    assert_eq!(charts.images_from, [ImageTier::Template]);
    let versions: Vec<_> = charts.runs().into_iter().map(|run| (run.version, run.kube_version)).collect();
    let expected = ["~1.2", "1.0.0"].map(|version| (Some(version.to_owned()), Some("1.33".to_owned())));
    assert_eq!(versions, expected);

    let many = ChartSource { additional_versions: vec!["1.0.0".to_owned(); 8], ..helm.charts[0].clone() };
    let helm = HelmChartSource { charts: vec![many; 8], ..helm };
    let from = UpdateSource { helm_chart: Some(helm), ..UpdateSource::default() };
    let error = MirrorUpdateRequest::read_all(&[update(from)]).unwrap_err().to_string();
    assert!(error.starts_with("spec.updates: charts are looked at 72 times"), "{error}");
}

#[test]
fn an_entry_that_is_named_and_not_there_is_known_and_so_is_an_image_without_an_entry() {
    let other =
        MirrorEntry { target_name: Some("other".to_owned()), ..entry("quay.io/tools/widget", &["v1"]) };
    let inventory = inventory(vec![other, entry("docker.io/library/nginx", &["1"])]);
    let registry = UpdateSource { registry: Some(RegistryTagsSource::default()), ..UpdateSource::default() };
    let named = MirrorUpdateRequest::read_all(&[update(registry)]).unwrap().remove(0).update;
    let found =
        [found("quay.io/tools/widget", &["v2"]), found("library/nginx", &["2"]), found("a/none", &["1"])];
    let reached = inventory.reached(&named, &found[..1]);
    assert_eq!((reached.images.len(), &reached.unknown[..]), (0, &["quay.io/tools/widget".to_owned()][..]));

    // Without names it is each entry with the source, however it is written or called.
    let reached = inventory.reached(&Update { entries: None, ..named }, &found);
    assert_eq!(reached.unknown, ["a/none"]);
    let missing = inventory.missing(&reached.images);
    let missing: Vec<_> = missing.iter().map(|one| (one.entry.effective_name(), one.tags.concat())).collect();
    let expected = [("mirrored-library-nginx", "2"), ("other", "v2")];
    assert_eq!(missing, expected.map(|(name, tags)| (name.to_owned(), tags.to_owned())));
}

#[test]
fn what_would_make_more_tags_than_an_entry_may_get_is_not_added_and_returned() {
    let mut inventory = inventory(vec![entry("quay.io/a/b", &["v1"]), entry("quay.io/c/d", &["v1"])]);
    let many: Vec<String> = (0..1_000).map(|n| format!("w{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let thousand = inventory.missing(&[found("quay.io/a/b", &many)]);
    assert_eq!(inventory.add(thousand), []);
    let missing = inventory.missing(&[found("quay.io/a/b", &["x1"]), found("quay.io/c/d", &["x1"])]);
    assert_eq!(inventory.add(missing.clone()), missing[..1], "the other entry gets its own");
    assert_eq!(inventory.missing(&[found("quay.io/c/d", &["x1"])]), []);
}

#[test]
fn tags_beside_which_a_pattern_could_not_be_kept_apart_stop_nothing() {
    let name = "starred".to_owned();
    let star = MirrorEntry { target_name: Some(name.clone()), ..entry("quay.io/a/b", &["*"]) };
    let pinned = MirrorEntry { tags: vec!["pinned".to_owned()], ..star.clone() };
    let target =
        MirrorTarget { repository: "registry.corp".to_owned(), default: true, ..MirrorTarget::default() };
    let spec = ImageMirrorSpec {
        targets: vec![target],
        entries: vec![star, pinned, entry("quay.io/a/b", &["v1"])],
        follow: vec!["*".to_owned()],
        ..ImageMirrorSpec::default()
    };
    let mut inventory = Inventory::read(&spec, &[]).unwrap();
    let long: Vec<String> = (0..60).map(|n| format!("{n}-{}", "x".repeat(100))).collect();
    let of = |target_name: Option<String>| FoundImage {
        entry: EntryRef { source: Source::parse("quay.io/a/b").unwrap(), target_name },
        tags: long.clone(),
    };
    let missing = inventory.missing(&[of(Some(name.clone()))]);
    assert_eq!(inventory.add(missing.clone()), missing);
    assert!(inventory.expand().is_ok());
    let elsewhere = inventory.missing(&[of(None)]);
    assert_eq!((elsewhere.len(), inventory.add(elsewhere)), (1, Vec::new()));

    // What was added before is no other thing.
    let registry = UpdateSource { registry: Some(RegistryTagsSource::default()), ..UpdateSource::default() };
    let named = vec![UpdatedEntry { source: "quay.io/a/b".to_owned(), target_name: Some(name) }];
    let updates =
        MirrorUpdateRequest::read_all(&[MirrorUpdate { entries: named, ..update(registry) }]).unwrap();
    let before: Vec<Tag> = long.iter().map(|tag| tag.parse().unwrap()).collect();
    let child =
        inventory.expand().unwrap().children.into_iter().find(|child| child.found.is_empty()).unwrap();
    let kept = KeptTags { source: &child.source, destination: &child.destination, tags: &before };
    let refused = inventory.restore(&[kept], &updates);
    assert!(
        refused.iter().all(|(name, refused)| name == "widget" && refused.tags.len() == 60)
            && !refused.is_empty()
    );
    assert!(inventory.expand().is_ok());
}
