//! Which of the tags that were found an inventory lacks. Pure.

use std::collections::HashSet;

use super::{EntryRef, Found, FoundImage, Note, Update};
use crate::formats::images_list::{ImagesList, Line};
use crate::formats::rancher::{Config, Entry, Exclusion, Source};
use crate::formats::{TagFile, is_same};

/// How an update means the entries of an inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// By source and name.
    SourceAndName,
    /// By source alone: whatever the name of its entry is.
    Source,
}

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

/// Returns what a file of rancher's lacks of what was found [within](Found::within) it, by source and name. Nothing is ever
/// removed.
pub fn missing(file: &TagFile, found: &[FoundImage]) -> Vec<Addition> {
    lacking(found, |entry| {
        let known = file.tags_of(entry);
        move |tag: &str| known.as_ref().is_some_and(|known| known.contains(tag))
    })
}

/// Returns what any inventory lacks of what was found; `has` says of an entry whether it has a tag.
pub fn lacking<H: Fn(&str) -> bool>(found: &[FoundImage], has: impl Fn(&EntryRef) -> H) -> Vec<Addition> {
    let mut additions: Vec<Addition> = Vec::new();
    for FoundImage { entry, tags } in found {
        let has = has(entry);
        let mut tags: Vec<String> = tags.iter().filter(|tag| !has(tag)).cloned().collect();
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
    /// Returns the same for a file. In an images-list each image is that of the lines which receive its tags, so that its
    /// name is their target. In `config.yaml`, where an update names no entries, images belong to the entry that has their
    /// source. An image of which there is none, or several, is noted. Sources are compared as the repositories that they are,
    /// and become what the entry writes.
    #[must_use]
    pub fn within(mut self, file: &TagFile, update: &Update, matching: Matching) -> Self {
        let find = |image: &FoundImage| match file {
            TagFile::Config(config) if update.entries.is_none() => of_config(config, image),
            TagFile::Config(config) => named_of_config(config, image, matching),
            TagFile::List(list) => of_list(list, image),
        };
        let mut images = Vec::with_capacity(self.images.len());
        for image in std::mem::take(&mut self.images) {
            match find(&image) {
                Ok(entry) => images.push(FoundImage { entry, ..image }),
                Err(note) => self.notes.push(note),
            }
        }
        Self { images, notes: self.notes }
    }
}

fn of_config(config: &Config, image: &FoundImage) -> Result<EntryRef, Note> {
    let source = &image.entry.source;
    by_source(config, source).map(entry_ref).ok_or_else(|| Note::NotListed(source.as_str().to_owned()))
}

/// Returns the entry that an update means by naming it, which is a new one where there is none.
fn named_of_config(config: &Config, image: &FoundImage, matching: Matching) -> Result<EntryRef, Note> {
    let EntryRef { source, .. } = &image.entry;
    let name = image.entry.effective_name();
    let mut all = of_source(config, source);
    let known = match matching {
        Matching::SourceAndName => all.find(|entry| entry.effective_name() == name),
        Matching::Source => by_source(config, source),
    };
    match (known, matching) {
        (Some(known), _) => Ok(entry_ref(known)),
        (None, Matching::Source) if all.next().is_some() => {
            Err(Note::SeveralTargets(source.as_str().to_owned()))
        }
        (None, _) => Ok(image.entry.clone()),
    }
}

/// Returns the only entry of a source, or the one without a name of its own.
fn by_source<'a>(config: &'a Config, source: &'a Source) -> Option<&'a Entry> {
    let all: Vec<&Entry> = of_source(config, source).collect();
    match all.as_slice() {
        [only] => Some(*only),
        several => several.iter().copied().find(|entry| entry.target_name.is_none()),
    }
}

fn of_source<'a>(config: &'a Config, source: &'a Source) -> impl Iterator<Item = &'a Entry> {
    config.entries.iter().filter(|entry| is_same(entry.source.as_str(), source.as_str()))
}

fn entry_ref(entry: &Entry) -> EntryRef {
    EntryRef { source: entry.source.clone(), target_name: entry.target_name.clone() }
}

fn of_list(list: &ImagesList, image: &FoundImage) -> Result<EntryRef, Note> {
    let source = image.entry.source.as_str();
    match list.place_of(source, image.entry.target_name.as_deref()) {
        Ok(Some((written, target))) => {
            let source = Source::parse(&written).map_err(|_| Note::NotListed(written))?;
            Ok(EntryRef { source, target_name: Some(target) })
        }
        Ok(None) => Err(Note::NotListed(source.to_owned())),
        Err(_) => Err(Note::SeveralTargets(source.to_owned())),
    }
}

impl TagFile {
    /// Returns the tags that an entry has; none where there is no such entry.
    pub fn tags_of(&self, entry: &EntryRef) -> Option<HashSet<&str>> {
        let name = entry.effective_name();
        let known: Vec<&str> = match self {
            Self::Config(config) => {
                let is_meant =
                    |other: &&Entry| other.source == entry.source && other.effective_name() == name;
                let mut entries = config.entries.iter().filter(is_meant).peekable();
                entries.peek()?;
                entries.flat_map(|entry| entry.tags.iter().map(String::as_str)).collect()
            }
            Self::List(list) => {
                let target = entry.target_name.as_deref();
                let is_meant = |line: &&Line| {
                    line.source == entry.source.as_str() && Some(line.target.as_str()) == target
                };
                let mut lines = list.lines().iter().filter(is_meant).peekable();
                lines.peek()?;
                lines.map(|line| line.tag.as_str()).collect()
            }
        };
        Some(known.into_iter().collect())
    }

    /// Adds tags to an entry, which is created where there is none.
    pub fn add_found(&mut self, addition: &Addition) {
        match self {
            Self::Config(config) => config.add_found(addition),
            Self::List(list) => list.add_found(addition),
        }
    }
}

impl ImagesList {
    fn add_found(&mut self, Addition { entry, tags }: &Addition) {
        let (source, target) = (entry.source.as_str(), entry.effective_name());
        for tag in tags {
            let (source, target) = (source.to_owned(), target.clone());
            self.push(Line { number: 0, source, target, tag: tag.clone() });
        }
    }
}

impl Config {
    fn add_found(&mut self, Addition { entry, tags }: &Addition) {
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
