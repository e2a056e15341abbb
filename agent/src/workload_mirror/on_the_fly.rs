//! What pods cannot pull from the destination, and where it is instead.
//!
//! The destination is asked first: what it has is not missing, whatever keeps the pod from pulling it. Then the origins are,
//! one after the other. No pod is touched: the node tries again by itself.

mod answers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use imgop_core::api::{Image, REQUESTED_AT_ANNOTATION, WorkloadTrigger};
use imgop_core::build::ImageReference;
use imgop_core::selection::SourceRef;
use imgop_core::time::{remaining, saturating_add};
use imgop_core::workloads::{
    FoundOrigin, HourlyLimit, Origin, Route, WorkloadRequest, next_try, origins, wants,
};
use imgop_registry::Reason;
use imgop_registry::reference::Repository;
use jiff::Timestamp;
use serde::Deserialize;

use super::Pass;
use super::gather::Gathered;
use super::halt::Halt;
use super::unasked::{NotKnown, Unasked};
use crate::children::{Mirrored, State, WRITE_INTERVAL};
use crate::cluster::api_error::ApiError;
use answers::Answer;
pub(super) use answers::{OF_UNASKED, Pulls};

/// Images that are looked for in one pass, which holds one of few turns.
const MAX_LOOKS: usize = 20;
/// Images that are remembered at most.
const MAX_REMEMBERED: usize = 5_000;
/// How long an image is remembered, once its next look is due, that no pod is known to pull while not all pods are known.
const UNSEEN_TTL: Duration = Duration::from_hours(1);
/// When an image is looked for again for which the limit of its namespaces left no room.
const LIMIT_INTERVAL: Duration = Duration::from_mins(5);

/// What is remembered of images that pods cannot pull. All of it may be lost.
#[derive(Debug, Default)]
pub(super) struct OnTheFly {
    looks: BTreeMap<ImageReference, Look>,
    limit: HourlyLimit,
}

#[derive(Debug)]
struct Look {
    answer: Answer,
    /// What an origin had of it; it stays for as long as a pod waits.
    found: Option<FoundOrigin>,
    /// How many times it was looked for.
    times: u32,
    next: Timestamp,
}

/// What an origin says of an image.
enum Said {
    Has,
    HasNot,
    /// That it wants a login. To whoever has none, registries say that also of what they do not have.
    WantsLogin(Unasked),
}

impl Pass<'_> {
    /// Looks for what pods cannot pull, as far as that is due.
    pub(super) async fn look_for(
        &self,
        request: &WorkloadRequest,
        gathered: &Gathered,
        memory: &mut OnTheFly,
    ) -> Result<Pulls, Halt> {
        let wanted = self.wanted(request, gathered);
        // What is not known to be pulled is still missing, for a while.
        let is_recent = |look: &Look| saturating_add(look.next, UNSEEN_TTL) > self.now;
        memory.looks.retain(|reference, look| {
            wanted.contains_key(reference) || !gathered.is_complete && is_recent(look)
        });
        let due =
            |reference: &ImageReference| memory.looks.get(reference).is_none_or(|look| look.next <= self.now);
        let mut room = MAX_REMEMBERED.saturating_sub(memory.looks.len());
        // What there is no room to remember must not keep the others from their turn.
        let mut has_room = |reference: &ImageReference| {
            let is_known = memory.looks.contains_key(reference);
            let has_room = is_known || room > 0;
            room -= usize::from(!is_known && room > 0);
            has_room
        };
        let open = wanted.iter().filter(|(reference, _)| due(reference) && has_room(reference));
        let mut open: Vec<(&ImageReference, &BTreeSet<String>)> = open.collect();
        // What is nowhere must not keep the others from their turn: first what was never looked for, then what is due longest.
        open.sort_by_key(|(reference, _)| memory.looks.get(*reference).map(|look| look.next));
        for &(reference, namespaces) in open.iter().take(MAX_LOOKS) {
            self.look(request, reference, namespaces, memory).await?;
        }
        let awaited = memory.looks.iter().filter(|(reference, _)| wanted.contains_key(*reference));
        let next = awaited.map(|(_, look)| remaining(look.next, self.now)).min();
        let soon = (open.len() > MAX_LOOKS).then_some(WRITE_INTERVAL);
        Ok(memory.pulls(next.into_iter().chain(soon).min()))
    }

    /// Returns the images that are looked for, each with the namespaces whose pods wait for it.
    fn wanted(
        &self,
        request: &WorkloadRequest,
        gathered: &Gathered,
    ) -> BTreeMap<ImageReference, BTreeSet<String>> {
        let mut wanted: BTreeMap<ImageReference, BTreeSet<String>> = BTreeMap::new();
        for (reference, namespaces) in &gathered.in_use.waiting {
            // However a pod names the registry, it is one image, and the spec says how its registry is reached.
            let reference = request.as_named_here(reference.clone());
            if wants(request, &reference) {
                wanted.entry(reference).or_default().extend(namespaces.iter().cloned());
            }
        }
        if !request.has_trigger(WorkloadTrigger::PullFailure) {
            let copied = self.copied(request, &wanted);
            wanted.retain(|reference, _| copied.contains(reference));
        }
        wanted
    }

    /// Returns those of these images that Images of the mirror's namespace copy. Of both there may be thousands: each Image is
    /// read once.
    fn copied<V>(
        &self,
        request: &WorkloadRequest,
        wanted: &BTreeMap<ImageReference, V>,
    ) -> BTreeSet<ImageReference> {
        let mut by_path: BTreeMap<&str, Vec<&ImageReference>> = BTreeMap::new();
        for reference in wanted.keys() {
            by_path.entry(reference.repository.path()).or_default().push(reference);
        }
        if by_path.is_empty() {
            return BTreeSet::new();
        }
        let place = |name: &str| Some(request.repository_named_here(name.parse().ok()?));
        let may_copy = |part: &DestinationPart| {
            place(&part.spec.destination.name).is_some_and(|to| by_path.contains_key(to.path()))
        };
        let mut copied = BTreeSet::new();
        for image in self.mirrors.images.images().having(Some(self.namespace()), may_copy) {
            let Some(to) = place(&image.spec.destination.name) else { continue };
            let here = by_path.get(to.path()).into_iter().flatten();
            let here = here.filter(|one| one.repository.is_same_place(&to) && copies(&image, one));
            copied.extend(here.map(|one| (*one).clone()));
        }
        copied
    }

    async fn look(
        &self,
        request: &WorkloadRequest,
        reference: &ImageReference,
        namespaces: &BTreeSet<String>,
        memory: &mut OnTheFly,
    ) -> Result<(), Halt> {
        let before = memory.looks.get(reference);
        let (mut found, times) = before.map_or((None, 0), |look| (look.found.clone(), look.times));
        let state = (&mut *memory, &mut found);
        let answer = match self.seek(request, reference, namespaces, state).await {
            Ok(answer) => answer,
            Err(error) => Answer::Unasked(error.unasked()?),
        };
        if memory.looks.get(reference).is_none_or(|before| !answer.is_as(&before.answer)) {
            self.tell(reference, &answer, memory.has_said(&answer)).await;
        }
        let times = times.saturating_add(1);
        let wait = if answer == Answer::Limited { LIMIT_INTERVAL } else { next_try(times) };
        let look = Look { answer, found, times, next: saturating_add(self.now, wait) };
        memory.looks.insert(reference.clone(), look);
        Ok(())
    }

    /// Looks for an image at the destination, and elsewhere if that does not have it.
    async fn seek(
        &self,
        request: &WorkloadRequest,
        reference: &ImageReference,
        namespaces: &BTreeSet<String>,
        (memory, found): (&mut OnTheFly, &mut Option<FoundOrigin>),
    ) -> Result<Answer, NotKnown> {
        if self.is_at_destination(request, reference).await? {
            return Ok(Answer::There);
        }
        // What was found is what an Image of this mirror copies; another one is looked for only where there is none.
        if let Some(image) = self.copying(request, reference) {
            if is_to_be_asked(&image) {
                self.ask(&image).await?;
            }
            return Ok(Answer::Asked);
        }
        if found.is_some() {
            return Ok(Answer::Found);
        }
        let images = self.images_to(request, &reference.repository);
        let routes: Vec<Route> =
            images.iter().filter_map(|image| route(image, &reference.repository)).collect();
        let mut wants_login = None;
        for origin in origins(request, &routes, reference) {
            // What comes after one that cannot be asked is not taken in its place.
            match self.ask_origin(request, &origin).await? {
                Said::HasNot => {}
                Said::WantsLogin(unasked) => wants_login = wants_login.or(Some(unasked)),
                Said::Has => {
                    let limit = self.mirror.spec.limits.per_namespace_per_hour;
                    let mut limits = namespaces.iter();
                    if !limits.any(|namespace| memory.limit.allows(namespace, limit, self.now)) {
                        return Ok(Answer::Limited);
                    }
                    let destination = reference.repository.clone();
                    *found = Some(FoundOrigin { destination, origin });
                    return Ok(Answer::Found);
                }
            }
        }
        Ok(wants_login.map_or(Answer::Nowhere, Answer::Unasked))
    }

    /// Returns whether the destination has an image.
    async fn is_at_destination(
        &self,
        request: &WorkloadRequest,
        reference: &ImageReference,
    ) -> Result<bool, NotKnown> {
        let repository = &reference.repository;
        // A reference has a tag or a digest.
        let Some(what) = reference.manifest_ref() else { return Ok(false) };
        let reached = self.destination_client(request, repository).await?;
        match reached.client.head(&what).await {
            Ok(found) => Ok(found.is_some()),
            Err(error) if *error.reason() == Reason::RepositoryNotFound => Ok(false),
            Err(error) => Err(self.destination_unasked(request, repository, reached.is_lent, &error).into()),
        }
    }

    /// Asks an origin for an image. A login that is refused says nothing of what is there: the next origin may have a stranger's
    /// image of the same name.
    async fn ask_origin(&self, request: &WorkloadRequest, origin: &Origin) -> Result<Said, NotKnown> {
        let reached = self.source_client(request, &origin.repository).await?;
        let error = match reached.client.head(&origin.what.asked_for()).await {
            Ok(Some(_)) => return Ok(Said::Has),
            Ok(None) => return Ok(Said::HasNot),
            Err(error) => error,
        };
        let unasked = Unasked::source(request, &origin.repository, reached.is_lent, &error);
        match error.reason() {
            Reason::RepositoryNotFound => Ok(Said::HasNot),
            Reason::Unauthorized | Reason::Forbidden if !reached.has_login => Ok(Said::WantsLogin(unasked)),
            _ => Err(unasked.into()),
        }
    }

    /// Returns an Image of the mirror's namespace that copies an image.
    fn copying(&self, request: &WorkloadRequest, reference: &ImageReference) -> Option<Image> {
        self.images_to(request, &reference.repository).into_iter().find(|image| copies(image, reference))
    }

    /// Returns the Images of the mirror's namespace that copy to a repository.
    fn images_to(&self, request: &WorkloadRequest, repository: &Repository) -> Vec<Image> {
        let is_there = |name: Repository| {
            name.is_same_place(repository) || request.repository_named_here(name).is_same_place(repository)
        };
        let is_to = |part: &DestinationPart| {
            let destination = part.spec.destination.name.parse::<Repository>();
            destination.is_ok_and(is_there)
        };
        self.mirrors.images.images().having(Some(self.namespace()), is_to).collect()
    }

    /// Has an Image look at once: its destination was known to have what a pod cannot pull.
    async fn ask(&self, image: &Image) -> Result<(), ApiError> {
        let token = format!("pull-failure-{}", self.now.as_second());
        self.children().annotate(image, REQUESTED_AT_ANNOTATION, &token).await
    }
}

/// Returns whether an Image is to be asked to look at once. One that is at work comes to it by itself, and one that is suspended
/// does not come to it. Where another request is open, it is waited for: a user may have made it.
fn is_to_be_asked(image: &Image) -> bool {
    let requested = image.metadata.annotations.as_ref().and_then(|all| all.get(REQUESTED_AT_ANNOTATION));
    let handled = image.status.as_ref().and_then(|status| status.last_handled_requested_at.as_ref());
    let has_open_request = requested.is_some() && requested != handled;
    !image.spec.suspend && !has_open_request && Mirrored::of(image).state != State::Progressing
}

/// What is read of an Image to find those that copy to a repository.
#[derive(Deserialize)]
struct DestinationPart {
    spec: DestinationSpecPart,
}

#[derive(Deserialize)]
struct DestinationSpecPart {
    destination: DestinationName,
}

#[derive(Deserialize)]
struct DestinationName {
    #[serde(default)]
    name: String,
}

/// Returns from where an Image copies to a repository, by whichever name it has that.
fn route(image: &Image, destination: &Repository) -> Option<Route> {
    Some(Route { source: image.spec.source.name.parse().ok()?, destination: destination.clone() })
}

/// Returns whether an Image copies an image under its tag, or its content.
fn copies(image: &Image, reference: &ImageReference) -> bool {
    let source = &image.spec.source;
    let mut listed = source.tags.iter().filter_map(|text| text.parse::<SourceRef>().ok());
    let is_listed = |one: SourceRef| match (&reference.digest, &reference.tag) {
        (Some(digest), _) => one.digest() == Some(digest),
        (None, tag) => one.name() == tag.as_ref(),
    };
    let is_version = reference.tag.as_ref().is_some_and(|tag| *tag.as_str() == *source.version);
    is_version || listed.any(is_listed)
}
