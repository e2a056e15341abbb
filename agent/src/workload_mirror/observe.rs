//! The mode Observe: both registries are asked for each tag, by HEAD alone.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};
use imgop_core::api::conditions::reasons;
use imgop_core::api::{MAX_NAMED_IN_STATUS, MirrorFailure};
use imgop_core::selection::SourceRef;
use imgop_core::workloads::{PlannedChild, WorkloadRequest};
use imgop_registry::reference::{ManifestRef, Repository, Tag};
use imgop_registry::{Descriptor, Reason};

use super::halt::Halt;
use super::unasked::{NotKnown, Unasked};
use super::{Memory, Pass};

/// Tags that are asked for in one pass, which holds one of few turns, and at once.
const MAX_TAGS: usize = 200;
const CONCURRENCY: usize = 8;

/// What registries said of tags since the look began.
#[derive(Debug, Default)]
pub(super) struct Observations {
    answers: BTreeMap<Key, Compared>,
    /// Whether the look that is due has begun.
    has_begun: bool,
}

/// Source, destination, and what of the source.
type Key = (Repository, Repository, String);

/// How both sides of a tag compare.
#[derive(Debug)]
enum Compared {
    Same,
    /// The destination lacks it, or has other content.
    Different,
    /// The source lacks it.
    Absent,
    /// A registry could not be asked.
    Unasked(Unasked),
}

/// What registries have of a plan.
#[derive(Debug, Default)]
pub(super) struct Sides {
    /// How many tags are the same on both sides.
    pub same: usize,
    pub failing: Vec<MirrorFailure>,
    /// How many tags could not be looked at, and why the first of them could not be.
    unasked: usize,
    pub first_unasked: Option<Unasked>,
}

impl Observations {
    /// Has all tags asked for again, also where a look has not come to its end: it began with another spec.
    pub(super) fn look_again(&mut self) {
        self.has_begun = false;
    }
}

impl Sides {
    /// Returns how these tags stand, for people.
    pub(super) fn summary(&self, tags: usize) -> String {
        let unasked = self.first_unasked.as_ref().map(|first| {
            format!(
                "; could not be looked at, and are looked at again once spec.frequency has passed: {} of {tags} tags; the \
                 first: {}",
                self.unasked, first.message
            )
        });
        let unasked = unasked.unwrap_or_default();
        format!("{} of {tags} tags are at the destination; mode Observe makes nothing{unasked}", self.same)
    }
}

impl Pass<'_> {
    /// Asks both registries for the tags of a plan, some in each pass, and all anew when the mirror is due.
    pub(super) async fn observe(
        &self,
        request: &WorkloadRequest,
        children: &[PlannedChild],
        memory: &mut Memory,
    ) -> Result<Sides, Halt> {
        let Observations { answers: known, has_begun } = &mut memory.observed;
        if memory.looks.is_syncing && !std::mem::replace(has_begun, true) {
            known.clear();
        }
        let all: BTreeSet<Key> = tags_of(children).map(|(child, what)| key(child, what)).collect();
        known.retain(|key, _| all.contains(key));
        let is_open = |(child, what): &(&PlannedChild, &SourceRef)| !known.contains_key(&key(child, what));
        let mut open: Vec<(&PlannedChild, &SourceRef)> = tags_of(children).filter(is_open).collect();
        memory.looks.is_busy |= open.len() > MAX_TAGS;
        open.truncate(MAX_TAGS);
        let asked = open
            .into_iter()
            .map(|(child, what)| async move { (key(child, what), self.compare(request, child, what).await) });
        let asked: Vec<_> = asked.collect();
        let asked: Vec<_> = stream::iter(asked).buffer_unordered(CONCURRENCY).collect().await;
        let mut halt = None;
        for (key, compared) in asked {
            match compared {
                Ok(compared) => {
                    known.insert(key, compared);
                }
                Err(error) => halt = halt.or(Some(error)),
            }
        }
        // What was answered stays, and the look goes on with the rest: to begin anew would ask for all of it with each try.
        if let Some(halt) = halt {
            return Err(halt);
        }
        *has_begun &= memory.looks.is_busy;
        Ok(sides(children, known))
    }

    async fn compare(
        &self,
        request: &WorkloadRequest,
        child: &PlannedChild,
        what: &SourceRef,
    ) -> Result<Compared, Halt> {
        Ok(match self.digests(request, child, what).await {
            Ok((None, _)) => Compared::Absent,
            Ok((Some(_), None)) => Compared::Different,
            // Some platforms alone are another content.
            Ok((Some(source), Some(destination))) if child.platforms.is_empty() && source != destination => {
                Compared::Different
            }
            Ok((Some(_), Some(_))) => Compared::Same,
            Err(error) => Compared::Unasked(error.unasked()?),
        })
    }

    /// Returns what both sides have of a tag.
    async fn digests(
        &self,
        request: &WorkloadRequest,
        child: &PlannedChild,
        what: &SourceRef,
    ) -> Result<(Option<String>, Option<String>), NotKnown> {
        let from = self.source_client(request, &child.source).await?;
        let source = from.client.head(&what.asked_for()).await;
        let source = source.map_err(|error| Unasked::source(request, &child.source, from.is_lent, &error))?;
        // What has no name there is not there.
        let destination = match what.name() {
            Some(tag) => self.destination_head(request, &child.destination, tag).await?,
            None => None,
        };
        let digest = |found: Option<Descriptor>| found.map(|found| found.digest.to_string());
        Ok((digest(source), digest(destination)))
    }

    /// Returns what the destination has under a tag. A repository is made there when something is first copied to it.
    async fn destination_head(
        &self,
        request: &WorkloadRequest,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<Descriptor>, NotKnown> {
        let reached = self.destination_client(request, repository).await?;
        match reached.client.head(&ManifestRef::Tag(tag.clone())).await {
            Ok(found) => Ok(found),
            Err(error) if *error.reason() == Reason::RepositoryNotFound => Ok(None),
            Err(error) => Err(self.destination_unasked(request, repository, reached.is_lent, &error).into()),
        }
    }
}

fn tags_of(children: &[PlannedChild]) -> impl Iterator<Item = (&PlannedChild, &SourceRef)> {
    children.iter().flat_map(|child| child.tags.iter().map(move |what| (child, what)))
}

fn key(child: &PlannedChild, what: &SourceRef) -> Key {
    (child.source.clone(), child.destination.clone(), what.to_string())
}

fn sides(children: &[PlannedChild], known: &BTreeMap<Key, Compared>) -> Sides {
    let mut sides = Sides::default();
    for (child, what) in tags_of(children) {
        let reason = match known.get(&key(child, what)) {
            Some(Compared::Same) => {
                sides.same += 1;
                continue;
            }
            Some(Compared::Absent) => reasons::TAG_NOT_FOUND,
            Some(Compared::Unasked(unasked)) => {
                sides.unasked += 1;
                sides.first_unasked.get_or_insert_with(|| unasked.clone());
                unasked.reason
            }
            Some(Compared::Different) | None => continue,
        };
        if sides.failing.len() < MAX_NAMED_IN_STATUS {
            let (image, tag) = (child.name.clone(), what.name().map(Tag::to_string));
            sides.failing.push(MirrorFailure { image, reason: reason.to_owned(), tag });
        }
    }
    sides
}
