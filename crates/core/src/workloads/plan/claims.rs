//! Which source has which tag of a destination.

use std::collections::{BTreeMap, BTreeSet};

use imgop_registry::reference::{Repository, Tag};
use jiff::Timestamp;

use super::placing::{Pair, Placed};
use super::{Desired, Finding, NotMirrored, Outcome, Situation, is_whole};
use crate::selection::SourceRef;
use crate::time::saturating_add;
use crate::workloads::child::{ChildImage, ChildKey, Variant};
use crate::workloads::digests::{Item, Items, items};
use crate::workloads::request::WorkloadRequest;

/// A tag of a destination.
pub(in crate::workloads) type Place = (Repository, Tag);

/// What a tag of a destination is made of.
#[derive(Debug, Clone)]
pub(in crate::workloads) struct Claim {
    pub source: Repository,
    pub item: Item,
    pub is_on_the_fly: bool,
}

/// Which source has which tag of a destination, and which tags have no content yet.
#[derive(Debug, Default)]
pub(in crate::workloads) struct Claims {
    pub held: BTreeMap<Place, Claim>,
    /// Tags that wait for their content.
    pub waiting: BTreeSet<Place>,
    /// Tags that pods pull from the destination itself.
    pub pulled: BTreeSet<Place>,
    /// Tags that an Image keeps whose source is not known to be used now, and that source.
    kept: BTreeMap<Place, Repository>,
}

impl Claims {
    /// Gives each tag to one source, and notes what that means for the images.
    pub(super) fn of(request: &WorkloadRequest, situation: &Situation<'_>, placed: &mut Placed<'_>) -> Self {
        let mut claims = Self { pulled: pulled(request, situation), ..Self::default() };
        let of_pairs: BTreeMap<&Pair, Items> =
            placed.pairs.iter().map(|(pair, named)| (pair, items(request, named))).collect();
        let mut sources: BTreeMap<Place, Vec<&Repository>> = BTreeMap::new();
        for (pair, items) in &of_pairs {
            for tag in items.items.keys() {
                sources.entry((pair.destination.clone(), tag.clone())).or_default().push(&pair.source);
            }
            let waiting = items.waiting.iter().map(|tag| (pair.destination.clone(), tag.clone()));
            claims.waiting.extend(waiting);
        }
        for (place, sources) in sources {
            let unused = retained(request, situation, &place, &sources);
            let all: Vec<&Repository> = sources.iter().copied().chain(unused).collect();
            let Some(kept) = contest(situation, &place, &all, &mut placed.findings) else { continue };
            if Some(kept) == unused {
                claims.kept.insert(place, kept.clone());
                continue;
            }
            let pair = Pair { source: kept.clone(), destination: place.0.clone() };
            let item = of_pairs.get(&pair).and_then(|items| items.items.get(&place.1));
            if let Some(item) = item.cloned() {
                claims.held.insert(place, Claim { source: kept.clone(), item, is_on_the_fly: false });
            }
        }
        for (pair, items) in &of_pairs {
            for named in placed.pairs.get(*pair).into_iter().flatten() {
                let outcome = claims.outcome(pair, items.of(named));
                if let Some(known) = placed.outcomes.get_mut(named.used) {
                    merge(known, outcome);
                }
            }
        }
        claims
    }

    /// Returns what becomes of an image between two repositories.
    fn outcome<'a>(&self, pair: &Pair, tags: impl Iterator<Item = &'a SourceRef>) -> Outcome {
        let mut contested = None;
        let mut mirrored = Vec::new();
        for what in tags {
            let Some(tag) = what.name() else { continue };
            match self.held.get(&(pair.destination.clone(), tag.clone())) {
                Some(claim) if claim.source == pair.source => {
                    mirrored.push((pair.destination.clone(), what.clone()));
                }
                Some(claim) => {
                    contested = Some(contested_by(&(pair.destination.clone(), tag.clone()), &claim.source));
                }
                None => {
                    let place = (pair.destination.clone(), tag.clone());
                    contested = self.kept.get(&place).map(|kept| contested_by(&place, kept)).or(contested);
                }
            }
        }
        match (mirrored.is_empty(), contested) {
            (false, _) => Outcome::Mirrored(mirrored),
            (true, Some(contested)) => Outcome::NotMirrored(contested),
            (true, None) => Outcome::NotMirrored(NotMirrored::WaitingForDigest),
        }
    }

    /// Returns whether something is known to use a tag.
    pub(super) fn is_used(&self, place: &Place) -> bool {
        self.held.contains_key(place) || self.waiting.contains(place) || self.pulled.contains(place)
    }

    /// Adds what origins have of the images that pods cannot pull.
    pub(super) fn add_found(&mut self, situation: &Situation<'_>) {
        for found in situation.found {
            let what = &found.origin.what;
            let Some(tag) = what.name() else { continue };
            let item = Item { what: what.clone(), platforms: BTreeSet::new() };
            let source = found.origin.repository.clone();
            let claim = Claim { source, item, is_on_the_fly: true };
            self.held.entry((found.destination.clone(), tag.clone())).or_insert(claim);
        }
    }

    /// Returns what each Image is to copy.
    pub(super) fn desired(&self, request: &WorkloadRequest) -> BTreeMap<ChildKey, Desired> {
        let mut desired: BTreeMap<ChildKey, Desired> = BTreeMap::new();
        for ((destination, tag), claim) in &self.held {
            let variant = Variant {
                is_exception: !claim.is_on_the_fly && request.is_exception(tag),
                is_whole: !claim.is_on_the_fly && is_whole(request, &claim.item.what),
                is_on_the_fly: claim.is_on_the_fly,
            };
            let (source, destination) = (claim.source.clone(), destination.clone());
            let of_child = desired.entry(ChildKey { source, destination, variant }).or_default();
            of_child.items.insert(tag.clone(), claim.item.clone());
        }
        desired
    }
}

fn contested_by((destination, tag): &Place, kept: &Repository) -> NotMirrored {
    let (destination, kept) = (format!("{destination}:{tag}"), format!("{kept}:{tag}"));
    NotMirrored::Contested { destination, kept }
}

/// Returns the source of an Image that has a tag which none of these sources is, and that keeps it: what is not known to be
/// used stays for the retention, and is not overwritten with what another source has.
fn retained<'a>(
    request: &WorkloadRequest,
    situation: &Situation<'a>,
    (destination, tag): &Place,
    sources: &[&Repository],
) -> Option<&'a Repository> {
    let has = |child: &&ChildImage| child.destination == *destination && child.named(tag).is_some();
    let others = situation.children.iter().filter(has).filter(|child| !sources.contains(&&child.source));
    let stays = others.filter(|child| {
        let since = child.unused_since.0.get(tag.as_str()).map_or(situation.now, |since| *since);
        !situation.is_complete || saturating_add(since.min(situation.now), request.retention) > situation.now
    });
    stays.min_by_key(|child| child.created).map(|child| &child.source)
}

/// Returns which of these sources has a tag: the one that has had it for longest.
fn contest<'a>(
    situation: &Situation<'_>,
    (destination, tag): &Place,
    sources: &[&'a Repository],
    findings: &mut Vec<Finding>,
) -> Option<&'a Repository> {
    let since = |source: &Repository| {
        let theirs = situation.children.iter().filter(|child| {
            child.source == *source && child.destination == *destination && child.named(tag).is_some()
        });
        theirs.map(|child| child.created).min().unwrap_or(Timestamp::MAX)
    };
    let mut sorted: Vec<&'a Repository> = sources.to_vec();
    sorted.sort_by_cached_key(|source| (since(source), (*source).clone()));
    let (kept, others) = sorted.split_first()?;
    if !others.is_empty() {
        let left_out = others.iter().map(|source| format!("{source}:{tag}")).collect();
        let (kept, destination) = (format!("{kept}:{tag}"), format!("{destination}:{tag}"));
        findings.push(Finding::Contested { destination, kept, left_out });
    }
    Some(kept)
}

/// Returns the tags that pods pull from where Images of the mirror bring them.
fn pulled(request: &WorkloadRequest, situation: &Situation<'_>) -> BTreeSet<Place> {
    let destinations: BTreeSet<&Repository> =
        situation.children.iter().map(|child| &child.destination).collect();
    let used = situation.used.iter().map(|image| request.as_named_here(image.reference.clone()));
    let there = used.filter(|reference| destinations.contains(&reference.repository));
    let places = there.flat_map(|reference| {
        let pin = reference.digest.as_ref().and_then(|digest| SourceRef::under_pin_tag(digest.clone()).ok());
        let pin = pin.and_then(|pin| pin.name().cloned());
        let tags = reference.tag.into_iter().chain(pin);
        tags.map(move |tag| (reference.repository.clone(), tag))
    });
    places.collect()
}

/// Adds what becomes of an image between two repositories to what becomes of it elsewhere.
fn merge(known: &mut Outcome, other: Outcome) {
    match (&mut *known, other) {
        (Outcome::Mirrored(all), Outcome::Mirrored(more)) => all.extend(more),
        (Outcome::Mirrored(all), not @ Outcome::NotMirrored(_)) if all.is_empty() => *known = not,
        (Outcome::NotMirrored(_), mirrored @ Outcome::Mirrored(_)) => *known = mirrored,
        (Outcome::Mirrored(_) | Outcome::NotMirrored(_), Outcome::NotMirrored(_)) => {}
    }
}
