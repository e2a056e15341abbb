//! The rules of image-syncer: an object whose names are sources and whose values are destinations, in YAML or JSON, alone
//! or as the field `images` of its older file.

use imgop_registry::reference::{Reference, Repository, Tag};

use super::pairs::{self, Pair};
use super::yaml::{self, Fields, Node, Value};
use super::{Content, FormatError, Problem};
use crate::selection::Version;

/// Of the older file.
const OF_FILE: [(&str, &str); 5] = [
    (
        "auth",
        "users and passwords; put them into Secrets and name those in targets[].credentials and sources[].credentials",
    ),
    ("proc", "how many images are copied at once; the agent has settings for that"),
    ("retries", "how often a copy is tried again; the agent does so by itself"),
    ("records", "image-syncer's own memory"),
    ("log", "where image-syncer logs to"),
];

/// Reads it.
///
/// # Errors
/// The first thing that is wrong, with its line and field.
pub(super) fn read(text: &str) -> Result<Content, FormatError> {
    let Some(document) = yaml::read(text)? else { return Ok(Content::default()) };
    let mut file = Fields::of(document, "")?;
    let mut notes = file.not_carried(&OF_FILE)?;
    let default = default_target(&mut file)?;
    let images = file.take("images")?;
    let (mut rules, path) = match images {
        Some(node) => {
            let rules = Fields::of(node, "images")?;
            file.finish()?;
            (rules, "images.")
        }
        None => (file, ""),
    };
    let mut pairs = Vec::new();
    for (source, node) in rules.rest() {
        let field = format!("{path}{source}");
        let source = Rule::read(&source, node.line, &field)?;
        let Some(source) = source else {
            let problem = "tags by a regular expression; list the tags, or write a pattern or a range into entries[].tags";
            notes.push(FormatError { line: node.line, field, problem: Problem::LeftOut(problem.to_owned()) });
            continue;
        };
        for (line, destination) in destinations(node, &field)? {
            match pair(&source, &destination, default.as_deref(), (line, &field))? {
                Ok(pair) => pairs.push(pair),
                Err(problem) => notes.push(FormatError { line, field: field.clone(), problem }),
            }
        }
    }
    let mut content = pairs::content(pairs);
    content.notes.extend(notes);
    Ok(content)
}

/// Returns where images go to whose destination is empty.
fn default_target(file: &mut Fields) -> Result<Option<String>, FormatError> {
    let (registry, namespace) = (file.text("registry")?, file.text("namespace")?);
    Ok(registry.zip(namespace).map(|((_, registry), (_, namespace))| format!("{registry}/{namespace}")))
}

fn destinations(node: Node, field: &str) -> Result<Vec<(usize, String)>, FormatError> {
    let line = node.line;
    let wrong = |line, found| FormatError {
        line,
        field: field.to_owned(),
        problem: Problem::Type { expected: "a destination or a list of them", found },
    };
    match node.value {
        Value::Scalar { text, .. } => Ok(vec![(line, text)]),
        Value::List(list) => {
            let texts = list.into_iter().map(|node| match node.value {
                Value::Scalar { text, .. } => Ok((node.line, text)),
                other => Err(wrong(node.line, other.kind())),
            });
            texts.collect()
        }
        other @ Value::Map(_) => Err(wrong(line, other.kind())),
    }
}

/// The source of a rule.
struct Rule {
    repository: String,
    tags: Vec<String>,
}

impl Rule {
    /// Reads it; none has tags by a regular expression.
    fn read(text: &str, line: usize, field: &str) -> Result<Option<Self>, FormatError> {
        let error =
            |error: String| FormatError { line, field: field.to_owned(), problem: Problem::Value(error) };
        if text.ends_with('/') {
            return Ok(None);
        }
        // Further tags stand behind the first.
        let first = text.split_once(',').map_or(text, |(first, _)| first);
        let reference: Reference = first
            .parse()
            .map_err(|problem: imgop_registry::reference::ReferenceError| error(problem.to_string()))?;
        let Some(version) = reference.version else {
            return Ok(Some(Self { repository: text.to_owned(), tags: vec![Version::Every.to_string()] }));
        };
        let at = first.len() - version.len();
        let repository = text[..at].trim_end_matches([':', '@']).to_owned();
        let tags: Vec<String> = text[at..].split(',').map(str::to_owned).collect();
        for tag in tags.iter().filter(|tag| !tag.contains(':')) {
            tag.parse::<Tag>().map_err(|problem| error(problem.to_string()))?;
        }
        Ok(Some(Self { repository, tags }))
    }
}

/// Returns the pair of a rule, or why it is not carried.
fn pair(
    source: &Rule,
    destination: &str,
    default: Option<&str>,
    (line, field): (usize, &str),
) -> Result<Result<Pair, Problem>, FormatError> {
    let error =
        |problem: String| FormatError { line, field: field.to_owned(), problem: Problem::Value(problem) };
    let name = source.repository.rsplit('/').next().unwrap_or_default();
    let destination = match (destination, default) {
        ("", Some(default)) => format!("{default}/{name}"),
        ("", None) => {
            let problem = "an empty destination; image-syncer takes it from arguments";
            return Ok(Err(Problem::LeftOut(problem.to_owned())));
        }
        (text, _) => text.to_owned(),
    };
    let reference: Reference = destination
        .parse()
        .map_err(|problem: imgop_registry::reference::ReferenceError| error(problem.to_string()))?;
    let mut repository = destination.clone();
    if let Some(version) = &reference.version {
        if !source.tags.contains(version) {
            let problem =
                format!("another tag at the destination, {version}; an ImageMirror keeps tags as they are");
            return Ok(Err(Problem::LeftOut(problem)));
        }
        repository.truncate(destination.len() - version.len() - 1);
    }
    if !Repository::names_registry(&repository) {
        repository = format!("docker.io/{repository}");
    }
    let (source, tags) = (source.repository.clone(), source.tags.clone());
    Ok(Ok(Pair { line, source, destination: repository, tags }))
}
