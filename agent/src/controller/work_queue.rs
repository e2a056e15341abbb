//! Which objects of a kind are due now, and when others are.
//!
//! An object waits once, and one pass at a time runs over it: what comes meanwhile makes it due again when that pass
//! ends. Of an object that waits for a change alone nothing is kept; and what ten thousand objects took that were due at
//! once, as after a start, is given back. kube's controller has tables for each of these states, which only grow.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::{pending, poll_fn};
use std::time::Duration;

use tokio_util::time::{DelayQueue, delay_queue};

use super::stored::NamespacedName;

/// The longest time until an object is due: tokio's timers have an end.
const MAX_DELAY: Duration = Duration::from_hours(180 * 24);
/// Tables of fewer entries stay as they are.
const MIN_CAPACITY: usize = 256;

/// The objects of a kind that are due or will be.
#[derive(Default)]
pub(super) struct WorkQueue {
    stages: HashMap<NamespacedName, Stage>,
    timers: DelayQueue<NamespacedName>,
}

enum Stage {
    /// It is due later.
    Later(delay_queue::Key),
    /// It is due, and waits for its turn.
    Waiting,
    /// A pass runs over it.
    Running {
        /// Whether another one is due when that ends.
        is_due_again: bool,
    },
}

impl WorkQueue {
    /// Notes that an object is due. Returns whether it is to wait for a turn: not if it does already, or if a pass runs
    /// over it.
    pub fn push(&mut self, name: &NamespacedName) -> bool {
        match self.stages.entry(name.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(Stage::Waiting);
                true
            }
            Entry::Occupied(mut entry) => match entry.get_mut() {
                Stage::Later(timer) => {
                    self.timers.remove(timer);
                    entry.insert(Stage::Waiting);
                    true
                }
                Stage::Waiting => false,
                Stage::Running { is_due_again } => {
                    *is_due_again = true;
                    false
                }
            },
        }
    }

    /// Waits until the time of an object has come, which is to wait for a turn then. Nothing is lost if this is dropped.
    pub async fn due(&mut self) -> NamespacedName {
        let Some(expired) = poll_fn(|context| self.timers.poll_expired(context)).await else {
            return pending().await;
        };
        let name = expired.into_inner();
        self.stages.insert(name.clone(), Stage::Waiting);
        name
    }

    /// Notes that a pass runs over an object that has waited.
    pub fn begin(&mut self, name: &NamespacedName) {
        self.stages.insert(name.clone(), Stage::Running { is_due_again: false });
    }

    /// Notes that a pass has ended, or that none was needed, and that the object is due after this time; none waits for
    /// a change. Returns whether it is due at once.
    pub fn end(&mut self, name: NamespacedName, next: Option<Duration>) -> bool {
        let is_due_again = matches!(self.stages.remove(&name), Some(Stage::Running { is_due_again: true }));
        match next {
            Some(delay) if !is_due_again => {
                let timer = self.timers.insert(name.clone(), delay.min(MAX_DELAY));
                self.stages.insert(name, Stage::Later(timer));
            }
            _ => self.shrink(),
        }
        is_due_again
    }

    /// Gives back memory of entries that are gone.
    fn shrink(&mut self) {
        if is_sparse(self.stages.len(), self.stages.capacity()) {
            self.stages.shrink_to(2 * self.stages.len());
        }
        if is_sparse(self.timers.len(), self.timers.capacity()) {
            self.timers.compact();
        }
    }
}

fn is_sparse(len: usize, capacity: usize) -> bool {
    capacity > MIN_CAPACITY && len < capacity / 4
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn name(name: &str) -> NamespacedName {
        NamespacedName::new("team-a", name)
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_waits_once_and_what_comes_during_its_pass_makes_it_due_again() {
        let (mut queue, a) = (WorkQueue::default(), name("a"));
        assert!(queue.push(&a) && queue.push(&name("b")));
        assert!(!queue.push(&a), "it waits already");
        queue.begin(&a);
        assert!(!queue.push(&a) && !queue.push(&a), "one pass at a time");
        assert!(queue.end(a.clone(), Some(Duration::from_secs(9))), "what came meanwhile is not lost");
        assert!(queue.push(&a));
        queue.begin(&a);
        assert!(!queue.end(a.clone(), None));
        assert!(queue.push(&a), "a later change wakes it");
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_is_due_when_its_time_has_come_or_when_something_comes_before() {
        let (mut queue, a, b) = (WorkQueue::default(), name("a"), name("b"));
        for (name, seconds) in [(&a, 60), (&b, 5)] {
            queue.push(name);
            queue.begin(name);
            assert!(!queue.end(name.clone(), Some(Duration::from_secs(seconds))));
        }
        assert_eq!(queue.due().now_or_never(), None);
        assert!(queue.push(&a), "a change");
        tokio::time::advance(Duration::from_secs(70)).await;
        assert_eq!(queue.due().await, b);
        assert!(!queue.push(&b), "it waits by now");
        assert_eq!(queue.due().now_or_never(), None, "and the time of the other one is over with its change");
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_needs_no_pass_yet_is_due_later_however_late_that_is() {
        let (mut queue, a) = (WorkQueue::default(), name("a"));
        queue.push(&a);
        assert!(!queue.end(a.clone(), Some(Duration::MAX)));
        assert!(queue.push(&a) && queue.timers.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_ten_thousand_took_that_were_due_at_once_is_given_back_and_no_time_is_lost() {
        let mut queue = WorkQueue::default();
        let names: Vec<NamespacedName> = (0..10_000).map(|n| name(&n.to_string())).collect();
        for name in &names {
            queue.push(name);
            queue.end(name.clone(), Some(Duration::from_secs(1)));
        }
        for name in &names[3..] {
            queue.push(name);
            queue.begin(name);
            queue.end(name.clone(), None);
        }
        assert!(queue.stages.capacity() <= 2 * MIN_CAPACITY, "{}", queue.stages.capacity());
        assert!(queue.timers.capacity() <= 2 * MIN_CAPACITY, "{}", queue.timers.capacity());
        tokio::time::advance(Duration::from_secs(2)).await;
        let mut due = [queue.due().await, queue.due().await, queue.due().await];
        due.sort_by_key(|name| name.name.parse::<u32>().unwrap());
        assert_eq!(due, names[..3]);
    }
}
