//! Image references: `host[:port]/path[:tag][@digest]`, parsed once at the edge.
//!
//! The grammar is that of the distribution reference (opencontainers/distribution-spec, "Pulling
//! manifests"), with Docker Hub's short names: `nginx` means `docker.io/library/nginx`.

mod digest;
mod ecr_host;
mod host;
mod repository;
mod tag;

use std::fmt;
use std::str::FromStr;

pub use digest::Digest;
pub use ecr_host::EcrHost;
pub use host::RegistryHost;
pub use repository::Repository;
pub use tag::Tag;

/// Why a text is not an image reference. The text itself is quoted, so that the message can stand
/// alone beside the name of the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing was given.
    #[error("it is empty; give a repository such as quay.io/argoproj/argocd")]
    Empty,
    /// A URL or a transport was given.
    #[error("{0:?} starts with a scheme; leave {1:?} out")]
    Scheme(String, String),
    /// The registry part is no host with an optional port.
    #[error("{0:?} is not a registry host; expected host or host:port")]
    Host(String),
    /// A part of the path has characters that registries refuse.
    #[error(
        "{0:?} is not a repository path; its parts are lower-case letters and digits, separated by single \
         '.', '_', '__' or dashes"
    )]
    Path(String),
    /// Longer than the 255 characters that registries take.
    #[error("the repository has {0} characters; registries take 255")]
    TooLong(usize),
    /// A repository was wanted, but a tag or digest stands behind it.
    #[error("{0:?} names a tag or digest; give {1:?} as the name and the rest as the version")]
    NotBare(String, String),
    /// A tag and a digest were given, which need not be the same content.
    #[error("{0:?} names a tag and a digest; leave one of them out, such as {1:?}")]
    TagAndDigest(String, String),
    /// Not a tag.
    #[error(
        "{0:?} is not a tag; a tag has at most 128 letters, digits, '_', '.' and '-', and starts with a letter, digit or '_'"
    )]
    Tag(String),
    /// Not a digest.
    #[error("{0:?} is not a digest; expected sha256: and 64 hexadecimal digits")]
    Digest(String),
}

/// A repository with what stands behind it, as people write it on a command line.
///
/// The text behind the colon is kept as it is: a tag or a pattern, as the caller takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where the image is.
    pub repository: Repository,
    /// What stands behind the last colon, or behind `@`: a tag, a pattern or a digest.
    pub version: Option<String>,
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, version) = split_version(text);
        if let (true, (bare, Some(_)), Some(digest)) = (text.contains('@'), split_version(name), version) {
            let shown = |text: &str| text.chars().take(300).collect::<String>();
            return Err(ReferenceError::TagAndDigest(shown(text), shown(&format!("{bare}@{digest}"))));
        }
        let repository = name.parse()?;
        // Whatever stands behind a colon is for the caller to read; behind an at sign there is one thing.
        if let (true, Some(digest)) = (text.contains('@'), version) {
            digest.parse::<Digest>()?;
        }
        Ok(Self { repository, version: version.map(str::to_owned) })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            None => write!(f, "{}", self.repository),
            Some(v) if v.parse::<Digest>().is_ok() => write!(f, "{}@{v}", self.repository),
            Some(v) => write!(f, "{}:{v}", self.repository),
        }
    }
}

/// A tag or a digest: what a registry takes behind `/manifests/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ManifestRef {
    /// By tag, which may move.
    Tag(Tag),
    /// By digest, which never does.
    Digest(Digest),
}

impl fmt::Display for ManifestRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl From<Tag> for ManifestRef {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for ManifestRef {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

/// Splits `name:version` or `name@digest`. A colon before the last slash is a port's.
pub(crate) fn split_version(text: &str) -> (&str, Option<&str>) {
    if let Some((name, digest)) = text.split_once('@') {
        return (name, Some(digest));
    }
    let last_slash = text.rfind('/').map_or(0, |i| i + 1);
    match text[last_slash..].find(':') {
        Some(colon) => (&text[..last_slash + colon], Some(&text[last_slash + colon + 1..])),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_not_a_version() {
        let r: Reference = "localhost:5000/app".parse().unwrap();
        assert_eq!(r.version, None);
        assert_eq!(r.repository.host().as_str(), "localhost:5000");
        let r: Reference = "registry.corp:5000/team/app:1.2".parse().unwrap();
        assert_eq!(r.version.as_deref(), Some("1.2"));
        assert_eq!(r.to_string(), "registry.corp:5000/team/app:1.2");
    }

    #[test]
    fn a_digest_is_written_back_with_an_at_sign() {
        let text = format!("quay.io/a/b@sha256:{}", "0".repeat(64));
        assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        for bad in ["a@/", "quay.io/a/b@v1", "quay.io/a/b@", "quay.io/a/b@sha256:00"] {
            assert!(matches!(bad.parse::<Reference>(), Err(ReferenceError::Digest(_))), "{bad}");
        }
    }

    #[test]
    fn a_tag_and_a_digest_are_one_too_many() {
        let error = "r.example.com:5000/a:1@sha256:00".parse::<Reference>().unwrap_err().to_string();
        assert_eq!(
            error,
            r#""r.example.com:5000/a:1@sha256:00" names a tag and a digest; leave one of them out, such as "r.example.com:5000/a@sha256:00""#
        );
    }

    #[test]
    fn a_pattern_may_stand_in_the_tags_place() {
        let r: Reference = "quay.io/argoproj/argocd:v2.13.x".parse().unwrap();
        assert_eq!(r.version.as_deref(), Some("v2.13.x"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_without_a_panic(text in ".{0,300}") {
            if let Ok(r) = text.parse::<Reference>() {
                let again: Reference = r.to_string().parse().unwrap();
                proptest::prop_assert_eq!(again.repository, r.repository);
            }
        }
    }
}
