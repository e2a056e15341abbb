//! Whether the agent is ready: each watch has sent its first list, or enough of them have after a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How long the agent waits for all watches after its start.
pub const READY_WITHOUT_SOME_AFTER: Duration = Duration::from_mins(1);
/// How often it is asked again whether any watch has begun by then.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Whether the first lists of all watches are known. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct ReadyGate(Arc<Watches>);

#[derive(Debug, Default)]
struct Watches {
    total: AtomicUsize,
    known: AtomicUsize,
    is_ready: AtomicBool,
}

impl ReadyGate {
    /// Returns one that waits for nothing more.
    #[cfg(test)]
    pub fn reached() -> Self {
        let gate = Self::default();
        ready_gate.expect(1);
        ready_gate.one_is_known();
        ready_gate
    }

    /// Waits for so many more watches.
    pub(super) fn expect(&self, watches: usize) {
        self.0.total.fetch_add(watches, Ordering::AcqRel);
    }

    /// Notes that the first list of one watch is complete.
    pub(super) fn one_is_known(&self) {
        let known = self.0.known.fetch_add(1, Ordering::AcqRel) + 1;
        if known == self.0.total.load(Ordering::Acquire) {
            self.0.is_ready.store(true, Ordering::Release);
            tracing::info!("ready");
        }
    }

    /// Returns whether the agent is ready.
    pub fn is_ready(&self) -> bool {
        self.0.is_ready.load(Ordering::Acquire)
    }

    /// Makes the agent ready without some watches after a while: a namespace that cannot be watched must not
    /// keep it from being ready for all others.
    pub async fn accept_some(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
        while !self.is_ready() {
            let (known, total) = (self.0.known.load(Ordering::Acquire), self.0.total.load(Ordering::Acquire));
            if known > 0 {
                tracing::warn!("ready, though {} of {total} watches have not begun", total - known);
                self.0.is_ready.store(true, Ordering::Release);
            } else {
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_agent_is_ready_without_a_namespace_that_it_cannot_watch() {
        let ready_gate = ReadyGate::default();
        ready_gate.expect(2);
        ready_gate.one_is_known();
        assert!(!ready_gate.is_ready());
        ready_gate.accept_some(Duration::ZERO).await;
        assert!(ready_gate.is_ready());
    }

    #[test]
    fn the_agent_is_ready_once_the_last_watch_has_sent_its_list() {
        let ready_gate = ReadyGate::default();
        ready_gate.expect(1);
        ready_gate.expect(1);
        ready_gate.one_is_known();
        assert!(!ready_gate.is_ready());
        ready_gate.one_is_known();
        assert!(ready_gate.is_ready());
    }
}
