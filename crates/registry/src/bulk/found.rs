//! What the pages have told of the tags that are wanted.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::api::Told;
use crate::reference::Digest;
use crate::reference::Tag;

/// What a bulk API told of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkDigest {
    /// What it points at.
    pub digest: Digest,
    /// When it was pushed with that content, if that was told.
    pub pushed: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct Found<'a> {
    wanted: &'a HashSet<Tag>,
    /// None for tags that were named and yet have to be asked for.
    told: HashMap<Tag, Option<BulkDigest>>,
    /// How many pages were read.
    pub(super) pages: usize,
}

impl<'a> Found<'a> {
    pub(super) fn new(wanted: &'a HashSet<Tag>) -> Self {
        Self { wanted, told: HashMap::new(), pages: 0 }
    }

    /// Takes what a page says. A tag without a digest, or that moved to another page and has another
    /// digest there, is not known.
    pub(super) fn add(&mut self, page: Vec<Told>) {
        self.pages += 1;
        for told in page {
            let Some(tag) = told.name.parse().ok().filter(|tag| self.wanted.contains(tag)) else { continue };
            let digest: Option<Digest> = told.digest.and_then(|digest| digest.parse().ok());
            let told = digest.map(|digest| BulkDigest { digest, pushed: told.pushed });
            let known = self.told.entry(tag).or_insert_with(|| told.clone());
            if *known != told {
                *known = None;
            }
        }
    }

    pub(super) fn is_all(&self) -> bool {
        self.told.len() == self.wanted.len()
    }

    pub(super) fn into_digests(self) -> HashMap<Tag, BulkDigest> {
        self.told.into_iter().filter_map(|(tag, digest)| Some((tag, digest?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_told_in_two_ways_is_not_known() {
        let wanted: HashSet<Tag> = ["1", "2", "3"].iter().map(|t| t.parse().unwrap()).collect();
        let told = |name: &str, digest: Option<String>| Told { name: name.to_owned(), digest, pushed: None };
        let of = |content: &str| Some(Digest::of(content.as_bytes()).to_string());
        let mut found = Found::new(&wanted);
        found.add(vec![told("1", of("a")), told("2", of("a")), told("other", of("a"))]);
        found.add(vec![told("2", of("b")), told("$(id)", of("a")), told("1", of("a"))]);
        assert!(!found.is_all());
        found.add(vec![told("3", Some("sha256:../../x".into()))]);
        assert!(found.is_all());
        let digests = found.into_digests();
        assert_eq!(
            digests,
            HashMap::from([("1".parse().unwrap(), BulkDigest { digest: Digest::of(b"a"), pushed: None })])
        );
    }
}
