//! What a change of a file does: whether entries are unique, what it takes away, what is new, and what looks like a mistake.

use std::collections::{BTreeMap, BTreeSet};

use imgop_registry::reference::Repository;

use super::{Content, Format, FormatError, Problem};
use crate::api::MirrorEntry;
use crate::inventory::{FileEntry, Names};

/// A tag of an entry, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTag {
    /// The line of its entry, from 1.
    pub line: usize,
    /// The source repository, as it is written.
    pub source: String,
    /// The tag.
    pub tag: String,
}

/// A repository that entries go to and did not go to before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRepository {
    /// The line of its entry, from 1.
    pub line: usize,
    /// The repository at the target.
    pub repository: String,
}

impl Content {
    /// Returns the entries that have source and name of another one. In rancher's configuration they are unique whatever
    /// their targets; other formats have no entries of several targets.
    pub fn duplicates(&self, format: Format) -> Vec<FormatError> {
        let mut first = BTreeMap::new();
        let found = self.entries.iter().enumerate().filter_map(|(at, entry)| {
            let targets = if format == Format::Rancher { &[] } else { entry.entry.targets.as_slice() };
            let key = (entry.entry.source.as_str(), name(&entry.entry), targets);
            let (known, line) = *first.entry(key).or_insert((at, entry.line));
            let problem = format!(
                "{} has a further entry with the same name at the target, in line {line}; make one of both",
                entry.entry.source
            );
            (known != at).then(|| of_entry(entry, problem))
        });
        found.collect()
    }

    /// Returns the tags that an earlier state of the file had and this one has not, each as a sentence.
    pub fn removed_since(&self, base: &Self) -> Vec<String> {
        let has: BTreeSet<_> =
            self.tags().map(|(entry, tag)| (&entry.entry.source, name(&entry.entry), tag)).collect();
        let lost =
            base.tags().filter(|(entry, tag)| !has.contains(&(&entry.entry.source, name(&entry.entry), tag)));
        lost.map(|(entry, tag)| {
            format!("{}:{tag} was removed (name at the target: {})", entry.entry.source, name(&entry.entry))
        })
        .collect()
    }

    /// Returns the tags that an earlier state of the file had not, each once. What is not mirrored is left out.
    pub fn new_since(&self, base: &Self) -> Vec<NewTag> {
        let mut had: BTreeSet<_> = base.tags().map(|(entry, tag)| (&entry.entry.source, tag)).collect();
        let is_mirrored =
            |entry: &MirrorEntry, tag: &String| !entry.excluded && !entry.excluded_tags.contains(tag);
        let new = self.tags().filter(|(FileEntry { entry, .. }, tag)| {
            is_mirrored(entry, tag) && had.insert((&entry.source, tag))
        });
        let tag = |(entry, tag): (&FileEntry, &String)| NewTag {
            line: entry.line,
            source: entry.entry.source.clone(),
            tag: tag.clone(),
        };
        new.map(tag).collect()
    }

    /// Returns the repositories that entries go to and did not go to in an earlier state of the file.
    pub fn repositories_since(&self, base: &Self) -> Vec<NewRepository> {
        let had: BTreeSet<String> = base.repositories().map(|new| new.repository).collect();
        let mut new: Vec<NewRepository> = Vec::new();
        for repository in self.repositories().filter(|new| !had.contains(&new.repository)) {
            if !new.iter().any(|known| known.repository == repository.repository) {
                new.push(repository);
            }
        }
        new
    }

    /// Returns what is worth a look: one repository that is written in two ways, and tags that differ by a leading v only.
    pub fn doubtful(&self) -> Vec<FormatError> {
        let mut written: BTreeMap<String, &FileEntry> = BTreeMap::new();
        let mut doubtful = Vec::new();
        for entry in &self.entries {
            let MirrorEntry { source, tags, .. } = &entry.entry;
            let Ok(repository) = source.parse::<Repository>() else { continue };
            let known = *written.entry(repository.to_string()).or_insert(entry);
            if known.entry.source != *source {
                let problem =
                    format!("{source} is {} of line {}; write it in one way", known.entry.source, known.line);
                doubtful.push(of_entry(entry, problem));
            }
            let twins = tags.iter().filter(|tag| tags.contains(&format!("v{tag}")));
            doubtful.extend(
                twins.map(|tag| {
                    of_entry(entry, format!("{source} has both {tag} and v{tag}; are both meant?"))
                }),
            );
        }
        doubtful
    }

    fn tags(&self) -> impl Iterator<Item = (&FileEntry, &String)> {
        self.entries.iter().flat_map(|entry| entry.entry.tags.iter().map(move |tag| (entry, tag)))
    }

    fn repositories(&self) -> impl Iterator<Item = NewRepository> {
        let entries = self.entries.iter().filter(|entry| !entry.entry.excluded);
        entries.flat_map(|FileEntry { line, entry }| {
            let takes = |target: &&crate::api::MirrorTarget| match entry.targets.as_slice() {
                [] => target.default,
                named => named.contains(&target.repository),
            };
            let targets = self.targets.iter().filter(takes);
            targets.map(|target| NewRepository {
                line: *line,
                repository: format!("{}/{}", target.repository, name(entry)),
            })
        })
    }
}

/// The name at the targets.
fn name(entry: &MirrorEntry) -> String {
    let default = || Names::default().name(&entry.source).unwrap_or_default();
    entry.target_name.clone().unwrap_or_else(default)
}

fn of_entry(entry: &FileEntry, problem: String) -> FormatError {
    FormatError { line: entry.line, field: String::new(), problem: Problem::Value(problem) }
}
