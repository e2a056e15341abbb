//! Gives the objects of a kind their turns: those that a watch shows, whose time has come, or that are woken.

use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::runtime::reflector::Store;
use kube::runtime::watcher::Event;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::objects::Change;
use super::stored::{NamespacedName, Stored};
use super::work_queue::WorkQueue;
use super::{Object, Reconcile, Runner};
use crate::turns::Turn;

/// An object that has its turn.
type Given = (NamespacedName, Turn);
/// An object over which a pass has ended, and after what time the next one is; none waits for a change.
type Ended = (NamespacedName, Option<Duration>);

/// Reconciles the objects of a kind, each when it is due and has a turn.
pub(super) struct Worker<R: Reconcile> {
    runner: Arc<Runner<R>>,
    queue: WorkQueue,
    giving: UnboundedSender<Given>,
    given: UnboundedReceiver<Given>,
    passes: JoinSet<Ended>,
}

impl<R: Reconcile> Worker<R> {
    pub fn new(runner: Arc<Runner<R>>) -> Self {
        let (giving, given) = unbounded_channel();
        Self { runner, queue: WorkQueue::default(), giving, given, passes: JoinSet::new() }
    }

    /// Reconciles the objects that watches show as `changed`, until `stop`, and then ends the passes under way.
    pub async fn run(mut self, changed: impl Stream<Item = Vec<NamespacedName>>, stop: CancellationToken) {
        let agent = self.runner.kind.agent().clone();
        let (mut changed, mut woken) = (pin!(changed), pin!(agent.jobs.wake_ups::<R::Kind>()));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(changed) = changed.next() => changed.iter().for_each(|name| self.enqueue(name)),
                Some(object) = woken.next() => self.enqueue(&object.into()),
                name = self.queue.due() => self.wait_for_turn(&name),
                Some((name, turn)) = self.given.recv() => self.begin(name, turn),
                Some(ended) = self.passes.join_next() => self.end(ended),
            }
        }
        agent.turns.close();
        while let Some(ended) = self.passes.join_next().await {
            finished(ended);
        }
    }

    fn enqueue(&mut self, name: &NamespacedName) {
        if self.queue.push(name) {
            self.wait_for_turn(name);
        }
    }

    fn wait_for_turn(&mut self, name: &NamespacedName) {
        let key = match self.runner.before_turn(name) {
            Ok(key) => key,
            Err(next) => {
                self.queue.end(name.clone(), next);
                return;
            }
        };
        let (giving, name) = (self.giving.clone(), name.clone());
        let give = move |turn| giving.send((name, turn)).map_err(|unsent| unsent.0.1);
        self.runner.kind.agent().turns.request(key, Box::new(give));
    }

    fn begin(&mut self, name: NamespacedName, turn: Turn) {
        self.queue.begin(&name);
        let runner = self.runner.clone();
        self.passes.spawn(async move {
            let next = runner.reconcile(&name).await;
            drop(turn);
            (name, next)
        });
    }

    fn end(&mut self, ended: Result<Ended, JoinError>) {
        let Some((name, next)) = finished(ended) else { return };
        if self.queue.end(name.clone(), next) {
            self.enqueue(&name);
        }
    }
}

/// Returns what a pass came to. A panic that the pass of a kind has not caught is the agent's own, and ends it.
fn finished(ended: Result<Ended, JoinError>) -> Option<Ended> {
    ended
        .map_err(|error| {
            if let Ok(panic) = error.try_into_panic() {
                resume_unwind(panic);
            }
        })
        .ok()
}

/// Returns the objects that are due because of what a watch sends: those of a list once the store has all of them.
pub(super) fn changed<K: Object>(event: &Change<K>, store: &Store<Stored<K>>) -> Vec<NamespacedName> {
    match event {
        Ok(Event::Apply(object)) => vec![object.namespaced_name().clone()],
        Ok(Event::InitDone) => store.state().iter().map(|object| object.namespaced_name().clone()).collect(),
        _ => Vec::new(),
    }
}
