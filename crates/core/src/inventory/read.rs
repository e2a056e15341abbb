//! An inventory, parsed: the edge behind which nothing is a plain string.

use std::collections::{BTreeSet, HashSet};

use imgop_registry::reference::{ReferenceError, Repository, Tag};

use super::child::Selected;
use super::error::{InventoryError, InventoryProblem, Place};
use super::naming::Names;
use crate::api::{ImageMirrorSpec, MirrorEntry, MirrorSync, MirrorTarget};
use crate::selection::{SourceRef, Version};

/// Most rows of an inventory: tags at all their targets together.
pub const MAX_ROWS: usize = 100_000;

/// Most targets of an inventory, those of its files included.
const MAX_TARGETS: usize = 256;

/// What entries and their parts take, about, the texts of usual lengths included.
const ENTRY_BYTES: usize = 512;
const SELECTED_BYTES: usize = 128;
const DESTINATION_BYTES: usize = 256;

/// What a file says, in the words of an `ImageMirror`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilePart {
    /// Which file, as users know it: `ConfigMap acme, key config.yaml`.
    pub file: String,
    /// The targets that it names. One that the spec has too is the spec's.
    pub targets: Vec<MirrorTarget>,
    /// Its entries.
    pub entries: Vec<FileEntry>,
}

/// An entry of a file. What can be a tag is one, even if it looks like a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// The line in which it begins, from 1.
    pub line: usize,
    /// What it says.
    pub entry: MirrorEntry,
}

/// An inventory whose every part can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Where images go to.
    pub targets: Vec<MirrorTarget>,
    /// What is mirrored.
    pub(super) entries: Vec<Entry>,
    /// Whether tags are replaced, unless `follow` says so of them.
    pub(super) sync: MirrorSync,
    /// The tags and versions that follow their source, as they are written.
    pub(super) follow: HashSet<String>,
    /// What is worth a look, and keeps nothing from being mirrored.
    pub warnings: Vec<InventoryProblem>,
}

/// An entry that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) source: Repository,
    pub(super) written: String,
    pub(super) selected: Vec<Selected>,
    pub(super) excluded_tags: HashSet<String>,
    pub(super) excluded: bool,
    pub(super) target_name: Option<String>,
    /// The tags that version sources have added.
    pub(super) found: BTreeSet<Tag>,
    /// The targets, each with the repository there.
    pub(super) destinations: Vec<(usize, String, Repository)>,
}

impl Inventory {
    /// Reads a spec, and files with further entries.
    ///
    /// # Errors
    /// Everything that is wrong in any of them: an inventory is used whole or not at all.
    pub fn read(spec: &ImageMirrorSpec, files: &[FilePart]) -> Result<Self, InventoryError> {
        let mut problems = Vec::new();
        let names = Names::read(&spec.naming).unwrap_or_else(|(field, error)| {
            report(&mut problems, &Place::Spec(format!("naming.{field}")), error);
            Names::default()
        });
        check_size(spec, files).map_err(|problem| InventoryError { problems: vec![problem] })?;
        let targets = targets(spec, files, &mut problems);
        let mut reader = Reader { names: &names, targets: &targets, problems, warnings: Vec::new() };
        let inline = spec.entries.iter().enumerate();
        let inline = inline.map(|(i, entry)| (Place::Spec(format!("entries[{i}]")), entry, false));
        let of_files = files.iter().flat_map(|part| {
            part.entries.iter().map(|FileEntry { line, entry }| {
                (Place::File { file: part.file.clone(), line: *line }, entry, true)
            })
        });
        let entries: Vec<Entry> = inline
            .chain(of_files)
            .filter_map(|(place, entry, exact)| reader.entry(place, entry, exact))
            .collect();
        let Reader { problems, warnings, .. } = reader;
        if !problems.is_empty() {
            return Err(InventoryError { problems });
        }
        let follow = spec.follow.iter().cloned().collect();
        Ok(Self { targets, entries, sync: spec.sync, follow, warnings })
    }

    /// Returns how many entries there are, excluded ones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns how many bytes it takes, about.
    pub fn approximate_bytes(&self) -> usize {
        let bytes = |entry: &Entry| {
            ENTRY_BYTES
                + entry.selected.len() * SELECTED_BYTES
                + entry.excluded_tags.len() * SELECTED_BYTES
                + entry.destinations.len() * DESTINATION_BYTES
        };
        self.entries.iter().map(bytes).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The targets of a spec, and those that only files name.
fn targets(
    spec: &ImageMirrorSpec,
    files: &[FilePart],
    problems: &mut Vec<InventoryProblem>,
) -> Vec<MirrorTarget> {
    for (i, target) in spec.targets.iter().enumerate() {
        if let Err(error) = format!("{}/name", target.repository).parse::<Repository>() {
            report(problems, &Place::Spec(format!("targets[{i}].repository")), error);
        }
        if spec.targets[..i].iter().any(|other| other.repository == target.repository) {
            let place = Place::Spec(format!("targets[{i}].repository"));
            report(problems, &place, format!("{:?} is there twice; leave one out", target.repository));
        }
    }
    let mut targets = spec.targets.clone();
    for target in files.iter().flat_map(|part| &part.targets) {
        match targets.iter_mut().find(|known| known.repository == target.repository) {
            // How the registry is reached is the spec's; that entries go there by default, anyone may say.
            Some(known) => known.default |= target.default,
            None => targets.push(target.clone()),
        }
    }
    targets
}

struct Reader<'a> {
    names: &'a Names,
    targets: &'a [MirrorTarget],
    problems: Vec<InventoryProblem>,
    warnings: Vec<InventoryProblem>,
}

impl Reader<'_> {
    fn entry(&mut self, place: Place, entry: &MirrorEntry, exact: bool) -> Option<Entry> {
        let source = match entry.source.parse::<Repository>() {
            Ok(source) => source,
            Err(error) => {
                report(&mut self.problems, &place.field("source"), error);
                return None;
            }
        };
        let selected = self.selected(&place, entry, exact);
        let destinations = self.destinations(&place, entry)?;
        for tag in &entry.excluded_tags {
            if !selected.iter().any(|selected| selected.has(tag)) {
                let message = format!("{tag:?} is not among the tags, so leaving it out changes nothing");
                report(&mut self.warnings, &place.field("excludedTags"), message);
            }
        }
        Some(Entry {
            written: entry.source.clone(),
            source,
            selected,
            excluded_tags: entry.excluded_tags.iter().cloned().collect(),
            excluded: entry.excluded,
            target_name: entry.target_name.clone(),
            found: BTreeSet::new(),
            destinations,
            place,
        })
    }

    /// Reads the tags of an entry.
    fn selected(&mut self, place: &Place, entry: &MirrorEntry, exact: bool) -> Vec<Selected> {
        let mut seen = HashSet::new();
        let mut selected = Vec::new();
        if entry.tags.is_empty() {
            report(&mut self.problems, &place.field("tags"), "there is none; give at least one tag");
        }
        for (i, text) in entry.tags.iter().enumerate() {
            let place = place.field(&format!("tags[{i}]"));
            if !seen.insert(text) {
                report(&mut self.problems, &place, format!("{text:?} is there twice; leave one out"));
                continue;
            }
            match select(text, exact) {
                Ok(one) => selected.push(one),
                Err(message) => report(&mut self.problems, &place, message),
            }
        }
        selected
    }

    /// Returns the targets of an entry, and its repository at each of them.
    fn destinations(
        &mut self,
        place: &Place,
        entry: &MirrorEntry,
    ) -> Option<Vec<(usize, String, Repository)>> {
        let name = match &entry.target_name {
            Some(name) => name.clone(),
            None => match self.names.name(&entry.source) {
                Ok(name) => name,
                Err(error) => {
                    report(&mut self.problems, &place.field("source"), error);
                    return None;
                }
            },
        };
        let mut destinations = Vec::new();
        for target in self.targets_of(place, entry) {
            let written = format!("{}/{name}", self.targets[target].repository);
            match written.parse::<Repository>() {
                Ok(repository) => destinations.push((target, written, repository)),
                Err(error) => {
                    let message = format!("its repository at a target would be {written:?}: {error}");
                    report(&mut self.problems, &place.field("targetName"), message);
                    // The other targets would say the same once more.
                    break;
                }
            }
        }
        Some(destinations)
    }

    fn targets_of(&mut self, place: &Place, entry: &MirrorEntry) -> Vec<usize> {
        if entry.targets.is_empty() {
            let defaults = self.targets.iter().enumerate().filter(|(_, target)| target.default);
            let defaults: Vec<usize> = defaults.map(|(i, _)| i).collect();
            if defaults.is_empty() && !entry.excluded {
                let message =
                    "it names no target, and no target is the default; give targets, or set default of one";
                report(&mut self.problems, &place.field("targets"), message);
            }
            return defaults;
        }
        let mut found = Vec::new();
        for (i, named) in entry.targets.iter().enumerate() {
            match self.targets.iter().position(|target| target.repository == *named) {
                Some(target) if !found.contains(&target) => found.push(target),
                Some(_) => {}
                None => {
                    let known: Vec<&str> =
                        self.targets.iter().map(|target| target.repository.as_str()).take(5).collect();
                    let message = format!("{named:?} is none of the targets ({})", known.join(", "));
                    report(&mut self.problems, &place.field(&format!("targets[{i}]")), message);
                }
            }
        }
        found
    }
}

/// Reads one of an entry's tags.
fn select(text: &str, exact: bool) -> Result<Selected, String> {
    let is_tag = exact && text.parse::<Tag>().is_ok();
    if is_tag || text.contains([':', '@']) {
        return exact_ref(text).map(Selected::Exact).map_err(|error| error.to_string());
    }
    Ok(match text.parse::<Version>().map_err(|error| error.to_string())? {
        Version::Exact(tag) => Selected::Exact(SourceRef::Tag(tag)),
        version => Selected::Version(version),
    })
}

fn exact_ref(text: &str) -> Result<SourceRef, ReferenceError> {
    match text.parse()? {
        SourceRef::Digest(digest) => SourceRef::under_pin_tag(digest),
        one => Ok(one),
    }
}

/// Returns an error for an inventory that is too large, before any of it is built.
fn check_size(spec: &ImageMirrorSpec, files: &[FilePart]) -> Result<(), InventoryProblem> {
    let too_large = |field: &str, message: String| {
        Err(InventoryProblem { place: Place::Spec(field.to_owned()), message })
    };
    let of_files: usize = files.iter().map(|part| part.targets.len()).sum();
    if of_files > MAX_TARGETS {
        return too_large(
            "from",
            format!("the files name {of_files} targets, and {MAX_TARGETS} is the most"),
        );
    }
    let targets = spec.targets.iter().chain(files.iter().flat_map(|part| &part.targets));
    let defaults = targets.filter(|target| target.default).count().max(1);
    let entries = files.iter().flat_map(|part| &part.entries).map(|entry| &entry.entry);
    let rows = |entry: &MirrorEntry| match entry.targets.len() {
        0 => entry.tags.len() * defaults,
        named => entry.tags.len() * named,
    };
    let rows: usize = spec.entries.iter().chain(entries).map(rows).sum();
    if rows > MAX_ROWS {
        let message = format!(
            "there are {rows} tags at all targets together, and {MAX_ROWS} is the most; make several ImageMirrors of it"
        );
        return too_large("entries", message);
    }
    Ok(())
}

pub(super) fn report(problems: &mut Vec<InventoryProblem>, place: &Place, message: impl std::fmt::Display) {
    problems.push(InventoryProblem { place: place.clone(), message: message.to_string() });
}
