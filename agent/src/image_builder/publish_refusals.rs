//! What it means that a registry does not put what is built under a tag, and what is reported of it.

use imgop_core::api::{BuiltImageStatus, ImageBuilderStatus};
use imgop_core::build::{BuildFailure, BuildRequest};
use imgop_registry::reference::{Digest, Repository, Tag};
use imgop_registry::{Reason, RegistryError};

use super::halt::Halt;

/// Codes of a registry that does not have all that a manifest names.
const INCOMPLETE: [&str; 3] = ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN"];
/// Codes with which a registry refuses a tag or a manifest whenever it is put.
const FOR_GOOD: [&str; 3] = ["TAG_INVALID", "DENIED", "MANIFEST_INVALID"];
/// Statuses of registries that do not change an immutable tag.
const CONFLICTS: [u16; 3] = [400, 409, 412];
/// Statuses of a registry that takes nothing for now, as while it is read-only, and of two writers at once.
const FOR_NOW: [u16; 3] = [405, 409, 423];

/// Why a manifest was not put.
pub(super) enum NotPut {
    /// The registry does not have all that it names any more.
    Incomplete(RegistryError),
    /// Something else.
    Halt(Halt),
}

impl From<Halt> for NotPut {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

/// How a registry refused a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It does not have all that it names any more.
    Incomplete,
    /// It refuses it the next time too.
    ForGood,
    /// It may take it another time.
    ForNow,
}

impl Refused {
    /// Returns how a registry refused a manifest that is put by its digest.
    pub(super) fn by_digest(error: &RegistryError) -> Self {
        if *error.reason() != Reason::Rejected {
            return Self::ForNow;
        }
        match (error.code(), error.status()) {
            (Some(code), _) if INCOMPLETE.contains(&code) => Self::Incomplete,
            (_, Some(status)) if FOR_NOW.contains(&status) => Self::ForNow,
            _ => Self::ForGood,
        }
    }

    /// Returns how a registry refused to let a tag show this digest, where it shows `there`.
    pub(super) fn tag(error: &RegistryError, there: Option<&Digest>, digest: &Digest) -> Self {
        if *error.reason() != Reason::Rejected {
            return Self::ForNow;
        }
        let shows_another = there.is_some_and(|there| there != digest);
        match (error.code(), error.status()) {
            (Some(code), _) if INCOMPLETE.contains(&code) => Self::Incomplete,
            (Some(code), _) if FOR_GOOD.contains(&code) => Self::ForGood,
            (_, Some(status)) if shows_another && CONFLICTS.contains(&status) => Self::ForGood,
            _ => Self::ForNow,
        }
    }
}

/// Returns the halt of a tag that the registry does not change, as where tags are immutable: it will not the next time
/// either. `there` is what it shows.
pub(super) fn tag_refused(
    (repository, tag): (&Repository, &Tag),
    there: Option<&Digest>,
    digest: &Digest,
    error: &RegistryError,
) -> Halt {
    let shows = there.map_or("nothing", Digest::as_str);
    let message = format!(
        "the registry does not let {repository}:{tag} show {digest}, which is there by digest; it shows {shows} \
         ({error}); give the image another tag, or let the registry change this one, and kubectl imgop sync"
    );
    Halt::ending(BuildFailure::PublishFailed, message)
}

/// Returns the halt of an index that the registry does not take: it will not the next time either.
pub(super) fn index_refused(error: &RegistryError) -> Halt {
    let message = format!(
        "the registry takes no index of several platforms: {error}; set spec.image.format to the other one, or build \
         one platform"
    );
    Halt::ending(BuildFailure::PublishFailed, message)
}

/// Returns the halt of a part that the registry does not take in another repository: it will not the next time either.
pub(super) fn part_refused(repository: &Repository, error: &RegistryError) -> Halt {
    let message = format!(
        "the registry does not take the image in {repository}: {error}; leave that out of image.additionalTags, and \
         copy it there with an Image"
    );
    Halt::ending(BuildFailure::PublishFailed, message)
}

/// Returns this halt of an image that is under some of its tags, which the status and the message name. Tags of the
/// earlier image that it did not reach stay this object's, where the spec still names them.
pub(super) fn partly_published(
    halt: Halt,
    mut image: BuiltImageStatus,
    request: &BuildRequest,
    status: &mut ImageBuilderStatus,
) -> Halt {
    image.earlier_tags = earlier_tags(&image, request, status.image.as_ref());
    let note = format!("; the new image is already under {}", image.tags.join(", "));
    let is_known = |known: &BuiltImageStatus| (&known.digest, &known.tags) == (&image.digest, &image.tags);
    if !status.image.as_ref().is_some_and(is_known) {
        status.image = Some(image);
    }
    halt.with_note(&note)
}

/// Returns the tags in other repositories that an earlier image was put under and this one is not.
fn earlier_tags(
    image: &BuiltImageStatus,
    request: &BuildRequest,
    earlier: Option<&BuiltImageStatus>,
) -> Vec<String> {
    let Some(earlier) = earlier else { return Vec::new() };
    let main = earlier.repository.as_deref().unwrap_or_default();
    let whole = |tag: &String| if tag.contains(':') { tag.clone() } else { format!("{main}:{tag}") };
    let had: Vec<String> = earlier.tags.iter().map(whole).chain(earlier.earlier_tags.clone()).collect();
    let tags = request.destination.tags.iter();
    let elsewhere = tags.filter(|(repository, _)| *repository != request.destination.repository);
    let names = elsewhere.map(|(repository, tag)| format!("{repository}:{tag}"));
    names.filter(|name| had.contains(name) && !image.tags.contains(name)).collect()
}
