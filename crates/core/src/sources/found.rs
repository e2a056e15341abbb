//! What a version source has announced.

use std::fmt;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Images with tags, each image once.
    pub images: Vec<FoundImage>,
    /// What is worth a look.
    pub notes: Vec<Note>,
}

/// An image with the tags that were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundImage {
    /// The entry of the inventory that it belongs to.
    pub entry: super::EntryRef,
    /// The tags, each once, none of them empty or no tag.
    pub tags: Vec<String>,
}

/// Something that was left out of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Names of releases that are no versions, so that the constraint says nothing of them.
    NoVersions(Vec<String>),
    /// A tag that no registry takes.
    NotATag(String),
    /// An image that no entry of the update has.
    NotListed(String),
    /// An image that goes to several targets, so that it cannot be told which of them receives its tags.
    SeveralTargets(String),
    /// An image without a tag.
    Untagged(String),
    /// Text that is no reference to an image.
    NotAReference(String),
    /// Chart values or a rendered document that could not be read.
    Unreadable(String),
}

impl Note {
    /// Whether the update is not complete because of it, and stays so until the sources are changed.
    pub fn is_problem(&self) -> bool {
        matches!(self, Self::NotListed(_) | Self::SeveralTargets(_) | Self::Unreadable(_))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVersions(names) => {
                let examples: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
                let rest = names.len() - examples.len();
                let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
                write!(f, "not readable as a version: {}{more}", examples.join(", "))
            }
            Self::NotATag(tag) => write!(f, "{tag:?} is no tag that a registry takes; left out"),
            Self::NotListed(image) => {
                write!(f, "{image} was found, and no entry has it; list it, or add it to the denylist")
            }
            Self::SeveralTargets(image) => {
                write!(
                    f,
                    "{image} goes to several targets, and not exactly one of them is mirrored-…; name one"
                )
            }
            Self::Untagged(image) => write!(f, "{image} was found without a tag; left out"),
            Self::NotAReference(text) => write!(f, "{text:?} is no reference to an image; left out"),
            Self::Unreadable(what) => write!(f, "{what} could not be read"),
        }
    }
}
