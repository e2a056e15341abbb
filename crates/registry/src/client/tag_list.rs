//! All tags of a repository in one sorted piece.

use std::ops::Deref;
use std::sync::Arc;

use super::tag_memory::HeldMemory;
use crate::reference::Tag;

/// What a tag takes besides its text: its place in the list, and what the allocator adds.
pub(super) const TAG_OVERHEAD: usize = 48;

/// The tags of a repository, sorted by name. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct TagList(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    tags: Box<[Tag]>,
    /// Given back with the last clone of the list.
    _memory: Option<HeldMemory>,
}

impl TagList {
    pub(super) fn new(mut tags: Vec<Tag>, memory: Option<HeldMemory>) -> Self {
        tags.sort_unstable();
        Self(Arc::new(Held { tags: tags.into(), _memory: memory }))
    }

    /// Whether a tag is among them.
    pub fn contains(&self, tag: &Tag) -> bool {
        self.0.tags.binary_search(tag).is_ok()
    }
}

impl Deref for TagList {
    type Target = [Tag];

    fn deref(&self) -> &[Tag] {
        &self.0.tags
    }
}

impl From<Vec<Tag>> for TagList {
    fn from(tags: Vec<Tag>) -> Self {
        Self::new(tags, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::account::Account;
    use crate::client::tag_memory::TagMemory;
    use crate::credentials::Tls;

    #[test]
    fn a_list_gives_its_memory_back_with_its_last_clone() {
        let memory = TagMemory::new(16 << 10);
        let account = Account { host: "r.example".parse().unwrap(), tls: Tls::default().key(), who: None };
        let reserved = || {
            let mut reservation = memory.reservation(&account);
            reservation.extend_to(4 << 10).then_some(reservation)
        };
        let (first, _other) = (reserved().unwrap(), reserved());
        let list = TagList::new(vec!["b".parse().unwrap(), "a".parse().unwrap()], first.into_held(4 << 10));
        let clone = list.clone();
        drop(list);
        assert!(reserved().is_none());
        assert!(clone.contains(&"a".parse().unwrap()) && !clone.contains(&"c".parse().unwrap()));
        drop(clone);
        assert!(reserved().is_some());
    }
}
