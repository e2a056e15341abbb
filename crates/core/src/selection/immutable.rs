//! Tags that are declared never to move.

use super::{Version, VersionError};
use imgop_registry::reference::Tag;

/// Tags that never move once they are there, as `source.immutableTags` declares them: that the
/// destination has such a tag is then enough, and the source is not asked about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImmutableTags {
    all: bool,
    versions: Vec<Version>,
}

impl ImmutableTags {
    /// Reads tags, patterns and ranges; `*` is every tag.
    pub fn new(texts: &[String]) -> Result<Self, VersionError> {
        let mut immutable = Self::default();
        for text in texts {
            if text == "*" {
                immutable.all = true;
            } else {
                immutable.versions.push(text.parse()?);
            }
        }
        Ok(immutable)
    }

    /// Returns whether a tag never moves.
    pub fn contains(&self, tag: &Tag) -> bool {
        self.all || self.versions.iter().any(|version| version.selects(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_declared_tags_never_move() {
        let contains = |texts: &[&str], tag: &str| {
            let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
            ImmutableTags::new(&texts).unwrap().contains(&tag.parse().unwrap())
        };
        assert!(contains(&["x.x.x", "stable-1"], "v2.13.1") && contains(&["x.x.x", "stable-1"], "stable-1"));
        assert!(!contains(&["x.x.x"], "latest") && !contains(&["x.x.x"], "2.13") && !contains(&[], "1.2.3"));
        assert!(contains(&[">=2"], "2.13") && contains(&["*"], "latest"));
        assert!(
            contains(&["x.x.x"], "2.13.0-rc1"),
            "a candidate of a version that never moves does not move"
        );
        assert!(ImmutableTags::new(&["2.x.y".into()]).is_err());
    }
}
