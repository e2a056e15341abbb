//! Where an image comes from that a pod cannot pull from the destination.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use imgop_registry::reference::{RegistryHost, Repository};
use jiff::Timestamp;

use super::request::WorkloadRequest;
use crate::build::ImageReference;
use crate::registry_prefix::RegistryPrefix;
use crate::selection::SourceRef;
use crate::time::{backoff, saturating_add};

/// The first pause after no origin had an image; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
/// The longest of these pauses.
const MAX_PAUSE: Duration = Duration::from_hours(1);
/// How long a copy counts for the limit of a namespace.
const HOUR: Duration = Duration::from_hours(1);

/// What one beginning of names stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OriginRule {
    pub(super) from: RegistryPrefix,
    pub(super) to: Vec<RegistryPrefix>,
}

impl OriginRule {
    /// Returns what holds where no rule is given: what lies below a destination comes from Docker Hub.
    pub(super) fn docker_hub(from: &RegistryPrefix) -> Self {
        Self { from: from.clone(), to: vec![RegistryPrefix::of_registry(RegistryHost::docker_hub())] }
    }
}

/// Where an image may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The repository that is asked.
    pub repository: Repository,
    /// What it is asked for, and which tag that becomes.
    pub what: SourceRef,
}

/// What an Image copies between which repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where it comes from.
    pub source: Repository,
    /// Where it goes to.
    pub destination: Repository,
}

/// Whether an image that a pod cannot pull is one that is copied for it: it lies below the destination, or below what an
/// origin is `from`.
pub fn wants(request: &WorkloadRequest, reference: &ImageReference) -> bool {
    let repository = &reference.repository;
    let is_below = request.destination.holds(repository)
        || request.origins.iter().any(|rule| rule.from.holds(repository));
    is_below && request.exclusions.of_image(reference).is_none()
}

/// Returns where an image may come from, in the order in which it is asked for: the source of an Image that goes to its
/// repository; the part of its path that begins with a registry; then the `to` of the longest `from` of `origins`. What is
/// excluded is no origin. `routes` are those of the Images in the namespace of the mirror.
pub fn origins(request: &WorkloadRequest, routes: &[Route], reference: &ImageReference) -> Vec<Origin> {
    let Some(what) = asked_for(reference).filter(|_| wants(request, reference)) else { return Vec::new() };
    let place = &reference.repository;
    let of_images = routes.iter().filter(|route| route.destination.is_same_place(place));
    let of_images = of_images.map(|route| route.source.clone());
    let of_path = request.destination.rest(place).filter(|rest| Repository::names_registry(rest));
    let of_path = of_path.and_then(|rest| rest.parse::<Repository>().ok());
    let mut rules: Vec<(_, &OriginRule)> =
        request.origins.iter().filter_map(|rule| Some((rule.from.fit(place)?, rule))).collect();
    // A shorter one is another's place: what that has under the same name is another image. Of two that are equally long the
    // first is asked first.
    let longest = rules.iter().map(|(fit, _)| *fit).max();
    rules.retain(|(fit, _)| Some(*fit) == longest);
    let of_rules = rules.iter().flat_map(|(_, rule)| {
        let rest = rule.from.rest(place);
        rule.to.iter().filter_map(move |to| to.below(rest?).ok())
    });
    let mut found: Vec<Origin> = Vec::new();
    for repository in of_images.chain(of_path).chain(of_rules) {
        // What lies at the destination does not come from there.
        let is_new = !found.iter().any(|origin| origin.repository.is_same_place(&repository));
        let as_named = ImageReference { repository: repository.clone(), ..reference.clone() };
        let is_excluded = request.exclusions.of_image(&as_named).is_some();
        let is_elsewhere = !repository.is_same_place(place) && !request.destination.holds(&repository);
        if is_new && is_elsewhere && !is_excluded {
            found.push(Origin { repository, what: what.clone() });
        }
    }
    found
}

/// Returns what an origin is asked for: the content where the image names one.
fn asked_for(reference: &ImageReference) -> Option<SourceRef> {
    match (&reference.tag, &reference.digest) {
        (Some(tag), Some(digest)) => Some(SourceRef::Pinned(tag.clone(), digest.clone())),
        (None, Some(digest)) => SourceRef::under_pin_tag(digest.clone()).ok(),
        (Some(tag), None) => Some(SourceRef::Tag(tag.clone())),
        (None, None) => None,
    }
}

/// Returns how long to wait after an image was found nowhere this many times, at least once: 1, 2, 4 … 60 minutes.
pub fn next_try(times: u32) -> Duration {
    backoff(FIRST_PAUSE, MAX_PAUSE, times.saturating_sub(1))
}

/// How many images of each namespace were copied within the last hour.
#[derive(Debug, Clone, Default)]
pub struct HourlyLimit(HashMap<String, VecDeque<Timestamp>>);

impl HourlyLimit {
    /// Counts a copy for a namespace, and returns whether it is within the limit. One that is not is not counted.
    pub fn allows(&mut self, namespace: &str, limit: u32, now: Timestamp) -> bool {
        self.0.retain(|_, times| {
            while times.front().is_some_and(|time| saturating_add(*time, HOUR) <= now) {
                times.pop_front();
            }
            !times.is_empty()
        });
        let times = self.0.entry(namespace.to_owned()).or_default();
        let is_allowed = u32::try_from(times.len()).is_ok_and(|count| count < limit);
        if is_allowed {
            times.push_back(now);
        }
        is_allowed
    }
}
