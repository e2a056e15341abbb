//! Which namespaces a mirror sees, of those that it selects.

use std::collections::BTreeSet;

use imgop_registry::reference::Digest;

/// Namespaces that a status records.
const MAX_RECORDED: usize = 300;
/// Digits by which it does: names of others are not the mirror's business.
const MARK_DIGITS: usize = 8;

/// A namespace that a mirror selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectedNamespace<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether anything is known to run there.
    pub has_workloads: bool,
    /// Whether it is known, beside what a status records, to be one that was seen.
    pub was_seen: bool,
    /// Whether it is known not to be there any more.
    pub is_gone: bool,
    /// Whether it lets its pods be mirrored; none where that is not known yet.
    pub allows: Option<bool>,
}

/// What was seen until now.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeenBefore<'a> {
    /// The namespaces, as a status has them.
    pub marks: &'a [String],
    /// Whether the mirror has Images.
    pub has_images: bool,
}

impl SeenBefore<'_> {
    /// Returns whether a namespace is recorded as one that was seen.
    pub fn has(&self, namespace: &str) -> bool {
        self.marks.contains(&mark(namespace))
    }
}

/// Which namespaces a mirror sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// Those that are looked at.
    pub namespaces: BTreeSet<String>,
    /// Those that do not allow it.
    pub hidden: BTreeSet<String>,
    /// Those of them that did, or may have: what they use may be among what is mirrored.
    pub withdrawn: BTreeSet<String>,
    /// Whether no namespace is missing that is known to be looked at, or was.
    pub is_complete: bool,
    /// Those that are seen, and those that are not known not to be, as a status has them.
    pub marks: Vec<String>,
}

impl Sight {
    /// Works it out for a mirror of the namespace `own`, which always allows it. `is_complete` says whether all namespaces
    /// are known that run something.
    pub fn of<'a>(
        own: &str,
        selected: impl IntoIterator<Item = SelectedNamespace<'a>>,
        before: SeenBefore<'_>,
        is_complete: bool,
    ) -> Self {
        // Where nothing is recorded although there are Images, or not everything, any may have been seen.
        let is_recorded =
            before.marks.len() < MAX_RECORDED && (!before.marks.is_empty() || !before.has_images);
        let mut sight = Self { is_complete, ..Self::default() };
        let mut marks = BTreeSet::from([mark(own)]);
        let mut gone = BTreeSet::new();
        for one in selected {
            let was_seen = one.was_seen || before.has(one.name);
            match one.allows.or((one.name == own).then_some(true)) {
                Some(true) if one.has_workloads => {
                    marks.insert(mark(one.name));
                    sight.namespaces.insert(one.name.to_owned());
                }
                Some(true) => {}
                Some(false) => {
                    sight.hidden.insert(one.name.to_owned());
                    // Whether anything runs there now is not the mirror's business any more, and may change in a moment.
                    let was_seen = was_seen || !is_recorded && one.has_workloads;
                    if one.is_gone {
                        gone.insert(mark(one.name));
                    } else if was_seen {
                        sight.withdrawn.insert(one.name.to_owned());
                        // Also where that was not recorded until now: the next pass is not to forget it.
                        marks.insert(mark(one.name));
                    }
                }
                None => sight.is_complete &= !(one.has_workloads || was_seen),
            }
        }
        sight.is_complete &= sight.withdrawn.is_empty();
        if !sight.is_complete {
            marks.extend(before.marks.iter().filter(|mark| !gone.contains(*mark)).cloned());
        }
        sight.marks = marks.into_iter().take(MAX_RECORDED).collect();
        sight
    }
}

/// Returns how a status has a namespace.
fn mark(namespace: &str) -> String {
    Digest::of(namespace.as_bytes()).hex().chars().take(MARK_DIGITS).collect()
}
