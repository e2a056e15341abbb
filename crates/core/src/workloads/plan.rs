//! From what workloads use to the Images that mirror it.

mod capped;
pub(super) mod claims;
mod placing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Repository, Tag};
use jiff::Timestamp;

use super::child::{ChildImage, ChildKey, PlannedChild, UnusedSince, Variant};
use super::digests::Item;
use super::excluded::Excluded;
use super::origins::Origin;
use super::paths::PathError;
use super::request::{PlatformChoice, WorkloadRequest};
use super::retention::Retention;
use super::targets::MirrorTarget;
use super::usage::UsedImage;
use crate::build::ImageReference;
use crate::selection::SourceRef;
use crate::time::saturating_add;
use capped::cap;
use claims::Claims;
use placing::Placed;
pub use placing::mirrored_images;

/// Most tags of an Image, as its schema says.
const MAX_TAGS: usize = 1000;
/// Most platforms of an Image, as its schema says.
const MAX_PLATFORMS: usize = 16;

/// Everything that a plan is worked out from, besides the request.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The name of the mirror.
    pub mirror: &'a str,
    /// What workloads use in the namespaces that the mirror sees.
    pub used: &'a [UsedImage],
    /// Whether that is everything: a list that was refused, cut off, or not yet read makes nothing unused.
    pub is_complete: bool,
    /// The Images of the mirror as they are.
    pub children: &'a [ChildImage],
    /// What origins have of the images that pods cannot pull.
    pub found: &'a [FoundOrigin],
    /// Where the mirrors in sight bring images, which come from elsewhere.
    pub targets: &'a [MirrorTarget],
    /// How many tags an Image may have; no more than its schema says.
    pub max_tags: usize,
    /// The platforms of all nodes: of an image that no pod runs yet.
    pub node_platforms: &'a BTreeSet<PlatformSelector>,
    /// The architectures of images, where `destination.prefix` has `$arch`: sorted, joined by dashes, "multiarch" if there
    /// is none. Of an image that has no entry they are those that its Image was made by, if there is one. Only those of
    /// [`mirrored_images`] count.
    pub architectures: &'a BTreeMap<ImageReference, String>,
    /// The time.
    pub now: Timestamp,
}

/// An image that a pod cannot pull, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundOrigin {
    /// The repository that the pod pulls from.
    pub destination: Repository,
    /// What has it.
    pub origin: Origin,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<'a> {
    /// The Images that are to be there, sorted by their names.
    pub children: Vec<PlannedChild>,
    /// The names of Images that are to be deleted.
    pub gone: Vec<String>,
    /// What is worth saying.
    pub findings: Vec<Finding>,
    /// What becomes of each used image, in their order.
    pub uses: Vec<Use<'a>>,
    /// Numbers.
    pub counts: PlanCounts,
}

impl Plan<'_> {
    /// Returns when the next tag or platform will not have been used for so long, and leaves its Image.
    pub fn next_to_leave(&self, retention: Duration, now: Timestamp) -> Option<Timestamp> {
        let unused = self.children.iter().flat_map(|child| child.unused_since.0.values());
        unused.map(|since| saturating_add(*since, retention)).filter(|leaves| *leaves > now).min()
    }
}

/// A used image, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use<'a> {
    /// The image.
    pub image: &'a UsedImage,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// What becomes of a used image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is mirrored: the repositories, and what of the source is under which tag there.
    Mirrored(Vec<(Repository, SourceRef)>),
    /// It is not.
    NotMirrored(NotMirrored),
}

/// Why an image is not mirrored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMirrored {
    /// On purpose.
    #[error("{0}")]
    Excluded(Excluded),
    /// Only what pods cannot pull is copied.
    #[error("triggers has PullFailure alone, which copies what pods cannot pull")]
    OnPullFailure,
    /// No pod has reported which content it runs.
    #[error("no pod has reported its content yet; digests.ifUnknown Resolve takes what the source shows")]
    WaitingForDigest,
    /// It has no place.
    #[error("{0}")]
    Unplaced(PathError),
    /// Another source has its tag.
    #[error("{kept} has {destination}; add $registry to destination.prefix, so that both have a place")]
    Contested {
        /// The reference at the destination.
        destination: String,
        /// The source that keeps it.
        kept: String,
    },
    /// There are more images than are mirrored.
    #[error("there are more than {0} images; raise limits.images")]
    TooManyImages(u32),
}

/// What is worth saying of a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// Two sources would become one tag.
    Contested {
        /// The reference at the destination.
        destination: String,
        /// The source that keeps it.
        kept: String,
        /// The others, sorted.
        left_out: Vec<String>,
    },
    /// An image has no place at the destination.
    Unplaced {
        /// The image.
        image: String,
        /// Why.
        message: String,
    },
    /// There are more images than are mirrored.
    TooManyImages {
        /// How many there are.
        found: usize,
        /// How many are mirrored.
        limit: u32,
    },
    /// More tags go from one repository to another than an Image has.
    TooManyTags {
        /// The source.
        source: String,
        /// The destination.
        destination: String,
        /// How many are left out.
        left_out: usize,
        /// How many an Image has at most.
        limit: usize,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contested { destination, kept, left_out } => write!(
                f,
                "{destination} is what {kept} and {} would become; the first has it, add $registry to \
                 destination.prefix, so that each has a place",
                left_out.join(", ")
            ),
            Self::Unplaced { image, message } => write!(f, "{image}: {message}"),
            Self::TooManyImages { found, limit } => {
                write!(f, "workloads use {found} images, and {limit} are mirrored; raise limits.images")
            }
            Self::TooManyTags { source, destination, left_out, limit } => write!(
                f,
                "{left_out} tags of {source} are not mirrored to {destination}, as an Image has {limit} at most; let \
                 retention be shorter, exclude some, or have an administrator raise MAX_TAGS_PER_IMAGE of the agent (here \
                 up to {MAX_TAGS})"
            ),
        }
    }
}

/// Numbers of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanCounts {
    /// Workloads that are looked at.
    pub workloads: usize,
    /// Different images that they use.
    pub images: usize,
    /// Repositories at the destination.
    pub repositories: usize,
    /// Tags that are mirrored by their digest.
    pub pinned: usize,
    /// Tags in all.
    pub tags: usize,
    /// Images that are excluded on purpose.
    pub excluded: usize,
    /// Images that wait until a pod reports what it runs.
    pub waiting_for_digest: usize,
    /// Images that have no place before their architectures are known.
    pub without_architectures: usize,
    /// Tags that no workload uses any more.
    pub retained: usize,
}

/// What an Image is to copy.
#[derive(Debug, Clone, Default)]
pub(super) struct Desired {
    pub items: BTreeMap<Tag, Item>,
    pub unused_since: UnusedSince,
}

/// Works out what is to be done.
pub fn plan<'a>(request: &WorkloadRequest, situation: &Situation<'a>) -> Plan<'a> {
    let mut placed = Placed::of(request, situation);
    let mut claims = Claims::of(request, situation, &mut placed);
    claims.add_found(situation);
    let Placed { outcomes, mut findings, .. } = placed;
    let mut desired = claims.desired(request);
    let retention = Retention::new(request, situation, &claims);
    retention.apply(&mut desired);
    desired.retain(|_, desired| !desired.items.is_empty());
    let mut children: Vec<PlannedChild> = Vec::with_capacity(desired.len());
    for (key, mut desired) in desired {
        findings.extend(cap(situation, &key, &mut desired, &claims));
        let platforms = retention.platforms(&key, &mut desired);
        children.push(child(key, situation.mirror, desired, platforms));
    }
    children.sort_by(|one, other| one.name.cmp(&other.name));
    findings.sort();
    findings.dedup();
    let uses = situation.used.iter().zip(outcomes);
    let uses: Vec<Use<'a>> = uses.map(|(image, outcome)| Use { image, outcome }).collect();
    let gone = gone(situation, &children);
    let counts = counts(request, &uses, &children);
    Plan { children, gone, findings, uses, counts }
}

fn child(
    key: ChildKey,
    mirror: &str,
    desired: Desired,
    platforms: BTreeSet<PlatformSelector>,
) -> PlannedChild {
    let name = key.name(mirror);
    let ChildKey { source, destination, variant } = key;
    let Variant { is_exception, is_on_the_fly, .. } = variant;
    // More would be refused, and all of them are more than enough.
    let platforms = if platforms.len() > MAX_PLATFORMS { BTreeSet::new() } else { platforms };
    PlannedChild {
        name,
        source,
        destination,
        tags: desired.items.into_values().map(|item| item.what).collect(),
        platforms,
        is_exception,
        is_on_the_fly,
        unused_since: desired.unused_since,
    }
}

/// Returns the Images of the mirror that nothing asks for any more. One with a name that this mirror does not give is
/// another's.
fn gone(situation: &Situation<'_>, children: &[PlannedChild]) -> Vec<String> {
    let wanted: BTreeSet<&str> = children.iter().map(|child| child.name.as_str()).collect();
    let there = situation.children.iter().filter(|child| !wanted.contains(child.name.as_str()));
    let ours = there.filter(|child| ChildKey::of(situation.mirror, child).is_some());
    ours.map(|child| child.name.clone()).collect()
}

fn counts(request: &WorkloadRequest, uses: &[Use<'_>], children: &[PlannedChild]) -> PlanCounts {
    let images = |is_counted: &dyn Fn(&Outcome) -> bool| {
        let counted = uses.iter().filter(|one| is_counted(&one.outcome));
        counted.map(|one| &one.image.reference).collect::<BTreeSet<_>>().len()
    };
    let all = uses.iter().flat_map(|one| one.image.users.keys());
    let mirrored = all.filter(|user| !request.exclusions.excludes_user(user));
    let workloads: BTreeSet<_> = mirrored.map(|user| (&user.kind, &user.namespace, &user.name)).collect();
    let tags = children.iter().flat_map(|child| &child.tags);
    let retained = children.iter().flat_map(|child| {
        let is_retained = move |one: &&SourceRef| {
            one.name().is_some_and(|tag| child.unused_since.0.contains_key(tag.as_str()))
        };
        child.tags.iter().filter(is_retained)
    });
    let repositories: BTreeSet<_> = children.iter().map(|child| &child.destination).collect();
    let not = |outcome: &Outcome, is_meant: &dyn Fn(&NotMirrored) -> bool| matches!(outcome, Outcome::NotMirrored(why) if is_meant(why));
    PlanCounts {
        workloads: workloads.len(),
        images: images(&|_| true),
        repositories: repositories.len(),
        pinned: tags.clone().filter(|one| one.digest().is_some()).count(),
        tags: tags.count(),
        excluded: images(&|outcome| not(outcome, &|why| matches!(why, NotMirrored::Excluded(_)))),
        waiting_for_digest: images(&|outcome| not(outcome, &|why| *why == NotMirrored::WaitingForDigest)),
        without_architectures: images(&|outcome| {
            not(outcome, &|why| *why == NotMirrored::Unplaced(PathError::UnknownArchitectures))
        }),
        retained: retained.count(),
    }
}

/// Whether tags of one content have an Image of their own, since some platforms alone are another content.
pub(super) fn is_whole(request: &WorkloadRequest, what: &SourceRef) -> bool {
    what.digest().is_some() && request.platforms != PlatformChoice::All
}
