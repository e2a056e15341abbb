//! Which object a user names: `image/argocd` as kubectl writes it, or `argocd` alone.

use std::fmt;

use super::object_name::parse_name;
use super::{DEFAULT_KIND, KINDS, KindRef, LISTED_KINDS};

/// A kind and a name. It is displayed as short as it can be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    /// The kind.
    pub kind: KindRef,
    /// The name, which is a valid one.
    pub name: String,
}

impl ObjectRef {
    /// Reads what a user typed.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_among(text, &KINDS)
    }

    /// Reads what a user typed where there are these kinds.
    pub fn parse_among(text: &str, kinds: &[KindRef]) -> Result<Self, String> {
        let (kind, name) = split(text, kinds);
        Ok(Self { kind: kind.unwrap_or(DEFAULT_KIND), name: parse_name(name)? })
    }

    /// Returns the object as kubectl prints it: `image.skopeo.io/argocd`.
    pub fn qualified(&self) -> String {
        self.kind.qualified(&self.name)
    }
}

/// A name as a user types it. Without a kind it stands for the object that has the name, whatever kind that is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedName {
    kind: Option<KindRef>,
    name: String,
}

impl TypedName {
    /// Reads what a user typed.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_among(text, &KINDS)
    }

    /// Reads what a user typed for a verb that only reads.
    pub fn parse_listed(text: &str) -> Result<Self, String> {
        Self::parse_among(text, &LISTED_KINDS)
    }

    /// Reads what a user typed where there are these kinds.
    pub fn parse_among(text: &str, kinds: &[KindRef]) -> Result<Self, String> {
        let (kind, name) = split(text, kinds);
        Ok(Self { kind, name: parse_name(name)? })
    }

    /// Whether the kind is typed.
    pub fn has_kind(&self) -> bool {
        self.kind.is_some()
    }

    /// Returns the object: of the default kind where none is typed.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef { kind: self.kind.unwrap_or(DEFAULT_KIND), name: self.name.clone() }
    }
}

impl From<ObjectRef> for TypedName {
    fn from(object: ObjectRef) -> Self {
        Self { kind: Some(object.kind), name: object.name }
    }
}

/// Returns the kind that a word stands for.
pub fn kind_of_word(word: &str, kinds: &[KindRef]) -> Option<KindRef> {
    kinds.iter().find(|kind| kind.words().iter().any(|known| known == word)).copied()
}

/// Splits the kind off that stands in front of a name.
pub fn split<'a>(text: &'a str, kinds: &[KindRef]) -> (Option<KindRef>, &'a str) {
    let Some((word, name)) = text.split_once('/') else { return (None, text) };
    match kind_of_word(word, kinds) {
        Some(kind) => (Some(kind), name),
        None => (None, text),
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind.is_default() {
            return f.write_str(&self.name);
        }
        write!(f, "{}/{}", self.kind.resource().kind.to_lowercase(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_with_and_without_its_kind() {
        for name in [
            "argocd",
            "image/argocd",
            "images/argocd",
            "image.skopeo.io/argocd",
            "images.skopeo.io/argocd",
            "simg/argocd",
        ] {
            let parsed = ObjectRef::parse(name).unwrap();
            assert_eq!((parsed.name.as_str(), parsed.to_string().as_str()), ("argocd", "argocd"), "{name}");
            assert_eq!(parsed.qualified(), "image.skopeo.io/argocd");
        }
        for bad in ["pod/argocd", "image/", "image/a/b", "image.skopeo.io/../x"] {
            assert!(ObjectRef::parse(bad).is_err(), "{bad}");
        }
    }
}
