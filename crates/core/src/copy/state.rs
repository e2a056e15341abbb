//! What both registries answered for the tags that a request selects.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::{MadeOf, Waiting};
use crate::selection::{Excluded, SourceRef};
use imgop_registry::reference::Digest;
use imgop_registry::reference::Tag;

/// What both registries answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// How many tags the source repository has; none when it was not listed, because one tag or a
    /// digest is selected.
    pub listed: Option<usize>,
    /// The tags that are selected, newest version first.
    pub tags: Vec<ObservedTag>,
    /// The near misses; of many, the newest.
    pub excluded: Vec<Excluded>,
    /// How many more of them there are.
    pub excluded_beyond: usize,
    /// The tags that would be copied if they were older, newest version first. Those that the
    /// destination does not have are among the excluded ones and not among `tags`; those that it has
    /// with other content are among `tags`, and stay there as they are.
    pub waiting: Vec<Waiting>,
    /// Since when tags of `tags` are known to show their content, where `waiting` does not hold it: a
    /// registry did not answer for them, or they are old enough and yet to be copied. Forgotten, they
    /// would wait anew after each failed request.
    pub remembered: Vec<Waiting>,
    /// Whether the destination has no such repository yet, as far as it was asked.
    pub destination_is_new: bool,
    /// Whether `tags` hold all tags that the destination has, each with what it shows.
    pub destination_is_known: bool,
    /// The newest tag that is selected for a fixed tag of the destination, if that is one of several; the
    /// next observation needs it.
    pub newest: Option<Tag>,
}

impl Observed {
    /// Notes what the destination answered for a tag since it was observed.
    pub fn record(&mut self, destination_tag: &Tag, digest: &Digest) {
        for tag in self.tags.iter_mut().filter(|tag| tag.destination_tag == *destination_tag) {
            tag.destination = Seen::Present(digest.clone());
        }
    }

    /// Notes that the content of a tag is copied in these parts. What it shows in the end is the same.
    pub fn copy_in_parts(&mut self, destination_tag: &Tag, made_of: &MadeOf) {
        for tag in self.tags.iter_mut().filter(|tag| tag.destination_tag == *destination_tag) {
            if let (Content::Whole(platforms), Some(digest)) = (&tag.content, tag.source.digest()) {
                let (digest, of, platforms) = (digest.clone(), made_of.clone(), platforms.clone());
                tag.content = Content::Made(MadeIndex { digest, of, platforms });
            }
        }
    }

    /// Returns the tags of the destination that are missing or differ.
    pub fn to_be_written(&self) -> impl Iterator<Item = &Tag> {
        let is_open = |tag: &&ObservedTag| matches!(tag.state(), TagState::Missing | TagState::Differs);
        self.tags.iter().filter(is_open).map(|tag| &tag.destination_tag)
    }

    /// Returns everything that is known of since when tags show what they show; without it they wait anew.
    pub fn since(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter().chain(&self.remembered)
    }
}

/// One tag on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedTag {
    /// The tag, or the digest, at the source.
    pub source_ref: SourceRef,
    /// The tag at the destination.
    pub destination_tag: Tag,
    /// What the source has.
    pub source: Seen,
    /// What of it the destination should have.
    pub content: Content,
    /// What the destination has.
    pub destination: Seen,
    /// The content at the source whose referrers were sought: `source`'s, or what is known of
    /// a tag that the source was not asked about.
    pub subject: Option<Digest>,
    /// The images of an index that is copied whole, whose referrers were sought too; none if that was not
    /// needed.
    pub images: Option<Vec<Digest>>,
    /// The content that this refers to, if it is no tag that the version selects but a signature, an
    /// attestation or the like of one.
    pub referrer_of: Option<Digest>,
    /// Whether the destination has something under this referrer's tag that the source does not have. It
    /// stays then: a signature that was made at the destination is not taken away.
    pub has_own: bool,
}

/// What the destination should have for a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// What the source has, byte for byte; with the platforms in it, where those were read.
    Whole(Vec<String>),
    /// An index that is made from what the source has.
    Made(MadeIndex),
    /// Nothing: none of the wanted platforms is there, but these are.
    NoPlatform(Vec<String>),
    /// It could not be worked out; why.
    Unknown(String),
    /// It was not worked out, because the source was not asked or does not have the tag.
    NotAsked,
}

/// An index that is made from what the source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeIndex {
    /// Its digest.
    pub digest: Digest,
    /// What it is made of.
    pub of: MadeOf,
    /// The platforms in it; none if it is no image.
    pub platforms: Vec<String>,
}

/// What a registry answered for one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is there, with this content.
    Present(Digest),
    /// It is not there.
    Absent,
    /// It is there, in a format that cannot be copied; why not.
    Unsupported(String),
    /// The registry could not be asked; why.
    Unknown(String),
    /// It was not asked, because the answer is not needed.
    NotAsked,
}

impl Seen {
    /// Returns the digest, if it is known.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Present(digest) => Some(digest),
            _ => None,
        }
    }
}

/// How a tag at the destination compares with its source: what a preview shows and a plan acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TagState {
    /// It is not at the destination.
    Missing,
    /// The destination has the same content.
    UpToDate,
    /// The destination has other content.
    Differs,
    /// The source does not have it.
    NotFound,
    /// The source has it for none of the wanted platforms.
    PlatformNotFound,
    /// The source has it in a format that cannot be copied.
    FormatUnsupported,
    /// The destination has it, and its content does not matter: mode OnceByTag has copied it, or
    /// it never moves.
    AlreadySynced,
    /// A registry could not be asked.
    NotChecked,
    /// The source has it, and no destination was asked.
    AtSource,
}

impl fmt::Display for TagState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::UpToDate => "up-to-date",
            Self::Differs => "differs",
            Self::NotFound => "not-found",
            Self::PlatformNotFound => "platform-not-found",
            Self::FormatUnsupported => "format-unsupported",
            Self::AlreadySynced => "already-synced",
            Self::NotChecked => "not-checked",
            Self::AtSource => "at-source",
        })
    }
}

impl ObservedTag {
    /// Returns a tag of which everything is wanted, as both sides have it.
    pub fn whole(
        source_ref: impl Into<SourceRef>,
        destination_tag: Tag,
        source: Seen,
        destination: Seen,
    ) -> Self {
        let content = Content::Whole(Vec::new());
        Self {
            source_ref: source_ref.into(),
            destination_tag,
            source,
            content,
            destination,
            subject: None,
            images: None,
            referrer_of: None,
            has_own: false,
        }
    }

    /// Returns what the destination should answer with, if it is known.
    pub fn digest(&self) -> Option<&Digest> {
        match &self.content {
            Content::Whole(_) => self.source.digest(),
            Content::Made(made) => Some(&made.digest),
            Content::NoPlatform(_) | Content::Unknown(_) | Content::NotAsked => None,
        }
    }

    /// Returns the tag at the source and its content there, as far as that may be used the next time.
    ///
    /// What the referrers API reported is an index that was not seen under its tag: the source's answer is
    /// then of the image, and under the tag there may be something else or nothing.
    pub fn at_source(&self) -> Option<(&Tag, &Digest)> {
        let name = self.source_ref.tag()?;
        let digest = match (&self.referrer_of, &self.content) {
            (None, _) => self.subject.as_ref(),
            (Some(_), Content::Whole(_)) => self.source.digest(),
            (Some(_), _) => None,
        };
        Some((name, digest?))
    }

    /// Returns since when the tag waits, if it is too young.
    pub fn waits<'a>(&self, waiting: &'a [Waiting]) -> Option<&'a Waiting> {
        let tag = self.source_ref.tag()?;
        waiting
            .iter()
            .find(|w| self.referrer_of.is_none() && w.tag == *tag && self.source.digest() == Some(&w.digest))
    }

    /// Compares the two sides.
    pub fn state(&self) -> TagState {
        match (&self.source, &self.destination) {
            // The source is not asked where it is enough that the destination has the tag.
            (Seen::NotAsked, Seen::Present(_) | Seen::Unsupported(_) | Seen::NotAsked) => {
                TagState::AlreadySynced
            }
            (Seen::NotAsked, Seen::Unknown(_) | Seen::Absent) | (Seen::Unknown(_), _) => TagState::NotChecked,
            (Seen::Absent, _) => TagState::NotFound,
            (Seen::Unsupported(_), _) => TagState::FormatUnsupported,
            (Seen::Present(_), destination) => self.state_of_content(destination),
        }
    }

    fn state_of_content(&self, destination: &Seen) -> TagState {
        match (self.digest(), destination) {
            (None, _) if matches!(self.content, Content::NoPlatform(_)) => TagState::PlatformNotFound,
            (_, Seen::NotAsked) if self.unknown_because().is_none() => TagState::AtSource,
            (None, _) | (_, Seen::Unknown(_) | Seen::NotAsked) => TagState::NotChecked,
            (Some(_), Seen::Absent) => TagState::Missing,
            (Some(wanted), Seen::Present(there)) if wanted == there => TagState::UpToDate,
            // What the destination has may be replaced, whatever it is.
            (Some(_), Seen::Present(_) | Seen::Unsupported(_)) => TagState::Differs,
        }
    }

    /// Returns why the state is [`TagState::FormatUnsupported`].
    pub fn unsupported_because(&self) -> Option<&str> {
        match &self.source {
            Seen::Unsupported(why) => Some(why),
            _ => None,
        }
    }

    /// Returns why the state is [`TagState::NotChecked`].
    pub fn unknown_because(&self) -> Option<&str> {
        match (&self.source, &self.content, &self.destination) {
            (Seen::Unknown(why), _, _) | (_, Content::Unknown(why), _) | (_, _, Seen::Unknown(why)) => {
                Some(why)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::Origin;
    use crate::copy::fixtures::observed_tag;

    #[test]
    fn the_state_follows_from_both_sides() {
        let (a, b) = (Seen::Present(Digest::of(b"a")), Seen::Present(Digest::of(b"b")));
        let unknown = Seen::Unknown("429".into());
        for (source, destination, state) in [
            (&a, &a, TagState::UpToDate),
            (&a, &b, TagState::Differs),
            (&a, &Seen::Absent, TagState::Missing),
            (&a, &unknown, TagState::NotChecked),
            (&a, &Seen::NotAsked, TagState::AtSource),
            (&Seen::Absent, &a, TagState::NotFound),
            (&Seen::Absent, &unknown, TagState::NotFound),
            (&Seen::Unsupported("schema 1".into()), &a, TagState::FormatUnsupported),
            (&Seen::Unsupported("schema 1".into()), &Seen::Absent, TagState::FormatUnsupported),
            (&unknown, &a, TagState::NotChecked),
            (&Seen::NotAsked, &Seen::NotAsked, TagState::AlreadySynced),
            (&Seen::NotAsked, &a, TagState::AlreadySynced),
            (&Seen::NotAsked, &unknown, TagState::NotChecked),
            (&Seen::NotAsked, &Seen::Absent, TagState::NotChecked),
        ] {
            let tag = observed_tag("1", source.clone(), destination.clone());
            assert_eq!(tag.state(), state, "{source:?} {destination:?}");
        }
    }

    #[test]
    fn what_is_made_is_what_the_destination_is_compared_with() {
        let (source, made) = (Digest::of(b"s"), Digest::of(b"r"));
        let of = MadeOf { origin: Origin::PlatformsOf(source.clone()), parts: vec![Digest::of(b"p")] };
        let index = Content::Made(MadeIndex { digest: made.clone(), of, platforms: Vec::new() });
        let (nothing, unknown) =
            (Content::NoPlatform(vec!["linux/arm".into()]), Content::Unknown("503".into()));
        for (content, destination, state) in [
            (&index, Seen::Present(made), TagState::UpToDate),
            (&index, Seen::Present(source.clone()), TagState::Differs),
            (&index, Seen::Absent, TagState::Missing),
            (&index, Seen::NotAsked, TagState::AtSource),
            (&nothing, Seen::Present(source.clone()), TagState::PlatformNotFound),
            (&nothing, Seen::Unknown("503".into()), TagState::PlatformNotFound),
            (&unknown, Seen::Absent, TagState::NotChecked),
            (&unknown, Seen::NotAsked, TagState::NotChecked),
        ] {
            let tag = observed_tag("1", Seen::Present(source.clone()), destination.clone());
            let tag = ObservedTag { content: content.clone(), ..tag };
            assert_eq!(tag.state(), state, "{content:?} {destination:?}");
        }
    }
}
