//! What a version source announces now.

mod charts;

use std::collections::{HashMap, HashSet};

use imgop_registry::RegistryError;
use imgop_registry::reference::{Repository, Tag};

use super::charts::{ChartError, ChartLimits};
use super::fetch::Fetch;
use super::github::{Github, GithubError, GithubLimit, GithubMemory, GithubUrls};
use super::registry::{Pick, RegistryTags};
use super::{
    EntryRef, Found, FoundImage, GithubFile, GithubRelease, Note, Update, VersionSource, charts::ChartImages,
};
use crate::formats::rancher::Source;

/// Tags of a repository that are taken at most: more are a filter that selects too much.
const MAX_TAGS: usize = 2_000;
/// Images that files of a repository of GitHub may list, all releases together.
const MAX_LISTED: usize = 20_000;

/// Looks for new versions.
#[derive(Debug)]
pub struct Finder<'a, F> {
    /// The world outside.
    pub fetch: &'a F,
    /// Where GitHub is.
    pub github: &'a GithubUrls,
    /// What GitHub answered before.
    pub memory: &'a GithubMemory,
    /// When GitHub takes requests of this credential.
    pub limit: GithubLimit<'a>,
    /// How much is read of charts.
    pub charts: ChartLimits,
}

/// Why nothing is known. What was known before stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// GitHub was of no use.
    #[error(transparent)]
    Github(#[from] GithubError),
    /// A registry was of no use.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Helm was of no use.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// No entry is named whose tags could be asked for.
    #[error("no image is listed, so that there is none to ask for tags")]
    NoImages,
    /// A source that no registry has.
    #[error("{0}: {1}")]
    NotARepository(String, String),
    /// All tags were left out.
    #[error("no tag of {0} is selected; check the filter")]
    NothingSelected(String),
    /// More tags than an entry could have.
    #[error("{count} tags of {name} are selected, and {MAX_TAGS} is the most; narrow the filter")]
    TooManyTags {
        /// The repository.
        name: String,
        /// How many.
        count: usize,
    },
    /// More images than are worth a look.
    #[error("{0} lists more than {MAX_LISTED} images at its releases together; narrow versionConstraint")]
    TooManyListed(String),
    /// The registry does not say when tags were pushed.
    #[error(
        "{0} does not say when its tags were pushed; take the newest version instead of the latest entry"
    )]
    NoTimes(String),
}

impl<F: Fetch> Finder<'_, F> {
    /// Returns what the source of an update announces.
    pub async fn find(&self, update: &Update) -> Result<Found, FindError> {
        match &update.source {
            VersionSource::GithubRelease(release) => self.releases(release, update).await,
            VersionSource::GithubFile(file) => self.images_file(file, update).await,
            VersionSource::Registry(tags) => self.registry(tags, update).await,
            VersionSource::HelmChart(charts) => Ok(self.charts(charts, update).await?),
        }
    }

    fn github(&self) -> Github<'_, F> {
        Github { fetch: self.fetch, urls: self.github, memory: self.memory, limit: self.limit }
    }

    async fn releases(&self, source: &GithubRelease, update: &Update) -> Result<Found, FindError> {
        let releases = if source.is_latest_only {
            vec![self.github().latest_release(&source.repository).await?]
        } else {
            self.github().releases(&source.repository).await?
        };
        let outcome = source.rule.select(&releases);
        let tags: Vec<String> = outcome.selected.into_iter().map(|(_, tag)| tag).collect();
        let mut found = Found::default();
        found.notes.extend((!outcome.unreadable.is_empty()).then_some(Note::NoVersions(outcome.unreadable)));
        let entries = update.entries.as_deref().filter(|entries| !entries.is_empty());
        for entry in entries.ok_or(FindError::NoImages)? {
            found.add_tags(entry, &tags);
        }
        Ok(found)
    }

    async fn images_file(&self, source: &GithubFile, update: &Update) -> Result<Found, FindError> {
        let releases = self.github().releases(&source.repository).await?;
        let outcome = source.rule.select(&releases);
        let mut images = ChartImages::default();
        images.notes.extend((!outcome.unreadable.is_empty()).then_some(Note::NoVersions(outcome.unreadable)));
        for (release, _) in outcome.selected {
            let text = self.github().file(&source.repository, &release, &source.path).await?;
            images.add_lines(&text);
            if images.images.len() > MAX_LISTED {
                return Err(FindError::TooManyListed(source.path.clone()));
            }
        }
        Ok(images.of_entries(update, &[]))
    }

    async fn registry(&self, rule: &RegistryTags, update: &Update) -> Result<Found, FindError> {
        let entries = update.entries.as_deref().unwrap_or_default();
        let first = entries.first().ok_or(FindError::NoImages)?;
        let mut found = Found::default();
        if rule.is_each {
            for entry in entries {
                let tags = self.tags_of(rule, &entry.source).await?;
                found.add_tags(entry, &tags);
            }
            return Ok(found);
        }
        let tags = self.tags_of(rule, &first.source).await?;
        for entry in entries {
            found.add_tags(entry, &tags);
        }
        Ok(found)
    }

    async fn tags_of(&self, rule: &RegistryTags, source: &Source) -> Result<Vec<String>, FindError> {
        let name = source.as_str();
        let repository: Repository =
            name.parse().map_err(|error: imgop_registry::reference::ReferenceError| {
                FindError::NotARepository(name.to_owned(), error.to_string())
            })?;
        let all = self.fetch.tags(&repository).await?;
        let mut picked = rule.picked(rule.filtered(&all));
        if rule.pick == Pick::LatestEntry {
            picked = self.pushed_last(&repository, picked).await?;
        }
        if picked.is_empty() {
            return Err(FindError::NothingSelected(name.to_owned()));
        }
        if picked.len() > MAX_TAGS {
            return Err(FindError::TooManyTags { name: name.to_owned(), count: picked.len() });
        }
        Ok(picked.iter().map(ToString::to_string).collect())
    }

    async fn pushed_last(&self, repository: &Repository, tags: Vec<Tag>) -> Result<Vec<Tag>, FindError> {
        let pushed = self.fetch.pushed(repository, &tags).await?;
        let last = tags.into_iter().filter_map(|tag| pushed.get(&tag).map(|time| (*time, tag))).max();
        last.map(|(_, tag)| vec![tag]).ok_or_else(|| FindError::NoTimes(repository.host().to_string()))
    }
}

impl Found {
    /// Adds tags to what an entry has.
    fn add_tags(&mut self, entry: &EntryRef, tags: &[String]) {
        let at = self.images.iter().position(|image| image.entry == *entry).unwrap_or_else(|| {
            self.images.push(FoundImage { entry: entry.clone(), tags: Vec::new() });
            self.images.len() - 1
        });
        let Some(image) = self.images.get_mut(at) else { return };
        let mut known: HashSet<String> = image.tags.iter().cloned().collect();
        for tag in tags {
            if tag.parse::<Tag>().is_err() {
                let note = Note::NotATag(tag.clone());
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            } else if known.insert(tag.clone()) {
                image.tags.push(tag.clone());
            }
        }
    }
}

impl ChartImages {
    /// Adds the images of a file that lists one a line. Rancher's own need no copy.
    fn add_lines(&mut self, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match super::charts::split(line) {
                Ok((repository, _)) if repository.starts_with("rancher/") => {}
                Ok(image) => self.insert(image),
                Err(note) => self.note(note),
            }
        }
    }

    /// Returns the images of the update's entries. What the denylist has is not looked at.
    fn of_entries(self, update: &Update, denylist: &[String]) -> Found {
        let mut found = Found { images: Vec::new(), notes: self.notes };
        let denied: HashSet<&str> =
            denylist.iter().map(|denied| denied.strip_prefix("docker.io/").unwrap_or(denied)).collect();
        for (repository, tags) in by_repository(self.images) {
            if denied.contains(repository.as_str()) {
                continue;
            }
            match entry_for(update, &repository) {
                Some(entry) => found.add_tags(&entry, &tags),
                None => found.notes.push(Note::NotListed(repository)),
            }
        }
        found
    }
}

/// Returns the tags of each repository, in the order in which they were found.
fn by_repository(images: Vec<(String, String)>) -> Vec<(String, Vec<String>)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for (repository, tag) in images {
        let at = *places.entry(repository.clone()).or_insert_with(|| {
            all.push((repository, Vec::new()));
            all.len() - 1
        });
        all[at].1.push(tag);
    }
    all
}

/// Returns the entry that an image belongs to: that with this source as it is written, else one that means the same
/// repository. Where the update names no entry, it is the one with the default name.
fn entry_for(update: &Update, repository: &str) -> Option<EntryRef> {
    let Some(entries) = &update.entries else {
        let source =
            Source::parse(repository).or_else(|_| Source::parse(&format!("library/{repository}"))).ok()?;
        return Some(EntryRef { source, target_name: None });
    };
    let parsed = repository.parse::<Repository>().ok()?;
    let is_same =
        |entry: &&EntryRef| entry.source.as_str().parse::<Repository>().is_ok_and(|other| other == parsed);
    let written = entries.iter().find(|entry| entry.source.as_str() == repository);
    written.or_else(|| entries.iter().find(is_same)).cloned()
}
