//! The document that `preview -o json` prints, `imgop.preview/v1`: its fields only ever become more.
//! `docs/preview.schema.json` is generated from these types.

use imgop_core::copy::TagState;
use imgop_registry::reference::Digest;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::targets::ImageName;
use crate::output::wording::Wording;

/// The version of the document.
pub const API_VERSION: &str = "imgop.preview/v1";

/// What a copy would do, tag by tag.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own in the document")]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub(super) api_version: &'static str,
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
    /// Whether the Image is of mode OneShot and has copied everything: nothing more is copied until its spec
    /// changes, or a sync is requested.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
    /// Why it is not known whether tags belong to older Images, if that matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts_unknown: Option<String>,
    /// Whether tags were compared with Images of the same namespace alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub conflicts_in_namespace_only: bool,
    /// How much the copies send, if that was looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer>,
    /// Why no tag could be checked, which is reported as an error too.
    #[serde(skip)]
    pub failure: Option<String>,
    /// What narrows or widens the version, for people.
    #[serde(skip)]
    pub narrowing: String,
    /// Which tags of the destination are deleted, for people.
    #[serde(skip)]
    pub prune: Option<String>,
    /// Whether `run` copies each tag once, and would not overwrite one that differs, for people.
    #[serde(skip)]
    pub run_keeps: bool,
    /// What becomes of a repository that the destination does not have, for people.
    #[serde(skip)]
    pub creation: String,
    /// Whether problems are explained by flags or by fields.
    #[serde(skip)]
    pub wording: Wording,
}

/// How much the copies send. Layers that the destination has in another repository may be mounted there, which
/// sends them neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transfer {
    /// Bytes that the destination does not have, each layer once.
    pub sent_bytes: u64,
    /// Bytes that it has already.
    pub present_bytes: u64,
}

/// One tag.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TagReport {
    /// The tag, or the digest, at the source.
    pub tag: String,
    /// The tag at the destination; none when only the source was asked.
    pub destination_tag: Option<String>,
    /// How both sides compare.
    pub state: TagState,
    /// What the agent does; none when only the source was asked.
    pub action: Option<Action>,
    /// What the source has, as far as it is known.
    #[schemars(with = "Option<String>")]
    pub source_digest: Option<Digest>,
    /// What the destination has, as far as it is known.
    #[schemars(with = "Option<String>")]
    pub destination_digest: Option<Digest>,
    /// What to show where the source's digest is not known.
    #[serde(skip)]
    pub no_source_digest: &'static str,
    /// What to show where the destination's digest is not known.
    #[serde(skip)]
    pub no_destination_digest: &'static str,
    /// What the destination should have, if that is an index of some of what the source has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub content_digest: Option<Digest>,
    /// The platforms that are taken, if they are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub platforms: Vec<String>,
    /// When the tag was pushed with this content, as a list API of the source reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub pushed: Option<Timestamp>,
    /// When the image was made, as it states itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub created: Option<Timestamp>,
    /// The bytes of its layers as they are sent, of all platforms that are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What a referrer is: signature, attestation, SBOM, or its type; several if its tag holds several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub referrer_kinds: Vec<String>,
    /// The content that this refers to, if it is a referrer and no selected tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub referrer_of: Option<Digest>,
    /// Why it is not changed although it is missing or differs: it belongs to an older Image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
    /// Why the state is not-checked or format-unsupported, why or until when a tag that differs stays as it is, why
    /// the last copy failed, or which platforms exist if the state is platform-not-found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When a copy that failed is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub next_attempt: Option<Timestamp>,
}

/// What the agent does for a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It copies the tag.
    Copy,
    /// It copies the tag again once the pause after a failed copy is over.
    RetryLater,
    /// It leaves other content as it is: tags that exist are kept, or it holds signatures of the
    /// destination's own.
    Keep,
    /// It leaves other content as it is until that of the source is old enough.
    Wait,
    /// It looks again later: the tag is not at the source, could not be checked, or belongs to an older Image.
    CheckLater,
    /// It does nothing: the destination has the tag.
    None,
}

/// One tag that is left out.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExcludedReport {
    /// The tag.
    pub tag: String,
    /// Why.
    pub reason: String,
    /// Whether it is a pre-release, and nothing else is against it.
    #[serde(skip)]
    pub is_candidate: bool,
    /// Whether it is too young, and nothing else is against it.
    #[serde(skip)]
    pub is_young: bool,
}

/// Several previews as one document.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct List<'a> {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<Item<'a>>,
}

/// The document, or one of those in a List.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.preview/v1")]
#[serde(untagged)]
pub enum Item<'a> {
    /// A preview.
    Report(&'a Report),
    /// A preview that failed as a whole.
    Failed(&'a Failed),
    /// Several previews.
    List(List<'a>),
}

/// A preview that failed as a whole.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// The version of the document.
    pub api_version: &'static str,
    /// The Image, if its name could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageName>,
    /// Why.
    pub error: String,
}

impl<'a> List<'a> {
    /// Returns a List as Kubernetes has it.
    pub fn new(items: impl IntoIterator<Item = Item<'a>>) -> Self {
        Self { api_version: API_VERSION, kind: "List", items: items.into_iter().collect() }
    }
}

#[cfg(test)]
impl TagReport {
    /// Returns a tag that the source has with this content.
    pub fn of_source(tag: &str, digest: Digest) -> Self {
        Self {
            tag: tag.to_owned(),
            destination_tag: None,
            state: TagState::AtSource,
            action: None,
            source_digest: Some(digest),
            destination_digest: None,
            no_source_digest: "",
            no_destination_digest: "",
            content_digest: None,
            platforms: Vec::new(),
            pushed: None,
            created: None,
            size: None,
            referrer_kinds: Vec::new(),
            referrer_of: None,
            conflict: None,
            reason: None,
            next_attempt: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}
