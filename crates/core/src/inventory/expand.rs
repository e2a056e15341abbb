//! An inventory to its Images, and to its rows.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use imgop_registry::reference::Tag;

use super::child::{Child, Selected};
use super::error::{InventoryError, InventoryProblem};
use super::read::{Entry, Inventory, report};
use crate::api::MirrorSync;
use crate::selection::SourceRef;

/// What a content without a tag of its own begins with.
const DIGEST: &str = "sha256:";

/// Most tags of an Image, as its schema says.
const MAX_TAGS: usize = 1000;

/// What an inventory becomes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Its Images, sorted by source and destination.
    pub children: Vec<Child>,
    /// Tags that two sources would become, sorted. No Image copies them.
    pub conflicts: Vec<Conflict>,
}

/// A tag that two sources would become.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The reference at the target.
    pub destination: String,
    /// The references at the sources, sorted.
    pub sources: Vec<String>,
}

/// One reference that is copied to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The source with its tag, digest, pattern or range.
    pub source: String,
    /// The destination; a repository alone where a pattern or a range stands for many tags.
    pub destination: String,
}

/// What entries ask for between two repositories.
struct Pair<'a> {
    entry: &'a Entry,
    target: usize,
    /// Sorted, once all entries are merged.
    selected: Vec<&'a Selected>,
    /// The tags among them that version sources have added.
    found: BTreeSet<&'a Tag>,
}

impl Inventory {
    /// Returns the Images that it becomes.
    ///
    /// # Errors
    /// Where two entries of one source and destination say different things of a tag.
    pub fn expand(&self) -> Result<Expansion, InventoryError> {
        let pairs = self.pairs()?;
        let (taken, conflicts) = conflicts(&pairs);
        let mut children = Vec::new();
        for ((source, destination), pair) in &pairs {
            let child = |selected, follows| Child {
                is_exception: follows && self.sync == MirrorSync::Missing,
                ..pair.child(source, destination, selected, follows)
            };
            let (mut missing, mut following) = (Vec::new(), Vec::new());
            for selected in &pair.selected {
                let follows = self.sync == MirrorSync::Follow || self.follow.contains(&follow_key(selected));
                match selected {
                    Selected::Version(_) => children.push(child(vec![(*selected).clone()], follows)),
                    _ if is_taken(&taken, destination, selected) => {}
                    _ if follows => following.push((*selected).clone()),
                    Selected::Exact(_) => missing.push((*selected).clone()),
                }
            }
            for (selected, follows) in [(missing, false), (following, true)] {
                let selected = without_those_of_versions(selected, pair);
                if !selected.is_empty() {
                    children.push(child(selected, follows));
                }
            }
        }
        Ok(Expansion { children, conflicts })
    }

    /// Returns what is copied between which repositories, entries of the same two merged.
    fn pairs(&self) -> Result<BTreeMap<(String, String), Pair<'_>>, InventoryError> {
        let mut pairs: BTreeMap<(String, String), Pair<'_>> = BTreeMap::new();
        let mut problems = Vec::new();
        for entry in &self.entries {
            for (target, _, destination) in &entry.destinations {
                if entry.source.is_same_place(destination) {
                    continue;
                }
                let key = (entry.source.to_string(), destination.to_string());
                let selected = entry.mirrored();
                if let Some(pair) = pairs.get_mut(&key) {
                    pair.merge(entry, *target, selected, &mut problems);
                } else {
                    let found = entry.found.iter().collect();
                    pairs.insert(key, Pair { entry, target: *target, selected, found });
                }
            }
        }
        for pair in pairs.values_mut() {
            if pair.selected.len() > MAX_TAGS {
                let message = format!(
                    "{} tags go from one source to one destination, and {MAX_TAGS} is the most of an Image; select them \
                     by patterns, or leave out what nothing uses",
                    pair.selected.len()
                );
                report(&mut problems, &pair.entry.place.field("tags"), message);
            }
            pair.selected.sort_by_cached_key(|selected| selected.text());
        }
        if problems.is_empty() { Ok(pairs) } else { Err(InventoryError { problems }) }
    }

    /// Returns which reference is copied to which: entry by entry, target by target, tag by tag, each once.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for entry in &self.entries {
            for (_, written, destination) in &entry.destinations {
                if entry.source.is_same_place(destination) {
                    continue;
                }
                rows.extend(
                    entry.mirrored().into_iter().map(|selected| row(&entry.written, written, selected)),
                );
            }
        }
        rows
    }
}

impl Entry {
    /// Returns what of it is mirrored.
    fn mirrored(&self) -> Vec<&Selected> {
        if self.excluded {
            return Vec::new();
        }
        let is_excluded = |selected: &Selected| {
            selected.destination_tag().is_some_and(|tag| self.excluded_tags.contains(tag.as_str()))
        };
        self.selected.iter().filter(|selected| !is_excluded(selected)).collect()
    }
}

impl<'a> Pair<'a> {
    /// Adds what another entry asks for, which must not contradict the first.
    fn merge(
        &mut self,
        other: &'a Entry,
        target: usize,
        selected: Vec<&'a Selected>,
        problems: &mut Vec<InventoryProblem>,
    ) {
        let first = self.entry;
        // Of two targets with one repository below them, whichever comes first in the spec.
        self.target = self.target.min(target);
        self.found.extend(&other.found);
        if first.excluded != other.excluded || first.excluded_tags != other.excluded_tags {
            let message = format!(
                "{} has the same source and destination, and excludes something else; make one entry of both",
                first.place
            );
            report(problems, &other.place, message);
            return;
        }
        for one in selected {
            if !self.selected.contains(&one) {
                self.selected.push(one);
            }
        }
    }

    fn child(&self, source: &str, destination: &str, selected: Vec<Selected>, follows: bool) -> Child {
        let (source, destination) = (source.to_owned(), destination.to_owned());
        let tags = selected.iter().filter_map(Selected::destination_tag);
        let found = tags.filter(|tag| self.found.contains(tag)).cloned().collect();
        Child { source, destination, target: self.target, selected, follows, is_exception: false, found }
    }
}

/// The tags at destinations that more than one content would become.
type Taken = HashSet<(String, Tag)>;

/// Finds the tags at destinations that more than one source would become.
fn conflicts(pairs: &BTreeMap<(String, String), Pair<'_>>) -> (Taken, Vec<Conflict>) {
    let mut first: HashMap<(&str, &Tag), String> = HashMap::new();
    let mut found: BTreeMap<(&str, &Tag), Vec<String>> = BTreeMap::new();
    for ((source, destination), pair) in pairs {
        for selected in &pair.selected {
            let Some(tag) = selected.destination_tag() else { continue };
            let reference = row(source, destination, selected).source;
            match first.entry((destination, tag)) {
                MapEntry::Vacant(vacant) => {
                    vacant.insert(reference);
                }
                MapEntry::Occupied(occupied) => {
                    let sources =
                        found.entry(*occupied.key()).or_insert_with(|| vec![occupied.get().clone()]);
                    sources.push(reference);
                }
            }
        }
    }
    let taken = found.keys().map(|(destination, tag)| ((*destination).to_owned(), (*tag).clone())).collect();
    let conflicts = found.into_iter().map(|((destination, tag), mut sources)| {
        sources.sort();
        Conflict { destination: format!("{destination}:{tag}"), sources }
    });
    (taken, conflicts.collect())
}

fn is_taken(taken: &Taken, destination: &str, selected: &Selected) -> bool {
    let tag = selected.destination_tag().filter(|_| !taken.is_empty());
    tag.is_some_and(|tag| taken.contains(&(destination.to_owned(), tag.clone())))
}

/// Takes out tags that a pattern or a range of the same two repositories selects: one Image copies a tag.
fn without_those_of_versions(mut selected: Vec<Selected>, pair: &Pair<'_>) -> Vec<Selected> {
    let versions: Vec<_> = pair
        .selected
        .iter()
        .filter_map(|one| if let Selected::Version(version) = one { Some(version) } else { None })
        .collect();
    selected.retain(|one| match one {
        Selected::Exact(SourceRef::Tag(tag)) => {
            !versions.iter().any(|version| version.selects_with(tag, false))
        }
        _ => true,
    });
    selected
}

/// What `follow` calls it: the tag, or the pattern or range as it is written.
fn follow_key(selected: &Selected) -> String {
    selected.destination_tag().map_or_else(|| selected.text(), ToString::to_string)
}

fn row(source: &str, destination: &str, selected: &Selected) -> Row {
    let text = selected.text();
    let source = match selected {
        Selected::Exact(_) if text.starts_with(DIGEST) => format!("{source}@{text}"),
        _ => format!("{source}:{text}"),
    };
    let destination = match selected.destination_tag() {
        Some(tag) => format!("{destination}:{tag}"),
        None => destination.to_owned(),
    };
    Row { source, destination }
}
