//! Objects of one kind as they change, as `kubectl get --watch` shows them: a line, or a document, for each
//! change.

use std::collections::BTreeMap;
use std::pin::pin;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};

use super::connection::Cluster;
use super::watch_faults::{WatchFaults, Watched};
use crate::cli_error::CliError;
use crate::kinds::KindRef;
use crate::kinds::listing::{Columns, table};
use crate::output::Ui;
use crate::output::table::Line;

/// The objects that are watched, as they were seen last.
#[derive(Debug, Default)]
pub struct Known(BTreeMap<(String, String), DynamicObject>);

impl Known {
    /// Begins with a list.
    pub fn new(objects: &[DynamicObject]) -> Self {
        Self(objects.iter().map(|object| (key(object), object.clone())).collect())
    }

    /// Takes note of an event; returns the object if it is new or changed.
    pub fn note(&mut self, event: Event<DynamicObject>) -> Option<DynamicObject> {
        match event {
            // A watch that restarts repeats everything.
            Event::Apply(object) | Event::InitApply(object) => {
                let before = self.0.insert(key(&object), object.clone());
                let is_new = before.is_none_or(|b| b.resource_version() != object.resource_version());
                is_new.then_some(object)
            }
            Event::Delete(object) => self.0.remove(&key(&object)).map(|_| object),
            Event::Init | Event::InitDone => None,
        }
    }

    /// Returns all of them.
    pub fn objects(&self) -> impl Iterator<Item = DynamicObject> + '_ {
        self.0.values().cloned()
    }

    /// Returns the line of a table for one of them, aligned with those for the others.
    pub fn line(
        &self,
        kind: KindRef,
        object: &DynamicObject,
        columns: Columns,
        now: Timestamp,
    ) -> Option<Line> {
        let others = self.0.iter().filter(|(k, _)| **k != key(object)).map(|(_, other)| other.clone());
        let all: Vec<DynamicObject> = others.chain([object.clone()]).collect();
        table(kind, &all, columns, now).lines(true).pop()
    }
}

fn key(object: &DynamicObject) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Shows each change until the output is closed.
pub async fn follow(
    ui: Ui,
    cluster: &Cluster,
    watched: Watched<'_>,
    which: watcher::Config,
    mut known: Known,
    mut show: impl FnMut(&Known, DynamicObject) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let Watched { kind, all_namespaces, .. } = watched;
    let mut changes = pin!(watcher(cluster.objects(kind, all_namespaces), which).default_backoff());
    let mut faults = WatchFaults::default();
    loop {
        match changes.next().await {
            Some(Ok(event)) => {
                faults.end(kind, &event);
                if let Some(object) = known.note(event) {
                    show(&known, object)?;
                }
            }
            Some(Err(error)) => faults.add(ui, cluster, watched, &error)?,
            None => return Err(CliError::failed("the API server ended the watch")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::DEFAULT_KIND;

    fn object(name: &str, version: &str, progress: &str) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
            "metadata": { "name": name, "namespace": "ci", "resourceVersion": version },
            "spec": { "mode": "OneShot", "source": { "name": "a/b", "version": "1" }, "destination": { "name": "c/d" } },
            "status": { "progress": progress },
        }))
        .unwrap()
    }

    #[test]
    fn only_what_is_new_is_shown() {
        let mut known = Known::new(&[object("a", "1", "0/2")]);
        assert!(known.note(Event::InitApply(object("a", "1", "0/2"))).is_none());
        assert!(known.note(Event::Apply(object("a", "2", "1/2"))).is_some());
        assert!(known.note(Event::Apply(object("b", "3", "1/2"))).is_some());
        assert!(known.note(Event::Delete(object("b", "4", "1/2"))).is_some());
        assert!(known.note(Event::Delete(object("b", "4", "1/2"))).is_none());
    }

    #[test]
    fn a_changed_image_is_a_line_under_the_others() {
        let mut known = Known::new(&[object("a-long-name", "1", "0/2"), object("b", "1", "0/2")]);
        let changed = known.note(Event::Apply(object("b", "2", "1/2"))).unwrap();
        let now = "2026-01-08T00:00:00Z".parse().unwrap();
        let line =
            known.line(DEFAULT_KIND, &changed, Columns { namespace: false, wide: false }, now).unwrap();
        insta::assert_snapshot!(line.text, @"b             OneShot   a/b:1    <unknown>   <pending>   1/2      <none>        <none>");
    }
}
