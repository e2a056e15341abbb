//! An inventory to its Images, and to its rows.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use imgop_registry::reference::Tag;

use super::child::{Child, Selected};
use super::division::{Between, Share, TooManyBeside};
use super::error::{InventoryError, InventoryProblem};
use super::read::{Entry, Inventory, report};
use crate::api::MirrorSync;
use crate::copy::MAX_TAGS_PER_IMAGE;

/// What a content without a tag of its own begins with.
const DIGEST: &str = "sha256:";

/// Most patterns and ranges between two repositories: each tag beside them is compared with all of them.
const MAX_VERSIONS: usize = 32;

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

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { destination, sources } = self;
        write!(f, "{destination} would be both {}, so none of them is copied", sources.join(" and "))
    }
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
    /// The same, to find it in.
    seen: HashSet<&'a Selected>,
    /// The tags among them that version sources have added.
    found: BTreeSet<&'a Tag>,
}

impl Inventory {
    /// Returns the Images that it becomes, each with as many tags at most as agents copy by default.
    ///
    /// # Errors
    /// Where two entries of one source and destination say different things of a tag, or a pattern cannot be told from
    /// the tags beside it.
    pub fn expand(&self) -> Result<Expansion, InventoryError> {
        self.expand_within(MAX_TAGS_PER_IMAGE.into())
    }

    /// Returns the same with this many tags at most in each Image.
    ///
    /// # Errors
    /// The same.
    pub fn expand_within(&self, max_tags: usize) -> Result<Expansion, InventoryError> {
        let pairs = self.pairs()?;
        let (taken, conflicts) = conflicts(&pairs);
        let (mut children, mut problems) = (Vec::new(), Vec::new());
        for ((source, destination), pair) in &pairs {
            let mut kept_out: BTreeSet<&str> = pair.entry.excluded_tags.iter().map(String::as_str).collect();
            kept_out.extend(taken.get(destination).into_iter().flatten().map(|tag| tag.as_str()));
            let between = Between { selected: &pair.selected, kept_out: &kept_out, max_tags };
            let follows = |selected: &Selected| {
                self.sync == MirrorSync::Follow || self.follow.contains(&follow_key(selected))
            };
            match between.divide(follows) {
                Ok(shares) => children.extend(shares.into_iter().map(|share| Child {
                    is_exception: share.follows && self.sync == MirrorSync::Missing,
                    ..pair.child(source, destination, share)
                })),
                Err(versions) => pair.report_beside(&versions, &mut problems),
            }
        }
        if problems.is_empty() {
            Ok(Expansion { children, conflicts })
        } else {
            Err(InventoryError { problems })
        }
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
                    let (found, seen) = (entry.found.iter().collect(), selected.iter().copied().collect());
                    pairs.insert(key, Pair { entry, target: *target, selected, seen, found });
                }
            }
        }
        for pair in pairs.values_mut() {
            let versions = pair.selected.iter().filter(|one| matches!(one, Selected::Version(_))).count();
            if versions > MAX_VERSIONS {
                let message = format!(
                    "{versions} patterns and ranges go from one source to one destination, and {MAX_VERSIONS} is the \
                     most; write fewer that select more, such as 1.x.x or *"
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

impl Inventory {
    /// Returns tags that are excluded although a pattern or range of their entry selects them, as `SOURCE:TAG`, sorted: rows
    /// do not say it.
    pub fn excluded_of_versions(&self) -> Vec<String> {
        let mut excluded = BTreeSet::new();
        for entry in self.entries.iter().filter(|entry| !entry.excluded) {
            let selects = |text: &String| {
                let Ok(tag) = text.parse::<Tag>() else { return false };
                entry
                    .selected
                    .iter()
                    .any(|selected| matches!(selected, Selected::Version(version) if version.selects(&tag)))
            };
            let tags = entry.excluded_tags.iter().filter(|tag| selects(tag));
            excluded.extend(tags.map(|tag| format!("{}:{tag}", entry.written)));
        }
        excluded.into_iter().collect()
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
            if self.seen.insert(one) {
                self.selected.push(one);
            }
        }
    }

    fn report_beside(&self, versions: &[TooManyBeside], problems: &mut Vec<InventoryProblem>) {
        for TooManyBeside { version, count } in versions {
            let message = format!(
                "{version} selects {count} tags that are named beside it and are not copied as it copies them, more than \
                 an Image can leave out of a pattern or a range; give {version} an entry of its own with another \
                 targetName, or name its tags one by one"
            );
            report(problems, &self.entry.place.field("tags"), message);
        }
    }

    fn child(&self, source: &str, destination: &str, share: Share) -> Child {
        let Share { selected, follows, part, left_out } = share;
        let tags = selected.iter().filter_map(Selected::destination_tag);
        let found = tags.filter(|tag| self.found.contains(tag)).cloned().collect();
        Child {
            source: source.to_owned(),
            destination: destination.to_owned(),
            target: self.target,
            selected,
            left_out,
            follows,
            is_exception: false,
            part,
            found,
        }
    }
}

/// The tags that more than one content would become, by destination.
type Taken<'a> = HashMap<&'a String, Vec<&'a Tag>>;

/// Finds the tags at destinations that more than one source would become.
fn conflicts<'a>(pairs: &'a BTreeMap<(String, String), Pair<'_>>) -> (Taken<'a>, Vec<Conflict>) {
    let mut first: HashMap<(&String, &Tag), String> = HashMap::new();
    let mut found: BTreeMap<(&String, &Tag), Vec<String>> = BTreeMap::new();
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
    let mut taken = Taken::new();
    for (destination, tag) in found.keys() {
        taken.entry(destination).or_default().push(tag);
    }
    let conflicts = found.into_iter().map(|((destination, tag), mut sources)| {
        sources.sort();
        Conflict { destination: format!("{destination}:{tag}"), sources }
    });
    (taken, conflicts.collect())
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
