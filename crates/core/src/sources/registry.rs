//! Which of a repository's tags count. Pure.

use std::collections::BTreeMap;

use imgop_registry::reference::Tag;

use super::tag_regex::TagRegex;
use crate::selection::{TagVersion, by_version};

/// Which tags of a repository count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryTags {
    /// Has to be found in the tag.
    pub filter: Option<TagRegex>,
    /// Which of these are taken.
    pub pick: Pick,
    /// Whether each entry has the tags of its own repository. Else all have those of the first one.
    pub is_each: bool,
}

/// Which tags are taken of those that the filter leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pick {
    /// All of them.
    #[default]
    All,
    /// The newest version, as it is written.
    Latest,
    /// The tag that was pushed last.
    LatestEntry,
    /// Of tags such as `2.1.0-1.10` the newest revision of each version.
    LatestRevision,
}

impl RegistryTags {
    /// Returns the tags that the filter leaves. Tags that name a digest are no versions.
    pub fn filtered<'t>(&self, tags: &'t [Tag]) -> Vec<&'t Tag> {
        let is_wanted = |tag: &&Tag| {
            let text = tag.as_str();
            !text.contains("sha256") && self.filter.as_ref().is_none_or(|filter| filter.is_in(text))
        };
        tags.iter().filter(is_wanted).collect()
    }

    /// Returns those that are taken; all of them for [`Pick::LatestEntry`], which tags alone cannot tell.
    pub fn picked(&self, tags: Vec<&Tag>) -> Vec<Tag> {
        match self.pick {
            Pick::All | Pick::LatestEntry => tags.into_iter().cloned().collect(),
            Pick::Latest => {
                let versions = tags.into_iter().filter(|tag| TagVersion::read(tag).is_some());
                versions.max_by(|a, b| by_version(a, b)).into_iter().cloned().collect()
            }
            Pick::LatestRevision => newest_revisions(&tags),
        }
    }
}

fn newest_revisions(tags: &[&Tag]) -> Vec<Tag> {
    let mut newest: BTreeMap<&str, (&Tag, Tag)> = BTreeMap::new();
    for tag in tags {
        let split = tag.as_str().rsplit_once('-').filter(|(version, _)| !version.is_empty());
        let Some((version, Ok(revision))) = split.map(|(version, text)| (version, text.parse::<Tag>()))
        else {
            continue;
        };
        if !TagVersion::read(&revision).is_some_and(|read| !read.v_prefix && read.suffix.is_empty()) {
            continue;
        }
        let is_newer = |(_, known): &(&Tag, Tag)| by_version(&revision, known).is_gt();
        if newest.get(version).is_none_or(is_newer) {
            newest.insert(version, (tag, revision));
        }
    }
    newest.into_values().map(|(tag, _)| tag.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(rule: &RegistryTags, tags: &[&str]) -> Vec<String> {
        let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        rule.picked(rule.filtered(&tags)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_newest_tag_is_taken_as_it_is_written() {
        let rule = RegistryTags { pick: Pick::Latest, ..RegistryTags::default() };
        assert_eq!(picked(&rule, &["v1.10.0", "v1.9.3", "1.10", "latest"]), ["v1.10.0"]);
        assert_eq!(picked(&rule, &["1.9", "1.10", "latest"]), ["1.10"]);
        assert_eq!(picked(&rule, &["latest"]), [""; 0]);
    }

    #[test]
    fn the_newest_revision_of_each_version_is_taken() {
        let rule = RegistryTags { pick: Pick::LatestRevision, ..RegistryTags::default() };
        let tags = ["2.1.0-1.3", "2.1.0-1.10", "2.0.9-4.2", "2.0.9", "latest", "2.1.0-dev", "2.0.9-v5"];
        assert_eq!(picked(&rule, &tags), ["2.0.9-4.2", "2.1.0-1.10"]);
    }

    #[test]
    fn the_filter_is_searched_for_anywhere_and_tags_of_digests_never_count() {
        let rule = RegistryTags { filter: Some("[.]9".parse().unwrap()), ..RegistryTags::default() };
        assert_eq!(picked(&rule, &["v1.10.0", "v1.9.3", "sha256-1.9"]), ["v1.9.3"]);
    }
}
