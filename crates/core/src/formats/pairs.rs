//! Tags that go from one repository to another, as most formats list them, to targets and entries.

use std::collections::{BTreeMap, HashSet};

use super::{Content, FormatError, Problem};
use crate::api::{MirrorEntry, MirrorTarget};
use crate::inventory::{FileEntry, Names};

/// The targets that an entry of an ImageMirror may name.
const MAX_TARGETS: usize = 32;

/// Tags that go from one repository to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// The line in which it begins, from 1.
    pub(super) line: usize,
    /// The source repository, as it is written.
    pub(super) source: String,
    /// The destination repository with its registry.
    pub(super) destination: String,
    /// Tags, patterns and ranges.
    pub(super) tags: Vec<String>,
}

/// Returns the content of a file that lists pairs. What stands one after another between the same repositories is one
/// entry; entries that differ by their target only are one as well.
pub(super) fn content(pairs: Vec<Pair>) -> Content {
    let mut notes = Vec::new();
    let pairs = joined(pairs, &mut notes);
    let prefixes = Prefixes::of(pairs.iter().map(|pair| pair.destination.as_str()));
    let (names, mut targets) = (Names::default(), Vec::<MirrorTarget>::new());
    let mut entries: Vec<FileEntry> = Vec::new();
    let mut seen = HashSet::new();
    for pair in pairs {
        let (target, name) = prefixes.split(&pair.destination);
        if seen.insert(target.to_owned()) {
            targets.push(MirrorTarget {
                repository: target.to_owned(),
                default: true,
                ..MirrorTarget::default()
            });
        }
        let is_default = names.name(&pair.source).is_ok_and(|default| default == name);
        let entry = MirrorEntry {
            source: pair.source,
            tags: pair.tags,
            target_name: (!is_default).then(|| name.to_owned()),
            targets: vec![target.to_owned()],
            ..MirrorEntry::default()
        };
        match entries.last_mut() {
            Some(last) if differ_by_target(&last.entry, &entry) => last.entry.targets.extend(entry.targets),
            _ => entries.push(FileEntry { line: pair.line, entry }),
        }
    }
    for FileEntry { entry, .. } in &mut entries {
        if entry.targets.iter().eq(targets.iter().map(|target| &target.repository)) {
            entry.targets.clear();
        }
    }
    Content { targets, entries, notes, ..Content::default() }
}

/// Joins what stands one after another between the same repositories.
fn joined(pairs: Vec<Pair>, notes: &mut Vec<FormatError>) -> Vec<Pair> {
    let mut joined: Vec<Pair> = Vec::with_capacity(pairs.len());
    // The tags of the last one: a file may have a hundred thousand of one repository.
    let mut seen = HashSet::new();
    for mut pair in pairs {
        let (line, tags) = (pair.line, std::mem::take(&mut pair.tags));
        let is_same = |last: &Pair| last.source == pair.source && last.destination == pair.destination;
        if joined.last().is_none_or(|last| !is_same(last)) {
            joined.push(pair);
            seen.clear();
        }
        let Some(last) = joined.last_mut() else { continue };
        for tag in tags {
            if seen.insert(tag.clone()) {
                last.tags.push(tag);
            } else {
                let problem = Problem::Value(format!("{}:{tag} is there twice", last.source));
                notes.push(FormatError { line, field: String::new(), problem });
            }
        }
    }
    joined
}

fn differ_by_target(last: &MirrorEntry, next: &MirrorEntry) -> bool {
    last.targets.len() < MAX_TARGETS
        && last.source == next.source
        && last.tags == next.tags
        && last.target_name == next.target_name
        && !next.targets.iter().any(|target| last.targets.contains(target))
}

/// What the destinations at each registry have in common.
struct Prefixes(BTreeMap<String, Vec<String>>);

impl Prefixes {
    fn of<'a>(destinations: impl Iterator<Item = &'a str>) -> Self {
        let mut common: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for destination in destinations {
            let mut parts = destination.split('/').map(str::to_owned);
            let registry = parts.next().unwrap_or_default();
            let mut path: Vec<String> = parts.collect();
            path.pop();
            match common.get_mut(&registry) {
                Some(known) => {
                    let same = known.iter().zip(&path).take_while(|(a, b)| a == b).count();
                    known.truncate(same);
                }
                None => {
                    common.insert(registry, path);
                }
            }
        }
        Self(common)
    }

    /// Returns the target of a destination, and its name there. Where destinations at a registry have nothing in common,
    /// the first part of each is taken, so that a target is where one may write.
    fn split<'a>(&self, destination: &'a str) -> (&'a str, &'a str) {
        let registry = destination.split('/').next().unwrap_or_default();
        let common = self.0.get(registry).map_or(0, Vec::len);
        let parts = destination.split('/').count() - 1;
        let kept = 1 + if common == 0 && parts > 1 { 1 } else { common };
        let end = destination.match_indices('/').nth(kept - 1).map_or(destination.len(), |(at, _)| at);
        (&destination[..end], destination.get(end + 1..).unwrap_or_default())
    }
}
