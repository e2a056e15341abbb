//! The last build, as the status holds it.

use std::collections::BTreeMap;

use imgop_core::api::{
    BaseImageStatus, BuildResult, DestinationStatus, ImageBuilderStatus, PlatformState, SourceStatus,
};
use imgop_core::build::{
    BuildEnd, BuildKey, BuildRequest, Destination, DestinationKey, ImageReference, LastBuild, ObservedInputs,
};
use imgop_registry::reference::Digest;
use jiff::Timestamp;

/// Base images that a status holds.
const MAX_BASE_IMAGES: usize = 32;
/// Bytes of their names.
const MAX_BASE_IMAGE_BYTES: usize = 6 * 1024;

/// Returns the last build that was begun; none if there was none.
pub(super) fn last_build(status: &ImageBuilderStatus) -> Option<LastBuild> {
    let key = status.key.as_deref().and_then(|key| key.parse().ok());
    let (number, started_at, end) = if let Some(running) = &status.build {
        (running.number, running.started_at.0, None)
    } else {
        let last = status.history.last()?;
        let end = match last.result {
            BuildResult::Succeeded => BuildEnd::Succeeded,
            BuildResult::Cancelled => BuildEnd::Cancelled,
            BuildResult::Superseded => BuildEnd::Superseded,
            BuildResult::Failed | BuildResult::Unknown => BuildEnd::Failed,
        };
        let started_at = last.started_at.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        (last.number, started_at, Some(end))
    };
    Some(LastBuild {
        number,
        generation: status.last_generation_seen,
        inputs: inputs(status),
        key,
        destination: status.destination.as_ref().and_then(destination),
        started_at,
        end,
        is_waiting: end.is_none() && is_waiting(status),
    })
}

/// Returns whether no part of the running build has a Job, or is about to have one.
fn is_waiting(status: &ImageBuilderStatus) -> bool {
    let waits = |state| matches!(state, PlatformState::Failed | PlatformState::Built);
    !status.platforms.is_empty() && status.platforms.iter().all(|part| waits(part.state))
}

fn destination(shown: &DestinationStatus) -> Option<DestinationKey> {
    Some(DestinationKey { repository: shown.repository.parse().ok()?, tags: shown.tags_digest.parse().ok()? })
}

/// Returns where an image goes, as the status holds it.
pub(super) fn destination_status(destination: &Destination) -> DestinationStatus {
    let DestinationKey { repository, tags } = DestinationKey::of(destination);
    DestinationStatus {
        repository: repository.to_string(),
        tags_digest: tags.to_string(),
        ..DestinationStatus::default()
    }
}

/// Returns what the last build was made from, as far as the status holds it.
pub(super) fn inputs(status: &ImageBuilderStatus) -> ObservedInputs {
    let source = status.source.clone().unwrap_or_default();
    let bases = status.base_images.iter();
    let base = |base: &BaseImageStatus| Some((base.reference.parse().ok()?, base.digest.parse().ok()?));
    ObservedInputs {
        commit: source.commit,
        dockerfile: source.dockerfile_digest.and_then(|digest| digest.parse().ok()),
        context: source.context_digest.and_then(|digest| digest.parse().ok()),
        arguments: source.arguments_digest.and_then(|digest| digest.parse().ok()),
        bases: bases.filter_map(base).collect(),
    }
}

/// Writes what a build is made from into the status.
pub(super) fn set_inputs(
    status: &mut ImageBuilderStatus,
    request: &BuildRequest,
    inputs: &ObservedInputs,
    revision: Option<&str>,
) {
    let inputs = bounded(inputs.clone());
    let source = SourceStatus {
        revision: revision.map(str::to_owned),
        commit: inputs.commit.clone(),
        dockerfile_digest: inputs.dockerfile.as_ref().map(ToString::to_string),
        context_digest: inputs.context.as_ref().map(ToString::to_string),
        arguments_digest: inputs.arguments.as_ref().map(ToString::to_string),
    };
    status.source = (source != SourceStatus::default()).then_some(source);
    let base = |(image, digest): (&ImageReference, &Digest)| BaseImageStatus {
        reference: image.to_string(),
        digest: digest.to_string(),
    };
    status.base_images = inputs.bases.iter().map(base).collect();
    status.key = Some(BuildKey::new(request, &inputs).to_string());
}

/// Writes the key of what the last build was made from anew, as this version of the agent makes it. Of what it is
/// compared with nothing else is known.
pub(super) fn renew_key(status: &mut ImageBuilderStatus, request: &BuildRequest) {
    status.key = Some(BuildKey::new(request, &inputs(status)).to_string());
}

/// Returns these inputs with as many bases as a status holds.
fn bounded(mut inputs: ObservedInputs) -> ObservedInputs {
    let mut bytes = 0;
    let fits = |image: &ImageReference| {
        bytes += image.to_string().len();
        bytes <= MAX_BASE_IMAGE_BYTES
    };
    let kept: BTreeMap<_, _> = std::mem::take(&mut inputs.bases)
        .into_iter()
        .take(MAX_BASE_IMAGES)
        .scan(fits, |fits, (image, digest)| fits(&image).then_some((image, digest)))
        .collect();
    inputs.bases = kept;
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_builder::tests::fixtures::{builder, now};

    #[test]
    fn what_a_build_was_made_from_is_read_back_with_the_same_key() {
        let request = BuildRequest::parse(&builder(|_| {}).spec).unwrap();
        let bases = (0..40).map(|n| (format!("quay.io/a/b:{n}").parse().unwrap(), Digest::of(&[n])));
        let observed = ObservedInputs {
            commit: Some("c1".into()),
            dockerfile: Some(Digest::of(b"FROM a")),
            context: None,
            arguments: Some(Digest::of(b"1")),
            bases: bases.collect(),
        };
        let mut status = ImageBuilderStatus::default();
        set_inputs(&mut status, &request, &observed, Some("main"));
        assert_eq!(status.base_images.len(), MAX_BASE_IMAGES);
        status.history = vec![crate::image_builder::tests::fixtures::record(3, BuildResult::Succeeded)];
        let last = last_build(&status).unwrap();
        assert_eq!((last.number, last.end, last.started_at), (3, Some(BuildEnd::Succeeded), now()));
        assert_eq!(
            last.key,
            Some(BuildKey::new(&request, &last.inputs)),
            "also with more bases than are kept"
        );
        assert_eq!(last.inputs.commit.as_deref(), Some("c1"));
    }
}
