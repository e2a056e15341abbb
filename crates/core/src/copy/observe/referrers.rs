//! What refers to the tags that are selected: signatures, attestations, SBOMs.
//!
//! Where a registry has the referrers API it is asked for each content. Elsewhere, and for what
//! cosign writes, there are tags named after the content, and the one tag list has them all.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::{StreamExt as _, TryStreamExt as _};

use super::contents::{ManifestAnswer, manifest};
use super::observation::Observation;
use super::{Limits, ObserveError, for_this_tag};
use crate::api::Side;
use crate::copy::{Content, MadeIndex, MadeOf, MaxParts, ObservedTag, Origin, Seen, TagState, Waiting};
use crate::selection::SourceRef;
use imgop_registry::oci::{Referrer, referrers_index, referrers_tag, subject_of};
use imgop_registry::reference::{Digest, Tag};
use imgop_registry::{Manifest, TagList};

impl Observation<'_> {
    /// Finds what refers to these tags and notes at each of them for which content it was sought.
    /// `among` is the list of the source's tags, if there is one already. What refers to a tag that
    /// waits waits with it.
    pub(super) async fn referrers(
        &self,
        tags: &mut [ObservedTag],
        waiting: &[Waiting],
        among: Option<TagList>,
        limits: Limits,
    ) -> Result<Vec<ObservedTag>, ObserveError> {
        self.find_subjects(tags, waiting, limits).await?;
        let subjects: Vec<Digest> = each_once(tags.iter().filter_map(|tag| tag.subject.clone()));
        let Some(first) = subjects.first() else { return Ok(Vec::new()) };
        let taken: HashSet<Tag> = tags.iter().map(|tag| tag.destination_tag.clone()).collect();
        let list = self.list(among).await?;
        // The first content is asked for alone: if there is no API, that is all that is asked.
        let answer = self.ask(first.clone()).await?;
        let is_needed = match &answer {
            Some(ReferrersAnswer::There(_)) => true,
            // It would not answer for the images either.
            Some(ReferrersAnswer::Unknown(_)) => false,
            None => names_another(&list, &subjects),
        };
        if is_needed {
            self.find_images(tags, limits).await?;
        }
        let subjects: Vec<Digest> = each_once(subjects.into_iter().chain(images_of(tags)));
        let mut named = named_after(&subjects, &list);
        let mut reported = Vec::new();
        for (subject, answer) in self.answers(answer, &subjects, limits).await? {
            let tag = referrers_tag(&subject)?;
            // The API knows what stands under the tag as well, and may know more.
            named.remove(&tag);
            if !taken.contains(&tag) {
                reported.push((subject, tag, answer));
            }
        }
        named.retain(|tag, _| !taken.contains(tag));
        // Before anything more is asked for any of them.
        if reported.len() + named.len() > limits.max_referrers {
            let count = reported.len() + named.len();
            return Err(ObserveError::TooManyReferrers { count, cap: limits.max_referrers });
        }
        let mut referrers: Vec<ObservedTag> = futures::stream::iter(reported)
            .map(|(subject, tag, answer)| self.made(subject, tag, answer))
            .buffered(limits.concurrency.max(1))
            .try_collect()
            .await?;
        let named: Vec<ObservedTag> = futures::stream::iter(named)
            .map(|(tag, subject)| self.named(tag, subject))
            .buffered(limits.concurrency.max(1))
            .try_collect()
            .await?;
        referrers.extend(named);
        Ok(referrers)
    }

    /// Sets the subject of each tag.
    async fn find_subjects(
        &self,
        tags: &mut [ObservedTag],
        waiting: &[Waiting],
        limits: Limits,
    ) -> Result<(), ObserveError> {
        let found: Vec<Result<Option<Digest>, String>> = futures::stream::iter(tags.to_vec())
            .map(|tag| self.subject(tag, waiting))
            .buffered(limits.concurrency.max(1))
            .try_collect()
            .await?;
        for (tag, subject) in tags.iter_mut().zip(found) {
            match subject {
                Ok(subject) => tag.subject = subject,
                // Without its digest its referrers would seem to be gone.
                Err(why) => tag.source = Seen::Unknown(why),
            }
        }
        Ok(())
    }

    /// Returns the content of a tag at the source. It is asked for only of a tag whose source need not be
    /// asked otherwise, and then seldom.
    async fn subject(
        &self,
        tag: ObservedTag,
        waiting: &[Waiting],
    ) -> Result<Result<Option<Digest>, String>, ObserveError> {
        if tag.waits(waiting).is_some() {
            return Ok(Ok(None));
        }
        match &tag.source {
            // Nothing of it is copied, so there would be nothing to refer to.
            _ if matches!(tag.content, Content::NoPlatform(_)) => return Ok(Ok(None)),
            Seen::Present(digest) => return Ok(Ok(Some(digest.clone()))),
            Seen::Absent | Seen::Unsupported(_) | Seen::Unknown(_) => return Ok(Ok(None)),
            Seen::NotAsked => {}
        }
        if let Some(name) = tag.source_ref.tag()
            && let Some(known) = self.known.at_source.get(name)
        {
            return Ok(Ok(Some(known.clone())));
        }
        match self.sides.source.head(&tag.source_ref.asked_for()).await {
            Ok(descriptor) => Ok(Ok(descriptor.map(|descriptor| descriptor.digest))),
            Err(error) => for_this_tag(Side::Source, error).map(Err),
        }
    }

    /// Finds the images of indexes that are copied whole: each may have signatures and SBOMs of its own.
    async fn find_images(&self, tags: &mut [ObservedTag], limits: Limits) -> Result<(), ObserveError> {
        let found: Vec<Result<Option<Vec<Digest>>, String>> = futures::stream::iter(tags.to_vec())
            .map(|tag| self.images(tag))
            .buffered(limits.concurrency.max(1))
            .try_collect()
            .await?;
        for (tag, images) in tags.iter_mut().zip(found) {
            match images {
                Ok(images) => tag.images = images,
                // What refers to them would seem to be gone.
                Err(why) => tag.source = Seen::Unknown(why),
            }
        }
        Ok(())
    }

    /// Returns the images of an index. It is read where that costs no pull of the source, if it is there.
    async fn images(&self, tag: ObservedTag) -> Result<Result<Option<Vec<Digest>>, String>, ObserveError> {
        let Some(subject) = &tag.subject else { return Ok(Ok(None)) };
        if is_narrowed(&tag) {
            return Ok(Ok(None));
        }
        if let Some(known) = self.known.contents.images(subject) {
            return Ok(Ok(Some(known.clone())));
        }
        let there = tag.destination.digest() == Some(subject);
        let (side, client) = match &self.sides.destination {
            Some(destination) if there => (Side::Destination, destination),
            _ => (Side::Source, &self.sides.source),
        };
        Ok(match manifest(side, client, subject).await? {
            ManifestAnswer::There(manifest) => match manifest.platforms() {
                Ok(images) => Ok(Some(images.into_iter().map(|image| image.digest).collect())),
                Err(error) => Err(error.to_string()),
            },
            // It is no index.
            ManifestAnswer::Absent | ManifestAnswer::Unreadable => Ok(None),
            ManifestAnswer::Unknown(why) => Err(why),
        })
    }

    async fn list(&self, among: Option<TagList>) -> Result<TagList, ObserveError> {
        match among {
            Some(tags) => Ok(tags),
            None => match self.sides.source.shared_tags().await {
                Ok(shared) => Ok(shared.tags),
                Err(error) => Err(ObserveError::Registry { side: Side::Source, error }),
            },
        }
    }

    /// Returns what the referrers API answers, where there is one and it knows of any; `first` is its answer
    /// for the first content.
    async fn answers(
        &self,
        first: Option<ReferrersAnswer>,
        subjects: &[Digest],
        limits: Limits,
    ) -> Result<Vec<(Digest, ReferrersAnswer)>, ObserveError> {
        let (Some((_, rest)), Some(first)) = (subjects.split_first(), first) else { return Ok(Vec::new()) };
        let rest: Vec<Option<ReferrersAnswer>> = futures::stream::iter(rest.to_vec())
            .map(|subject| self.ask(subject))
            .buffered(limits.concurrency.max(1))
            .try_collect()
            .await?;
        let answers = std::iter::once(Some(first)).chain(rest);
        let all =
            subjects.iter().cloned().zip(answers).filter_map(|(subject, answer)| Some((subject, answer?)));
        Ok(all
            .filter(|(_, answer)| !matches!(answer, ReferrersAnswer::There(none) if none.is_empty()))
            .collect())
    }

    async fn ask(&self, subject: Digest) -> Result<Option<ReferrersAnswer>, ObserveError> {
        match self.sides.source.referrers(&subject).await {
            Ok(referrers) => Ok(referrers.map(ReferrersAnswer::There)),
            Err(error) => for_this_tag(Side::Source, error).map(|why| Some(ReferrersAnswer::Unknown(why))),
        }
    }

    /// Observes the referrers that the API reported: the index of them that is put under their tag.
    async fn made(
        &self,
        subject: Digest,
        tag: Tag,
        answer: ReferrersAnswer,
    ) -> Result<ObservedTag, ObserveError> {
        let content = match answer {
            ReferrersAnswer::Unknown(why) => Content::Unknown(why),
            ReferrersAnswer::There(referrers) => index(&subject, &referrers, self.max_parts),
        };
        let destination = self.destination(&tag).await?;
        let source = Seen::Present(subject.clone());
        let whole = ObservedTag::whole(SourceRef::Tag(tag.clone()), tag, source, destination);
        self.compare_own(ObservedTag { content, referrer_of: Some(subject), ..whole }).await
    }

    /// Observes a tag that is named after a content. It keeps its name, by which clients find it.
    async fn named(&self, tag: Tag, subject: Digest) -> Result<ObservedTag, ObserveError> {
        let source_ref = SourceRef::Tag(tag.clone());
        let source = async {
            match self.known.at_source.get(&tag) {
                Some(known) => Ok(Seen::Present(known.clone())),
                None => self.source(&source_ref).await,
            }
        };
        let (source, destination) = futures::try_join!(source, self.destination(&tag))?;
        let whole = ObservedTag::whole(source_ref.clone(), tag.clone(), source, destination);
        self.compare_own(ObservedTag { referrer_of: Some(subject), ..whole }).await
    }

    /// Notes whether the destination has something under the tag that the source does not have, such as a
    /// signature of its owner. It is read only where both differ.
    async fn compare_own(&self, mut tag: ObservedTag) -> Result<ObservedTag, ObserveError> {
        let (TagState::Differs, Seen::Present(there), Some(client)) =
            (tag.state(), &tag.destination, &self.sides.destination)
        else {
            return Ok(tag);
        };
        let there = match manifest(Side::Destination, client, there).await? {
            ManifestAnswer::There(manifest) => listed_in(&manifest),
            ManifestAnswer::Absent => return Ok(tag),
            ManifestAnswer::Unreadable => None,
            ManifestAnswer::Unknown(why) => {
                tag.destination = Seen::Unknown(why);
                return Ok(tag);
            }
        };
        // What cannot be read may be the destination's own.
        let Some(there) = there else {
            tag.has_own = true;
            return Ok(tag);
        };
        let source: BTreeSet<Digest> = match (&tag.content, &tag.source) {
            (Content::Made(made), _) => made.of.parts.iter().cloned().collect(),
            (_, Seen::Present(digest)) if !there.is_empty() => {
                match manifest(Side::Source, &self.sides.source, digest).await? {
                    ManifestAnswer::There(manifest) => listed_in(&manifest).unwrap_or_default(),
                    ManifestAnswer::Absent | ManifestAnswer::Unreadable => return Ok(tag),
                    ManifestAnswer::Unknown(why) => {
                        tag.source = Seen::Unknown(why);
                        return Ok(tag);
                    }
                }
            }
            _ => return Ok(tag),
        };
        tag.has_own = !there.is_subset(&source);
        Ok(tag)
    }
}

/// Returns the manifests that an index lists, or the layers of a single manifest: cosign keeps each
/// signature in a layer. The configuration differs wherever the layers do. `None` if they cannot be read.
fn listed_in(manifest: &Manifest) -> Option<BTreeSet<Digest>> {
    let listed = if manifest.is_index() { manifest.children() } else { manifest.blobs() };
    let skipped = usize::from(!manifest.is_index());
    Some(listed.ok()?.into_iter().skip(skipped).collect())
}

/// What the referrers API answered for one content.
enum ReferrersAnswer {
    There(Vec<Referrer>),
    Unknown(String),
}

fn index(subject: &Digest, referrers: &[Referrer], max_parts: MaxParts) -> Content {
    match referrers_index(referrers) {
        Ok((_, parts)) if parts.len() > max_parts.number() => {
            Content::Unknown(format!("{} manifests refer to {subject}; {max_parts}", parts.len()))
        }
        Ok((manifest, parts)) => Content::Made(MadeIndex {
            digest: manifest.digest,
            of: MadeOf { origin: Origin::ReferrersOf(subject.clone()), parts },
            platforms: Vec::new(),
        }),
        Err(error) => Content::Unknown(error.to_string()),
    }
}

/// Returns whether only some of what the source has is copied of a tag.
fn is_narrowed(tag: &ObservedTag) -> bool {
    matches!(&tag.content, Content::Made(made) if matches!(made.of.origin, Origin::PlatformsOf(_)))
}

/// Returns the images within the contents of tags that are copied.
fn images_of(tags: &[ObservedTag]) -> impl Iterator<Item = Digest> {
    let images = |tag: &ObservedTag| match &tag.content {
        Content::Made(made) if is_narrowed(tag) && tag.subject.is_some() => made.of.parts.clone(),
        _ => tag.images.clone().unwrap_or_default(),
    };
    tags.iter().flat_map(images)
}

/// Returns whether a tag is named after another content than these.
fn names_another(tags: &[Tag], subjects: &[Digest]) -> bool {
    tags.iter().filter_map(subject_of).any(|subject| !subjects.contains(&subject))
}

/// Returns the tags that are named after one of these contents.
fn named_after(subjects: &[Digest], tags: &[Tag]) -> BTreeMap<Tag, Digest> {
    let subjects: BTreeSet<&Digest> = subjects.iter().collect();
    let named =
        |tag: &Tag| Some((tag.clone(), subject_of(tag).filter(|subject| subjects.contains(subject))?));
    tags.iter().filter_map(named).collect()
}

fn each_once(digests: impl Iterator<Item = Digest>) -> Vec<Digest> {
    let mut seen = HashSet::new();
    digests.filter(|digest| seen.insert(digest.clone())).collect()
}
