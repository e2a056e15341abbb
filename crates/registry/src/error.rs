//! Why a registry could not be asked, or what it answered instead.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;

use crate::reference::{Digest, ManifestRef, Repository};

/// A failed call. It names the repository, what was asked and why it failed; it never holds a
/// credential, a query string or more than 200 characters of what a server said.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {}: {}", self.0.operation.on(&self.0.repository), self.0.failure)]
pub struct RegistryError(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    repository: Repository,
    operation: Operation,
    failure: Failure,
}

/// What was asked of the registry.
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
    /// Mount a blob from another repository.
    Mount(Digest),
    /// Find what refers to a manifest.
    Referrers(Digest),
}

/// The class of a failure: what a caller decides by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The credential is missing, wrong or expired. Docker Hub says this of absent repositories too.
    Unauthorized,
    /// The credential is known and has no right to this.
    Forbidden,
    /// The registry answers and has no such repository.
    RepositoryNotFound,
    /// The registry wants fewer requests.
    RateLimited {
        /// When it may be asked again, if it said so.
        retry_after: Option<Duration>,
    },
    /// There was no whole answer.
    Unreachable(Unreachable),
    /// The registry answered with a 5xx status, also after the retries.
    Unavailable,
    /// The registry understood and said no, for instance to a change of an immutable tag.
    Rejected,
    /// The answer is not one of a registry.
    Protocol,
    /// The answer is larger than we read.
    TooLarge {
        /// The limit that was passed, in the unit that the message names.
        limit: usize,
    },
    /// We did not do what the registry asked: another host, a metadata address, a foreign token server.
    Refused,
    /// Our own settings are wrong, such as a CA bundle that is no PEM.
    Settings,
}

/// At what point the way to the registry ended.
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
    /// Too slow.
    Timeout,
    /// The connection broke within the answer.
    Interrupted,
}

/// The part of an error that is known without the repository.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) status: Option<StatusCode>,
    pub(super) code: Option<String>,
    pub(super) detail: String,
    /// Whether it is this process that could not go on, which says nothing of the host.
    pub(super) is_ours: bool,
}

impl RegistryError {
    pub(super) fn new(repository: &Repository, operation: Operation, failure: Failure) -> Self {
        Self(Box::new(Inner { repository: repository.clone(), operation, failure }))
    }

    /// The class of the failure.
    pub fn reason(&self) -> &Reason {
        &self.0.failure.reason
    }

    /// Where.
    pub fn repository(&self) -> &Repository {
        &self.0.repository
    }

    /// What was asked.
    pub fn operation(&self) -> &Operation {
        &self.0.operation
    }

    /// The status code of the answer, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.0.failure.status.map(|status| status.as_u16())
    }

    /// The registry's own error code, such as `MANIFEST_BLOB_UNKNOWN` (distribution-spec, "Error Codes").
    pub fn code(&self) -> Option<&str> {
        self.0.failure.code.as_deref()
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self.reason() {
            Reason::RateLimited { .. } | Reason::Unreachable(_) | Reason::Unavailable | Reason::Protocol => {
                true
            }
            Reason::Unauthorized
            | Reason::Forbidden
            | Reason::RepositoryNotFound
            | Reason::Rejected
            | Reason::TooLarge { .. }
            | Reason::Refused
            | Reason::Settings => false,
        }
    }
}

impl Failure {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, status: None, code: None, detail: detail.into(), is_ours: false }
    }

    pub(super) fn protocol(detail: impl Into<String>) -> Self {
        Self::new(Reason::Protocol, detail)
    }

    pub(super) fn refused(detail: impl Into<String>) -> Self {
        Self::new(Reason::Refused, detail)
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }
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
            Self::Put(what) => format!("write {}", with(what)),
            Self::Mount(digest) => format!("mount {digest} into {repository}"),
        }
    }
}
