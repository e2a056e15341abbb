//! The Images of a `WorkloadMirror`, as they are and as they should be.

use std::collections::{BTreeMap, BTreeSet};

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Repository, Tag};
use jiff::Timestamp;

use crate::api::{Image, ON_THE_FLY_LABEL, UNUSED_SINCE_ANNOTATION};
use crate::inventory::child_name;
use crate::selection::SourceRef;

/// What keeps the names of these Images apart from those of an `ImageMirror` with the same name.
const OF_WORKLOADS: &str = "workloads";

/// Since when no workload names which tags and platforms of an Image: what [`UNUSED_SINCE_ANNOTATION`] holds. A platform
/// has a slash, and a tag has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnusedSince(pub BTreeMap<String, Timestamp>);

impl UnusedSince {
    /// Reads the annotation. One that cannot be read says nothing, and lengthens a retention.
    pub fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }

    /// Returns the value of the annotation; none where there is nothing to say.
    pub fn annotation(&self) -> Option<String> {
        if self.0.is_empty() { None } else { serde_json::to_string(&self.0).ok() }
    }
}

/// An Image of a `WorkloadMirror`, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildImage {
    /// Its name.
    pub name: String,
    /// The source repository.
    pub source: Repository,
    /// The destination repository.
    pub destination: Repository,
    /// Its `source.tags`, each with its name.
    pub tags: Vec<SourceRef>,
    /// Its `platforms`; empty for all.
    pub platforms: BTreeSet<PlatformSelector>,
    /// Since when which of them are not used.
    pub unused_since: UnusedSince,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it copies what pods could not pull.
    pub is_on_the_fly: bool,
}

impl ChildImage {
    /// Reads an Image; none of what cannot be one of a `WorkloadMirror`.
    pub fn read(image: &Image) -> Option<Self> {
        let (metadata, spec) = (&image.metadata, &image.spec);
        let annotation = metadata.annotations.as_ref().and_then(|all| all.get(UNUSED_SINCE_ANNOTATION));
        let has_label = metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(ON_THE_FLY_LABEL));
        Some(Self {
            name: metadata.name.clone()?,
            source: spec.source.name.parse().ok()?,
            destination: spec.destination.name.parse().ok()?,
            tags: spec.source.tags.iter().filter_map(|text| named(text.parse().ok()?)).collect(),
            platforms: spec.platforms.iter().filter_map(|text| text.parse().ok()).collect(),
            unused_since: annotation.map(|text| UnusedSince::parse(text)).unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0),
            is_on_the_fly: has_label,
        })
    }

    /// Returns what it has under a tag of the destination.
    pub(super) fn named(&self, tag: &Tag) -> Option<&SourceRef> {
        self.tags.iter().find(|one| one.name() == Some(tag))
    }
}

/// Gives a content without a tag its pin tag.
pub(super) fn named(one: SourceRef) -> Option<SourceRef> {
    match one {
        SourceRef::Digest(digest) => SourceRef::under_pin_tag(digest).ok(),
        one => Some(one),
    }
}

/// An Image of a `WorkloadMirror`, as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedChild {
    /// Its name.
    pub name: String,
    /// The source repository.
    pub source: Repository,
    /// The destination repository.
    pub destination: Repository,
    /// What is copied, sorted by tag, at least one.
    pub tags: Vec<SourceRef>,
    /// The platforms; empty for all.
    pub platforms: BTreeSet<PlatformSelector>,
    /// Whether tags are replaced although the mirror's others are not.
    pub is_exception: bool,
    /// Whether it copies what pods could not pull.
    pub is_on_the_fly: bool,
    /// Since when which of its tags and platforms are not used.
    pub unused_since: UnusedSince,
}

/// What keeps Images apart that copy between the same two repositories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Variant {
    /// Its tags are replaced although those of the others are not.
    pub is_exception: bool,
    /// It has all platforms although the others have some.
    pub is_whole: bool,
    /// It copies what pods could not pull.
    pub is_on_the_fly: bool,
}

impl Variant {
    /// Each that there can be.
    pub(super) const ALL: [Self; 5] = [
        Self { is_exception: false, is_whole: false, is_on_the_fly: false },
        Self { is_exception: true, is_whole: false, is_on_the_fly: false },
        Self { is_exception: false, is_whole: true, is_on_the_fly: false },
        Self { is_exception: true, is_whole: true, is_on_the_fly: false },
        Self { is_exception: false, is_whole: false, is_on_the_fly: true },
    ];

    fn suffix(self) -> &'static str {
        match (self.is_on_the_fly, self.is_exception, self.is_whole) {
            (true, ..) => "-o",
            (false, false, false) => "",
            (false, true, false) => "-f",
            (false, false, true) => "-w",
            (false, true, true) => "-fw",
        }
    }
}

/// What an Image copies, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChildKey {
    pub source: Repository,
    pub destination: Repository,
    pub variant: Variant,
}

impl ChildKey {
    /// Returns the name of the Image.
    pub(super) fn name(&self, mirror: &str) -> String {
        let (source, destination) = (self.source.to_string(), self.destination.to_string());
        let copied = [OF_WORKLOADS, &source, &destination];
        child_name(mirror, &destination, copied, self.variant.suffix())
    }

    /// Returns what an Image copies that is there; none where its name is not one that this mirror gives.
    pub(super) fn of(mirror: &str, child: &ChildImage) -> Option<Self> {
        let key =
            |variant| Self { source: child.source.clone(), destination: child.destination.clone(), variant };
        Variant::ALL.into_iter().map(key).find(|key| key.name(mirror) == child.name)
    }
}
