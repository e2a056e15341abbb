//! Which repositories of a registry have a referrers API.

use std::time::Duration;

use parking_lot::Mutex;

use crate::cache::Bounded;
use crate::credentials::Fingerprint;

/// How long a repository without the API is not asked again.
const ABSENT_TTL: Duration = Duration::from_mins(10);
/// How long a repository that had the API cannot lose it. A proxy that is half down is repaired in that
/// time; a registry may really have been replaced.
const PRESENT_TTL: Duration = Duration::from_hours(24);
/// Repositories of one registry that are remembered as without the API.
const MAX_ABSENT: usize = 1_024;
/// Repositories of one registry that are remembered as with the API.
const MAX_PRESENT: usize = 4_096;

/// A repository's path, and who asks.
pub(super) type SupportKey = (String, Option<Fingerprint>);

/// One repository says nothing of the others: a proxy may serve each from another registry, and a path that
/// does not exist may be refused. Nor does what one credential sees say anything of another.
#[derive(Debug)]
pub(super) struct ReferrersSupport(Mutex<State>);

#[derive(Debug)]
struct State {
    absent: Bounded<SupportKey, ()>,
    present: Bounded<SupportKey, ()>,
}

impl Default for ReferrersSupport {
    fn default() -> Self {
        let state = State { absent: Bounded::new(MAX_ABSENT), present: Bounded::new(MAX_PRESENT) };
        Self(Mutex::new(state))
    }
}

impl ReferrersSupport {
    pub(super) fn is_absent(&self, key: &SupportKey) -> bool {
        self.0.lock().absent.get(key).is_some()
    }

    /// Records that there is no API. Returns `false` if it has answered before: then it fails, and what it
    /// returned is no less true.
    pub(super) fn record_absent(&self, key: &SupportKey) -> bool {
        let mut state = self.0.lock();
        let is_absent = state.present.get(key).is_none();
        if is_absent {
            state.absent.insert(key.clone(), (), ABSENT_TTL);
        }
        is_absent
    }

    pub(super) fn record_present(&self, key: &SupportKey) {
        self.0.lock().present.insert(key.clone(), (), PRESENT_TTL);
    }

    /// Forgets a repository, so that the next call asks it.
    pub(super) fn invalidate(&self, path: &str) {
        let mut state = self.0.lock();
        state.absent.remove_keys(|(known, _)| known == path);
        state.present.remove_keys(|(known, _)| known == path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_api_that_has_answered_cannot_be_absent_for_a_day() {
        let (support, key) = (ReferrersSupport::default(), ("app".to_owned(), None));
        support.record_present(&key);
        tokio::time::advance(PRESENT_TTL / 2).await;
        support.record_present(&key);
        tokio::time::advance(PRESENT_TTL / 2).await;
        assert!(!support.record_absent(&key) && !support.is_absent(&key));
        tokio::time::advance(PRESENT_TTL / 2).await;
        assert!(support.record_absent(&key) && support.is_absent(&key));
    }
}
