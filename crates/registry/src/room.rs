//! How many bytes of large answers the process holds at a time.
//!
//! One answer has a limit, and a host has few requests at a time. Many hosts together could still send
//! more than the process has memory for.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Answers up to this size need no room. Few honest ones are larger.
pub(super) const SMALL: usize = 256 << 10;
/// By so much the room of an answer grows that does not say how long it is. Who is given all that it could
/// need could be slow, and hold much more than it sends.
pub(super) const STEP: usize = 1 << 20;
/// For all others together; the agent has 128 MiB for everything.
const ALL: usize = 32 << 20;

/// The room for large answers.
#[derive(Debug)]
pub(super) struct Room {
    bytes: Semaphore,
    patience: Duration,
}

/// Room for one answer, until it is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    room: &'a Room,
    _turn: SemaphorePermit<'a>,
    bytes: SemaphorePermit<'a>,
}

impl Taken<'_> {
    /// Takes more, for an answer that did not say how long it is. Whether there was more: who holds some
    /// waits for none.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let more = u32::try_from(bytes).ok().and_then(|bytes| self.room.bytes.try_acquire_many(bytes).ok());
        more.map(|more| self.bytes.merge(more)).is_some()
    }
}

impl Room {
    /// Nobody waits longer than `patience` for it.
    pub(super) fn new(patience: Duration) -> Self {
        Self { bytes: Semaphore::new(ALL), patience }
    }

    /// Room for so many bytes of one host, of whose large answers one is read at a time: it could else take
    /// all the room by being slow. None if there was none in time.
    ///
    /// What is known to be needed is taken at once. Two that each held a part and waited for more would wait
    /// for each other.
    pub(super) async fn take<'a>(&'a self, turn: &'a Semaphore, bytes: usize) -> Option<Taken<'a>> {
        let bytes = u32::try_from(bytes.min(ALL)).ok()?;
        let taken = async {
            let turn = turn.acquire().await.ok()?;
            Some(Taken { room: self, _turn: turn, bytes: self.bytes.acquire_many(bytes).await.ok()? })
        };
        tokio::time::timeout(self.patience, taken).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use futures::FutureExt as _;

    use super::*;
    use crate::reference::Repository;
    use crate::{Access, Reason, Registries, Settings, Unreachable};

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_waits_and_gives_up() {
        let (room, turns) = (Room::new(PATIENCE), [const { Semaphore::const_new(1) }; 3]);
        let first = room.take(&turns[0], ALL / 2).await.unwrap();
        let second = room.take(&turns[1], ALL / 2).await.unwrap();
        assert!(room.take(&turns[2], 1).await.is_none());
        drop(first);
        assert!(room.take(&turns[2], ALL / 2).await.is_some());
        drop(second);
        let mut growing = room.take(&turns[0], ALL - STEP).await.unwrap();
        assert!(growing.grow(STEP) && !growing.grow(1));
        drop(growing);
        assert!(room.take(&turns[0], 2 * ALL).await.is_some(), "more than there is means all of it");
    }

    /// A registry with large lists.
    async fn registry() -> Repository {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let list = format!(r#"{{"tags":["v1"{}]}}"#, " ".repeat(2 * SMALL));
        let router = Router::new().fallback(async move || list.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("{address}/a").parse().unwrap()
    }

    #[tokio::test]
    async fn an_answer_for_which_there_is_no_room_is_an_error_that_says_so_and_no_fault_of_the_host() {
        // Half of it is waited for room.
        let settings = Settings { request_timeout: Duration::from_secs(1), ..Settings::default() };
        let client = Registries::new(settings).repository(&registry().await, &Access::default());
        let turn = Semaphore::new(1);
        let taken = client.shared.transport.room.take(&turn, ALL).await.unwrap();
        let errors = futures::future::join_all((0..6).map(|_| client.tags())).await;
        for error in errors.into_iter().map(Result::unwrap_err) {
            assert_eq!(*error.reason(), Reason::Unreachable(Unreachable::Timeout));
            assert!(error.to_string().contains("no memory is left for the large answer"), "{error}");
            assert!(error.is_retryable());
        }
        drop(taken);
        assert_eq!(client.tags().await.unwrap().len(), 1, "it does not count as ill");
    }

    #[tokio::test(start_paused = true)]
    async fn one_host_takes_its_large_answers_one_after_the_other() {
        let (room, slow, other) = (Room::new(PATIENCE), Semaphore::new(1), Semaphore::new(1));
        let first = room.take(&slow, ALL / 2).await.unwrap();
        let mut next = std::pin::pin!(room.take(&slow, ALL / 2));
        assert!(next.as_mut().now_or_never().is_none());
        assert!(room.take(&other, ALL / 2).await.is_some(), "who waits for a turn takes no room");
        drop(first);
        assert!(next.await.is_some());
    }
}
