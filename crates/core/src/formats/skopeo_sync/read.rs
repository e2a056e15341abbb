//! The file to entries without targets.

use imgop_registry::reference::Repository;

use crate::api::{MirrorEntry, Tls, TlsMode};
use crate::formats::yaml::{self, Fields, Node, Value};
use crate::formats::{Content, FormatError, Problem};
use crate::inventory::FileEntry;
use crate::selection::{SourceRef, Version};

const NOT_CARRIED: [(&str, &str); 2] = [
    ("credentials", "user and password; put them into a Secret and name it in sources[].credentials"),
    ("cert-dir", "certificates; put ca.crt into a Secret and name it in sources[].tls.caSecretName"),
];

/// Reads it. Its entries have no targets.
///
/// # Errors
/// The first thing that is wrong, with its line and field.
pub(in crate::formats) fn read(text: &str) -> Result<Content, FormatError> {
    let mut content = Content::default();
    let Some(document) = yaml::read(text)? else { return Ok(content) };
    for (registry, node) in Fields::of(document, "")?.rest() {
        yaml::check_registry(&registry).map_err(|problem| FormatError {
            line: node.line,
            field: registry.clone(),
            problem,
        })?;
        let mut fields = Fields::of(node, registry.as_str())?;
        for (repository, tags) in pairs(&mut fields, "images")? {
            let field = format!("images.{repository}");
            let tags = tags_of(tags, &fields, &field)?;
            content.push(&registry, &repository, (&fields, &field), tags)?;
        }
        for (repository, node) in pairs(&mut fields, "images-by-semver")? {
            let field = format!("images-by-semver.{repository}");
            let text = text_of(&node, &fields, &field)?;
            match text.parse::<Version>() {
                Ok(Version::Range(_)) => {
                    content.push(&registry, &repository, (&fields, &field), (node.line, vec![text]))?;
                }
                _ => content.notes.push(fields.error(node.line, &field, not_a_range(&text))),
            }
        }
        for (repository, node) in pairs(&mut fields, "images-by-tag-regex")? {
            let problem = "tags by a regular expression; list the tags, or write a pattern or a range into entries[].tags";
            let field = format!("images-by-tag-regex.{repository}");
            content.notes.push(fields.error(node.line, &field, Problem::LeftOut(problem.to_owned())));
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
    Problem::LeftOut(format!("{text:?}, which is no range of comparisons such as >=1.2 <2"))
}

/// Returns the tags and digests of a repository; none stands for all.
fn tags_of(node: Node, fields: &Fields, field: &str) -> Result<(usize, Vec<String>), FormatError> {
    let line = node.line;
    let list = match node.value {
        _ if yaml::is_null(&node) => Vec::new(),
        Value::List(list) => list,
        other => {
            let problem = Problem::Type { expected: "a list of tags", found: other.kind() };
            return Err(fields.error(line, field, problem));
        }
    };
    let mut tags = Vec::with_capacity(list.len());
    for (at, node) in list.iter().enumerate() {
        let field = format!("{field}[{at}]");
        let tag = text_of(node, fields, &field)?;
        tag.parse::<SourceRef>()
            .map_err(|error| fields.error(node.line, &field, Problem::Value(error.to_string())))?;
        tags.push(tag);
    }
    Ok((line, if tags.is_empty() { vec![Version::Every.to_string()] } else { tags }))
}

impl Content {
    fn push(
        &mut self,
        registry: &str,
        repository: &str,
        (fields, field): (&Fields, &str),
        (line, tags): (usize, Vec<String>),
    ) -> Result<(), FormatError> {
        let source = format!("{registry}/{repository}");
        source
            .parse::<Repository>()
            .map_err(|error| fields.error(line, field, Problem::Value(error.to_string())))?;
        let entry = MirrorEntry { source, tags, ..MirrorEntry::default() };
        self.entries.push(FileEntry { line, entry });
        Ok(())
    }
}
