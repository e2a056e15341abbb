//! Tags of registries.

use imgop_core::sources::{FindError, Pick, RegistryTags, VersionSource};
use imgop_fakes::Catalog;

use crate::world::{World, update};

fn source(rule: RegistryTags) -> VersionSource {
    VersionSource::Registry(rule)
}

/// Registries of the fakes have no TLS; their address is a loopback one, which is asked without.
async fn tags_of(names: &[&str], rule: RegistryTags) -> Result<Vec<String>, FindError> {
    let tags: Vec<(&str, &str)> = names.iter().map(|name| (*name, "{}")).collect();
    let registry = Catalog::default().with("tools/widget", &tags).start().await;
    let world = World::without_github().await;
    let update = update(source(rule), &[&format!("{}/tools/widget", registry.address)]);
    Ok(world.find(&update).await?.images.remove(0).tags)
}

#[tokio::test]
async fn the_newest_tag_is_found_as_it_is_written() {
    let latest = || RegistryTags { pick: Pick::Latest, ..RegistryTags::default() };
    assert_eq!(tags_of(&["v1.10.0", "v1.9.3", "1.10"], latest()).await.unwrap(), ["v1.10.0"]);
    assert_eq!(tags_of(&["1.9", "1.10", "latest", "sha256-1"], latest()).await.unwrap(), ["1.10"]);
}

#[tokio::test]
async fn the_newest_revision_of_each_version_is_found() {
    let rule = RegistryTags { pick: Pick::LatestRevision, ..RegistryTags::default() };
    let tags = ["2.1.0-1.3", "2.1.0-1.10", "2.0.9-4.2"];
    assert_eq!(tags_of(&tags, rule).await.unwrap(), ["2.0.9-4.2", "2.1.0-1.10"]);
}

#[tokio::test]
async fn a_filter_that_leaves_nothing_is_a_mistake() {
    let rule = RegistryTags { filter: Some("^v3".parse().unwrap()), ..RegistryTags::default() };
    let error = tags_of(&["v1.0"], rule).await.unwrap_err().to_string();
    assert!(error.starts_with("no tag of ") && error.ends_with(" is selected; check the filter"), "{error}");
}

#[tokio::test]
async fn the_list_of_the_first_image_counts_for_all_unless_each_has_its_own() {
    let registry =
        Catalog::default().with("a/one", &[("1", "{}")]).with("a/two", &[("2", "{}")]).start().await;
    let images = ["a/one", "a/two"].map(|path| format!("{}/{path}", registry.address));
    let images = [images[0].as_str(), images[1].as_str()];
    let world = World::without_github().await;
    let tags = async |rule: RegistryTags| {
        let found = world.find(&update(source(rule), &images)).await.unwrap();
        found.images.into_iter().map(|image| image.tags.concat()).collect::<Vec<_>>()
    };
    assert_eq!(tags(RegistryTags::default()).await, ["1", "1"]);
    assert_eq!(tags(RegistryTags { is_each: true, ..RegistryTags::default() }).await, ["1", "2"]);
}

#[tokio::test]
async fn the_latest_entry_is_the_tag_that_was_pushed_last_and_an_error_where_that_is_not_known() {
    let registry = Catalog::default().with("a/one", &[("2", "{}"), ("1", "{}")]).start().await;
    let rule = RegistryTags { pick: Pick::LatestEntry, ..RegistryTags::default() };
    let update = update(source(rule), &[&format!("{}/a/one", registry.address)]);
    let mut world = World::without_github().await;
    assert!(matches!(world.find(&update).await, Err(FindError::NoTimes(_))));
    for (tag, time) in [("1", "2026-09-02T00:00:00Z"), ("2", "2026-09-01T00:00:00Z")] {
        world.pushed.insert(tag.parse().unwrap(), time.parse().unwrap());
    }
    assert_eq!(world.find(&update).await.unwrap().images[0].tags, ["1"]);
}
