//! How long a tag is left alone that failed: pauses that grow, and a cooldown once they have been of no use.

use std::time::Duration;

use crate::api::{FailureReason, TagFailure};
use crate::time::backoff;

/// The pause after the first failed try; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest of these pauses.
const MAX_PAUSE: Duration = Duration::from_mins(15);
/// The failed try after which the cooldown begins.
const LAST_TRY: u32 = 5;

/// How long a tag is left alone that keeps failing; nothing where there is no cooldown, and pauses only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cooldown(Option<Duration>);

impl Cooldown {
    /// No cooldown.
    pub const OFF: Self = Self(None);
    /// The minutes of one that no setting says.
    pub const DEFAULT_MINUTES: u32 = 60;
    /// The minutes of the longest one.
    pub const MAX_MINUTES: u32 = 7 * 24 * 60;
    /// The longest one.
    pub const MAX: Self = Self(Some(Duration::from_mins(Self::MAX_MINUTES as u64)));

    /// Returns the cooldown of this number of minutes; 0 is none.
    pub fn of_minutes(minutes: u32) -> Self {
        let minutes = minutes.min(Self::MAX_MINUTES);
        Self((minutes > 0).then(|| Duration::from_mins(minutes.into())))
    }

    /// Returns how long to wait after the nth failed try. No pause is longer than the cooldown.
    pub fn pause(self, reason: FailureReason, attempts: u32) -> Duration {
        let growing = backoff(FIRST_PAUSE, MAX_PAUSE, attempts.saturating_sub(1));
        match self.0.filter(|_| is_of_tag(reason)) {
            Some(cooldown) if attempts >= LAST_TRY => cooldown,
            Some(cooldown) => growing.min(cooldown),
            None => growing,
        }
    }

    /// Returns whether a tag that failed so is in the cooldown.
    pub fn holds(self, failure: &TagFailure) -> bool {
        self.0.is_some() && is_of_tag(failure.reason) && failure.attempts >= LAST_TRY
    }
}

/// Returns whether a tag fails so for what it is, or for what the registries do with it. What keeps a pod from starting
/// is the cluster's, and may be over at any moment.
fn is_of_tag(reason: FailureReason) -> bool {
    reason != FailureReason::PodNotStarted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pauses(cooldown: Cooldown, reason: FailureReason) -> Vec<u64> {
        [1, 2, 3, 4, 5, 6, 8, 1000].map(|n| cooldown.pause(reason, n).as_secs()).to_vec()
    }

    #[test]
    fn pauses_grow_and_then_the_cooldown_begins() {
        let failed = FailureReason::CopyFailed;
        let hour = pauses(Cooldown::of_minutes(60), failed);
        assert_eq!(hour, [10, 20, 40, 80, 3600, 3600, 3600, 3600]);
        assert_eq!(pauses(Cooldown::of_minutes(1), failed), [10, 20, 40, 60, 60, 60, 60, 60]);
    }

    #[test]
    fn a_cooldown_of_zero_is_none_and_pauses_only_grow() {
        let off = Cooldown::of_minutes(0);
        assert_eq!(off, Cooldown::OFF);
        assert_eq!(pauses(off, FailureReason::CopyFailed), [10, 20, 40, 80, 160, 320, 900, 900]);
    }

    #[test]
    fn what_keeps_pods_from_starting_brings_no_tag_into_the_cooldown() {
        let pauses = pauses(Cooldown::of_minutes(60), FailureReason::PodNotStarted);
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 900, 900]);
    }

    proptest! {
        #[test]
        fn a_pause_is_never_nothing_and_never_longer_than_the_cooldown(minutes in 0_u32.., attempts in 0_u32..) {
            let cooldown = Cooldown::of_minutes(minutes);
            let pause = cooldown.pause(FailureReason::CopyFailed, attempts);
            prop_assert!(!pause.is_zero());
            prop_assert!(pause <= cooldown.0.unwrap_or(MAX_PAUSE));
        }
    }
}
