//! Asks for one tag after the other, as little as what is known allows.

use std::collections::{HashMap, HashSet};

use imgop_registry::reference::{Digest, ManifestRef, Tag};
use imgop_registry::{BulkDigest, Descriptor, Reason, RegistryError, RepositoryClient, SharedTags};
use parking_lot::Mutex;

use super::{AsksForRepository, Known, ObserveError, Sides, for_this_tag, listed};
use crate::api::{Mode, Side};
use crate::copy::{CopyRequest, MaxParts, Naming, Observed, ObservedTag, Seen};
use crate::selection::SourceRef;

/// What an observation asks, and what it knows already.
pub(super) struct Observation<'a> {
    pub(super) sides: &'a Sides,
    pub(super) request: &'a CopyRequest,
    pub(super) known: &'a Known,
    pub(super) max_parts: MaxParts,
    pub(super) listed: Option<SharedTags>,
    /// Digests at the source that its bulk API reported; they may be a little old.
    pub(super) bulk: HashMap<Tag, BulkDigest>,
    /// The first refusal of each side to show a tag.
    refusals: Mutex<HashMap<Side, RegistryError>>,
}

impl<'a> Observation<'a> {
    pub(super) fn new(
        sides: &'a Sides,
        request: &'a CopyRequest,
        known: &'a Known,
        max_parts: MaxParts,
    ) -> Self {
        let (listed, bulk, refusals) = (None, HashMap::new(), Mutex::default());
        Self { sides, request, known, max_parts, listed, bulk, refusals }
    }
}

impl Observation<'_> {
    /// Fails if a side refused a tag and has given neither another one nor its list: the refusal concerns
    /// all then.
    pub(super) fn check_refusals(&self, observed: &Observed) -> Result<(), ObserveError> {
        for (side, error) in self.refusals.lock().drain() {
            let is_listed = match side {
                Side::Source => observed.listed.is_some(),
                Side::Destination => self.listed.is_some(),
            };
            let seen = |tag: &ObservedTag| match side {
                Side::Source => matches!(tag.source, Seen::Present(_) | Seen::Unsupported(_) | Seen::Absent),
                Side::Destination => matches!(tag.destination, Seen::Present(_) | Seen::Absent),
            };
            if !is_listed && !observed.tags.iter().any(seen) {
                return Err(ObserveError::Registry { side, error });
            }
        }
        Ok(())
    }

    /// Returns whether these tags are all that the destination has, and each was asked for now: a content that a tag is
    /// remembered to show may be gone since.
    pub(super) fn knows_destination(&self, tags: &[ObservedTag]) -> bool {
        let Some(listed) = self.listed.as_ref().filter(|listed| listed.is_new) else { return false };
        let is_asked = |tag: &&ObservedTag| {
            tag.destination.digest().is_some()
                && !self.known.at_destination.contains_key(&tag.destination_tag)
        };
        let asked: HashSet<&Tag> = tags.iter().filter(is_asked).map(|tag| &tag.destination_tag).collect();
        listed.tags.iter().all(|tag| asked.contains(tag))
    }

    /// Returns whether the destination has no such repository, and so none of the tags. If they were not listed, it is asked
    /// for that where the caller wants to know it, and something is to be copied there.
    pub(super) async fn is_without_repository(&mut self, observed: &Observed, was_listed: bool) -> bool {
        if !observed.tags.iter().all(|tag| tag.destination == Seen::Absent) {
            return false;
        }
        let is_asked_for = !was_listed && self.known.asks_for_repository != AsksForRepository::No;
        if let Some(destination) = self.sides.destination.as_ref().filter(|_| is_asked_for)
            && observed.to_be_written().next().is_some()
        {
            self.listed = listed(destination).await;
        }
        self.listed.as_ref().is_some_and(|listed| listed.has_no_repository)
    }

    /// Asks one side about one tag. What concerns all tags ends the whole observation.
    async fn seen(
        &self,
        side: Side,
        client: &RepositoryClient,
        what: &ManifestRef,
        reads: bool,
    ) -> Result<Seen, ObserveError> {
        let read_ahead = self.known.read_ahead.as_ref().filter(|kept| reads && kept.is_of_use(client));
        let answered = match read_ahead {
            Some(kept) => client.manifest(what).await.map(|manifest| {
                manifest.map(|manifest| {
                    kept.keep(manifest.clone());
                    Descriptor::from(manifest)
                })
            }),
            None => client.head(what).await,
        };
        match answered {
            // What the destination has may be replaced, whatever it is.
            Ok(Some(descriptor)) => match descriptor.check_format() {
                Err(format) if side == Side::Source => Ok(Seen::Unsupported(format!("{what}: {format}"))),
                _ => Ok(Seen::Present(descriptor.digest)),
            },
            Ok(None) => Ok(Seen::Absent),
            Err(error) if *error.reason() == Reason::RepositoryNotFound => Ok(Seen::Absent),
            Err(error) => {
                if *error.reason() == Reason::Forbidden {
                    self.refusals.lock().entry(side).or_insert_with(|| error.clone());
                }
                if *error.reason() == Reason::Schema1 && side == Side::Source {
                    return Ok(Seen::Unsupported(error.to_string()));
                }
                for_this_tag(side, error).map(Seen::Unknown)
            }
        }
    }

    /// Returns the tags whose digests at the source may turn out to be those at the destination; all that
    /// may be copied where it matters when they were pushed.
    pub(super) fn comparable(&self, selected: &[SourceRef]) -> Result<HashSet<Tag>, ObserveError> {
        let mut tags = HashSet::new();
        for what in selected.iter().filter(|what| !self.is_enough(what)) {
            let SourceRef::Tag(tag) = what else { continue };
            let destination_tag = self.request.naming.apply(what)?;
            if self.request.min_age.is_some()
                || self.listed.as_ref().is_none_or(|listed| listed.tags.contains(&destination_tag))
            {
                tags.insert(tag.clone());
            }
        }
        Ok(tags)
    }

    pub(super) async fn at(&self, source_ref: SourceRef) -> Result<ObservedTag, ObserveError> {
        let destination_tag = self.request.naming.apply(&source_ref)?;
        let (source, destination) = if self.is_enough(&source_ref) {
            // The source is asked only if the destination turns out not to have the tag.
            match self.existence(&destination_tag).await? {
                destination @ Seen::Absent => (self.source(&source_ref).await?, destination),
                destination => (Seen::NotAsked, destination),
            }
        } else if let Some(digest) = source_ref.digest() {
            self.fixed_content(&source_ref, digest, &destination_tag).await?
        } else if let SourceRef::Tag(tag) = &source_ref
            && let Some(reported) = self.bulk.get(tag)
        {
            // Good enough to know that nothing has changed. What will be copied is asked of the
            // registry itself, or a bulk API that lags behind could move a tag backwards.
            let wanted = self.wanted_of(&reported.digest);
            match self.destination(&destination_tag).await? {
                Seen::NotAsked => (Seen::Present(reported.digest.clone()), Seen::NotAsked),
                same if wanted.is_some() && same.digest() == wanted.as_ref() => {
                    (Seen::Present(reported.digest.clone()), same)
                }
                destination => (self.source(&source_ref).await?, destination),
            }
        } else if self.reads_ahead(&destination_tag) {
            let destination = self.destination(&destination_tag).await?;
            let reads = destination == Seen::Absent && self.request.min_age.is_none();
            (self.source_read(&source_ref, reads).await?, destination)
        } else {
            futures::try_join!(self.source(&source_ref), self.destination(&destination_tag))?
        };
        let content = self.content(&source, &destination).await?;
        let whole = ObservedTag::whole(source_ref, destination_tag, source, destination);
        Ok(ObservedTag { content, ..whole })
    }

    /// Returns whether the destination is asked first, so that what it lacks is read instead of looked up. Where that is not
    /// likely, both are asked at once.
    fn reads_ahead(&self, tag: &Tag) -> bool {
        let is_asked_first = self.known.asks_for_repository == AsksForRepository::First;
        self.known.read_ahead.is_some() && (is_asked_first || self.is_absent(tag))
    }

    /// Returns whether the destination's list says that a tag is absent. A list from before may lack one that has come since.
    /// A list that says there is no repository is a new one too.
    fn is_absent(&self, tag: &Tag) -> bool {
        self.listed.as_ref().is_some_and(|listed| listed.is_new && !listed.tags.contains(tag))
    }

    /// Returns what both sides have of a content that cannot change: the source is asked only if the
    /// destination turns out to have another one.
    async fn fixed_content(
        &self,
        source_ref: &SourceRef,
        digest: &Digest,
        destination_tag: &Tag,
    ) -> Result<(Seen, Seen), ObserveError> {
        let destination = self.destination(destination_tag).await?;
        let wanted = self.wanted_of(digest);
        if wanted.is_some() && destination.digest() == wanted.as_ref() {
            return Ok((Seen::Present(digest.clone()), destination));
        }
        Ok((self.source(source_ref).await?, destination))
    }

    /// Returns whether the destination has a tag, whatever its content: its list is enough.
    async fn existence(&self, tag: &Tag) -> Result<Seen, ObserveError> {
        match &self.listed {
            Some(listed) if listed.tags.contains(tag) => Ok(Seen::NotAsked),
            _ => self.destination(tag).await,
        }
    }

    /// Returns whether the destination's list is all that is needed of these tags there.
    pub(super) fn a_list_is_enough(&self, selected: &[SourceRef]) -> bool {
        selected.iter().all(|tag| {
            let known = || self.request.naming.apply(tag).map(|t| self.known.at_destination.contains_key(&t));
            self.is_enough(tag) || known().unwrap_or(false)
        })
    }

    /// Returns whether it is enough that the destination has the tag.
    fn is_enough(&self, source_ref: &SourceRef) -> bool {
        match source_ref {
            SourceRef::Tag(tag) => {
                // That a tag never moves is no reason for a fixed tag which others were put onto.
                let is_fixed = matches!(self.request.naming, Naming::Fixed(_));
                let counts_if_there = self.known.has_no_record && self.request.mode == Mode::OnceByTag;
                self.known.already_synced.contains(tag)
                    || (counts_if_there || self.request.immutable.contains(tag)) && !is_fixed
            }
            // Another content may stand under the tag.
            SourceRef::Pinned(..) | SourceRef::Digest(_) => false,
        }
    }

    pub(super) async fn source(&self, what: &SourceRef) -> Result<Seen, ObserveError> {
        self.source_read(what, false).await
    }

    async fn source_read(&self, what: &SourceRef, reads: bool) -> Result<Seen, ObserveError> {
        self.seen(Side::Source, &self.sides.source, &what.asked_for(), reads).await
    }

    pub(super) async fn destination(&self, tag: &Tag) -> Result<Seen, ObserveError> {
        let Some(client) = &self.sides.destination else { return Ok(Seen::NotAsked) };
        if self.is_absent(tag) {
            return Ok(Seen::Absent);
        }
        if let Some(listed) = &self.listed
            && let Some(digest) = self.known.at_destination.get(tag)
            && listed.tags.contains(tag)
        {
            return Ok(Seen::Present(digest.clone()));
        }
        self.seen(Side::Destination, client, &ManifestRef::Tag(tag.clone()), false).await
    }
}

#[cfg(test)]
mod tests {
    use imgop_fakes::client;

    use super::*;
    use crate::api::{Destination, ImageSpec, Source};
    use crate::copy::fixtures::observed_tag;

    /// Whether a destination is known that lists one tag, which shows a content, where these tags are remembered.
    fn is_known(remembered: &[&str]) -> bool {
        let (source, destination) =
            (Source::new("r.example.com/a", "1.x"), Destination::new("s.example.com/a"));
        let request = CopyRequest::parse(&ImageSpec::new(Mode::Recurrent, source, destination)).unwrap();
        let sides = Sides { source: client(&request.source), destination: None };
        let (tag, shown) = ("1.0".parse::<Tag>().unwrap(), Digest::of(b"a"));
        let at_destination = remembered.iter().map(|tag| (tag.parse().unwrap(), shown.clone())).collect();
        let known = Known { at_destination, ..Known::default() };
        let mut observation = Observation::new(&sides, &request, &known, MaxParts::default());
        observation.listed =
            Some(SharedTags { tags: vec![tag].into(), is_new: true, has_no_repository: false });
        observation.knows_destination(&[observed_tag("1.0", Seen::Absent, Seen::Present(shown))])
    }

    #[test]
    fn what_a_tag_is_remembered_to_show_may_be_gone() {
        assert!(is_known(&[]));
        assert!(is_known(&["0.9"]), "a tag that is gone from the list");
        assert!(!is_known(&["1.0"]));
    }
}
