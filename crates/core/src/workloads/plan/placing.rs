//! Which used images are mirrored, and between which repositories.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Repository, Tag};

use super::{Finding, NotMirrored, Outcome, Situation};
use crate::api::WorkloadTrigger;
use crate::build::ImageReference;
use crate::selection::SourceRef;
use crate::workloads::child::ChildImage;
use crate::workloads::digests::Named;
use crate::workloads::excluded::{Excluded, by_place};
use crate::workloads::paths::{PathError, destination, may_be_of_some_architectures};
use crate::workloads::request::WorkloadRequest;
use crate::workloads::usage::{ImageUser, UsedImage};

/// Two repositories.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub source: Repository,
    pub destination: Repository,
}

/// Where used images go to.
#[derive(Debug, Default)]
pub(super) struct Placed<'a> {
    /// What becomes of each used image.
    pub outcomes: Vec<Outcome>,
    pub pairs: BTreeMap<Pair, Vec<Named<'a>>>,
    pub findings: Vec<Finding>,
}

impl<'a> Placed<'a> {
    pub(super) fn of(request: &WorkloadRequest, situation: &Situation<'a>) -> Self {
        let mut placed = Self::default();
        let beyond = beyond_limit(request, situation, &mut placed.findings);
        for (used, image) in situation.used.iter().enumerate() {
            let refused = refused(request, situation, image).or_else(|| {
                let limit = request.spec().limits.images;
                beyond.contains(&image.reference).then_some(NotMirrored::TooManyImages(limit))
            });
            let outcome = match refused {
                Some(why) => Outcome::NotMirrored(why),
                None => placed.place(request, situation, used, image),
            };
            placed.outcomes.push(outcome);
        }
        placed
    }

    /// Notes where an image goes to for each of its users.
    fn place(
        &mut self,
        request: &WorkloadRequest,
        situation: &Situation<'a>,
        used: usize,
        image: &'a UsedImage,
    ) -> Outcome {
        let mut places: BTreeMap<Repository, Vec<&ImageUser>> = BTreeMap::new();
        let mut error: Option<PathError> = None;
        let architectures = situation.architectures.get(&image.reference).map(String::as_str);
        let rules = (&request.destination, &request.prefix, &request.path_map);
        let source = &image.reference.repository;
        let known =
            if architectures.is_none() { known_places(request, situation, image) } else { Vec::new() };
        for user in image.users.keys().filter(|user| !request.exclusions.excludes_user(user)) {
            let place = destination(rules, source, user, architectures).or_else(|why| {
                let is_unknown = why == PathError::UnknownArchitectures;
                let mut known = known.iter().filter(|_| is_unknown);
                let is_theirs =
                    |place: &&&Repository| may_be_of_some_architectures(rules, source, user, place);
                known.find(is_theirs).map(|place| (*place).clone()).ok_or(why)
            });
            match place {
                Ok(place) => places.entry(place).or_default().push(user),
                // It is known in time, or the registry that says it is not reached: no user can help it.
                Err(why @ PathError::UnknownArchitectures) => error = Some(why),
                Err(why) => {
                    let (image, message) = (image.reference.to_string(), why.to_string());
                    self.findings.push(Finding::Unplaced { image, message });
                    error = Some(why);
                }
            }
        }
        for (destination, users) in places {
            let platforms = users.iter().filter_map(|user| image.users.get(*user));
            let platforms =
                platforms.flat_map(|pods| &pods.platforms).map(PlatformSelector::normalized).collect();
            let named = Named {
                used,
                reference: &image.reference,
                running: image.digest.as_ref(),
                newest: image.newest_of(|user| users.contains(&user)),
                platforms,
            };
            self.pairs.entry(Pair { source: source.clone(), destination }).or_default().push(named);
        }
        // Which tags it has there is not known yet.
        error.map_or(Outcome::Mirrored(Vec::new()), |why| Outcome::NotMirrored(NotMirrored::Unplaced(why)))
    }
}

/// Returns the images that are mirrored once it is known where they go to. What is to be read of images is to be read of
/// these alone: the others may lie where it is not to be asked for them.
pub fn mirrored_images<'a>(
    request: &WorkloadRequest,
    situation: &Situation<'a>,
) -> BTreeSet<&'a ImageReference> {
    let beyond = beyond_limit(request, situation, &mut Vec::new());
    let mirrored = situation.used.iter().filter(|image| refused(request, situation, image).is_none());
    mirrored.map(|image| &image.reference).filter(|reference| !beyond.contains(reference)).collect()
}

/// Returns where Images bring an image, where its place is made of its architectures: first where something uses it, then the
/// latest.
fn known_places<'s>(
    request: &WorkloadRequest,
    situation: &Situation<'s>,
    image: &UsedImage,
) -> Vec<&'s Repository> {
    if !request.prefix.needs_architectures() {
        return Vec::new();
    }
    let (tag, digests) = (&image.reference.tag, [image.reference.digest.as_ref(), image.digest.as_ref()]);
    let pins = digests.into_iter().flatten();
    let pins = pins.filter_map(|digest| SourceRef::under_pin_tag(digest.clone()).ok());
    let tags: Vec<Tag> = pins.filter_map(|pin| pin.name().cloned()).chain(tag.clone()).collect();
    let has = |child: &&ChildImage| {
        child.source == image.reference.repository && tags.iter().any(|tag| child.named(tag).is_some())
    };
    let mut children: Vec<&ChildImage> = situation.children.iter().filter(has).collect();
    children.sort_by_key(|child| {
        let is_unused = tags.iter().any(|tag| child.unused_since.0.contains_key(tag.as_str()));
        (is_unused, Reverse(child.created))
    });
    children.into_iter().map(|child| &child.destination).collect()
}

/// Returns why an image is not looked at.
fn refused(request: &WorkloadRequest, situation: &Situation<'_>, image: &UsedImage) -> Option<NotMirrored> {
    let repository = &image.reference.repository;
    let by_place = by_place(repository, &image.users.keys(), &request.destination, situation.targets);
    let excluded = by_place.or_else(|| request.exclusions.of_image(&image.reference));
    if let Some(excluded) = excluded {
        return Some(NotMirrored::Excluded(excluded));
    }
    if image.users.keys().all(|user| request.exclusions.excludes_user(user)) {
        return Some(NotMirrored::Excluded(Excluded::Workloads));
    }
    (!request.has_trigger(WorkloadTrigger::Running)).then_some(NotMirrored::OnPullFailure)
}

/// Returns the images that are too many: those that no Image has yet first, then the last by name.
fn beyond_limit<'a>(
    request: &WorkloadRequest,
    situation: &Situation<'a>,
    findings: &mut Vec<Finding>,
) -> BTreeSet<&'a ImageReference> {
    let limit = request.spec().limits.images;
    let asked = situation.used.iter().filter(|image| refused(request, situation, image).is_none());
    let asked: BTreeSet<&ImageReference> = asked.map(|image| &image.reference).collect();
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    if asked.len() <= most {
        return BTreeSet::new();
    }
    findings.push(Finding::TooManyImages { found: asked.len(), limit });
    let known: BTreeSet<(&Repository, &str)> = situation
        .children
        .iter()
        .flat_map(|child| child.tags.iter().filter_map(|one| Some((&child.source, one.name()?.as_str()))))
        .collect();
    let is_new = |reference: &ImageReference| {
        tag_there(reference).is_none_or(|tag| !known.contains(&(&reference.repository, tag.as_str())))
    };
    let mut asked: Vec<&ImageReference> = asked.into_iter().collect();
    asked.sort_by_key(|reference| is_new(reference));
    asked.into_iter().skip(most).collect()
}

/// Returns the tag by which an Image has an image: its own, or else the pin tag of its digest.
fn tag_there(reference: &ImageReference) -> Option<Tag> {
    let pin = || SourceRef::under_pin_tag(reference.digest.clone()?).ok()?.name().cloned();
    reference.tag.clone().or_else(pin)
}
