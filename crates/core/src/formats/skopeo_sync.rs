//! The file of `skopeo sync --src yaml`: repositories with their tags, by registry. Where they go to is an argument there.

use std::borrow::Cow;
use std::collections::BTreeMap;

use imgop_registry::reference::Repository;

use super::yaml::{self, Fields, Node, Out, Value};
use super::{Content, FormatError, Problem};
use crate::api::{MirrorEntry, Tls, TlsMode};
use crate::inventory::FileEntry;
use crate::selection::Version;

const NOT_CARRIED: [(&str, &str); 2] = [
    ("credentials", "user and password; put them into a Secret and name it in sources[].credentials"),
    ("cert-dir", "certificates; put ca.crt into a Secret and name it in sources[].tls.caSecretName"),
];

/// Reads it. Its entries have no targets.
///
/// # Errors
/// The first thing that is wrong, with its line and field.
pub(super) fn read(text: &str) -> Result<Content, FormatError> {
    let mut content = Content::default();
    let Some(document) = yaml::read(text)? else { return Ok(content) };
    for (registry, node) in Fields::of(document, "")?.rest() {
        let mut fields = Fields::of(node, registry.as_str())?;
        for (repository, tags) in pairs(&mut fields, "images")? {
            let tags = tags_of(tags, &fields, &repository)?;
            content.push(&registry, &repository, &fields, tags)?;
        }
        for (repository, node) in pairs(&mut fields, "images-by-semver")? {
            let field = format!("images-by-semver.{repository}");
            let text = text_of(&node, &fields, &field)?;
            match text.parse::<Version>() {
                Ok(Version::Range(_)) => {
                    content.push(&registry, &repository, &fields, (node.line, vec![text]))?;
                }
                _ => content.notes.push(fields.error(node.line, &field, not_a_range(&text))),
            }
        }
        for (repository, node) in pairs(&mut fields, "images-by-tag-regex")? {
            let problem = "tags by a regular expression; list the tags, or write a pattern or a range into entries[].tags";
            let field = format!("images-by-tag-regex.{repository}");
            content.notes.push(fields.error(node.line, &field, Problem::NotCarried(problem.to_owned())));
        }
        if fields.bool("tls-verify")? == Some(false) {
            content.secure(&registry, Tls { mode: TlsMode::SkipVerify, ..Tls::default() });
        }
        content.notes.extend(fields.not_carried(&NOT_CARRIED)?);
        fields.finish()?;
    }
    Ok(content)
}

fn pairs(fields: &mut Fields, name: &'static str) -> Result<Vec<(String, Node)>, FormatError> {
    Ok(fields.object(name)?.map(|mut repositories| repositories.rest()).unwrap_or_default())
}

fn text_of(node: &Node, fields: &Fields, field: &str) -> Result<String, FormatError> {
    match &node.value {
        Value::Scalar { text, .. } => Ok(text.clone()),
        other => {
            let problem = Problem::Type { expected: "text", found: other.kind() };
            Err(fields.error(node.line, field, problem))
        }
    }
}

fn not_a_range(text: &str) -> Problem {
    Problem::NotCarried(format!("{text:?}, which is no range of comparisons such as >=1.2 <2"))
}

/// Returns the tags of a repository; none stands for all.
fn tags_of(node: Node, fields: &Fields, repository: &str) -> Result<(usize, Vec<String>), FormatError> {
    let (line, field) = (node.line, format!("images.{repository}"));
    let list = match node.value {
        _ if yaml::is_null(&node) => Vec::new(),
        Value::List(list) => list,
        other => {
            let problem = Problem::Type { expected: "a list of tags", found: other.kind() };
            return Err(fields.error(line, &field, problem));
        }
    };
    let tags: Vec<String> = list
        .iter()
        .enumerate()
        .map(|(at, node)| text_of(node, fields, &format!("{field}[{at}]")))
        .collect::<Result<_, _>>()?;
    Ok((line, if tags.is_empty() { vec![Version::Every.to_string()] } else { tags }))
}

impl Content {
    fn push(
        &mut self,
        registry: &str,
        repository: &str,
        fields: &Fields,
        (line, tags): (usize, Vec<String>),
    ) -> Result<(), FormatError> {
        let source = format!("{registry}/{repository}");
        source
            .parse::<Repository>()
            .map_err(|error| fields.error(line, repository, Problem::Value(error.to_string())))?;
        let entry = MirrorEntry { source, tags, ..MirrorEntry::default() };
        self.entries.push(FileEntry { line, entry });
        Ok(())
    }
}

/// Returns the file that names these sources.
pub fn written<'a>(sources: impl Iterator<Item = (&'a Repository, &'a [String])>) -> String {
    let mut registries: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for (source, tags) in sources {
        let repositories = registries.entry(source.host().to_string()).or_default();
        let known = repositories.entry(source.path().to_owned()).or_default();
        for tag in tags {
            if !known.contains(tag) {
                known.push(tag.clone());
            }
        }
    }
    let registries = registries.into_iter().map(|(registry, repositories)| {
        let (mut images, mut ranges) = (Vec::new(), Vec::new());
        for (repository, tags) in repositories {
            let is_range = |tag: &String| matches!(tag.parse(), Ok(Version::Range(_)));
            let (of_ranges, exact): (Vec<_>, Vec<_>) = tags.into_iter().partition(is_range);
            let all = exact.iter().any(|tag| *tag == Version::Every.to_string());
            let exact = if all { Vec::new() } else { exact };
            if all || !exact.is_empty() {
                images.push((Cow::Owned(repository.clone()), Out::texts(&exact)));
            }
            ranges
                .extend(of_ranges.into_iter().next().map(|range| (Cow::Owned(repository), Out::Text(range))));
        }
        let mut fields = Vec::new();
        fields.extend((!images.is_empty()).then_some(("images", Out::Map(images))));
        fields.extend((!ranges.is_empty()).then_some(("images-by-semver", Out::Map(ranges))));
        (Cow::Owned(registry), Out::fields(fields))
    });
    Out::Map(registries.collect()).document()
}
