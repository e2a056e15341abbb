//! Lets a tag at the destination point at content that a Job has pushed by digest.
//!
//! The tag comes last and from one writer, within milliseconds: a copy that breaks off leaves no
//! half image under a tag (reliability.md §0.2).

use std::time::Duration;

use imgop_core::api::{FailureReason, Overwrite, Publish};
use imgop_core::plan::{Copy, CopyRequest, Outcome, Seen};
use imgop_core::reference::ManifestRef;
use imgop_core::registry::{RegistryError, RepositoryClient};
use jiff::Timestamp;

/// How often a destination that does not show a tag yet is asked again; some take a while.
const LOOKS: u32 = 4;

/// What became of a tag.
#[derive(Debug)]
pub enum Published {
    /// The destination answers with this for the tag.
    Seen(Seen),
    /// It could not be set.
    Failed(Outcome),
}

/// Sets the tag and asks the destination for it. The manifest is read back from there and its
/// bytes are checked against the digest, so that only what was planned is published. Where the Job
/// has pushed to the tag itself, the destination is only asked.
pub async fn publish(
    destination: &RepositoryClient,
    request: &CopyRequest,
    copy: &Copy,
    now: Timestamp,
) -> Result<Published, RegistryError> {
    let tag = ManifestRef::Tag(copy.destination_tag.clone());
    if request.publish == Publish::Staged {
        if request.overwrite == Overwrite::IfMissing
            && let Some(there) = destination.head(&tag).await?
        {
            return Ok(Published::Seen(Seen::Present(there.digest)));
        }
        let Some(manifest) = destination.manifest(&ManifestRef::Digest(copy.digest.clone())).await? else {
            return Ok(Published::Failed(Outcome::ContentGone { at: now }));
        };
        destination.put_manifest(&tag, &manifest).await?;
    }
    let mut answer = None;
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(Duration::from_secs(1 << (look - 1))).await;
        }
        answer = destination.head(&tag).await?.map(|descriptor| descriptor.digest);
        if answer.as_ref() == Some(&copy.digest) {
            return Ok(Published::Seen(Seen::Present(copy.digest.clone())));
        }
    }
    let found = answer.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string());
    Ok(Published::Failed(Outcome::Failed {
        reason: FailureReason::VerificationFailed,
        message: format!("the destination answers with {found} instead of {}", copy.digest),
        at: now,
    }))
}
