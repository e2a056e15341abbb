//! Whether this process may still change anything elsewhere.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// Says whether this process may change anything now. It is asked right before each request that changes something,
/// and again whenever such a request goes on: a process that was paused meanwhile may have lost that right.
#[derive(Clone)]
pub struct WriteGate(Arc<dyn Fn() -> bool + Send + Sync>);

/// The gate is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this process may not change anything any more: it does not hold the lease")]
pub struct GateClosed;

impl WriteGate {
    /// Returns one that is open for ever.
    pub fn open() -> Self {
        Self::new(|| true)
    }

    /// Returns one that is open while `is_open` says so.
    pub fn new(is_open: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_open))
    }

    /// Returns whether it is open now.
    pub fn is_open(&self) -> bool {
        (self.0)()
    }

    /// Does `work`, and gives it up as soon as it would go on while the gate is closed.
    pub async fn while_open<F: Future>(&self, work: F) -> Result<F::Output, GateClosed> {
        let mut work = pin!(work);
        poll_fn(|context| {
            if !self.is_open() {
                return Poll::Ready(Err(GateClosed));
            }
            work.as_mut().poll(context).map(Ok)
        })
        .await
    }
}

impl Default for WriteGate {
    fn default() -> Self {
        Self::open()
    }
}

impl fmt::Debug for WriteGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteGate").field("is_open", &self.is_open()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn work_goes_on_only_while_the_gate_is_open() {
        let (is_open, steps) = (Arc::new(AtomicBool::new(true)), AtomicU32::new(0));
        let asked = is_open.clone();
        let gate = WriteGate::new(move || asked.load(Ordering::SeqCst));
        let work = async {
            steps.fetch_add(1, Ordering::SeqCst);
            is_open.store(false, Ordering::SeqCst);
            tokio::task::yield_now().await;
            steps.fetch_add(1, Ordering::SeqCst);
        };
        assert_eq!(gate.while_open(work).await, Err(GateClosed));
        assert_eq!(steps.load(Ordering::SeqCst), 1);
        let never = async { steps.fetch_add(1, Ordering::SeqCst) };
        assert_eq!(gate.while_open(never).await, Err(GateClosed));
        assert_eq!(steps.load(Ordering::SeqCst), 1);
        assert_eq!(WriteGate::open().while_open(async { 7 }).await, Ok(7));
    }
}
