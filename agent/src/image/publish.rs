//! Lets a tag at the destination point at content that a Job has pushed by digest, or at an index that
//! is made of such content.
//!
//! The tag comes last and from one writer, within milliseconds: a copy that breaks off leaves no
//! half image under a tag (reliability.md §0.2).

use std::time::Duration;

use imgop_core::api::{FailureReason, Overwrite, Publish};
use imgop_core::copy::{Copy, CopyRequest, MadeOf, Origin, Outcome};
use imgop_registry::oci::{Subset, referrers_index, subset};
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Manifest, RegistryError, RepositoryClient};
use jiff::Timestamp;

/// How often a destination that does not show a tag yet is asked again; some take a while.
const LOOKS: u32 = 4;

/// What became of a tag.
#[derive(Debug)]
pub enum Published {
    /// The destination answers with this for the tag, and this is the manifest that was put there, if
    /// one was.
    Seen(Digest, Option<Manifest>),
    /// It could not be set.
    Failed(Outcome),
}

/// Sets the tag and asks the destination for it. The manifest is read back from there and its
/// bytes are checked against the digest, so that only what was planned is published. Where the Job
/// has pushed to the tag itself, the destination is only asked. An index that is made is made here, in
/// either way of publishing, from what the source has under the digest that was planned.
pub async fn publish(
    (source, destination): (&RepositoryClient, &RepositoryClient),
    request: &CopyRequest,
    copy: &Copy,
    now: Timestamp,
) -> Result<Published, RegistryError> {
    let tag = ManifestRef::Tag(copy.destination_tag.clone());
    let mut put = None;
    if request.publish == Publish::Staged || copy.made_of.is_some() {
        if request.overwrite == Overwrite::IfMissing
            && let Some(there) = destination.head(&tag).await?
        {
            return Ok(Published::Seen(there.digest, None));
        }
        let manifest = match &copy.made_of {
            None => destination.manifest(&ManifestRef::Digest(copy.digest.clone())).await?,
            Some(made) => match make(source, request, copy, made).await? {
                Ok(manifest) => Some(manifest),
                Err(message) => return Ok(failed(FailureReason::CopyFailed, message, now)),
            },
        };
        let Some(manifest) = manifest else {
            return Ok(Published::Failed(Outcome::ContentGone { at: now }));
        };
        match destination.put_manifest(&tag, &manifest).await {
            Err(error) if copy.made_of.is_some() && lacks_a_part(&error) => {
                return Ok(Published::Failed(Outcome::ContentGone { at: now }));
            }
            outcome => outcome?,
        }
        put = Some(manifest);
    }
    let mut answer = None;
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(Duration::from_secs(1 << (look - 1))).await;
        }
        answer = destination.head(&tag).await?.map(|descriptor| descriptor.digest);
        if answer.as_ref() == Some(&copy.digest) {
            return Ok(Published::Seen(copy.digest.clone(), put));
        }
    }
    let found = answer.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string());
    let message = format!("the destination answers with {found} instead of {}", copy.digest);
    Ok(failed(FailureReason::VerificationFailed, message, now))
}

fn failed(reason: FailureReason, message: String, at: Timestamp) -> Published {
    Published::Failed(Outcome::Failed { reason, message, at })
}

/// Makes an index of what the source has; a message if that is not the index that was planned.
async fn make(
    source: &RepositoryClient,
    request: &CopyRequest,
    copy: &Copy,
    made: &MadeOf,
) -> Result<Result<Manifest, String>, RegistryError> {
    let manifest = match &made.origin {
        Origin::PlatformsOf(index) => {
            let Some(whole) = source.manifest(&ManifestRef::Digest(index.clone())).await? else {
                return Ok(Err(format!("the source has {index} no more")));
            };
            match subset(&whole, &request.platforms) {
                Ok(Subset::Narrowed(rewritten)) => Some(rewritten.manifest),
                _ => None,
            }
        }
        Origin::ReferrersOf(subject) => {
            let referrers = source.referrers(subject).await?.unwrap_or_default();
            referrers_index(&referrers).ok().map(|(manifest, _)| manifest)
        }
    };
    let planned = manifest.filter(|manifest| manifest.digest == copy.digest);
    Ok(planned.ok_or_else(|| format!("what the source has makes {} no more", copy.digest)))
}

/// Whether a registry refuses an index because it does not have one of its entries (OCI
/// distribution-spec, "Error Codes": `MANIFEST_BLOB_UNKNOWN`; some say `MANIFEST_UNKNOWN`).
fn lacks_a_part(error: &RegistryError) -> bool {
    matches!(error.code(), Some("MANIFEST_BLOB_UNKNOWN" | "MANIFEST_UNKNOWN" | "BLOB_UNKNOWN"))
}

#[cfg(test)]
mod tests;
