//! Why a part of a build failed, and what follows from it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::backoff;

/// Why a build, or a part of it, failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the reason of that name; when it is one says Retry")]
pub enum BuildFailure {
    DockerfileInvalid,
    DockerfileUnsupported,
    ContextInvalid,
    RevisionNotFound,
    BaseImageNotFound,
    PlatformNotFound,
    SourceUnauthorized,
    RegistryUnauthorized,
    SecretUnusable,
    SourceUnreachable,
    RegistryUnreachable,
    RegistryRateLimited,
    PlatformUnavailable,
    PodNotStarted,
    JobRefused,
    StepFailed,
    OutOfMemory,
    OutOfDisk,
    TimedOut,
    #[serde(rename = "IDRangeTooSmall")]
    IdRangeTooSmall,
    Interrupted,
    PushFailed,
    PublishFailed,
    VerificationFailed,
    DestinationConflict,
    DestinationNotAllowed,
    RepositoryNotReady,
    #[serde(rename = "RegistryAccessUnknown")]
    AccessUnknown,
}

/// What may make a failed build end differently with the same inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Nothing: the inputs decide it.
    Never,
    /// Another try, as often as the spec allows.
    AsAllowed,
    /// Another try at once, which does not count: something ended the pod. If that happens again, with pauses that
    /// grow.
    AtOnce,
    /// Time: pauses that grow to a quarter of an hour.
    Backoff,
    /// Something of the cluster: after ten minutes, and as soon as it changes.
    Slowly,
    /// A Secret that is corrected.
    OnSecret,
    /// Something of another's: it is asked for again at each check, after ten minutes at the earliest.
    OnCheck,
}

const FIRST_BACKOFF: Duration = Duration::from_secs(30);
const MAX_BACKOFF: Duration = Duration::from_mins(15);
/// How long something waits that only others can change.
const SLOW: Duration = Duration::from_mins(10);

impl BuildFailure {
    /// Returns the reason in conditions and status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DockerfileInvalid => "DockerfileInvalid",
            Self::DockerfileUnsupported => "DockerfileUnsupported",
            Self::ContextInvalid => "ContextInvalid",
            Self::RevisionNotFound => "RevisionNotFound",
            Self::BaseImageNotFound => "BaseImageNotFound",
            Self::PlatformNotFound => "PlatformNotFound",
            Self::SourceUnauthorized => "SourceUnauthorized",
            Self::RegistryUnauthorized => "RegistryUnauthorized",
            Self::SecretUnusable => "SecretUnusable",
            Self::SourceUnreachable => "SourceUnreachable",
            Self::RegistryUnreachable => "RegistryUnreachable",
            Self::RegistryRateLimited => "RegistryRateLimited",
            Self::PlatformUnavailable => "PlatformUnavailable",
            Self::PodNotStarted => "PodNotStarted",
            Self::JobRefused => "JobRefused",
            Self::StepFailed => "StepFailed",
            Self::OutOfMemory => "OutOfMemory",
            Self::OutOfDisk => "OutOfDisk",
            Self::TimedOut => "TimedOut",
            Self::IdRangeTooSmall => "IDRangeTooSmall",
            Self::Interrupted => "Interrupted",
            Self::PushFailed => "PushFailed",
            Self::PublishFailed => "PublishFailed",
            Self::VerificationFailed => "VerificationFailed",
            Self::DestinationConflict => "DestinationConflict",
            Self::DestinationNotAllowed => "DestinationNotAllowed",
            Self::RepositoryNotReady => "RepositoryNotReady",
            Self::AccessUnknown => "RegistryAccessUnknown",
        }
    }

    /// Returns what may make it end differently.
    pub const fn retry(self) -> Retry {
        match self {
            Self::DockerfileInvalid
            | Self::DockerfileUnsupported
            | Self::ContextInvalid
            | Self::OutOfMemory
            | Self::OutOfDisk
            | Self::TimedOut
            | Self::IdRangeTooSmall
            | Self::DestinationConflict => Retry::Never,
            Self::StepFailed => Retry::AsAllowed,
            Self::Interrupted => Retry::AtOnce,
            Self::SourceUnreachable
            | Self::RegistryUnreachable
            | Self::RegistryRateLimited
            | Self::PushFailed
            | Self::PublishFailed
            | Self::VerificationFailed
            | Self::RepositoryNotReady
            | Self::AccessUnknown => Retry::Backoff,
            Self::PlatformUnavailable | Self::PodNotStarted | Self::JobRefused => Retry::Slowly,
            Self::SourceUnauthorized
            | Self::RegistryUnauthorized
            | Self::SecretUnusable
            | Self::DestinationNotAllowed => Retry::OnSecret,
            Self::RevisionNotFound | Self::BaseImageNotFound | Self::PlatformNotFound => Retry::OnCheck,
        }
    }

    /// Returns how long to wait for the next try; none if there is no other try by itself. `tries` is how many ended
    /// in a way that is retried alike, this one included: in a row where that is [`Retry::AtOnce`]. `allowed` is how
    /// often a failing RUN is tried again, `check` how often inputs are checked.
    pub fn delay(self, tries: u32, allowed: u32, check: Duration) -> Option<Duration> {
        let growing = || backoff(FIRST_BACKOFF, MAX_BACKOFF, tries.saturating_sub(1));
        match self.retry() {
            Retry::Never | Retry::OnSecret => None,
            Retry::AsAllowed => (tries <= allowed).then(growing),
            Retry::AtOnce if tries <= 1 => Some(Duration::ZERO),
            Retry::AtOnce => Some(backoff(FIRST_BACKOFF, MAX_BACKOFF, tries - 2)),
            Retry::Backoff => Some(growing()),
            Retry::Slowly => Some(SLOW),
            Retry::OnCheck => Some(check.max(SLOW)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_inputs_decide_is_tried_once() {
        for failure in [BuildFailure::OutOfMemory, BuildFailure::DockerfileInvalid, BuildFailure::TimedOut] {
            assert_eq!(failure.delay(1, 5, SLOW), None, "{failure:?}");
        }
        let failed_step = |tries, allowed| BuildFailure::StepFailed.delay(tries, allowed, SLOW);
        assert_eq!(failed_step(1, 0), None);
        assert_eq!(failed_step(1, 2), Some(Duration::from_secs(30)));
        assert_eq!(failed_step(2, 2), Some(Duration::from_mins(1)));
        assert_eq!(failed_step(3, 2), None);
    }

    #[test]
    fn what_may_go_differently_is_tried_again() {
        let pauses = [1, 2, 3, 6, 100].map(|n| BuildFailure::PushFailed.delay(n, 0, SLOW).unwrap().as_secs());
        assert_eq!(pauses, [30, 60, 120, 900, 900]);
        let pauses = [1, 2, 3, 99].map(|n| BuildFailure::Interrupted.delay(n, 0, SLOW).unwrap().as_secs());
        assert_eq!(pauses, [0, 30, 60, 900], "at once, but not for ever");
        assert_eq!(BuildFailure::PodNotStarted.delay(1, 0, SLOW), Some(SLOW));
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        assert_eq!(BuildFailure::BaseImageNotFound.delay(1, 0, minute), Some(SLOW));
        assert_eq!(BuildFailure::BaseImageNotFound.delay(1, 0, hour), Some(hour));
        assert_eq!(BuildFailure::RegistryUnauthorized.delay(1, 0, SLOW), None, "a Secret wakes it");
    }
}
