//! What runs in the cluster, as far as it matters for images: watched without a copy of any pod, and only for as long as
//! there is a WorkloadMirror and the agent has the right.

mod group;
mod names;
mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod watches;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use imgop_core::api::WorkloadKind;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::cluster::rights::Right;
use crate::config::Namespaces;
pub(crate) use store::{Members, Scope};
pub(crate) use watches::Asking;

/// Returns the right to list the objects of a kind.
pub(crate) fn list_right(kind: WorkloadKind) -> Right {
    let [list, _] = watches::rights(kind);
    list
}

/// What runs in the cluster. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Workloads(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    store: Mutex<store::Store>,
    /// The rights that watches wait for.
    lacking: Mutex<HashMap<Scope, Right>>,
}

/// What is known of what runs.
#[derive(Debug)]
pub(crate) struct Seen {
    pub members: Vec<Members>,
    /// Whether that is all there is: while a watch fails or lists anew it may not be.
    pub is_complete: bool,
}

impl Workloads {
    /// Watches what is asked for, until `stop`.
    pub(crate) async fn run(self, agent: Arc<Agent>, asking: impl Asking, stop: CancellationToken) {
        watches::run(self, agent, asking, stop).await;
    }

    /// Returns what is known of what runs, for who looks at these kinds in these namespaces, and nothing else: what is watched
    /// for others tells nothing. Before all of it was listed once, an error names the first that was not.
    pub(crate) fn seen(&self, kinds: &HashSet<WorkloadKind>, namespaces: &Namespaces) -> Result<Seen, Scope> {
        let (store, scopes) = (self.0.store.lock(), watches::scopes(kinds, namespaces));
        if let Some(unknown) = scopes.iter().find(|scope| !store.is_known(scope)) {
            return Err(unknown.clone());
        }
        let is_complete = scopes.iter().all(|scope| store.is_complete(scope));
        Ok(Seen { members: store.members_of(&scopes), is_complete })
    }

    /// Returns the first right that the agent lacks to see these kinds, with its namespace; that is empty for all.
    pub(crate) fn lacking(
        &self,
        kinds: &HashSet<WorkloadKind>,
        namespaces: &Namespaces,
    ) -> Option<(Right, String)> {
        let lacking = self.0.lacking.lock();
        let lacks = |scope: Scope| Some((*lacking.get(&scope)?, scope.namespace.unwrap_or_default()));
        watches::scopes(kinds, namespaces).into_iter().find_map(lacks)
    }

    fn lacks(&self, scope: &Scope, right: Option<Right>) {
        let mut lacking = self.0.lacking.lock();
        match right {
            Some(right) => lacking.insert(scope.clone(), right),
            None => lacking.remove(scope),
        };
    }
}
