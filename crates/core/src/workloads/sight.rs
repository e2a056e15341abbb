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

/// Which namespaces a mirror sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// Those that are looked at.
    pub namespaces: BTreeSet<String>,
    /// Those that do not allow it.
    pub hidden: BTreeSet<String>,
    /// Whether one of those did, or may have: what it uses may be among what is mirrored.
    pub is_withdrawn: bool,
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
        for one in selected {
            match one.allows.or((one.name == own).then_some(true)) {
                Some(true) if one.has_workloads => {
                    marks.insert(mark(one.name));
                    sight.namespaces.insert(one.name.to_owned());
                }
                Some(true) => {}
                Some(false) => {
                    sight.hidden.insert(one.name.to_owned());
                    let was_seen = !is_recorded || before.marks.contains(&mark(one.name));
                    if one.has_workloads && was_seen {
                        sight.is_withdrawn = true;
                        // Also where that was not recorded until now: the next pass is not to forget it.
                        marks.insert(mark(one.name));
                    }
                }
                None => sight.is_complete &= !one.has_workloads,
            }
        }
        sight.is_complete &= !sight.is_withdrawn;
        if !sight.is_complete {
            marks.extend(before.marks.iter().cloned());
        }
        sight.marks = marks.into_iter().take(MAX_RECORDED).collect();
        sight
    }
}

/// Returns how a status has a namespace.
fn mark(namespace: &str) -> String {
    Digest::of(namespace.as_bytes()).hex().chars().take(MARK_DIGITS).collect()
}
