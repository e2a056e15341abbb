//! What the API server did not do, on which object, and why.

use kube::core::Status;
use kube::runtime::watcher;

/// Something that the API server did not do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {verb} {object}: {cause}")]
pub struct ApiError {
    /// What was asked for: `get`, `create`, `list`, …
    pub verb: &'static str,
    /// On which object, such as `Secret "team-a/target"`.
    pub object: String,
    /// Why it was not done.
    pub cause: ApiCause,
}

/// Why the API server did not do something. Messages are printable and short.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiCause {
    /// There is no such object.
    #[error("not found")]
    NotFound,
    /// An object of this name exists already.
    #[error("already exists")]
    AlreadyExists,
    /// The object was changed or deleted meanwhile, or another one has its name.
    #[error("{0}")]
    Conflict(String),
    /// The namespace is being deleted.
    #[error("the namespace is being deleted")]
    NamespaceTerminating,
    /// RBAC: the agent has no right to.
    #[error("the agent has no right to: {0}")]
    MissingRight(String),
    /// A quota or an admission policy forbids it.
    #[error("{0}")]
    Forbidden(String),
    /// The object is not valid, or is too large.
    #[error("{0}")]
    Invalid(String),
    /// The API server answered that it cannot now: a webhook or etcd fails, or there are too many requests.
    #[error("{0}")]
    Failing(String),
    /// The API server did not answer, or not in its protocol.
    #[error("{0}")]
    Unreachable(String),
}

impl ApiError {
    /// Returns what a failed request means. `object` says what it was about.
    pub fn new(verb: &'static str, object: impl Into<String>, error: &kube::Error) -> Self {
        Self { verb, object: object.into(), cause: ApiCause::of(error) }
    }

    /// Returns whether the same request may succeed a little later, without any change.
    pub fn is_transient(&self) -> bool {
        matches!(self.cause, ApiCause::Failing(_) | ApiCause::Unreachable(_) | ApiCause::Conflict(_))
    }
}

impl ApiCause {
    /// Reads the API server's answer. RBAC speaks of a user that cannot do something with a resource; quotas
    /// and policies do not.
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(status),
            error => Self::Unreachable(printable(&with_causes(error))),
        }
    }

    /// Reads why a watch failed.
    pub fn of_watch(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::of(error),
            watcher::Error::WatchError(status) => Self::of_status(status),
            error @ watcher::Error::NoResourceVersion => Self::Unreachable(printable(&error.to_string())),
        }
    }

    fn of_status(status: &Status) -> Self {
        let message = printable(&status.message);
        match status.code {
            403 if message.contains("being terminated") => Self::NamespaceTerminating,
            403 if message.contains(" cannot ") && message.contains(" resource ") => {
                Self::MissingRight(message)
            }
            403 => Self::Forbidden(message),
            404 if status.is_not_found() => Self::NotFound,
            409 if status.is_already_exists() => Self::AlreadyExists,
            409 => Self::Conflict(message),
            400 | 413 | 422 => Self::Invalid(message),
            _ => Self::Failing(message),
        }
    }
}

/// Returns an error with everything that caused it: kube's own text often leaves out why.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// The longest message that is kept, in bytes.
const MAX_MESSAGE: usize = 512;

/// Returns text from a server, a node or a policy made safe for statuses and terminals. Its end is kept: that
/// is where the error is.
pub fn printable(text: &str) -> String {
    let line = imgop_registry::printable(text);
    let mut start = line.len().saturating_sub(MAX_MESSAGE);
    while !line.is_char_boundary(start) {
        start += 1;
    }
    line[start..].to_owned()
}

#[cfg(test)]
mod tests;
