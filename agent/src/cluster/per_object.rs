//! What is remembered of each object, by UID.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// A value for each object, which has its own locks. All of it can be lost: a restart derives it again.
#[derive(Debug)]
pub struct PerObject<T>(Mutex<HashMap<String, Arc<T>>>);

impl<T> Default for PerObject<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Default> PerObject<T> {
    /// Returns what is remembered of an object; of one that is new, the default.
    pub fn of(&self, uid: &str) -> Arc<T> {
        self.0.lock().entry(uid.to_owned()).or_default().clone()
    }

    /// Returns what is remembered of an object, if anything is.
    pub fn find(&self, uid: &str) -> Option<Arc<T>> {
        self.0.lock().get(uid).cloned()
    }

    /// Drops what is remembered of objects that no longer exist.
    pub fn evict_deleted(&self, exists: impl Fn(&str) -> bool) {
        self.0.lock().retain(|uid, _| exists(uid));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Mutex as Locked;

    use super::*;

    #[tokio::test]
    async fn each_object_has_a_value_of_its_own_until_it_is_deleted() {
        let all = PerObject::<Locked<u32>>::default();
        *all.of("a").lock().await += 1;
        *all.of("a").lock().await += 1;
        assert_eq!((*all.of("a").lock().await, *all.of("b").lock().await), (2, 0));
        let in_use = all.of("a");
        all.evict_deleted(|uid| uid == "b");
        assert_eq!(*in_use.lock().await, 2, "who uses it keeps it");
        assert_eq!(*all.of("a").lock().await, 0);
    }

    #[tokio::test]
    async fn an_object_is_handled_by_one_pass_at_a_time() {
        let all = PerObject::<Locked<u32>>::default();
        let first = all.of("a");
        let _held = first.lock().await;
        assert!(all.of("a").try_lock().is_err());
        assert!(all.of("b").try_lock().is_ok());
    }
}
