//! Tags that are added to the entries of a file.

use imgop_registry::reference::{ReferenceError, Repository};

use super::images_list::{ImagesList, Line};
use super::rancher::{Config, Entry, Exclusion, Source};

/// Tags that a source should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The source repository.
    pub source: String,
    /// Its tags.
    pub tags: Vec<String>,
}

/// An entry that is made where a source has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewEntry {
    /// Its name at the targets, if not the default one; in an images-list its whole repository.
    pub target_name: Option<String>,
}

/// Why tags are not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The source has no entry.
    #[error("{0} has no entry; --create makes one")]
    NoEntry(String),
    /// The source has several entries, and none of them is the one to add to.
    #[error("{source_name} goes to {}, and not exactly one of them is mirrored-…; edit the file", names.join(" and "))]
    SeveralNames {
        /// The source.
        source_name: String,
        /// The names.
        names: Vec<String>,
    },
    /// A source of which no entry can be made.
    #[error("{0}")]
    Source(String),
    /// A name that no repository can have.
    #[error("the name at the target is {name:?}: {problem}; give another one with --target-name")]
    TargetName {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A list without a name rule.
    #[error("an images-list has no rule for names; give --target-name, such as acme/mirrored-a-b")]
    NoTargetName,
}

impl Config {
    /// Adds tags to the entry of a source; of several to the one whose name begins with `mirrored-`. Returns the tags that were
    /// not there.
    ///
    /// # Errors
    /// Where not exactly one entry is found. The configuration is as it was then.
    pub fn add(&mut self, wanted: &Wanted, new: Option<&NewEntry>) -> Result<Vec<String>, AddError> {
        let is_same = |entry: &Entry| is_same(entry.source.as_str(), &wanted.source);
        let of_source = self.entries.iter().enumerate().filter(|(_, entry)| is_same(entry));
        let names: Vec<(usize, String)> = of_source.map(|(at, entry)| (at, entry.effective_name())).collect();
        let at = match (one_of(&wanted.source, &names)?, new) {
            (Some(at), _) => at,
            (None, Some(new)) => {
                self.entries.push(Entry::new(&wanted.source, new.target_name.clone())?);
                self.entries.len() - 1
            }
            (None, None) => return Err(AddError::NoEntry(wanted.source.clone())),
        };
        let tags = &mut self.entries[at].tags;
        let added: Vec<String> = missing(&wanted.tags, |tag| tags.contains(tag)).collect();
        tags.extend(added.iter().cloned());
        Ok(added)
    }
}

impl Entry {
    fn new(source: &str, target_name: Option<String>) -> Result<Self, AddError> {
        let source = Source::parse(source).map_err(AddError::Source)?;
        let name = target_name.clone().unwrap_or_else(|| source.default_name());
        check_name(&format!("r.invalid/{name}"), &name)?;
        Ok(Self {
            line: 0,
            target_name: target_name.filter(|name| *name != source.default_name()),
            source,
            tags: Vec::new(),
            exclusion: Exclusion::Unset,
            targets: Vec::new(),
        })
    }
}

impl ImagesList {
    /// Adds tags to the lines of a source, as [`Config::add`] does.
    ///
    /// # Errors
    /// Where not exactly one target is found. The list is as it was then.
    pub fn add(&mut self, wanted: &Wanted, new: Option<&NewEntry>) -> Result<Vec<String>, AddError> {
        let (source, target) = match (self.place_of(&wanted.source, None)?, new) {
            (Some(found), _) => found,
            (None, Some(new)) => {
                let target = new.target_name.clone().ok_or(AddError::NoTargetName)?;
                check_name(&target, &target)?;
                (wanted.source.clone(), target)
            }
            (None, None) => return Err(AddError::NoEntry(wanted.source.clone())),
        };
        let has = |tag: &String| {
            self.lines().iter().any(|line| line.source == source && line.target == target && line.tag == *tag)
        };
        let added: Vec<String> = missing(&wanted.tags, has).collect();
        for tag in &added {
            self.push(Line { number: 0, source: source.clone(), target: target.clone(), tag: tag.clone() });
        }
        Ok(added)
    }

    /// Returns source and target of the lines that tags of a source are added to, as those lines write them. With a name only
    /// lines count whose target is called so, in its last part or as a whole.
    ///
    /// # Errors
    /// Where several targets come into question.
    pub fn place_of(&self, source: &str, name: Option<&str>) -> Result<Option<(String, String)>, AddError> {
        let is_called =
            |target: &str| name.is_none_or(|name| target == name || target.rsplit('/').next() == Some(name));
        let lines =
            self.lines().iter().filter(|line| is_same(&line.source, source) && is_called(&line.target));
        let places: Vec<((String, String), String)> =
            lines.map(|line| ((line.source.clone(), line.target.clone()), line.target.clone())).collect();
        one_of(source, &places)
    }
}

/// Fails where a repository at a target is none; `name` is what of it was given.
fn check_name(repository: &str, name: &str) -> Result<(), AddError> {
    let error = |problem: ReferenceError| AddError::TargetName {
        name: name.to_owned(),
        problem: problem.to_string(),
    };
    repository.parse::<Repository>().map(drop).map_err(error)
}

/// Whether two texts are one repository.
pub(crate) fn is_same(a: &str, b: &str) -> bool {
    let parse = |text: &str| text.parse::<Repository>().ok();
    let last = |text: &str| text.rsplit('/').next().map(str::to_owned);
    a == b || last(a) == last(b) && parse(a).zip(parse(b)).is_some_and(|(a, b)| a.is_same_place(&b))
}

/// Returns the entry that tags are added to, if one can be told: the only one, or the only one that is called `mirrored-…`.
fn one_of<T: Clone + PartialEq>(source: &str, names: &[(T, String)]) -> Result<Option<T>, AddError> {
    let mut distinct: Vec<&(T, String)> = Vec::new();
    for name in names {
        if !distinct.iter().any(|known| known.1 == name.1) {
            distinct.push(name);
        }
    }
    let is_mirrored = |name: &str| name.rsplit('/').next().is_some_and(|last| last.starts_with("mirrored-"));
    let mirrored: Vec<&&(T, String)> = distinct.iter().filter(|(_, name)| is_mirrored(name)).collect();
    match (distinct.as_slice(), mirrored.as_slice()) {
        ([], _) => Ok(None),
        ([only], _) => Ok(Some(only.0.clone())),
        (_, [only]) => Ok(Some(only.0.clone())),
        _ => Err(AddError::SeveralNames {
            source_name: source.to_owned(),
            names: distinct.iter().map(|(_, name)| name.clone()).collect(),
        }),
    }
}

/// Returns what is not there, each once.
fn missing(tags: &[String], mut has: impl FnMut(&String) -> bool) -> impl Iterator<Item = String> {
    let mut missing: Vec<String> = Vec::new();
    for tag in tags {
        if !has(tag) && !missing.contains(tag) {
            missing.push(tag.clone());
        }
    }
    missing.into_iter()
}
