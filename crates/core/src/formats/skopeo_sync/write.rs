//! Rows to the file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use imgop_registry::reference::{ReferenceError, Repository};

use crate::formats::yaml::Out;
use crate::inventory::Row;
use crate::selection::Version;

/// A file, and what of its rows it does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub text: String,
    /// What is not said, each as a sentence.
    pub not_carried: Vec<String>,
}

/// What is copied of a repository.
#[derive(Debug, Default)]
struct Selection {
    /// Tags and contents.
    exact: Vec<String>,
    ranges: Vec<String>,
    /// Regular expressions.
    patterns: Vec<String>,
    has_all: bool,
}

/// Returns the file of these rows, each repository once whatever its targets are.
///
/// # Errors
/// A source that is no repository.
pub fn written(rows: &[Row]) -> Result<Written, ReferenceError> {
    let mut registries: BTreeMap<String, BTreeMap<String, Selection>> = BTreeMap::new();
    let mut not_carried = Vec::new();
    for row in rows {
        let (name, selected) = split(&row.source);
        let source: Repository = name.parse()?;
        let repositories = registries.entry(source.host().to_string()).or_default();
        let selection = repositories.entry(source.path().to_owned()).or_default();
        if let Some((tag, _)) = selected.split_once('@') {
            let reference = &row.source;
            let problem = format!("the tag {tag} of {reference}; skopeo sync writes a content without a tag");
            if !not_carried.contains(&problem) {
                not_carried.push(problem);
            }
        }
        // A tag that looks like a pattern has a tag at its destination as well.
        selection.add(selected, !split(&row.destination).1.is_empty());
    }
    let registries =
        registries.into_iter().map(|(registry, repositories)| (Cow::Owned(registry), fields(repositories)));
    Ok(Written { text: Out::Map(registries.collect()).document(), not_carried })
}

impl Selection {
    fn add(&mut self, selected: &str, is_one: bool) {
        let (list, text) = match selected.parse::<Version>() {
            _ if is_one => (&mut self.exact, selected.rsplit('@').next().unwrap_or(selected).to_owned()),
            Ok(Version::Every) => {
                self.has_all = true;
                return;
            }
            Ok(Version::Range(_)) => (&mut self.ranges, selected.to_owned()),
            Ok(version @ Version::Pattern(_)) => {
                (&mut self.patterns, version.expression().unwrap_or_default())
            }
            _ => (&mut self.exact, selected.to_owned()),
        };
        if !list.contains(&text) {
            list.push(text);
        }
    }
}

/// Returns the fields of a registry. A repository stands in each of them once, so that several ranges are one.
fn fields(repositories: BTreeMap<String, Selection>) -> Out {
    let (mut images, mut ranges, mut patterns) = (Vec::new(), Vec::new(), Vec::new());
    for (repository, selection) in repositories {
        let repository: Cow<'static, str> = Cow::Owned(repository);
        if selection.has_all {
            images.push((repository, Out::texts(&[])));
            continue;
        }
        if !selection.exact.is_empty() {
            images.push((repository.clone(), Out::texts(&selection.exact)));
        }
        if !selection.ranges.is_empty() {
            ranges.push((repository.clone(), Out::Text(selection.ranges.join(" || "))));
        }
        if !selection.patterns.is_empty() {
            patterns.push((repository, Out::Text(format!("^({})$", selection.patterns.join("|")))));
        }
    }
    let all = [("images", images), ("images-by-semver", ranges), ("images-by-tag-regex", patterns)];
    Out::fields(all.into_iter().filter(|(_, map)| !map.is_empty()).map(|(name, map)| (name, Out::Map(map))))
}

/// Returns a reference's repository and what stands behind it.
fn split(reference: &str) -> (&str, &str) {
    let end = reference.find('@').unwrap_or(reference.len());
    let slash = reference[..end].rfind('/').unwrap_or(0);
    match reference[slash..end].find(':') {
        Some(at) => (&reference[..slash + at], &reference[slash + at + 1..]),
        None => (&reference[..end], reference.get(end + 1..).unwrap_or_default()),
    }
}
