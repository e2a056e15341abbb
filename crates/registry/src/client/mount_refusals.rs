//! Which registries do not mount, so that they are not asked in vain.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::cache::{Bounded, NO_EXPIRY};
use crate::credentials::Fingerprint;

/// Refusals in a row for one credential until mounts pause: some registries never mount (Amazon ECR unless
/// an account has switched it on).
const REFUSALS_UNTIL_PAUSE: u32 = 5;
/// How long mounts pause.
const PAUSE: Duration = Duration::from_hours(1);
/// Credentials that are remembered for one registry.
const MAX_CREDENTIALS: usize = 256;

/// The mounts that one registry refused, by credential.
#[derive(Debug)]
pub(super) struct MountRefusals(Mutex<Bounded<Option<Fingerprint>, Refused>>);

#[derive(Debug)]
struct Refused {
    in_a_row: u32,
    paused_until: Option<Instant>,
}

impl Default for MountRefusals {
    fn default() -> Self {
        Self(Mutex::new(Bounded::new(MAX_CREDENTIALS)))
    }
}

impl MountRefusals {
    pub(super) fn is_paused(&self, who: Option<Fingerprint>) -> bool {
        let refused = self.0.lock();
        let until = refused.get(&who).and_then(|refused| refused.paused_until);
        until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn record_mount(&self, who: Option<Fingerprint>) {
        self.0.lock().remove(&who);
    }

    pub(super) fn record_refusal(&self, who: Option<Fingerprint>) {
        let mut known = self.0.lock();
        let in_a_row = known.get(&who).map_or(0, |refused| refused.in_a_row).saturating_add(1);
        // One more refusal after the pause begins the next one.
        let paused_until = (in_a_row >= REFUSALS_UNTIL_PAUSE).then(|| Instant::now() + PAUSE);
        known.insert(who, Refused { in_a_row, paused_until }, NO_EXPIRY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn mounts_that_are_refused_repeatedly_pause_and_are_tried_again() {
        let mounts = MountRefusals::default();
        for _ in 0..REFUSALS_UNTIL_PAUSE - 1 {
            mounts.record_refusal(None);
        }
        mounts.record_mount(None);
        mounts.record_refusal(None);
        assert!(!mounts.is_paused(None), "they were not in a row");
        for _ in 0..REFUSALS_UNTIL_PAUSE {
            mounts.record_refusal(None);
        }
        assert!(mounts.is_paused(None));
        let other = crate::Credential::RegistryToken("t".into()).fingerprint();
        assert!(!mounts.is_paused(Some(other)), "another credential may have other rights");
        tokio::time::advance(PAUSE).await;
        assert!(!mounts.is_paused(None));
        mounts.record_refusal(None);
        assert!(mounts.is_paused(None), "once more is enough then");
    }
}
