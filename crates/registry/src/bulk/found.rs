//! What the pages say of the wanted tags.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::page::PageEntry;
use crate::reference::{Digest, Tag};

/// What a bulk API says of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkDigest {
    /// The digest that the tag points at.
    pub digest: Digest,
    /// When it was pushed with that content, if the API says so.
    pub pushed: Option<Timestamp>,
    /// The bytes of its layers as they are sent, of all its platforms together, if the API says so.
    pub size: Option<u64>,
    /// Its platforms, such as `linux/arm/v7`; none if the API does not say them.
    pub platforms: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Found<'a> {
    wanted: &'a HashSet<Tag>,
    /// `None` for tags that appear without a digest or with two.
    by_tag: HashMap<Tag, Option<BulkDigest>>,
    /// Pages that were read.
    pub(super) pages: usize,
}

impl<'a> Found<'a> {
    pub(super) fn new(wanted: &'a HashSet<Tag>) -> Self {
        Self { wanted, by_tag: HashMap::new(), pages: 0 }
    }

    /// Adds a page. A tag without a digest, or that moved to another page and has another digest there,
    /// stays unknown.
    pub(super) fn add(&mut self, page: Vec<PageEntry>) {
        self.pages += 1;
        for entry in page {
            let Some(tag) = entry.name.parse().ok().filter(|tag| self.wanted.contains(tag)) else { continue };
            let digest: Option<Digest> = entry.digest.as_ref().and_then(|digest| digest.parse().ok());
            let PageEntry { pushed, size, platforms, .. } = entry;
            let found = digest.map(|digest| BulkDigest { digest, pushed, size, platforms });
            let known = self.by_tag.entry(tag).or_insert_with(|| found.clone());
            if *known != found {
                *known = None;
            }
        }
    }

    pub(super) fn is_all(&self) -> bool {
        self.by_tag.len() == self.wanted.len()
    }

    pub(super) fn into_digests(self) -> HashMap<Tag, BulkDigest> {
        self.by_tag.into_iter().filter_map(|(tag, digest)| Some((tag, digest?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_without_a_digest_or_with_two_is_not_known() {
        let wanted: HashSet<Tag> = ["1", "2", "3"].iter().map(|t| t.parse().unwrap()).collect();
        let entry = |name: &str, digest: Option<String>| PageEntry {
            name: name.to_owned(),
            digest,
            ..PageEntry::default()
        };
        let of = |content: &str| Some(Digest::of(content.as_bytes()).to_string());
        let mut found = Found::new(&wanted);
        found.add(vec![entry("1", of("a")), entry("2", of("a")), entry("other", of("a"))]);
        found.add(vec![entry("2", of("b")), entry("$(id)", of("a")), entry("1", of("a"))]);
        assert!(!found.is_all());
        found.add(vec![entry("3", Some("sha256:../../x".into()))]);
        assert!(found.is_all());
        let digests = found.into_digests();
        assert_eq!(
            digests,
            HashMap::from([(
                "1".parse().unwrap(),
                BulkDigest { digest: Digest::of(b"a"), pushed: None, size: None, platforms: Vec::new() }
            )])
        );
    }
}
