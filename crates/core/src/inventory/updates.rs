//! What version sources announce, and what of that an inventory lacks.

mod read;

use std::collections::BTreeSet;

use imgop_registry::reference::{Repository, Tag};

use super::child::Selected;
use super::read::{Entry, Inventory, MAX_ROWS};
use crate::formats::rancher::Source;
use crate::selection::SourceRef;
use crate::sources::{Addition, EntryRef, FoundImage, Update, lacking};

pub use read::MirrorUpdateRequest;

/// Tags that version sources may add to an entry.
const MAX_FOUND: usize = 1_000;

/// Additions that are tried one by one: each try works out the whole inventory.
const MAX_TRIED: usize = 8;

/// Tags that version sources added, as an Image has kept them.
#[derive(Debug, Clone, Copy)]
pub struct KeptTags<'a> {
    /// The source of the Image.
    pub source: &'a str,
    /// Its destination.
    pub destination: &'a str,
    /// The tags.
    pub tags: &'a [Tag],
}

/// What of an update reaches an inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached {
    /// The images, each of one of its entries.
    pub images: Vec<FoundImage>,
    /// The sources of images, and of entries that the update names, of which no entry is.
    pub unknown: Vec<String>,
}

impl Inventory {
    /// Returns which of the images that an update has found belong to entries. Without names of entries that is each entry
    /// with the source.
    pub fn reached(&self, update: &Update, found: &[FoundImage]) -> Reached {
        let mut reached = Reached::default();
        for named in update.entries.iter().flatten() {
            if self.named(named).next().is_none() {
                reached.unknown.push(described(named));
            }
        }
        for image in found {
            if update.entries.is_some() {
                if self.named(&image.entry).next().is_some() {
                    reached.images.push(image.clone());
                }
                continue;
            }
            let names: BTreeSet<&Option<String>> =
                self.of_source(&image.entry).map(|entry| &entry.target_name).collect();
            if names.is_empty() {
                reached.unknown.push(image.entry.source.as_str().to_owned());
            }
            reached.images.extend(names.into_iter().map(|name| FoundImage {
                entry: EntryRef { target_name: name.clone(), ..image.entry.clone() },
                tags: image.tags.clone(),
            }));
        }
        reached
    }

    /// Returns what of these images its entries lack. Excluded entries and tags lack nothing.
    pub fn missing(&self, found: &[FoundImage]) -> Vec<Addition> {
        lacking(found, |image| {
            let entries: Vec<&Entry> = self.named(image).collect();
            move |tag: &str| tag.parse().is_ok_and(|tag: Tag| entries.iter().all(|entry| entry.has(&tag)))
        })
    }

    /// Adds tags to entries, and returns those with which the inventory could not be used: what is announced must not stop
    /// what is mirrored.
    pub fn add(&mut self, additions: Vec<Addition>) -> Vec<Addition> {
        if additions.is_empty() {
            return additions;
        }
        let mut with = self.clone();
        for addition in &additions {
            with.take(addition);
        }
        if with.is_usable() {
            *self = with;
            return Vec::new();
        }
        let mut refused = Vec::new();
        for (tried, addition) in additions.into_iter().enumerate() {
            let mut with = self.clone();
            with.take(&addition);
            if tried < MAX_TRIED && with.is_usable() {
                *self = with;
            } else {
                refused.push(addition);
            }
        }
        refused
    }

    /// Adds tags that version sources added before, and that Images have kept: what they announced once stays, even if
    /// they announce it no more, and if the update only proposes by now. Entries that no update names any more lose them.
    ///
    /// Returns those with which the inventory could not be used any more, each with the update that names its entry.
    pub fn restore(
        &mut self,
        kept: &[KeptTags<'_>],
        updates: &[MirrorUpdateRequest],
    ) -> Vec<(String, Addition)> {
        let mut before: Vec<(String, Addition)> =
            kept.iter().flat_map(|kept| self.additions(kept, updates)).collect();
        let refused = self.add(before.iter().map(|(_, addition)| addition.clone()).collect());
        before.retain(|(_, addition)| refused.contains(addition));
        before
    }

    /// Returns what the entries of an Image lack of what it has kept, each with the name of the update that names it.
    fn additions(&self, kept: &KeptTags<'_>, updates: &[MirrorUpdateRequest]) -> Vec<(String, Addition)> {
        let addition = |entry: &Entry| {
            let goes_there =
                |(_, _, there): &(usize, String, Repository)| there.to_string() == kept.destination;
            if entry.source.to_string() != kept.source || !entry.destinations.iter().any(goes_there) {
                return None;
            }
            let names_it = |update: &&MirrorUpdateRequest| {
                let names = update.update.entries.as_ref();
                names.is_none_or(|names| names.iter().any(|name| entry.is_named(name)))
            };
            let update = updates.iter().find(names_it)?;
            let tags: Vec<String> =
                kept.tags.iter().filter(|tag| !entry.has(tag)).map(ToString::to_string).collect();
            let entry = entry.reference().filter(|_| !tags.is_empty())?;
            Some((update.update.name.clone(), Addition { entry, tags }))
        };
        self.entries.iter().filter_map(addition).collect()
    }

    fn take(&mut self, Addition { entry, tags }: &Addition) {
        let tags: Vec<Tag> = tags.iter().filter_map(|tag| tag.parse().ok()).collect();
        for at in self.positions(entry).collect::<Vec<usize>>() {
            self.entries[at].add(&tags);
        }
    }

    fn is_usable(&self) -> bool {
        let rows = self.entries.iter().map(|entry| entry.selected.len() * entry.destinations.len());
        self.entries.iter().all(|entry| entry.found.len() <= MAX_FOUND)
            && rows.sum::<usize>() <= MAX_ROWS
            && self.expand().is_ok()
    }

    /// Returns the entries that a name means.
    fn named<'i>(&'i self, name: &EntryRef) -> impl Iterator<Item = &'i Entry> + use<'i> {
        let positions: Vec<usize> = self.positions(name).collect();
        positions.into_iter().map(|at| &self.entries[at])
    }

    fn positions(&self, name: &EntryRef) -> impl Iterator<Item = usize> {
        let source = name.source.as_str().parse::<Repository>().ok();
        let is_meant = move |entry: &Entry| {
            Some(&entry.source) == source.as_ref() && entry.target_name == name.target_name
        };
        let all = self.entries.iter().enumerate();
        all.filter(move |(_, entry)| !entry.excluded && is_meant(entry)).map(|(at, _)| at)
    }

    /// Returns the entries that have the source of an image, whatever they are called at a target.
    fn of_source<'i>(&'i self, image: &EntryRef) -> impl Iterator<Item = &'i Entry> + use<'i> {
        let source = image.source.as_str().parse::<Repository>().ok();
        self.entries.iter().filter(move |entry| !entry.excluded && Some(&entry.source) == source.as_ref())
    }
}

impl Entry {
    fn add(&mut self, tags: &[Tag]) {
        for tag in tags {
            if !self.has(tag) {
                self.selected.push(Selected::Exact(SourceRef::Tag(tag.clone())));
                self.found.insert(tag.clone());
            }
        }
    }

    fn is_named(&self, name: &EntryRef) -> bool {
        let is_source =
            || name.source.as_str().parse::<Repository>().is_ok_and(|source| source == self.source);
        !self.excluded && self.target_name == name.target_name && is_source()
    }

    /// Returns how an update would name it.
    fn reference(&self) -> Option<EntryRef> {
        // One that is written in one part has no such form.
        let source =
            Source::parse(&self.written).or_else(|_| Source::parse(&self.source.to_string())).ok()?;
        Some(EntryRef { source, target_name: self.target_name.clone() })
    }

    /// Returns whether a tag is mirrored by it, or left out on purpose.
    fn has(&self, tag: &Tag) -> bool {
        self.excluded_tags.contains(tag.as_str())
            || self.selected.iter().any(|selected| match selected {
                Selected::Exact(one) => one.name() == Some(tag),
                Selected::Version(version) => version.selects_with(tag, false),
            })
    }
}

fn described(EntryRef { source, target_name }: &EntryRef) -> String {
    match target_name {
        None => source.as_str().to_owned(),
        Some(name) => format!("{} (targetName {name})", source.as_str()),
    }
}

#[cfg(test)]
mod tests;
