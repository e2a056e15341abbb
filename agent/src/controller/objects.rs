//! The objects of a kind, as this process knows them from its watches.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use kube::Client;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde::de::DeserializeOwned;

use super::Object;
use super::store_bound::StoreBound;
use super::stored::{NamespacedName, NotKept, Stored};
use crate::cluster::api_error::ApiCause;
use crate::cluster::ready_gate::{ReadyGate, WatchHandle};
use crate::cluster::watch::{Guarded, Keep, Watch, find, watch};
use crate::config::Namespaces;
use crate::object_room::ObjectRoom;

/// What a watch of the agent sends.
pub type Change<K> = Result<watcher::Event<Stored<K>>, watcher::Error>;

/// Adds to an object what its spec leaves open.
type Complete<K> = Arc<dyn Fn(K) -> K + Send + Sync>;

/// The objects of a kind in all watched namespaces, each decoded when it is asked for. Cloning shares them.
#[derive(Clone)]
pub struct Objects<K: Object> {
    stores: Arc<[Store<Stored<K>>]>,
    complete: Option<Complete<K>>,
}

impl<K: Object> fmt::Debug for Objects<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("stores", &self.stores.len()).finish_non_exhaustive()
    }
}

impl<K: Object> Objects<K> {
    /// Returns the objects in these stores.
    pub fn new(stores: impl IntoIterator<Item = Store<Stored<K>>>) -> Self {
        Self { stores: stores.into_iter().collect(), complete: None }
    }

    /// Returns the same objects, each with what this adds to its spec.
    #[must_use]
    pub fn completed_by(self, complete: impl Fn(K) -> K + Send + Sync + 'static) -> Self {
        Self { complete: Some(Arc::new(complete)), ..self }
    }

    /// Returns an object with what is added to all of them.
    pub fn completed(&self, object: K) -> K {
        match &self.complete {
            Some(complete) => complete(object),
            None => object,
        }
    }

    /// Returns whether all objects are known: before, one could be taken for the oldest that is not.
    pub fn are_known(&self) -> bool {
        let is_known =
            |store: &Store<Stored<K>>| matches!(store.wait_until_ready().now_or_never(), Some(Ok(())));
        self.stores.iter().all(is_known)
    }

    /// Returns whether the object of this UID exists, as far as this process knows: another one may have its name.
    pub fn exists(&self, name: &NamespacedName, uid: &str) -> bool {
        let known = self.stored(&name.namespace, &name.name);
        known.and_then(|known| known.read_uid()).as_deref() == Some(uid)
    }

    /// Returns an object, if it exists.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Guarded<K>> {
        let object = self.stored(namespace, name)?.decode();
        Some(DeserializeGuard(object.0.map(|object| self.completed(object))))
    }

    /// Returns a part of an object as it is written, without what else it holds, if it exists and can be decoded.
    pub fn part<T: DeserializeOwned>(&self, namespace: &str, name: &str) -> Option<T> {
        self.stored(namespace, name)?.part()
    }

    /// Returns why an object is not kept, if it exists and is not.
    pub fn not_kept(&self, namespace: &str, name: &str) -> Option<NotKept> {
        self.stored(namespace, name)?.not_kept()
    }

    fn stored(&self, namespace: &str, name: &str) -> Option<Arc<Stored<K>>> {
        let name = ObjectRef::new(name).within(namespace);
        self.stores.iter().find_map(|store| store.get(&name))
    }

    /// Returns all objects that can be decoded. There may be many: take one at a time.
    pub fn all(&self) -> impl Iterator<Item = K> {
        let objects = self.stores.iter().flat_map(Store::state).filter_map(|object| object.decode().0.ok());
        objects.map(|object| self.completed(object))
    }

    /// Returns those of a namespace, or of all, of which a part matches, likewise. Of the others only that is decoded.
    pub fn having<T: DeserializeOwned>(
        &self,
        namespace: Option<&str>,
        matches: impl Fn(&T) -> bool,
    ) -> impl Iterator<Item = K> {
        let is_here = move |object: &Stored<K>| {
            namespace.is_none_or(|namespace| *object.namespaced_name().namespace == *namespace)
        };
        let here = self.stores.iter().flat_map(move |store| store.state_filter(is_here));
        let having = here.filter(move |object| object.part().is_some_and(|part| matches(&part)));
        having.filter_map(|object| object.decode().0.ok()).map(|object| self.completed(object))
    }

    /// Returns whether each object can be decoded: of those that cannot, and of those for which there is no room, it is not
    /// known what they ask for.
    pub fn are_all_decodable(&self) -> bool {
        self.stored_all().all(|object| object.is_decodable())
    }

    /// Returns all objects as they are kept.
    pub(super) fn stored_all(&self) -> impl Iterator<Item = Arc<Stored<K>>> {
        self.stores.iter().flat_map(Store::state)
    }

    /// Returns a part of each object that has it, as it is written.
    pub fn parts<T: DeserializeOwned>(&self) -> impl Iterator<Item = (NamespacedName, T)> {
        self.stored_all().filter_map(|object| Some((object.namespaced_name().clone(), object.part()?)))
    }

    /// Returns the UIDs of all objects, also of those that cannot be decoded.
    pub fn uids(&self) -> HashSet<String> {
        self.stores.iter().flat_map(Store::state).filter_map(|object| object.read_uid()).collect()
    }
}

#[cfg(test)]
impl<K: Object> Objects<K> {
    /// Returns these objects, which are all that there are.
    pub fn listed(objects: impl IntoIterator<Item = K>) -> Self {
        let (store, mut writer) = reflector::store();
        writer.apply_watcher_event(&watcher::Event::Init);
        for object in objects {
            let stored = Stored::of(&DeserializeGuard(Ok(object)));
            writer.apply_watcher_event(&watcher::Event::InitApply(stored));
        }
        writer.apply_watcher_event(&watcher::Event::InitDone);
        Self::new([store])
    }
}

/// The watches of a kind, before they begin. Its stores exist already, so that what needs the objects can be
/// made before anything is watched.
pub struct Watched<K: Object>(Vec<Part<K>>);

/// One watch: of a namespace, or of all of them.
pub(super) struct Part<K: Object> {
    /// The namespace; none watches all of them.
    pub namespace: Option<String>,
    store: Store<Stored<K>>,
    writer: Writer<Stored<K>>,
    handle: WatchHandle,
}

impl<K: Object> Watched<K> {
    /// Prepares a watch for each of the namespaces. `ready_gate` waits for all of them.
    pub fn new(namespaces: &Namespaces, ready_gate: &ReadyGate) -> Self {
        let names: Vec<Option<String>> = match namespaces {
            Namespaces::All => vec![None],
            Namespaces::Named(names) => names.iter().cloned().map(Some).collect(),
        };
        let handles = ready_gate.expect(names.len());
        let part = |(namespace, handle)| {
            let (store, writer) = reflector::store();
            Part { namespace, store, writer, handle }
        };
        Self(names.into_iter().zip(handles).map(part).collect())
    }

    /// Returns the objects of all watches.
    pub fn objects(&self) -> Objects<K> {
        Objects::new(self.0.iter().map(|part| part.store.clone()))
    }

    pub(super) fn into_parts(self) -> Vec<Part<K>> {
        self.0
    }
}

impl<K: Object> Part<K> {
    /// Begins to watch. Returns the store, and the objects as they change, once the store has them.
    pub fn watch(
        self,
        client: Client,
        keep: Keep,
        room: ObjectRoom,
    ) -> (Store<Stored<K>>, impl Stream<Item = Change<K>>) {
        let (mut handle, mut is_known, mut writer) = (self.handle, false, self.writer);
        let what = Watch { namespace: self.namespace, label_selector: None, field_selector: None, keep };
        let bound = StoreBound::new(self.store.clone(), room);
        let changes = bounded(client, what, bound).inspect(move |event| match event {
            Ok(event) => {
                writer.apply_watcher_event(event);
                if matches!(event, watcher::Event::InitDone) && !is_known {
                    is_known = true;
                    handle.is_known();
                }
            }
            Err(error) => {
                handle.has_failed();
                let error = ApiCause::of_watch(error);
                tracing::warn!(kind = %K::kind(&()), %error, "cannot watch the objects; trying again");
            }
        });
        (self.store, changes)
    }
}

/// What the watch sends, as far as there is room for it. What was refused is read again between two of its events, so that
/// nothing older than these events is taken for new.
fn bounded<K: Object>(client: Client, what: Watch, bound: StoreBound<K>) -> impl Stream<Item = Change<K>> {
    let events = watch(client.clone(), what.clone()).map_ok(Stored::of_event).default_backoff().boxed();
    stream::unfold((events, bound), move |(mut events, mut bound)| {
        let (client, what) = (client.clone(), what.clone());
        async move {
            loop {
                let event = match bound.next_with_room() {
                    Some(name) => read_again(client.clone(), what.clone(), &name).await,
                    None => None,
                };
                let event = if let Some(event) = event {
                    Ok(event)
                } else {
                    tokio::select! {
                        event = events.next() => event?,
                        () = bound.room_is_freed() => continue,
                    }
                };
                return Some((event.map(|event| bound.bound(event)), (events, bound)));
            }
        }
    })
}

/// Reads an object as it is now; none if it is gone or cannot be read, which other events tell.
async fn read_again<K: Object>(
    client: Client,
    what: Watch,
    name: &NamespacedName,
) -> Option<watcher::Event<Stored<K>>> {
    let what = Watch { namespace: Some(name.namespace.to_string()), ..what };
    match find::<K>(client, what, &name.name).await {
        Ok(found) => found.map(|object| watcher::Event::Apply(Stored::of(&object))),
        Err(error) => {
            let error = ApiCause::of_watch(&error);
            tracing::warn!(kind = %K::kind(&()), %error, "cannot read an object that there is room for now");
            None
        }
    }
}
