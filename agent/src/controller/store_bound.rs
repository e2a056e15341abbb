//! How much memory the objects of a kind may take: those of one namespace, and all of them. Whoever may create objects
//! in a namespace could fill the agent otherwise.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;

use super::Object;
use super::stored::{NamespacedName, Stored};
use crate::byte_sums::ByteSums;
use crate::config::{Config, as_limit};

/// The part of a namespace's bound that it has in any case, however much the others take.
const GUARANTEED_PART: usize = 8;
/// A mebibyte.
const MIB: usize = 1 << 20;

/// Bytes of the objects of a kind, as they are kept.
#[derive(Debug, Clone, Copy)]
pub struct StoreLimits {
    /// Of one namespace at most.
    pub of_namespace: usize,
    /// Of all together at most. A namespace has an eighth of its bound in any case.
    pub of_all: usize,
}

impl StoreLimits {
    /// Returns those of the agent's settings.
    pub fn of(config: &Config) -> Self {
        Self {
            of_namespace: as_limit(config.max_object_bytes_per_namespace),
            of_all: as_limit(config.max_object_bytes),
        }
    }
}

/// The bound that an object did not fit into, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreLimit {
    /// That of its namespace.
    OfNamespace(usize),
    /// That of all namespaces.
    OfAll(usize),
}

impl fmt::Display for StoreLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, bytes, setting) = match self {
            Self::OfNamespace(bytes) => ("of this namespace", bytes, "MAX_OBJECT_BYTES_PER_NAMESPACE"),
            Self::OfAll(bytes) => ("of all namespaces", bytes, "MAX_OBJECT_BYTES"),
        };
        write!(
            f,
            "the objects of its kind {of} fill the {} MiB that the agent keeps of them; delete or shorten some, or an \
             administrator raises {setting} of the agent, and its limit of memory with it",
            bytes / MIB
        )
    }
}

/// How many bytes are taken.
#[derive(Debug, Default)]
struct Taken {
    of_namespace: ByteSums<String>,
    all: usize,
}

impl Taken {
    fn add(&mut self, namespace: &str, bytes: usize) {
        self.of_namespace.add(namespace, bytes);
        self.all += bytes;
    }

    fn subtract(&mut self, namespace: &str, bytes: usize) {
        self.of_namespace.subtract(namespace, bytes);
        self.all = self.all.saturating_sub(bytes);
    }

    /// Returns the bound that an object does not fit into.
    fn exceeded(&self, namespace: &str, bytes: usize, limits: StoreLimits) -> Option<StoreLimit> {
        let StoreLimits { of_namespace, of_all } = limits;
        let here = self.of_namespace.of(namespace) + bytes;
        if here > of_namespace {
            Some(StoreLimit::OfNamespace(of_namespace))
        } else if self.all + bytes > of_all && here > of_namespace / GUARANTEED_PART {
            Some(StoreLimit::OfAll(of_all))
        } else {
            None
        }
    }
}

/// What a watch sends, bounded: what does not fit is refused, and is read once more when there is room.
pub(super) struct StoreBound<K: Object> {
    store: Store<Stored<K>>,
    limits: StoreLimits,
    taken: Taken,
    refused: VecDeque<NamespacedName>,
    /// The same of the list that is being read.
    listed: (Taken, VecDeque<NamespacedName>),
    has_new_room: bool,
}

impl<K: Object> StoreBound<K> {
    /// Nothing is in the store yet.
    pub fn new(store: Store<Stored<K>>, limits: StoreLimits) -> Self {
        let (taken, refused) = (Taken::default(), VecDeque::new());
        Self { store, limits, taken, refused, listed: <_>::default(), has_new_room: false }
    }

    /// Returns an event with its object refused if that does not fit. The store must have taken all earlier events.
    pub fn bound(&mut self, event: Event<Stored<K>>) -> Event<Stored<K>> {
        match event {
            Event::Init => {
                self.listed = <_>::default();
                Event::Init
            }
            Event::InitApply(object) => {
                let (taken, refused) = &mut self.listed;
                Event::InitApply(fitted(object, taken, refused, self.limits))
            }
            Event::InitDone => {
                (self.taken, self.refused) = std::mem::take(&mut self.listed);
                // What was read again during the list is in the list as it was before.
                self.has_new_room = !self.refused.is_empty();
                Event::InitDone
            }
            Event::Apply(object) => {
                let before = self.remove(object.namespaced_name());
                let object = fitted(object, &mut self.taken, &mut self.refused, self.limits);
                // Where one fitted that was refused, the next one may fit too.
                self.has_new_room |= before.is_some_and(|before| {
                    object.bytes() < before.bytes() || before.is_refused() && !object.is_refused()
                });
                Event::Apply(object)
            }
            Event::Delete(object) => {
                let before = self.remove(object.namespaced_name());
                self.has_new_room |= before.is_some_and(|before| before.bytes() > 0);
                Event::Delete(object)
            }
        }
    }

    /// Takes an object off, and returns it as it was.
    fn remove(&mut self, name: &NamespacedName) -> Option<Arc<Stored<K>>> {
        let before = self.store.get(&ObjectRef::new(&name.name).within(&name.namespace))?;
        if before.is_refused() {
            self.refused.retain(|refused| refused != name);
        }
        self.taken.subtract(&name.namespace, before.bytes());
        Some(before)
    }

    /// Returns the name of an object that was refused and that there may be room for by now: it is to be read again, and
    /// its event to be bounded. One is named for each time that there was new room.
    pub fn next_with_room(&mut self) -> Option<NamespacedName> {
        if !std::mem::take(&mut self.has_new_room) {
            return None;
        }
        let has_room = |name: &NamespacedName| self.taken.exceeded(&name.namespace, 1, self.limits).is_none();
        let name = self.refused.iter().position(has_room).and_then(|index| self.refused.remove(index))?;
        // Another one is tried first the next time.
        self.refused.push_back(name.clone());
        Some(name)
    }
}

fn fitted<K: Object>(
    object: Stored<K>,
    taken: &mut Taken,
    refused: &mut VecDeque<NamespacedName>,
    limits: StoreLimits,
) -> Stored<K> {
    let namespace = object.namespaced_name().namespace.clone();
    let Some(limit) = taken.exceeded(&namespace, object.bytes(), limits) else {
        taken.add(&namespace, object.bytes());
        return object;
    };
    refused.push_back(object.namespaced_name().clone());
    object.refused(limit)
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{Image, Mode};
    use kube::core::DeserializeGuard;
    use kube::runtime::reflector::{self, store::Writer};

    use super::*;
    use crate::image::tests::fixtures::image;

    const LIMITS: StoreLimits = StoreLimits { of_namespace: 100 * KIB, of_all: 150 * KIB };
    const KIB: usize = 1 << 10;

    struct Scene {
        bound: StoreBound<Image>,
        store: Store<Stored<Image>>,
        writer: Writer<Stored<Image>>,
    }

    impl Scene {
        fn new() -> Self {
            let (store, writer) = reflector::store();
            Self { bound: StoreBound::new(store.clone(), LIMITS), store, writer }
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
        assert_eq!((scene.bound.taken.all, scene.bound.taken.of_namespace.is_empty()), (0, true));
    }
}
