//! Which tag a source tag becomes at the destination.

use imgop_registry::reference::{ReferenceError, Tag};

use crate::api::Destination;
use crate::selection::{ExactTags, Pattern, Range, SourceRef, Version, VersionError};

/// Which tag a source tag becomes at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// The same.
    Keep,
    /// This one; only one source tag is selected then.
    Fixed(Tag),
    /// The source's tag between these two texts.
    Template {
        /// What stands before `{tag}`.
        before: String,
        /// What stands behind it.
        after: String,
    },
}

/// Why a `destination.version` cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum NamingError {
    #[error(transparent)]
    Tag(#[from] ReferenceError),
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error(
        "{0:?} would put every tag that matches {1:?} onto one; leave it out, repeat the pattern, use {{tag}}, or set source.select.latest to 1"
    )]
    FixedForPattern(String, String),
    #[error("{0:?} is a pattern, but source.version is not the same one; leave it out to keep each tag")]
    OtherPattern(String),
    #[error("it is needed when source.version is a digest; give the tag to write")]
    NeededForDigest,
    #[error("{0:?} would put all of source.tags onto one; leave it out to keep each tag, or use {{tag}}")]
    FixedForTags(String),
    #[error("it makes a name of {0:?} that is too long for a tag, which has at most 128 characters")]
    TooLong(String),
    #[error("{0:?} is no template; {{tag}} may stand in it once, and makes a tag with what is around it")]
    Template(String),
}

impl Naming {
    /// Parses `destination.version`. `one_tag` is whether the version, which may select many tags, is
    /// narrowed to one.
    pub(super) fn parse(
        destination: &Destination,
        version: &Version,
        one_tag: bool,
    ) -> Result<Self, NamingError> {
        let text = destination.version.as_deref().unwrap_or_default();
        match version {
            Version::Digest(_) if text.is_empty() || text.contains('{') => Err(NamingError::NeededForDigest),
            _ if text.is_empty() => Ok(Self::Keep),
            _ if version.is_selector() && text == version.to_string() => Ok(Self::Keep),
            Version::Tags(tags) if text.contains(['{', '}']) => Self::template(text)?.of_each(tags),
            Version::Tags(_) => Err(NamingError::FixedForTags(text.to_owned())),
            _ if text.contains(['{', '}']) => Self::template(text),
            _ if Pattern::looks_like(text) || Range::looks_like(text) => {
                Err(NamingError::OtherPattern(text.to_owned()))
            }
            _ if version.is_selector() && !one_tag => {
                Err(NamingError::FixedForPattern(text.to_owned(), version.to_string()))
            }
            _ => Ok(Self::Fixed(text.parse::<Tag>()?)),
        }
    }

    fn template(text: &str) -> Result<Self, NamingError> {
        let error = || NamingError::Template(text.to_owned());
        let (before, after) = text.split_once("{tag}").ok_or_else(error)?;
        // If it makes a tag of a short one it does of each, but for the length: see `apply`.
        if format!("{before}0{after}").parse::<Tag>().is_err() {
            return Err(error());
        }
        Ok(Self::Template { before: before.to_owned(), after: after.to_owned() })
    }

    /// Fails if it makes no tag of one of these: whoever wrote them down can change that.
    fn of_each(self, tags: &ExactTags) -> Result<Self, NamingError> {
        match tags.iter().find(|one| self.apply(one).is_err()) {
            Some(one) => Err(NamingError::TooLong(one.to_string())),
            None => Ok(self),
        }
    }

    /// Returns the tag at the destination for a source tag or digest; an error when a template makes it
    /// too long, or when a digest has no fixed tag.
    pub fn apply(&self, source: &SourceRef) -> Result<Tag, ReferenceError> {
        match (self, source) {
            (Self::Fixed(fixed), _) => Ok(fixed.clone()),
            (Self::Keep, SourceRef::Tag(tag) | SourceRef::Pinned(tag, _)) => Ok(tag.clone()),
            (Self::Template { before, after }, SourceRef::Tag(tag) | SourceRef::Pinned(tag, _)) => {
                format!("{before}{tag}{after}").parse()
            }
            (Self::Keep | Self::Template { .. }, SourceRef::Digest(digest)) => digest.as_str().parse(),
        }
    }

    /// Returns the source tag that a template makes this tag of.
    pub fn original(&self, tag: &Tag) -> Option<Tag> {
        match self {
            Self::Template { before, after } => {
                tag.as_str().strip_prefix(before.as_str())?.strip_suffix(after.as_str())?.parse().ok()
            }
            Self::Keep | Self::Fixed(_) => None,
        }
    }

    /// Returns whether tags become other tags, so that source and destination may be one repository.
    pub(super) fn changes(&self, version: Option<&Version>) -> bool {
        match (self, version) {
            (Self::Keep, _) => false,
            (Self::Fixed(fixed), Some(Version::Exact(tag))) => fixed != tag,
            (Self::Template { before, after }, _) => !before.is_empty() || !after.is_empty(),
            (Self::Fixed(_), _) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Select;
    use crate::copy::CopyRequest;
    use crate::copy::fixtures::spec;

    fn naming(source: &str, destination: Option<&str>) -> Result<Naming, String> {
        let mut spec = spec("quay.io/a/b", source);
        spec.destination.version = destination.map(str::to_owned);
        CopyRequest::parse(&spec).map(|r| r.naming).map_err(|e| e.to_string())
    }

    #[test]
    fn b1_a_pattern_keeps_each_tag() {
        for destination in [None, Some(""), Some("v2.13.x")] {
            assert_eq!(naming("v2.13.x", destination), Ok(Naming::Keep), "{destination:?}");
        }
        assert_eq!(naming("*", Some("*")), Ok(Naming::Keep));
        let tag = SourceRef::Tag("v2.13.1".parse().unwrap());
        let name = |source, destination| naming(source, Some(destination)).unwrap().apply(&tag).unwrap();
        assert_eq!(name("v2.13.x", "{tag}").as_str(), "v2.13.1");
        assert_eq!(name("v2.13.x", "{tag}-corp").as_str(), "v2.13.1-corp");
        assert_eq!(name("v2.13.1", "stable").as_str(), "stable");
    }

    #[test]
    fn b1_a_fixed_destination_version_is_fine_when_one_tag_is_selected() {
        let mut spec = spec("quay.io/a/b", "v2.13.x");
        spec.destination.version = Some("stable".into());
        spec.source.select = Some(Select { latest: Some(1), ..Select::default() });
        assert!(matches!(CopyRequest::parse(&spec).unwrap().naming, Naming::Fixed(_)));
        spec.source.select = Some(Select { latest: Some(2), ..Select::default() });
        assert!(CopyRequest::parse(&spec).is_err());
    }

    #[test]
    fn b1_a_fixed_destination_version_is_refused_for_a_pattern() {
        insta::assert_snapshot!(naming("v2.13.x", Some("stable")).unwrap_err(), @r#"spec.destination.version: "stable" would put every tag that matches "v2.13.x" onto one; leave it out, repeat the pattern, use {tag}, or set source.select.latest to 1"#);
        assert!(naming("*", Some("stable")).is_err() && naming("*", Some("2.x")).is_err());
        insta::assert_snapshot!(naming("v2.13.x", Some("2.13.x")).unwrap_err(), @r#"spec.destination.version: "2.13.x" is a pattern, but source.version is not the same one; leave it out to keep each tag"#);
        insta::assert_snapshot!(naming("v2.13.1", Some("2.13.x")).unwrap_err(), @r#"spec.destination.version: "2.13.x" is a pattern, but source.version is not the same one; leave it out to keep each tag"#);
        insta::assert_snapshot!(naming("v2.13.x", Some("{tag}{tag}")).unwrap_err(), @r#"spec.destination.version: "{tag}{tag}" is no template; {tag} may stand in it once, and makes a tag with what is around it"#);
        let digest = imgop_registry::reference::Digest::of(b"").to_string();
        insta::assert_snapshot!(naming(&digest, None).unwrap_err(), @"spec.destination.version: it is needed when source.version is a digest; give the tag to write");
    }
}
