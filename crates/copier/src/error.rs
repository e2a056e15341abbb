//! Why something was not copied.

use std::time::Duration;

use imgop_registry::reference::{Digest, Repository};
use imgop_registry::{ManifestError, Operation, Reason, RegistryError};

/// Why something was not copied.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CopyError {
    /// A registry refuses, or does not answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The source lacks a manifest that another one names.
    #[error("the source does not have the manifest {0}")]
    NoManifest(Digest),
    /// More manifests than are held.
    #[error("the manifests of {0} have more than {1} bytes, or are nested too deeply")]
    TooMuch(Digest, usize),
    /// The source sends something else than the manifest says.
    #[error("the source sends {found} bytes of {digest}, and its manifest says {expected}")]
    Length {
        /// The blob.
        digest: Digest,
        /// What its manifest says.
        expected: u64,
        /// What the source sends.
        found: u64,
    },
    /// The source sends other bytes.
    #[error("what the source sends as {expected} has the digest {found}")]
    Content {
        /// The blob.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The source breaks off again and again.
    #[error("the source breaks off {digest} at byte {at}, {breaks} times: {last}")]
    BrokenOff {
        /// The blob.
        digest: Digest,
        /// Where it broke off last.
        at: u64,
        /// How often.
        breaks: u32,
        /// What happened last.
        last: String,
    },
    /// The destination takes nothing any more.
    #[error("the destination takes nothing more of {0}")]
    Stalled(Digest),
    /// The destination has less of an upload than it was sent.
    #[error("the destination has {found} bytes of {digest} and was sent {sent}")]
    Lost {
        /// The blob.
        digest: Digest,
        /// What it has.
        found: u64,
        /// What it was sent.
        sent: u64,
    },
    /// The destination shows something else than what was put there.
    #[error("the destination answers with {} instead of {expected}", found.as_ref().map_or("nothing", Digest::as_str))]
    NotShown {
        /// What was put.
        expected: Digest,
        /// What it shows.
        found: Option<Digest>,
    },
    /// It was asked to end.
    #[error("the copy was ended before it was done")]
    Ended,
    /// Whoever moved it went away.
    #[error("the copy of {0} was given up")]
    GivenUp(Digest),
}

/// Codes of refusals that another upload does not meet: the registry has lost the upload, or what arrived of it.
const LOST_UPLOADS: [&str; 4] =
    ["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID", "SIZE_INVALID"];
/// The code of an upload that a registry does not know: it may have ended before.
const UNKNOWN_UPLOAD: &str = "BLOB_UPLOAD_UNKNOWN";
/// Codes that say that a manifest names what is not there.
const LACKS_A_PART: [&str; 3] = ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN"];
/// What docker-registry 2.8 says of a manifest of which it reads a part's link while another request writes that anew: it
/// finds an empty digest there.
const READS_A_PART_HALF_WRITTEN: &str = "DIGEST_INVALID";

impl CopyError {
    /// Whether another try may end otherwise.
    pub(crate) fn is_worth_another(&self) -> bool {
        match self {
            Self::Registry(error) => {
                error.is_retryable()
                    || error.code().is_some_and(|code| LOST_UPLOADS.contains(&code))
                    || error.status() == Some(416)
            }
            Self::Content { .. } | Self::Stalled(_) | Self::Lost { .. } => true,
            Self::Manifest(_)
            | Self::NoManifest(_)
            | Self::TooMuch(..)
            | Self::Length { .. }
            | Self::BrokenOff { .. }
            | Self::NotShown { .. }
            | Self::Ended
            | Self::GivenUp(_) => false,
        }
    }

    /// Returns the HTTP status of a registry's answer.
    pub(crate) fn status(&self) -> Option<u16> {
        if let Self::Registry(error) = self { error.status() } else { None }
    }

    /// Returns how long a registry asks to be left alone, if it wants fewer requests; zero if it does not say.
    pub(crate) fn asked_pause(&self) -> Option<Duration> {
        match self {
            Self::Registry(error) => match error.reason() {
                Reason::RateLimited { retry_after } => Some(retry_after.unwrap_or_default()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the answer had more bytes than were wanted.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self, Self::Registry(error) if matches!(error.reason(), Reason::TooLarge { .. }))
    }

    /// Whether it comes of a request that was sent several times already.
    pub(crate) fn is_repeated(&self) -> bool {
        matches!(self, Self::Registry(error) if error.is_repeated())
    }

    /// Whether the source sends other bytes than it should.
    pub(crate) fn is_of_content(&self) -> bool {
        matches!(self, Self::Content { .. })
    }

    /// Whether the source has something else than its manifest says: it has so for all who want it.
    pub(crate) fn is_wrong_at_source(&self) -> bool {
        matches!(self, Self::Content { .. } | Self::Length { .. })
    }

    /// Whether what was asked for may have been done all the same, as where the answer did not come.
    pub(crate) fn is_unclear(&self) -> bool {
        let Self::Registry(error) = self else { return false };
        matches!(error.reason(), Reason::Unreachable(_) | Reason::Unavailable)
            || error.code() == Some(UNKNOWN_UPLOAD)
    }

    /// Whether an upload is of no use any more: the registry does not know it, or what it has is wrong.
    pub(crate) fn is_of_lost_upload(&self) -> bool {
        let Self::Registry(error) = self else { return false };
        error.code().is_some_and(|code| LOST_UPLOADS.contains(&code))
            || matches!(error.status(), Some(404 | 416))
            || *error.reason() == Reason::Protocol
    }

    /// Whether the registry of a repository wants fewer requests, or does not answer.
    pub(crate) fn wants_no_requests(&self, repository: &Repository) -> bool {
        let Self::Registry(error) = self else { return false };
        let is_silent = matches!(error.reason(), Reason::RateLimited { .. } | Reason::Unreachable(_));
        is_silent && error.repository().host() == repository.host()
    }

    /// Whether the destination lacks what a manifest names, although it was sent there.
    pub(crate) fn lacks_a_part(&self) -> bool {
        let Self::Registry(error) = self else { return false };
        let is_of_manifest = matches!(error.operation(), Operation::Put(_));
        error.code().is_some_and(|code| {
            LACKS_A_PART.contains(&code) || is_of_manifest && code == READS_A_PART_HALF_WRITTEN
        })
    }
}
