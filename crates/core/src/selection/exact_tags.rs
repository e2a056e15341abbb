//! What `source.tags` holds: tags one by one, which are never listed at the source.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

use imgop_registry::reference::{ReferenceError, Tag};

use super::SourceRef;
use super::order::by_version;

/// What `source.tags` holds, each tag once, the newest version first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExactTags(Box<[SourceRef]>);

/// Why texts are no exact tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExactTagsError {
    /// One of them is neither a tag nor a digest.
    #[error("{0}; write a tag (1.27), a tag with its content (1.27@sha256:…), or a digest (sha256:…)")]
    Reference(#[from] ReferenceError),
    /// Two of them are one tag of the destination.
    #[error("{0:?} and {1:?} are one tag at the destination; leave one of them out")]
    Twice(String, String),
}

/// How many of them a text names.
const MAX_NAMED: usize = 3;

impl ExactTags {
    /// Reads them: `TAG`, `TAG@sha256:…` for this content under this tag, `sha256:…` for this content under
    /// its pin tag.
    pub fn new(texts: &[String]) -> Result<Self, ExactTagsError> {
        let mut seen: HashMap<Tag, &str> = HashMap::with_capacity(texts.len());
        let mut all = Vec::with_capacity(texts.len());
        for text in texts {
            let one = match text.parse()? {
                SourceRef::Digest(digest) => SourceRef::under_pin_tag(digest)?,
                one => one,
            };
            if let Some(name) = one.name()
                && let Some(before) = seen.insert(name.clone(), text)
            {
                return Err(ExactTagsError::Twice(before.to_owned(), text.clone()));
            }
            all.push(one);
        }
        all.sort_by(newest_first);
        Ok(Self(all.into()))
    }

    /// Returns each.
    pub fn iter(&self) -> impl Iterator<Item = &SourceRef> {
        self.0.iter()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the one that has this tag, before `destination.version` is applied.
    pub fn named(&self, tag: &Tag) -> Option<&SourceRef> {
        self.0.iter().find(|one| one.name() == Some(tag))
    }

    /// Returns all of them as one text, which two that are equal share.
    pub fn joined(&self) -> String {
        let texts: Vec<String> = self.0.iter().map(SourceRef::recorded).collect();
        texts.join(",")
    }
}

fn newest_first(one: &SourceRef, other: &SourceRef) -> Ordering {
    match (one.name(), other.name()) {
        (Some(one), Some(other)) => by_version(other, one),
        _ => Ordering::Equal,
    }
}

impl fmt::Display for ExactTags {
    /// Writes the first ones, and how many there are besides.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&few_of(&self.0))
    }
}

/// Returns a list as one text: the first entries, and how many there are besides.
pub fn few_of<T: ToString>(all: &[T]) -> String {
    let named = if all.len() <= MAX_NAMED + 1 { all } else { &all[..MAX_NAMED] };
    let texts: Vec<String> = named.iter().map(ToString::to_string).collect();
    match all.len() - named.len() {
        0 => texts.join(", "),
        more => format!("{} and {more} more", texts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use imgop_registry::reference::Digest;

    use super::*;

    fn tags(texts: &[&str]) -> Result<ExactTags, String> {
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        ExactTags::new(&texts).map_err(|error| error.to_string())
    }

    #[test]
    fn the_order_in_which_they_are_written_means_nothing() {
        let one = tags(&["1.9", "latest", "1.10"]).unwrap();
        assert_eq!(one, tags(&["1.10", "1.9", "latest"]).unwrap());
        assert_eq!(one.joined().split(',').next(), Some("1.10"));
    }

    #[test]
    fn two_entries_for_one_tag_of_the_destination_are_refused_with_both() {
        let digest = Digest::of(b"a");
        insta::assert_snapshot!(tags(&["1.0", "1.1", "1.0"]).unwrap_err(), @r#""1.0" and "1.0" are one tag at the destination; leave one of them out"#);
        assert!(tags(&["1.0", &format!("1.0@{digest}")]).unwrap_err().contains("one tag"));
        assert!(tags(&[digest.as_str(), &format!("pin-sha256-{}", digest.hex())]).is_err());
        assert!(tags(&[digest.as_str(), &format!("1.0@{digest}")]).is_ok(), "one content under two tags");
    }

    #[test]
    fn what_is_no_tag_is_refused_with_what_to_write() {
        insta::assert_snapshot!(tags(&["1.0", ">=2"]).unwrap_err(), @r#"">=2" is not a tag; a tag has at most 128 letters, digits, '_', '.' and '-', and starts with a letter, digit or '_'; write a tag (1.27), a tag with its content (1.27@sha256:…), or a digest (sha256:…)"#);
        assert!(tags(&["1.0@sha256:12"]).unwrap_err().contains("is not a digest"));
        assert!(tags(&["*"]).is_err() && tags(&[""]).is_err() && tags(&["a@b@c"]).is_err());
        assert!(tags(&["8.x"]).is_ok(), "a repository may have such a tag");
    }

    #[test]
    fn many_are_named_by_the_first() {
        assert_eq!(tags(&["1", "2", "3", "4"]).unwrap().to_string(), "4, 3, 2, 1");
        assert_eq!(tags(&["1", "2", "3", "4", "5"]).unwrap().to_string(), "5, 4, 3 and 2 more");
    }
}
