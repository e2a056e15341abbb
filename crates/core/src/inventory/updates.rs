//! What version sources announce, and what of that an inventory lacks.

use std::collections::BTreeMap;
use std::time::Duration;

use imgop_registry::reference::{Repository, Tag};

use super::child::Selected;
use super::error::{InventoryError, InventoryProblem, Place};
use super::read::{Entry, Inventory, report};
use crate::api::{
    GithubFileSource, GithubReleaseSource, MirrorUpdate, RegistryTagsSource, TakenTags, UpdateMode,
    UpdatedEntry,
};
use crate::formats::rancher::Source;
use crate::selection::SourceRef;
use crate::sources::{
    Constraint, EntryRef, FoundImage, GithubFile, GithubRelease, GithubRepository, Pick, RegistryTags,
    ReleaseRule, TagRegex, Update, VersionSource,
};
use crate::time::parse_duration;

/// An update of an `ImageMirror` that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorUpdateRequest {
    /// What is looked for.
    pub update: Update,
    /// What becomes of what is found.
    pub mode: UpdateMode,
    /// How long lies between two looks.
    pub period: Duration,
    /// The Secret whose token goes to GitHub.
    pub token_secret: Option<String>,
}

/// Tags that an entry of an inventory lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingTags {
    /// The source of the entry, as it writes it.
    pub source: String,
    /// Its `targetName`.
    pub target_name: Option<String>,
    /// The tags, sorted, at least one.
    pub tags: Vec<Tag>,
}

impl MissingTags {
    /// Returns them as `SOURCE:TAG`.
    pub fn references(&self) -> impl Iterator<Item = String> {
        self.tags.iter().map(|tag| format!("{}:{tag}", self.source))
    }
}

impl MirrorUpdateRequest {
    /// Reads the updates of a spec.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn read_all(updates: &[MirrorUpdate]) -> Result<Vec<Self>, InventoryError> {
        let mut problems = Vec::new();
        let read = updates.iter().enumerate().map(|(i, update)| {
            let place = Place::Spec(format!("updates[{i}]"));
            read(update, &place, &mut problems)
        });
        let read: Vec<Self> = read.collect::<Vec<_>>().into_iter().flatten().collect();
        if problems.is_empty() { Ok(read) } else { Err(InventoryError { problems }) }
    }
}

fn read(
    update: &MirrorUpdate,
    place: &Place,
    problems: &mut Vec<InventoryProblem>,
) -> Option<MirrorUpdateRequest> {
    let from = &update.from;
    let (source, token_secret) = match (&from.github_release, &from.github_file, &from.registry) {
        (Some(release), None, None) => {
            (github_release(release, place, problems), release.token_secret_name.clone())
        }
        (None, Some(file), None) => (github_file(file, place, problems), file.token_secret_name.clone()),
        (None, None, Some(tags)) => (registry(tags, place, problems), None),
        _ => {
            report(
                problems,
                &place.field("from"),
                "it must have one of githubRelease, githubFile and registry",
            );
            return None;
        }
    };
    let source = source?;
    if update.entries.is_empty() && !matches!(source, VersionSource::GithubFile(_)) {
        report(problems, &place.field("entries"), "there is none; name the entries that receive the tags");
        return None;
    }
    let entries = update.entries.iter().enumerate();
    let entries =
        entries.map(|(i, entry)| entry_ref(entry, &place.field(&format!("entries[{i}]")), problems));
    let entries: Vec<EntryRef> = entries.collect::<Vec<_>>().into_iter().flatten().collect();
    let Ok(period) = parse_duration(&update.frequency) else {
        report(problems, &place.field("frequency"), "write whole numbers with s, m, h, d or w, such as 6h");
        return None;
    };
    let entries = Some(entries).filter(|entries| !entries.is_empty());
    let mode = update.mode;
    let update = Update { name: update.name.clone(), source, entries, reviewers: Vec::new() };
    Some(MirrorUpdateRequest { update, mode, period, token_secret })
}

fn entry_ref(entry: &UpdatedEntry, place: &Place, problems: &mut Vec<InventoryProblem>) -> Option<EntryRef> {
    match Source::parse(&entry.source) {
        Ok(source) => Some(EntryRef { source, target_name: entry.target_name.clone() }),
        Err(message) => {
            report(problems, &place.field("source"), message);
            None
        }
    }
}

fn github_release(
    release: &GithubReleaseSource,
    place: &Place,
    problems: &mut Vec<InventoryProblem>,
) -> Option<VersionSource> {
    let place = place.field("from.githubRelease");
    let rule =
        rule(release.version_regex.as_deref(), release.version_constraint.as_deref(), &place, problems)?;
    let repository = GithubRepository { owner: release.owner.clone(), name: release.repository.clone() };
    Some(VersionSource::GithubRelease(GithubRelease {
        repository,
        is_latest_only: release.latest_only,
        rule,
    }))
}

fn github_file(
    file: &GithubFileSource,
    place: &Place,
    problems: &mut Vec<InventoryProblem>,
) -> Option<VersionSource> {
    let place = place.field("from.githubFile");
    let rule = rule(file.version_regex.as_deref(), file.version_constraint.as_deref(), &place, problems)?;
    let repository = GithubRepository { owner: file.owner.clone(), name: file.repository.clone() };
    Some(VersionSource::GithubFile(GithubFile { repository, path: file.path.clone(), rule }))
}

fn registry(
    tags: &RegistryTagsSource,
    place: &Place,
    problems: &mut Vec<InventoryProblem>,
) -> Option<VersionSource> {
    let place = place.field("from.registry.versionFilter");
    let filter = regex(tags.version_filter.as_deref(), &place, problems)?;
    let pick = match tags.take {
        TakenTags::All => Pick::All,
        TakenTags::Latest => Pick::Latest,
        TakenTags::LatestEntry => Pick::LatestEntry,
        TakenTags::LatestRevision => Pick::LatestRevision,
    };
    Some(VersionSource::Registry(RegistryTags { filter, pick, is_each: tags.each }))
}

fn rule(
    expression: Option<&str>,
    constraint: Option<&str>,
    place: &Place,
    problems: &mut Vec<InventoryProblem>,
) -> Option<ReleaseRule> {
    let regex = regex(expression, &place.field("versionRegex"), problems)?;
    let constraint = match constraint.map(str::parse::<Constraint>).transpose() {
        Ok(constraint) => constraint,
        Err(error) => {
            report(problems, &place.field("versionConstraint"), error);
            return None;
        }
    };
    Some(ReleaseRule { regex, constraint, ..ReleaseRule::default() })
}

/// Returns nothing where there is a problem, and nothing in what it returns where there is no expression.
#[expect(clippy::option_option, reason = "a problem is not the same as no expression")]
fn regex(
    text: Option<&str>,
    place: &Place,
    problems: &mut Vec<InventoryProblem>,
) -> Option<Option<TagRegex>> {
    match text.map(str::parse::<TagRegex>).transpose() {
        Ok(regex) => Some(regex),
        Err(error) => {
            report(problems, place, error);
            None
        }
    }
}

impl Inventory {
    /// Returns what of these images its entries lack. Excluded entries and tags lack nothing.
    pub fn missing(&self, found: &[FoundImage]) -> Vec<MissingTags> {
        let mut missing: BTreeMap<(&str, Option<&str>), Vec<Tag>> = BTreeMap::new();
        for image in found {
            for entry in self.entries.iter().filter(|entry| entry.is_named(&image.entry)) {
                let tags = image.tags.iter().filter_map(|tag| tag.parse().ok());
                let tags = tags.filter(|tag| !entry.has(tag));
                missing.entry((&entry.written, entry.target_name.as_deref())).or_default().extend(tags);
            }
        }
        let missing = missing.into_iter().filter(|(_, tags)| !tags.is_empty());
        let missing = missing.map(|((source, target_name), mut tags)| {
            tags.sort();
            tags.dedup();
            MissingTags { source: source.to_owned(), target_name: target_name.map(str::to_owned), tags }
        });
        missing.collect()
    }

    /// Adds tags to entries.
    pub fn add(&mut self, additions: &[MissingTags]) {
        for MissingTags { source, target_name, tags } in additions {
            let named = |entry: &&mut Entry| entry.written == *source && entry.target_name == *target_name;
            let Some(entry) = self.entries.iter_mut().find(named) else { continue };
            entry.add(tags);
        }
    }

    /// Adds tags that version sources added before, and that an Image has kept: what they announced once stays, even if
    /// they announce it no more, and if the update only proposes by now. Entries that no update names any more lose them.
    pub fn restore(
        &mut self,
        source: &str,
        destination: &str,
        tags: &[Tag],
        updates: &[MirrorUpdateRequest],
    ) {
        let named: Vec<Option<&[EntryRef]>> =
            updates.iter().map(|update| update.update.entries.as_deref()).collect();
        for entry in &mut self.entries {
            let is_named = named.iter().any(|entries| {
                entries.is_none_or(|entries| entries.iter().any(|named| entry.is_named(named)))
            });
            let goes_there = |(_, _, there): &(usize, String, Repository)| there.to_string() == destination;
            if is_named && entry.source.to_string() == source && entry.destinations.iter().any(goes_there) {
                entry.add(tags);
            }
        }
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

    fn is_named(&self, entry: &EntryRef) -> bool {
        !self.excluded && self.written == entry.source.as_str() && self.target_name == entry.target_name
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

#[cfg(test)]
mod tests;
