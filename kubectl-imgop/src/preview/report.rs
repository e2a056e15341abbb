//! The document that `preview -o json` prints. Its fields only ever become more.

use imgop_core::api::{Image, Overwrite};
use imgop_core::copy::{Content, Observed, ObservedTag, OlderImage, Seen, TagState, Waiting};
use imgop_core::selection::Exclusion;
use imgop_registry::oci::subject_of;
use imgop_registry::reference::Digest;
use imgop_registry::reference::Tag;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;

use super::targets::{ImageName, Target};
use crate::kinds::image::narrowing;
use crate::output::wording::Wording;

/// The version of the document.
const API_VERSION: &str = "imgop.preview/v1";

/// The state of a tag that the source has, where there is no destination to compare with.
const AT_SOURCE: &str = "at-source";

/// A preview of one request.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    api_version: &'static str,
    /// The Image, if it is one's preview.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageName>,
    /// The source repository.
    pub source: String,
    /// The destination repository; none when only the source was asked.
    pub destination: Option<String>,
    /// The tag, pattern or digest.
    pub version: String,
    /// How many tags the source has; none when it was not listed.
    pub listed: Option<usize>,
    /// The selected tags, newest version first.
    pub tags: Vec<TagReport>,
    /// Near misses.
    pub excluded: Vec<ExcludedReport>,
    /// How many near misses are not listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub excluded_beyond: usize,
    /// Whether nothing is copied until the Image is resumed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// What narrows or widens the version, for people.
    #[serde(skip)]
    pub narrowing: String,
    /// Whether problems are explained by flags or by fields.
    #[serde(skip)]
    pub wording: Wording,
    /// Whether a tag that differs stays as it is.
    #[serde(skip)]
    pub keeps: bool,
}

/// One tag.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TagReport {
    /// The tag, or the digest, at the source.
    pub tag: String,
    /// The tag at the destination; none when only the source was asked.
    pub destination_tag: Option<String>,
    /// How both sides compare.
    #[serde(skip)]
    pub state: TagState,
    /// Whether only the source was asked, and has it.
    #[serde(skip)]
    pub is_at_source: bool,
    /// The state in a word.
    #[serde(rename = "state")]
    pub state_word: String,
    /// What the source has, as far as it is known.
    pub source_digest: Option<Digest>,
    /// What the destination has, as far as it is known.
    pub destination_digest: Option<Digest>,
    /// What to show where the source's digest is not known.
    #[serde(skip)]
    pub no_source_digest: &'static str,
    /// What to show where the destination's digest is not known.
    #[serde(skip)]
    pub no_destination_digest: &'static str,
    /// What the destination should have, if that is an index of some of what the source has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_digest: Option<Digest>,
    /// The platforms that are taken, if only some are wanted and they are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// The content that this refers to, if it is a referrer and no selected tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer_of: Option<Digest>,
    /// Whether it stays as it is at the destination because what the source has is too young.
    #[serde(skip)]
    pub is_young: bool,
    /// Why it is not changed although it is missing or differs: it belongs to an older Image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
    /// Why the state is not-checked, until when a tag that differs stays as it is, or which platforms
    /// exist if it is platform-not-found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One tag that is left out.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExcludedReport {
    /// The tag.
    pub tag: String,
    /// Why.
    pub reason: String,
    /// Whether it is a release candidate, and nothing else is against it.
    #[serde(skip)]
    pub is_candidate: bool,
    /// Whether it is too young, and nothing else is against it.
    #[serde(skip)]
    pub is_young: bool,
}

impl Report {
    /// Returns the preview of what was observed.
    pub fn new(target: &Target, observed: &Observed) -> Self {
        let (request, has_destination) = (&target.request, target.has_destination);
        Self {
            api_version: API_VERSION,
            image: target.image.clone(),
            source: request.source.to_string(),
            destination: has_destination.then(|| request.destination.to_string()),
            version: request.version.to_string(),
            listed: observed.listed,
            tags: observed
                .tags
                .iter()
                .map(|tag| TagReport::new(tag, has_destination).young(target, tag.waits(&observed.waiting)))
                .collect(),
            excluded: observed
                .excluded
                .iter()
                .map(|excluded| ExcludedReport {
                    tag: excluded.tag.to_string(),
                    reason: target.wording().of(&excluded.reason.to_string()),
                    is_candidate: excluded.reason == Exclusion::Candidate,
                    is_young: matches!(excluded.reason, Exclusion::TooYoung { .. }),
                })
                .collect(),
            excluded_beyond: observed.excluded_beyond,
            suspended: target.spec.suspend,
            narrowing: narrowing(&target.spec),
            wording: target.wording(),
            keeps: request.overwrite == Overwrite::IfMissing,
        }
    }

    /// Returns whether the agent would copy something.
    pub fn has_work(&self) -> bool {
        self.tags.iter().any(|tag| self.is_copied(tag))
    }

    /// Returns the number of tags of which it is not known whether they would be copied.
    pub fn unchecked(&self) -> usize {
        let is_open = |tag: &&TagReport| tag.state == TagState::NotChecked && !tag.is_at_source;
        self.tags.iter().filter(is_open).count()
    }

    /// Returns whether a tag has none of the selected platforms.
    pub fn lacks_platforms(&self) -> bool {
        self.tags.iter().any(|tag| tag.state == TagState::PlatformNotFound)
    }

    /// Marks the tags that would be copied and belong to older Images of the same namespace.
    pub fn leave(&mut self, target: &Target, others: &[Image]) {
        let Some(mut this) = target.manifest.clone() else { return };
        // One of a file is as old as what it would change, and younger than all if it is new.
        match others.iter().find(|other| other.metadata.name == this.metadata.name) {
            Some(there) => this.metadata = there.metadata.clone(),
            None => this.metadata.creation_timestamp = Some(Time(target.known.now)),
        }
        let this = &this;
        let older_images = OlderImage::all(this, &target.request.destination, others.iter());
        for i in 0..self.tags.len() {
            let tag = self.tags[i].destination_tag.as_ref().and_then(|tag| tag.parse::<Tag>().ok());
            let Some(tag) = tag.filter(|tag| self.is_copied(&self.tags[i]) && subject_of(tag).is_none())
            else {
                continue;
            };
            let older = older_images.iter().find(|older| older.conflicts_with(&target.request, &tag));
            self.tags[i].conflict = older.map(|older| older.conflict_message(this, &target.request, &tag));
        }
    }

    /// Returns whether a tag belongs to another Image.
    pub fn has_conflict(&self) -> bool {
        self.tags.iter().any(|tag| tag.conflict.is_some())
    }

    /// Returns whether the agent would copy this tag.
    pub fn is_copied(&self, tag: &TagReport) -> bool {
        match tag.state {
            _ if tag.conflict.is_some() => false,
            TagState::Missing => true,
            TagState::Differs => !self.keeps && !tag.is_young,
            TagState::UpToDate
            | TagState::NotFound
            | TagState::PlatformNotFound
            | TagState::AlreadySynced
            | TagState::NotChecked => false,
        }
    }
}

impl TagReport {
    fn new(tag: &ObservedTag, has_destination: bool) -> Self {
        let state = tag.state();
        let is_at_source = !has_destination
            && state == TagState::NotChecked
            && tag.source.digest().is_some()
            && tag.unknown_because().is_none();
        let reason = match (state, is_at_source) {
            (_, true) => None,
            (TagState::NotChecked, _) => tag.unknown_because().map(str::to_owned),
            (TagState::PlatformNotFound, _) => Some(there(&tag.content)),
            _ => None,
        };
        Self {
            tag: tag.source_ref.to_string(),
            destination_tag: has_destination.then(|| tag.destination_tag.to_string()),
            state,
            is_at_source,
            state_word: if is_at_source { AT_SOURCE.to_owned() } else { state.to_string() },
            source_digest: tag.source.digest().cloned(),
            destination_digest: tag.destination.digest().cloned(),
            no_source_digest: no_digest(&tag.source),
            no_destination_digest: no_digest(&tag.destination),
            content_digest: match &tag.content {
                Content::Made(made) => Some(made.digest.clone()),
                _ => None,
            },
            platforms: match &tag.content {
                Content::Whole(platforms) => platforms.clone(),
                Content::Made(made) => made.platforms.clone(),
                _ => Vec::new(),
            },
            referrer_of: tag.referrer_of.clone(),
            is_young: false,
            conflict: None,
            reason,
        }
    }

    /// Adds until when the tag waits, if it does.
    fn young(self, target: &Target, waiting: Option<&Waiting>) -> Self {
        let (Some(waiting), Some(min_age)) = (waiting, target.request.min_age) else { return self };
        let reason = Exclusion::TooYoung { min_age, until: waiting.until };
        Self { is_young: true, reason: Some(target.wording().of(&reason.to_string())), ..self }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Returns what stands for a digest: there is none, it is unknown, or it was not requested.
fn no_digest(seen: &Seen) -> &'static str {
    match seen {
        Seen::Absent => "<none>",
        Seen::Unknown(_) => "<unknown>",
        Seen::NotAsked | Seen::Present(_) => "",
    }
}

fn there(content: &Content) -> String {
    match content {
        Content::NoPlatform(there) if !there.is_empty() => format!("its platforms: {}", there.join(", ")),
        _ => "it has no platform".to_owned(),
    }
}

/// Several previews as one document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reports<'a> {
    api_version: &'static str,
    kind: &'static str,
    items: &'a [Report],
}

impl<'a> Reports<'a> {
    /// Returns a List as Kubernetes has it.
    pub fn new(items: &'a [Report]) -> Self {
        Self { api_version: API_VERSION, kind: "List", items }
    }
}
