//! Bounds how many passes run at once, in all namespaces together, and shares the turns fairly: a pass may wait for
//! a server that does not answer.

mod queue;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use crate::metrics::seconds;
use queue::FairQueue;
pub use queue::TurnKey;

/// The turns of all passes. Cloning shares them.
#[derive(Clone)]
pub struct Turns {
    state: Arc<Mutex<State>>,
    /// How long was waited for each turn, in seconds.
    waits: Histogram,
}

impl std::fmt::Debug for Turns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}

struct State {
    queue: FairQueue<Waiter>,
    is_closed: bool,
}

struct Waiter {
    since: Instant,
    give: Give,
}

/// Hands a turn to what waits for it, or returns it where that has gone. It must ask for no turn itself.
pub type Give = Box<dyn FnOnce(Turn) -> Result<(), Turn> + Send>;

/// One turn. It ends when this is dropped.
#[derive(Debug)]
pub struct Turn {
    /// Of what it is, until it has ended.
    key: Option<TurnKey>,
    turns: Turns,
}

/// How much waits for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// How many passes.
    pub count: usize,
    /// Since when the one has waited that has waited longest.
    pub longest: Duration,
}

impl Turns {
    /// Returns this many turns.
    pub fn new(turns: usize) -> Self {
        let state = State { queue: FairQueue::new(turns), is_closed: false };
        Self { state: Arc::new(Mutex::new(state)), waits: seconds() }
    }

    /// Asks for a turn, which is handed to `give` when it is there; never once the turns are closed. Thousands may wait,
    /// so that none of them is a task.
    pub fn request(&self, key: TurnKey, give: Give) {
        {
            let mut state = self.state.lock();
            if state.is_closed {
                return;
            }
            state.queue.push(key, Waiter { since: Instant::now(), give });
        }
        self.give();
    }

    /// Gives the turns that are free.
    fn give(&self) {
        loop {
            let Some((key, waiter)) = self.state.lock().queue.next() else { return };
            self.waits.observe(waiter.since.elapsed().as_secs_f64());
            if let Err(mut turn) = (waiter.give)(Turn { key: Some(key), turns: self.clone() }) {
                // None waits for it any more. The loop gives it to the next one: thousands may have gone.
                turn.end();
            }
        }
    }

    /// Returns how long was waited for each turn, in seconds.
    pub fn waits(&self) -> Histogram {
        self.waits.clone()
    }

    /// Ends the wait of all that wait, and of all that come later.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.queue.clear();
    }

    /// Returns how much waits for a turn.
    pub fn waiting(&self) -> Waiting {
        let state = self.state.lock();
        let longest = state.queue.waiting().map(|waiter| waiter.since.elapsed()).max().unwrap_or_default();
        Waiting { count: state.queue.waiting().count(), longest }
    }
}

impl Turn {
    /// Frees the turn. Returns whether it had not ended before.
    fn end(&mut self) -> bool {
        let Some(key) = self.key.take() else { return false };
        self.turns.state.lock().queue.end(&key);
        true
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.end() {
            self.turns.give();
        }
    }
}

#[cfg(test)]
impl Turns {
    /// Waits for a turn. Returns `None` once the turns are closed.
    pub async fn take(&self, key: TurnKey) -> Option<Turn> {
        let (sender, turn) = tokio::sync::oneshot::channel();
        self.request(key, Box::new(|turn| sender.send(turn)));
        turn.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn key(namespace: &str) -> TurnKey {
        TurnKey { namespace: namespace.to_owned(), hosts: Vec::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_counted_with_its_age_until_it_has_its_turn() {
        let turns = Turns::new(1);
        let first = turns.take(key("a")).await.unwrap();
        let mut second = Box::pin(turns.take(key("b")));
        assert!(second.as_mut().now_or_never().is_none());
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(turns.waiting(), Waiting { count: 1, longest: Duration::from_secs(7) });
        drop(first);
        let second = second.await.unwrap();
        assert_eq!(turns.waiting().count, 0);
        drop(second);
        assert!(turns.take(key("c")).now_or_never().is_some(), "none is lost");
    }

    #[tokio::test]
    async fn however_many_give_up_the_next_one_has_its_turn() {
        let turns = Turns::new(1);
        let first = turns.take(key("a")).await.unwrap();
        for _ in 0..100_000 {
            assert!(turns.take(key("a")).now_or_never().is_none());
        }
        let mut last = Box::pin(turns.take(key("a")));
        assert!(last.as_mut().now_or_never().is_none());
        drop(first);
        assert!(last.now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn nothing_waits_for_a_turn_when_they_are_closed() {
        let turns = Turns::new(1);
        let _first = turns.take(key("a")).await.unwrap();
        let mut second = Box::pin(turns.take(key("b")));
        assert!(second.as_mut().now_or_never().is_none());
        turns.close();
        assert!(second.await.is_none() && turns.take(key("c")).await.is_none());
    }
}
