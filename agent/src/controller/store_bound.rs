//! What a watch sends, bounded by the room that there is for objects.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;

use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use tokio::sync::watch;

use super::Object;
use super::stored::{NamespacedName, Stored};
use crate::object_room::{ObjectRoom, RoomLimit, Taken};

/// What a watch sends, bounded: what does not fit is refused, and is read once more when there is room.
pub(super) struct StoreBound<K: Object> {
    store: Store<Stored<K>>,
    room: ObjectRoom,
    freed: watch::Receiver<()>,
    /// What is in the store, of what is taken of the room.
    taken: Taken,
    refused: VecDeque<NamespacedName>,
    /// The same of the list that is being read.
    listed: (Taken, VecDeque<NamespacedName>),
    has_new_room: bool,
}

impl<K: Object> StoreBound<K> {
    /// Nothing is in the store yet.
    pub fn new(store: Store<Stored<K>>, room: ObjectRoom) -> Self {
        let (taken, refused, freed) = (Taken::default(), VecDeque::new(), room.freed());
        Self { store, room, freed, taken, refused, listed: <_>::default(), has_new_room: false }
    }

    /// Returns an event with its object refused if that does not fit. The store must have taken all earlier events.
    pub fn bound(&mut self, event: Event<Stored<K>>) -> Event<Stored<K>> {
        match event {
            Event::Init => {
                self.listed = <_>::default();
                Event::Init
            }
            Event::InitApply(object) => Event::InitApply(self.listed(object)),
            Event::InitDone => {
                let (taken, refused) = std::mem::take(&mut self.listed);
                self.room.replace(&self.taken, &taken);
                (self.taken, self.refused) = (taken, refused);
                // What was read again during the list is in the list as it was before.
                self.has_new_room = !self.refused.is_empty();
                Event::InitDone
            }
            Event::Apply(object) => {
                let before = self.remove(object.namespaced_name());
                let bytes = before.as_ref().map_or(0, |before| before.bytes());
                let object = self.applied(object, bytes);
                // Where one fitted that was refused, the next one may fit too.
                self.has_new_room |= before.is_some_and(|before| {
                    object.bytes() < before.bytes() || before.is_refused() && !object.is_refused()
                });
                Event::Apply(object)
            }
            Event::Delete(object) => {
                let name = object.namespaced_name();
                let bytes = self.remove(name).map_or(0, |before| before.bytes());
                self.room.give_back(&name.namespace, bytes);
                self.has_new_room |= bytes > 0;
                Event::Delete(object)
            }
        }
    }

    /// Waits until another store has made room for what was refused here.
    pub async fn room_is_freed(&mut self) {
        if self.refused.is_empty() || self.freed.changed().await.is_err() {
            return pending().await;
        }
        self.has_new_room = true;
    }

    /// Takes an object off what is in the store, and returns it as it was.
    fn remove(&mut self, name: &NamespacedName) -> Option<Arc<Stored<K>>> {
        let before = self.store.get(&ObjectRef::new(&name.name).within(&name.namespace))?;
        if before.is_refused() {
            self.refused.retain(|refused| refused != name);
        }
        self.taken.subtract(&name.namespace, before.bytes());
        Some(before)
    }

    fn applied(&mut self, object: Stored<K>, before: usize) -> Stored<K> {
        let name = object.namespaced_name().clone();
        match self.room.take(&name.namespace, before, object.bytes()) {
            Ok(()) => {
                self.taken.add(&name.namespace, object.bytes());
                object
            }
            Err(limit) => refuse(object, limit, &mut self.refused),
        }
    }

    fn listed(&mut self, object: Stored<K>) -> Stored<K> {
        let namespace = object.namespaced_name().namespace.clone();
        let (listed, refused) = &mut self.listed;
        match self.room.exceeded_by(&namespace, object.bytes(), (&self.taken, listed)) {
            None => {
                listed.add(&namespace, object.bytes());
                object
            }
            Some(limit) => refuse(object, limit, refused),
        }
    }

    /// Returns the name of an object that was refused and that there may be room for by now: it is to be read again, and
    /// its event to be bounded. One is named for each time that there was new room.
    pub fn next_with_room(&mut self) -> Option<NamespacedName> {
        if !std::mem::take(&mut self.has_new_room) {
            return None;
        }
        // What was freed until now has been noticed.
        self.freed.mark_unchanged();
        let nothing = (&Taken::default(), &Taken::default());
        let has_room = |name: &NamespacedName| self.room.exceeded_by(&name.namespace, 1, nothing).is_none();
        let name = self.refused.iter().position(has_room).and_then(|index| self.refused.remove(index))?;
        // Another one is tried first the next time.
        self.refused.push_back(name.clone());
        Some(name)
    }
}

/// Returns what is kept of an object that does not fit.
fn refuse<K: Object>(
    object: Stored<K>,
    limit: RoomLimit,
    refused: &mut VecDeque<NamespacedName>,
) -> Stored<K> {
    refused.push_back(object.namespaced_name().clone());
    object.refused(limit)
}

/// What is kept of a watch that has ended takes no room.
impl<K: Object> Drop for StoreBound<K> {
    fn drop(&mut self) {
        self.room.replace(&self.taken, &Taken::default());
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{Image, Mode};
    use kube::core::DeserializeGuard;
    use kube::runtime::reflector::{self, store::Writer};

    use futures::FutureExt as _;

    use super::*;
    use crate::image::tests::fixtures::image;
    use crate::object_room::RoomLimits;

    const LIMITS: RoomLimits = RoomLimits { of_namespace: 100 * KIB, of_all: 150 * KIB };
    const KIB: usize = 1 << 10;

    struct Scene {
        bound: StoreBound<Image>,
        store: Store<Stored<Image>>,
        writer: Writer<Stored<Image>>,
    }

    impl Scene {
        fn new() -> Self {
            Self::within(ObjectRoom::new(LIMITS))
        }

        fn within(room: ObjectRoom) -> Self {
            let (store, writer) = reflector::store();
            Self { bound: StoreBound::new(store.clone(), room), store, writer }
        }

        fn take(&mut self, event: Event<Stored<Image>>) {
            let event = self.bound.bound(event);
            self.writer.apply_watcher_event(&event);
        }

        /// An Image of this namespace and of about this size is created or changed.
        fn apply(&mut self, namespace: &str, name: &str, kib: usize) {
            self.take(Event::Apply(stored(namespace, name, kib)));
        }

        fn is_refused(&self, namespace: &str, name: &str) -> bool {
            self.store.get(&ObjectRef::new(name).within(namespace)).unwrap().is_refused()
        }
    }

    fn stored(namespace: &str, name: &str, kib: usize) -> Stored<Image> {
        let mut image = image(Mode::OneShot);
        image.metadata.namespace = Some(namespace.to_owned());
        image.metadata.name = Some(name.to_owned());
        image.metadata.uid = Some(format!("{namespace}-{name}"));
        image.metadata.generation = Some(7);
        image.spec.source.version = "x".repeat((kib * KIB).saturating_sub(2 * KIB));
        Stored::of(&DeserializeGuard(Ok(image)))
    }

    #[test]
    fn a_namespace_that_fills_its_bound_loses_its_own_next_objects_alone() {
        let mut scene = Scene::new();
        scene.apply("hostile", "a", 60);
        scene.apply("hostile", "b", 60);
        scene.apply("other", "a", 10);
        assert!(!scene.is_refused("hostile", "a") && !scene.is_refused("other", "a"));
        let refused = scene.store.get(&ObjectRef::new("b").within("hostile")).unwrap();
        assert_eq!((refused.is_refused(), refused.bytes()), (true, 0));
        assert_eq!(refused.read_uid().as_deref(), Some("hostile-b"), "it exists all the same");
        let error = refused.decode().0.unwrap_err();
        assert_eq!((error.metadata.generation, error.metadata.name.as_deref()), (Some(7), Some("b")));
        assert!(error.error.contains("MAX_OBJECT_BYTES_PER_NAMESPACE"), "{}", error.error);
    }

    #[test]
    fn where_all_is_full_a_namespace_with_little_still_gets_in() {
        let mut scene = Scene::new();
        scene.apply("one", "a", 90);
        scene.apply("two", "a", 55);
        scene.apply("two", "b", 30);
        scene.apply("small", "a", 8);
        assert!(scene.is_refused("two", "b") && !scene.is_refused("small", "a"));
    }

    #[test]
    fn what_was_refused_is_read_again_when_there_is_room_one_after_the_other() {
        let mut scene = Scene::new();
        scene.apply("one", "a", 90);
        scene.apply("one", "b", 20);
        scene.apply("one", "c", 20);
        assert_eq!(scene.bound.next_with_room(), None, "nothing has changed");
        scene.take(Event::Delete(stored("one", "a", 90)));
        for name in ["b", "c"] {
            let next = scene.bound.next_with_room().unwrap();
            assert_eq!(&*next.name, name);
            scene.apply("one", name, 20);
            assert!(!scene.is_refused("one", name));
        }
        assert_eq!(scene.bound.next_with_room(), None);
        assert!(scene.bound.refused.is_empty());
    }

    #[test]
    fn what_still_does_not_fit_is_not_read_again_before_there_is_more_room() {
        let mut scene = Scene::new();
        scene.apply("one", "a", 50);
        scene.apply("one", "b", 40);
        scene.apply("one", "c", 90);
        scene.take(Event::Delete(stored("one", "b", 40)));
        assert!(scene.bound.next_with_room().is_some());
        scene.apply("one", "c", 90);
        assert_eq!((scene.is_refused("one", "c"), scene.bound.next_with_room()), (true, None));
    }

    #[test]
    fn what_a_list_has_refused_although_there_is_room_is_read_again() {
        let mut scene = Scene::new();
        scene.take(Event::Init);
        scene.take(Event::InitApply(stored("one", "a", 90)));
        scene.take(Event::InitApply(stored("one", "b", 20)));
        scene.take(Event::InitDone);
        assert!(scene.is_refused("one", "b"));
        assert_eq!(scene.bound.next_with_room().map(|name| name.name), Some("b".into()));
        assert_eq!(scene.bound.next_with_room(), None, "once");
    }

    #[test]
    fn a_list_is_counted_anew_and_what_is_deleted_is_forgotten() {
        let mut scene = Scene::new();
        scene.apply("one", "a", 90);
        scene.apply("one", "b", 90);
        scene.take(Event::Init);
        scene.take(Event::InitApply(stored("one", "b", 90)));
        scene.take(Event::InitDone);
        assert!(!scene.is_refused("one", "b") && scene.bound.refused.is_empty());
        scene.take(Event::Delete(stored("one", "b", 90)));
        assert!(scene.bound.taken.is_empty());
    }

    #[test]
    fn kinds_have_one_room_together_and_each_namespace_its_part_of_it() {
        let room = ObjectRoom::new(LIMITS);
        let (mut images, mut mirrors) = (Scene::within(room.clone()), Scene::within(room));
        images.apply("hostile", "a", 60);
        mirrors.apply("hostile", "a", 60);
        assert!(mirrors.is_refused("hostile", "a"), "its namespace has 100 KiB");
        images.apply("one", "a", 80);
        mirrors.apply("two", "a", 30);
        mirrors.apply("two", "small", 8);
        assert!(mirrors.is_refused("two", "a") && !mirrors.is_refused("two", "small"), "all have 150 KiB");
        images.take(Event::Init);
        images.take(Event::InitApply(stored("hostile", "a", 60)));
        images.take(Event::InitApply(stored("one", "a", 80)));
        images.take(Event::InitDone);
        assert!(!images.is_refused("one", "a"), "what a list replaces does not count twice");
    }

    #[test]
    fn what_one_kind_frees_lets_another_read_again_what_was_refused() {
        let room = ObjectRoom::new(LIMITS);
        let (mut images, mut mirrors) = (Scene::within(room.clone()), Scene::within(room.clone()));
        images.apply("one", "a", 90);
        mirrors.apply("one", "a", 60);
        assert!(mirrors.bound.room_is_freed().now_or_never().is_none(), "nothing is free");
        images.apply("one", "a", 90);
        assert!(mirrors.bound.room_is_freed().now_or_never().is_none(), "it is as large as before");
        images.take(Event::Delete(stored("one", "a", 90)));
        assert!(images.bound.room_is_freed().now_or_never().is_none(), "none of these was refused");
        assert!(mirrors.bound.room_is_freed().now_or_never().is_some());
        assert_eq!(mirrors.bound.next_with_room().map(|name| name.name), Some("a".into()));
        mirrors.apply("one", "a", 60);
        assert!(!mirrors.is_refused("one", "a"));
        drop(mirrors);
        images.apply("one", "a", 90);
        assert!(!images.is_refused("one", "a"), "a watch that has ended takes nothing");
    }
}
