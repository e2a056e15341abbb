//! Why a call to a registry failed.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;

use crate::reference::{Digest, ManifestRef, Repository, Tag};

/// A failed call. It names the repository, the operation and the cause; it never holds a credential,
/// a query string or more than 200 characters of a server's words.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {}: {}", self.0.operation.on(&self.0.repository), self.0.failure)]
pub struct RegistryError(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    repository: Repository,
    operation: Operation,
    failure: Failure,
}

/// An operation of the registry API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// List the tags.
    ListTags,
    /// Look up the digest of a tag, or whether a digest exists.
    Head(ManifestRef),
    /// Read a manifest.
    Get(ManifestRef),
    /// Write a manifest.
    Put(ManifestRef),
    /// Delete a tag.
    Delete(Tag),
    /// Mount a blob from another repository.
    Mount(Digest),
    /// To begin an upload, which is cancelled at once.
    Push,
    /// Look whether a blob is there, or upload it.
    Upload(Digest),
    /// Read a blob.
    ReadBlob(Digest),
    /// Find what refers to a manifest.
    Referrers(Digest),
}

/// The class of a failure, for callers to decide by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The credential is missing, wrong or expired. Docker Hub says this of absent repositories too.
    Unauthorized,
    /// The credential is known and lacks the right.
    Forbidden,
    /// The registry answers and has no such repository.
    RepositoryNotFound,
    /// The registry wants fewer requests.
    RateLimited {
        /// The wait that the registry asked for, if it did.
        retry_after: Option<Duration>,
    },
    /// There was no complete response.
    Unreachable(Unreachable),
    /// The registry answered with a 5xx status after all retries.
    Unavailable,
    /// The registry understood and refused, for instance a change of an immutable tag.
    Rejected,
    /// The response is not one of a registry.
    Protocol,
    /// The manifest is in Docker's schema 1, which is no longer copied.
    Schema1,
    /// The response exceeds a limit of this client.
    TooLarge {
        /// The limit, in the unit that the message names.
        limit: usize,
    },
    /// This client refused what the registry asked for: another host, a metadata address, a token
    /// server on a foreign domain.
    Refused,
    /// The settings of this client are wrong, such as a CA bundle without a certificate.
    Settings,
}

/// Where a connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// The name has no address.
    Dns,
    /// No connection.
    Connect,
    /// No trusted TLS connection.
    Tls,
    /// The server does not speak TLS, such as a registry that speaks plain HTTP.
    NoTls,
    /// The server wants TLS, and plain HTTP was asked for.
    WantsTls,
    /// No response in time.
    Timeout,
    /// The connection broke within the response.
    Interrupted,
}

/// The part of a [`RegistryError`] that is known without the repository.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) status: Option<StatusCode>,
    pub(crate) code: Option<String>,
    pub(crate) detail: String,
    /// Whether the cause is in this process, so that it says nothing of the host.
    pub(crate) is_local: bool,
    /// Whether the request was sent more than once.
    pub(crate) is_repeated: bool,
}

impl RegistryError {
    pub(crate) fn new(repository: &Repository, operation: Operation, failure: Failure) -> Self {
        Self(Box::new(Inner { repository: repository.clone(), operation, failure }))
    }

    /// Returns the class of the failure.
    pub fn reason(&self) -> &Reason {
        &self.0.failure.reason
    }

    /// Returns the repository.
    pub fn repository(&self) -> &Repository {
        &self.0.repository
    }

    /// Returns the operation that failed.
    pub fn operation(&self) -> &Operation {
        &self.0.operation
    }

    /// Returns the HTTP status, if there was a response.
    pub fn status(&self) -> Option<u16> {
        self.0.failure.status.map(|status| status.as_u16())
    }

    /// Returns the registry's error code, such as `MANIFEST_BLOB_UNKNOWN` (distribution-spec, "Error Codes").
    pub fn code(&self) -> Option<&str> {
        self.0.failure.code.as_deref()
    }

    /// Whether the request was sent several times, and each time in vain.
    pub fn is_repeated(&self) -> bool {
        self.0.failure.is_repeated
    }

    /// Whether the registry refuses to let a tag show something else, because its tags are immutable.
    pub fn is_of_immutable_tag(&self) -> bool {
        let is_put = matches!(self.operation(), Operation::Put(ManifestRef::Tag(_)));
        is_put && *self.reason() == Reason::Rejected && is_about_immutable_tag(&self.0.failure.detail)
    }

    /// Whether the same call may succeed later without a change of spec, credentials or settings.
    pub fn is_retryable(&self) -> bool {
        match self.reason() {
            Reason::RateLimited { .. } | Reason::Unreachable(_) | Reason::Unavailable | Reason::Protocol => {
                true
            }
            Reason::Unauthorized
            | Reason::Forbidden
            | Reason::RepositoryNotFound
            | Reason::Rejected
            | Reason::Schema1
            | Reason::TooLarge { .. }
            | Reason::Refused
            | Reason::Settings => false,
        }
    }
}

impl Failure {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, status: None, code: None, detail: detail.into(), is_local: false, is_repeated: false }
    }

    pub(crate) fn protocol(detail: impl Into<String>) -> Self {
        Self::new(Reason::Protocol, detail)
    }

    pub(crate) fn refused(detail: impl Into<String>) -> Self {
        Self::new(Reason::Refused, detail)
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }
}

/// Whether these words of a registry refuse to replace an immutable tag. ECR sends `TAG_INVALID` with "The image tag '…'
/// already exists in the '…' repository and cannot be overwritten because the tag is immutable"; Harbor, Quay and Artifact
/// Registry send other codes, and the same adjective.
pub fn is_about_immutable_tag(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    words.contains("imagetagalreadyexists") || words.contains("immutable") && words.contains("tag")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        if let Some(status) = self.status {
            write!(f, " (HTTP {})", status.as_u16())?;
        }
        Ok(())
    }
}

impl Operation {
    fn on(&self, repository: &Repository) -> String {
        let with = |what: &ManifestRef| match what {
            ManifestRef::Tag(tag) => format!("{repository}:{tag}"),
            ManifestRef::Digest(digest) => format!("{repository}@{digest}"),
        };
        match self {
            Self::ListTags => format!("list the tags of {repository}"),
            Self::Head(what) => format!("look up {}", with(what)),
            Self::Get(what) => format!("read the manifest of {}", with(what)),
            Self::Referrers(digest) => format!("find what refers to {repository}@{digest}"),
            Self::ReadBlob(digest) => format!("read {digest} of {repository}"),
            Self::Put(what) => format!("write {}", with(what)),
            Self::Delete(tag) => format!("delete {repository}:{tag}"),
            Self::Mount(digest) => format!("mount {digest} into {repository}"),
            Self::Push => format!("push to {repository}"),
            Self::Upload(digest) => format!("upload {digest} to {repository}"),
        }
    }
}
