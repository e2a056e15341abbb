//! What is done once, however many want it. That of `imgop-registry` runs one call for one key; here one call serves
//! several keys, and what succeeded stays known.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// What became of something; nothing while it is being done.
type Outcome<T> = Option<T>;

/// Things that are done once. Whoever asks for one first does it; the others wait for what becomes of it.
#[derive(Debug)]
pub(crate) struct SingleFlight<K, T>(Arc<Mutex<HashMap<K, watch::Receiver<Outcome<T>>>>>);

/// What whoever asks for a thing has to do.
#[derive(Debug)]
pub(crate) enum Claim<K: Eq + Hash + Clone, T> {
    /// Do it.
    Mine(Flight<K, T>),
    /// Wait for it.
    Others(Waiting<T>),
}

/// What is being done, for whoever does it. Dropped without a result, the thing is free again.
#[derive(Debug)]
pub(crate) struct Flight<K: Eq + Hash + Clone, T> {
    key: K,
    sender: watch::Sender<Outcome<T>>,
    known: Arc<Mutex<HashMap<K, watch::Receiver<Outcome<T>>>>>,
    is_shared: bool,
}

/// What another one does.
#[derive(Debug)]
pub(crate) struct Waiting<T>(watch::Receiver<Outcome<T>>);

impl<K, T> Default for SingleFlight<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Clone, T: Clone> SingleFlight<K, T> {
    pub(crate) fn claim(&self, key: K) -> Claim<K, T> {
        let mut known = self.0.lock();
        if let Some(receiver) = known.get(&key) {
            return Claim::Others(Waiting(receiver.clone()));
        }
        let (sender, receiver) = watch::channel(None);
        known.insert(key.clone(), receiver);
        Claim::Mine(Flight { key, sender, known: self.0.clone(), is_shared: false })
    }

    /// Lets a thing be done again that is done.
    pub(crate) fn forget(&self, key: &K) {
        let mut known = self.0.lock();
        if known.get(key).is_some_and(|receiver| receiver.borrow().is_some()) {
            known.remove(key);
        }
    }
}

impl<K: Eq + Hash + Clone, T: Clone> Flight<K, T> {
    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    /// Tells all who wait that it failed. Whoever comes later tries it again.
    pub(crate) fn share_failure(mut self, outcome: T) {
        self.is_shared = true;
        self.known.lock().remove(&self.key);
        self.sender.send_replace(Some(outcome));
    }

    /// Tells all who wait what became of it.
    pub(crate) fn share(mut self, outcome: T) {
        self.is_shared = true;
        self.sender.send_replace(Some(outcome));
    }
}

impl<K: Eq + Hash + Clone, T> Drop for Flight<K, T> {
    fn drop(&mut self) {
        if !self.is_shared {
            self.known.lock().remove(&self.key);
        }
    }
}

impl<T: Clone> Waiting<T> {
    /// Returns what became of it; `None` if whoever did it went away.
    pub(crate) async fn outcome(mut self) -> Option<T> {
        let outcome = self.0.wait_for(Option::is_some).await.ok()?;
        outcome.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_does_it_the_others_get_what_became_of_it_and_it_is_free_if_that_one_goes_away() {
        let flights: SingleFlight<u8, u8> = SingleFlight::default();
        let Claim::Mine(flight) = flights.claim(1) else { panic!("the first one does it") };
        let Claim::Others(waiting) = flights.claim(1) else { panic!("the second one waits") };
        drop(flight);
        assert_eq!(waiting.outcome().await, None);
        let Claim::Mine(flight) = flights.claim(1) else { panic!("it is free again") };
        let Claim::Others(waiting) = flights.claim(1) else { panic!("another one waits") };
        flights.forget(&1);
        assert!(matches!(flights.claim(1), Claim::Others(_)), "it is being done");
        flight.share(7);
        assert_eq!(waiting.outcome().await, Some(7));
        let Claim::Others(late) = flights.claim(1) else { panic!("it is done") };
        assert_eq!(late.outcome().await, Some(7));
        flights.forget(&1);
        let Claim::Mine(flight) = flights.claim(1) else { panic!("it is forgotten") };
        let Claim::Others(waiting) = flights.claim(1) else { panic!("it is being done again") };
        flight.share_failure(9);
        assert_eq!(waiting.outcome().await, Some(9), "who waited for it is told");
        assert!(matches!(flights.claim(1), Claim::Mine(_)), "whoever comes later tries it");
    }
}
