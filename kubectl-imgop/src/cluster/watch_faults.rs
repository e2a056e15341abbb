//! What disturbs a watch. It goes on by itself, but what it has not seen may have happened.

use kube::runtime::watcher::{self, Event};

use super::connection::Cluster;
use super::errors::is_final;
use crate::cli_error::CliError;
use crate::kinds::{KindRef, ObjectRef};
use crate::output::Ui;

/// What is watched.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// Objects of this kind.
    pub kind: KindRef,
    /// This one, if it is the only one.
    pub object: Option<&'a ObjectRef>,
    /// Those of all namespaces.
    pub all_namespaces: bool,
}

/// The fault of each watch that does not work at present.
#[derive(Debug, Default)]
pub struct WatchFaults(Vec<(KindRef, String)>);

impl WatchFaults {
    /// Takes note of a fault, and warns at the first one of a row. Returns an error if the watch can never
    /// work: nothing is waited for in vain.
    pub fn add(
        &mut self,
        ui: Ui,
        cluster: &Cluster,
        watched: Watched<'_>,
        error: &watcher::Error,
    ) -> Result<(), CliError> {
        let error = match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => error,
            // A version of the list that is too old, which a new list follows.
            watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => return Ok(()),
        };
        let explained = match watched.object {
            Some(object) => cluster.explain("watch", object, error),
            None => cluster.explain_list(watched.kind, "watch", watched.all_namespaces, error),
        };
        if is_final(error) {
            return Err(explained);
        }
        if self.0.iter().all(|(kind, _)| *kind != watched.kind) {
            ui.warning(&format!("{}; trying again", explained.message));
            self.0.push((watched.kind, explained.message));
        }
        Ok(())
    }

    /// Takes note of an event: the watch of this kind works. That a list begins does not say so yet.
    pub fn end<K>(&mut self, kind: KindRef, event: &Event<K>) {
        if !matches!(event, Event::Init) {
            self.0.retain(|(faulty, _)| *faulty != kind);
        }
    }

    /// Returns what keeps the state of objects of this kind from being seen, if anything.
    pub fn of(&self, kind: KindRef) -> Option<&str> {
        self.0.iter().find(|(faulty, _)| *faulty == kind).map(|(_, message)| message.as_str())
    }
}
