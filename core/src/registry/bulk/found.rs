//! What the pages have told of the tags that are wanted.

use std::collections::{HashMap, HashSet};

use crate::reference::Digest;
use crate::tags::Tag;

#[derive(Debug)]
pub(super) struct Found<'a> {
    wanted: &'a HashSet<Tag>,
    /// None for tags that were named and yet have to be asked for.
    told: HashMap<Tag, Option<Digest>>,
    /// How many pages were read.
    pub(super) pages: usize,
}

impl<'a> Found<'a> {
    pub(super) fn new(wanted: &'a HashSet<Tag>) -> Self {
        Self { wanted, told: HashMap::new(), pages: 0 }
    }

    /// Takes what a page says. A tag without a digest, or that moved to another page and has another
    /// digest there, is not known.
    pub(super) fn add(&mut self, page: Vec<(String, Option<String>)>) {
        self.pages += 1;
        for (name, digest) in page {
            let Some(tag) = name.parse().ok().filter(|tag| self.wanted.contains(tag)) else { continue };
            let digest: Option<Digest> = digest.and_then(|digest| digest.parse().ok());
            let known = self.told.entry(tag).or_insert_with(|| digest.clone());
            if *known != digest {
                *known = None;
            }
        }
    }

    pub(super) fn is_all(&self) -> bool {
        self.told.len() == self.wanted.len()
    }

    pub(super) fn into_digests(self) -> HashMap<Tag, Digest> {
        self.told.into_iter().filter_map(|(tag, digest)| Some((tag, digest?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_told_in_two_ways_is_not_known() {
        let wanted: HashSet<Tag> = ["1", "2", "3"].iter().map(|t| t.parse().unwrap()).collect();
        let of = |content: &str| Some(Digest::of(content.as_bytes()).to_string());
        let mut found = Found::new(&wanted);
        found.add(vec![("1".into(), of("a")), ("2".into(), of("a")), ("other".into(), of("a"))]);
        found.add(vec![("2".into(), of("b")), ("$(id)".into(), of("a")), ("1".into(), of("a"))]);
        assert!(!found.is_all());
        found.add(vec![("3".into(), Some("sha256:../../x".into()))]);
        assert!(found.is_all());
        let digests = found.into_digests();
        assert_eq!(digests, HashMap::from([("1".parse().unwrap(), Digest::of(b"a"))]));
    }
}
