//! How many sources of charts are looked at at once: what has arrived of an index is held until it is whole.

use std::collections::HashSet;

use parking_lot::Mutex;

/// Looks at a time, in all namespaces.
const MAX_LOOKS: usize = 3;

/// The namespaces for which charts are looked at now: one look for each, so that none can keep all others waiting by a slow
/// server.
#[derive(Debug, Default)]
pub(super) struct ChartLooks(Mutex<HashSet<String>>);

/// A look that is under way for as long as this lives.
#[derive(Debug)]
pub(super) struct ChartLook<'a> {
    all: &'a ChartLooks,
    namespace: String,
}

impl ChartLooks {
    /// Begins a look for a namespace; none where there is one, or no room.
    pub(super) fn begin(&self, namespace: &str) -> Option<ChartLook<'_>> {
        let mut all = self.0.lock();
        let has_room = all.len() < MAX_LOOKS && all.insert(namespace.to_owned());
        has_room.then(|| ChartLook { all: self, namespace: namespace.to_owned() })
    }
}

impl Drop for ChartLook<'_> {
    fn drop(&mut self) {
        self.all.0.lock().remove(&self.namespace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_one_look_at_a_time_and_others_have_theirs_beside_it() {
        let looks = ChartLooks::default();
        let first = looks.begin("a");
        assert!(first.is_some() && looks.begin("a").is_none());
        let others = [looks.begin("b"), looks.begin("c")];
        assert!(others.iter().all(Option::is_some) && looks.begin("d").is_none());
        drop(first);
        assert!(looks.begin("d").is_some());
    }
}
