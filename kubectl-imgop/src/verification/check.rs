//! Asks both registries, whatever was copied before and whatever never changes.

use futures::StreamExt as _;
use imgop_core::copy::{
    Content, CopyRequest, Known, Limits, ObserveError, ObservedTag, Sides, TagState, observe,
};
use imgop_core::selection::ImmutableTags;
use imgop_registry::RepositoryClient;
use imgop_registry::reference::Digest;
use jiff::Timestamp;

use super::completeness::{Checked, contents};
use super::{API_VERSION, Verdict, Verification, VerifiedTag};

/// Tags whose contents are compared at a time.
const MAX_CONCURRENT_TAGS: usize = 8;

/// How much of each tag is asked for at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Its digest, and the manifests of its platforms, unless reading them is a counted pull.
    Manifests,
    /// And every configuration and layer.
    Layers,
}

/// Compares both sides.
pub async fn verify(
    sides: &Sides,
    request: &CopyRequest,
    limits: Limits,
    depth: Depth,
    now: Timestamp,
) -> Result<Verification, ObserveError> {
    // Nothing that would let a side be trusted unasked.
    let request = &CopyRequest { immutable: ImmutableTags::default(), min_age: None, ..request.clone() };
    let known = Known { now, reads_source: true, ..Known::default() };
    let observed = observe(sides, request, &known, limits).await?;
    let destination = sides.destination.as_ref();
    let tags = futures::stream::iter(&observed.tags)
        .map(|tag| verified(destination, tag, depth))
        .buffered(MAX_CONCURRENT_TAGS)
        .collect()
        .await;
    Ok(Verification {
        api_version: API_VERSION,
        source: request.source.to_string(),
        destination: request.destination.to_string(),
        version: request.version.to_string(),
        tags,
    })
}

async fn verified(destination: Option<&RepositoryClient>, tag: &ObservedTag, depth: Depth) -> VerifiedTag {
    let (result, reason) = match tag.state() {
        TagState::UpToDate => (Verdict::Verified, None),
        TagState::Missing => (Verdict::Missing, None),
        TagState::Differs if tag.has_own => (Verdict::Verified, Some("with others of its own".to_owned())),
        TagState::Differs => (Verdict::Differs, None),
        TagState::NotFound => (Verdict::NotAtSource, None),
        TagState::PlatformNotFound => (Verdict::NotAtSource, Some("none of the platforms".to_owned())),
        TagState::FormatUnsupported => (Verdict::NotChecked, tag.unsupported_because().map(str::to_owned)),
        TagState::AlreadySynced | TagState::NotChecked | TagState::AtSource => {
            (Verdict::NotChecked, tag.unknown_because().map(str::to_owned))
        }
    };
    let mut verified = VerifiedTag {
        tag: tag.source_ref.to_string(),
        destination_tag: tag.destination_tag.to_string(),
        result,
        source_digest: match &tag.content {
            Content::Made(made) => Some(made.digest.clone()),
            _ => tag.source.digest().cloned(),
        },
        destination_digest: tag.destination.digest().cloned(),
        platforms: Vec::new(),
        layers: None,
        referrer_of: tag.referrer_of.clone(),
        reason,
    };
    let is_same = tag.state() == TagState::UpToDate;
    if let (true, Some(client), Some(digest)) = (is_same, destination, tag.destination.digest())
        && (depth == Depth::Layers || !client.counts_pulls())
    {
        verified.check_contents(client, digest, depth).await;
    }
    verified
}

impl VerifiedTag {
    /// Asks the destination for what the manifest of the tag names.
    async fn check_contents(&mut self, client: &RepositoryClient, digest: &Digest, depth: Depth) {
        match contents(client, digest, depth).await {
            Ok(Checked { contents: found, layers }) => {
                self.layers = (depth == Depth::Layers).then_some(layers);
                if let Some(lacks) = found.lacks() {
                    (self.result, self.reason) = (Verdict::Incomplete, Some(lacks));
                }
                self.platforms = found.platforms;
            }
            Err(error) => (self.result, self.reason) = (Verdict::NotChecked, Some(error.to_string())),
        }
    }
}
