//! What pods cannot pull from the destination, and where it is instead.
//!
//! The destination is asked first: what it has is not missing, whatever keeps the pod from pulling it. Then the origins are,
//! one after the other. No pod is touched: the node tries again by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use imgop_core::api::conditions::reasons;
use imgop_core::api::{Image, REQUESTED_AT_ANNOTATION, WorkloadTrigger};
use imgop_core::build::ImageReference;
use imgop_core::selection::SourceRef;
use imgop_core::time::{remaining, saturating_add};
use imgop_core::workloads::{FoundOrigin, HourlyLimit, Route, WorkloadRequest, next_try, origins, wants};
use imgop_registry::reference::Repository;
use imgop_registry::{Reason, RegistryError};
use jiff::Timestamp;
use serde::Deserialize;

use super::Pass;
use super::gather::Gathered;
use super::halt::Halt;
use crate::children::{Mirrored, State, WRITE_INTERVAL};
use crate::registry_access::AccessError;

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

/// What became of a look for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// The destination has it.
    There,
    /// An Image that is there was asked to look at once.
    Asked,
    /// An origin has it.
    Found,
    /// No origin has it.
    Nowhere,
    /// A registry did not say.
    Unknown,
    /// The limits of its namespaces left no room.
    Limited,
}

/// What is known of what pods cannot pull.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    /// What origins have.
    pub found: Vec<FoundOrigin>,
    /// Images that no origin has.
    pub not_found: usize,
    /// Images for which the limits of their namespaces left no room.
    pub limited: usize,
    /// When the next look is.
    pub wait: Option<Duration>,
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
        let open: Vec<(&ImageReference, &BTreeSet<String>)> = open.collect();
        for &(reference, namespaces) in open.iter().take(MAX_LOOKS) {
            self.look(request, reference, namespaces, memory).await?;
        }
        let awaited = memory.looks.iter().filter(|(reference, _)| wanted.contains_key(*reference));
        let next = awaited.map(|(_, look)| remaining(look.next, self.now)).min();
        let soon = (open.len() > MAX_LOOKS).then_some(WRITE_INTERVAL);
        let count = |answer: &Answer| memory.looks.values().filter(|look| look.answer == *answer).count();
        Ok(Pulls {
            found: memory.looks.values().filter_map(|look| look.found.clone()).collect(),
            not_found: count(&Answer::Nowhere),
            limited: count(&Answer::Limited),
            wait: next.into_iter().chain(soon).min(),
        })
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
        let before = memory.looks.remove(reference);
        let (mut found, times) = before.as_ref().map_or((None, 0), |look| (look.found.clone(), look.times));
        let answer = match self.is_at_destination(request, reference).await? {
            Some(true) => Answer::There,
            None => Answer::Unknown,
            Some(false) => {
                let state = (&mut *memory, &mut found);
                self.look_elsewhere(request, reference, namespaces, state).await?
            }
        };
        let is_new = before.is_none_or(|before| before.answer != answer);
        if is_new {
            self.tell(reference, &answer).await;
        }
        let times = times.saturating_add(1);
        let wait = if answer == Answer::Limited { LIMIT_INTERVAL } else { next_try(times) };
        let look = Look { answer, found, times, next: saturating_add(self.now, wait) };
        memory.looks.insert(reference.clone(), look);
        Ok(())
    }

    /// Returns whether the destination has an image; none where it does not say.
    async fn is_at_destination(
        &self,
        request: &WorkloadRequest,
        reference: &ImageReference,
    ) -> Result<Option<bool>, Halt> {
        let Some(what) = reference.manifest_ref() else { return Ok(None) };
        let client = self.destination_client(request, &reference.repository).await;
        let Some(client) = usable(client)? else { return Ok(None) };
        Ok(match client.head(&what).await {
            Ok(found) => Some(found.is_some()),
            Err(error) if *error.reason() == Reason::RepositoryNotFound => Some(false),
            Err(_) => None,
        })
    }

    /// Looks for an image that the destination does not have.
    async fn look_elsewhere(
        &self,
        request: &WorkloadRequest,
        reference: &ImageReference,
        namespaces: &BTreeSet<String>,
        (memory, found): (&mut OnTheFly, &mut Option<FoundOrigin>),
    ) -> Result<Answer, Halt> {
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
        let mut is_known = true;
        for origin in origins(request, &routes, reference) {
            let client = self.source(request, &origin.repository).await;
            let Some((client, has_login)) = usable(client)? else {
                is_known = false;
                break;
            };
            match client.head(&origin.what.asked_for()).await {
                Ok(None) => {}
                Err(error) if has_not(&error, has_login) => {}
                // What comes after it is not taken in its place.
                Err(_) => {
                    is_known = false;
                    break;
                }
                Ok(Some(_)) => {
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
        Ok(if is_known { Answer::Nowhere } else { Answer::Unknown })
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
    async fn ask(&self, image: &Image) -> Result<(), Halt> {
        let token = format!("pull-failure-{}", self.now.as_second());
        self.children().annotate(image, REQUESTED_AT_ANNOTATION, &token).await.map_err(Halt::from)
    }

    /// Says in an event what a look came to.
    async fn tell(&self, reference: &ImageReference, answer: &Answer) {
        let (reason, note) = match answer {
            Answer::There => (
                reasons::IMAGE_IS_THERE,
                format!("a pod cannot pull {reference}, and the destination has it: see the pod's events"),
            ),
            Answer::Nowhere => (
                reasons::ORIGIN_NOT_FOUND,
                format!(
                    "a pod cannot pull {reference}, and no origin has it; it is looked for again and again"
                ),
            ),
            Answer::Limited => (
                reasons::ORIGIN_LIMIT_REACHED,
                format!(
                    "a pod cannot pull {reference}: more than limits.perNamespacePerHour ({}) were copied for its \
                     namespace",
                    self.mirror.spec.limits.per_namespace_per_hour
                ),
            ),
            Answer::Asked | Answer::Found | Answer::Unknown => return,
        };
        self.agent().events.warn(&self.owner, reason, "LookForOrigin", note).await;
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

/// Returns whether an origin says that it has no such image. Registries also say to whoever does not log in that what is not
/// there may not be read. A login that is refused says nothing of what is there: the next origin may have a stranger's image
/// of the same name.
fn has_not(error: &RegistryError, has_login: bool) -> bool {
    match error.reason() {
        Reason::RepositoryNotFound => true,
        Reason::Unauthorized | Reason::Forbidden => !has_login,
        _ => false,
    }
}

/// Returns what reaches a registry; none where that is not known or not allowed now.
fn usable<T>(client: Result<T, AccessError>) -> Result<Option<T>, Halt> {
    match client {
        Ok(client) => Ok(Some(client)),
        Err(AccessError::Api(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}
