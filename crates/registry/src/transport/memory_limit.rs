//! How many bytes of large responses the process holds at a time.
//!
//! One response has a limit, and a host receives few requests at a time. Many hosts together could still
//! send more than the process has memory for.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Responses up to this size need no reservation. Few honest ones are larger.
pub(super) const UNRESERVED_BYTES: usize = 256 << 10;
/// How much is reserved at a time for a response without a length. A slow one that were granted its limit
/// at once would hold much more than it sends.
pub(super) const RESERVATION_STEP: usize = 1 << 20;
/// The most that all reservations hold together; the agent has 128 MiB for everything.
const MAX_RESERVED_BYTES: usize = 32 << 20;

/// The most that is reserved for one response before it comes: what a host announces costs it nothing.
pub(super) const MAX_FIRST_RESERVATION: usize = MAX_RESERVED_BYTES / 4;

/// The memory for large responses.
#[derive(Debug)]
pub(crate) struct MemoryLimit {
    bytes: Semaphore,
    timeout: Duration,
}

/// Memory for one response, until it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    limit: &'a MemoryLimit,
    _turn: SemaphorePermit<'a>,
    bytes: SemaphorePermit<'a>,
}

impl Reservation<'_> {
    /// Reserves more, for a response without a length. Returns `false` if there is no more: a holder never
    /// waits.
    pub(super) fn extend(&mut self, bytes: usize) -> bool {
        let more = u32::try_from(bytes).ok().and_then(|bytes| self.limit.bytes.try_acquire_many(bytes).ok());
        more.map(|more| self.bytes.merge(more)).is_some()
    }
}

impl MemoryLimit {
    /// Returns a limit at which no reservation waits longer than `timeout`.
    pub(super) fn new(timeout: Duration) -> Self {
        Self { bytes: Semaphore::new(MAX_RESERVED_BYTES), timeout }
    }

    /// Reserves memory in bytes for a host, whose large responses take turns: a slow host could otherwise hold
    /// all memory. Returns `None` after the timeout.
    ///
    /// What is known to be needed is reserved at once. Two that each held a part and waited for more would
    /// wait for each other.
    pub(super) async fn reserve<'a>(&'a self, turn: &'a Semaphore, bytes: usize) -> Option<Reservation<'a>> {
        let bytes = u32::try_from(bytes.min(MAX_RESERVED_BYTES)).ok()?;
        let reserved = async {
            let turn = turn.acquire().await.ok()?;
            Some(Reservation { limit: self, _turn: turn, bytes: self.bytes.acquire_many(bytes).await.ok()? })
        };
        tokio::time::timeout(self.timeout, reserved).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use futures::FutureExt as _;
    use url::Url;

    use super::*;
    use crate::transport::{Http, Request};
    use crate::{Access, Reason, Settings, Unreachable};

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_reservation_without_memory_waits_and_times_out() {
        let (memory, turns) = (MemoryLimit::new(TIMEOUT), [const { Semaphore::const_new(1) }; 3]);
        let first = memory.reserve(&turns[0], MAX_RESERVED_BYTES / 2).await.unwrap();
        let second = memory.reserve(&turns[1], MAX_RESERVED_BYTES / 2).await.unwrap();
        assert!(memory.reserve(&turns[2], 1).await.is_none());
        drop(first);
        assert!(memory.reserve(&turns[2], MAX_RESERVED_BYTES / 2).await.is_some());
        drop(second);
        let mut growing = memory.reserve(&turns[0], MAX_RESERVED_BYTES - RESERVATION_STEP).await.unwrap();
        assert!(growing.extend(RESERVATION_STEP) && !growing.extend(1));
        drop(growing);
        assert!(
            memory.reserve(&turns[0], 2 * MAX_RESERVED_BYTES).await.is_some(),
            "more than there is means all of it"
        );
    }

    /// Returns the URL of a large document.
    async fn large() -> Url {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().fallback(async || " ".repeat(2 * UNRESERVED_BYTES));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    #[tokio::test]
    async fn a_response_without_memory_is_an_error_that_says_so_and_no_fault_of_the_host() {
        // Half of it is the time to wait for memory.
        let http = Http::new(Settings { request_timeout: Duration::from_secs(1), ..Settings::default() });
        let (url, turn) = (large().await, Semaphore::new(1));
        let channel = http.channel(url.clone(), &Access::default(), None).unwrap();
        let reserved = http.memory.reserve(&turn, MAX_RESERVED_BYTES).await.unwrap();
        let request = Request::get(url, 4 * UNRESERVED_BYTES);
        let outcomes = futures::future::join_all((0..6).map(|_| http.send(&channel, &request))).await;
        for failure in outcomes.into_iter().map(Result::unwrap_err) {
            assert_eq!(failure.reason, Reason::Unreachable(Unreachable::Timeout));
            assert!(failure.detail.contains("no memory is left for the large response"), "{failure}");
        }
        drop(reserved);
        assert!(http.send(&channel, &request).await.is_ok(), "its breaker is closed");
    }

    #[tokio::test(start_paused = true)]
    async fn large_responses_of_one_host_are_read_one_after_the_other() {
        let (memory, slow, other) = (MemoryLimit::new(TIMEOUT), Semaphore::new(1), Semaphore::new(1));
        let first = memory.reserve(&slow, MAX_RESERVED_BYTES / 2).await.unwrap();
        let mut next = std::pin::pin!(memory.reserve(&slow, MAX_RESERVED_BYTES / 2));
        assert!(next.as_mut().now_or_never().is_none());
        assert!(
            memory.reserve(&other, MAX_RESERVED_BYTES / 2).await.is_some(),
            "a wait for a turn holds no memory"
        );
        drop(first);
        assert!(next.await.is_some());
    }
}
