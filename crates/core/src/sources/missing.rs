//! Which of the tags that were found an inventory lacks. Pure.

use super::{EntryRef, Found, FoundImage, Note, Update};
use crate::formats::rancher::{Config, Entry, Exclusion};

/// Tags that an entry lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The entry.
    pub entry: EntryRef,
    /// The tags, in the order of their bytes, at least one.
    pub tags: Vec<String>,
}

impl Addition {
    /// Returns what is added, as `SOURCE:TAG`.
    pub fn references(&self) -> impl Iterator<Item = String> {
        self.tags.iter().map(|tag| format!("{}:{tag}", self.entry.source.as_str()))
    }
}

/// Returns what an inventory of rancher's lacks of what was found, by source and name. Nothing is ever removed.
pub fn missing(config: &Config, found: &[FoundImage]) -> Vec<Addition> {
    lacking(found, |entry, tag| {
        let name = entry.effective_name();
        let is_meant = |other: &&Entry| other.source == entry.source && other.effective_name() == name;
        config.entries.iter().filter(is_meant).any(|entry| entry.tags.iter().any(|known| known == tag))
    })
}

/// Returns what any inventory lacks of what was found; `has` says whether an entry of it has a tag.
pub fn lacking(found: &[FoundImage], has: impl Fn(&EntryRef, &str) -> bool) -> Vec<Addition> {
    let mut additions: Vec<Addition> = Vec::new();
    for FoundImage { entry, tags } in found {
        let mut tags: Vec<String> = tags.iter().filter(|tag| !has(entry, tag)).cloned().collect();
        tags.sort();
        tags.dedup();
        if !tags.is_empty() {
            additions.push(Addition { entry: entry.clone(), tags });
        }
    }
    additions.sort_by_key(|addition| (addition.entry.source.clone(), addition.entry.effective_name()));
    additions
}

impl Found {
    /// Returns the same for an inventory: where an update names no entries, images belong to the entry that has their
    /// source. An image of which there is none, or several, is noted.
    #[must_use]
    pub fn within(mut self, config: &Config, update: &Update) -> Self {
        if update.entries.is_some() {
            return self;
        }
        let mut images = Vec::with_capacity(self.images.len());
        for mut image in std::mem::take(&mut self.images) {
            let of_source: Vec<&Entry> =
                config.entries.iter().filter(|entry| entry.source == image.entry.source).collect();
            if let [entry] = of_source[..] {
                image.entry.target_name.clone_from(&entry.target_name);
                images.push(image);
            } else if of_source.iter().any(|entry| entry.target_name.is_none()) {
                images.push(image);
            } else {
                self.notes.push(Note::NotListed(image.entry.source.as_str().to_owned()));
            }
        }
        Self { images, notes: self.notes }
    }
}

impl Config {
    /// Adds tags to an entry, which is created where there is none.
    pub fn add_found(&mut self, Addition { entry, tags }: &Addition) {
        let name = entry.effective_name();
        let is_meant = |other: &&mut Entry| other.source == entry.source && other.effective_name() == name;
        if let Some(known) = self.entries.iter_mut().find(is_meant) {
            let new = tags.iter().filter(|tag| !known.tags.contains(tag)).cloned();
            let new: Vec<String> = new.collect();
            known.tags.extend(new);
            return;
        }
        let target_name = Some(name).filter(|name| *name != entry.source.default_name());
        self.entries.push(Entry {
            line: 0,
            source: entry.source.clone(),
            tags: tags.clone(),
            target_name,
            exclusion: Exclusion::Unset,
            targets: Vec::new(),
        });
    }
}
