//! Text to a configuration.

use std::collections::HashSet;

use imgop_registry::reference::{Repository, Tag};

use super::{Config, Entry, Exclusion, Read, Schema, Source, Target, TargetKey};
use crate::formats::yaml::{self, Fields, Node, Value};
use crate::formats::{FormatError, Problem};

/// Reads `config.yaml`.
///
/// # Errors
/// The first thing that is wrong, with its line and field. Unknown fields are mistakes: the original ignores them.
pub fn read(text: &str) -> Result<Read, FormatError> {
    read_each(text, Err)
}

/// Reads what of it can be used: an entry or repository that is wrong is left out, and what is wrong is handed to `wrong`.
pub(in crate::formats) fn read_each(
    text: &str,
    mut wrong: impl FnMut(FormatError) -> Result<(), FormatError>,
) -> Result<Read, FormatError> {
    let empty =
        || FormatError { line: 1, field: String::new(), problem: Problem::Missing("Images or Artifacts") };
    let document = yaml::read(text)?.ok_or_else(empty)?;
    let mut fields = Fields::of(document, "")?;
    let (images, artifacts) = (fields.take("Images")?, fields.take("Artifacts")?);
    let (schema, list) = match (images, artifacts) {
        (Some(images), None) => (Schema::Images, images),
        (None, Some(artifacts)) => (Schema::Artifacts, artifacts),
        (None, None) => return Err(empty()),
        (Some(_), Some(node)) => {
            let problem = Problem::Value("a file has either Images or Artifacts".to_owned());
            return Err(fields.error(node.line, "Artifacts", problem));
        }
    };
    let repositories = fields.list("Repositories")?;
    fields.finish().or_else(&mut wrong)?;
    let mut reader = Reader { schema, warnings: Vec::new() };
    let read = numbered(repositories, "Repositories").map(|(node, path)| target(node, &path));
    let repositories: Vec<Target> = usable(read, &mut wrong)?;
    let list = match list.value {
        Value::List(list) => list,
        other => {
            let problem = Problem::Type { expected: "a list", found: other.kind() };
            return Err(FormatError { line: list.line, field: schema.list().to_owned(), problem });
        }
    };
    let read = numbered(list, schema.list()).map(|(node, path)| reader.entry(node, &path, &repositories));
    let entries = usable(read, &mut wrong)?;
    Ok(Read { config: Config { schema, entries, repositories }, warnings: reader.warnings })
}

/// Returns what could be read.
fn usable<T>(
    read: impl Iterator<Item = Result<T, FormatError>>,
    mut wrong: impl FnMut(FormatError) -> Result<(), FormatError>,
) -> Result<Vec<T>, FormatError> {
    let mut usable = Vec::new();
    for one in read {
        match one {
            Ok(one) => usable.push(one),
            Err(error) => wrong(error)?,
        }
    }
    Ok(usable)
}

fn numbered(list: Vec<Node>, name: &str) -> impl Iterator<Item = (Node, String)> {
    list.into_iter().enumerate().map(move |(at, node)| (node, format!("{name}[{at}]")))
}

struct Reader {
    schema: Schema,
    warnings: Vec<FormatError>,
}

impl Reader {
    fn entry(&mut self, node: Node, path: &str, repositories: &[Target]) -> Result<Entry, FormatError> {
        let mut fields = Fields::of(node, path)?;
        let line = fields.line();
        let [source_key, name_key] = self.schema.entry_keys();
        let (source_line, source) = fields.required_text(source_key)?;
        let source = Source::parse(&source)
            .map_err(|error| fields.error(source_line, source_key, Problem::Value(error)))?;
        let tags = fields.list("Tags")?;
        let tags = self.tags(tags, &fields.path("Tags"))?;
        let target_name = fields.text(name_key)?.filter(|(_, name)| !name.is_empty());
        let (name_line, name) = target_name.unwrap_or_else(|| (source_line, source.default_name()));
        let is_name = format!("r.invalid/{name}").parse::<Repository>();
        is_name.map_err(|error| {
            let problem = format!("the name at the target is {name:?}: {error}");
            fields.error(name_line, name_key, Problem::Value(problem))
        })?;
        let target_name = Some(name).filter(|name| *name != source.default_name());
        let exclusion = fields.take("DoNotMirror")?;
        let exclusion =
            exclusion.map_or(Ok(Exclusion::Unset), |node| self.exclusion(node, &fields, &tags))?;
        let targets = fields.list("TargetRepositories")?;
        let targets = targets_of(targets, &fields.path("TargetRepositories"), repositories)?;
        fields.finish()?;
        Ok(Entry { line, source, tags, target_name, exclusion, targets })
    }

    fn tags(&mut self, list: Vec<Node>, path: &str) -> Result<Vec<String>, FormatError> {
        let mut tags = Vec::with_capacity(list.len());
        for (at, node) in list.into_iter().enumerate() {
            let field = format!("{path}[{at}]");
            let (text, is_plain) = scalar(&node, &field, "a tag")?;
            let error = |problem: String| FormatError {
                line: node.line,
                field: field.clone(),
                problem: Problem::Value(problem),
            };
            text.parse::<Tag>().map_err(|problem| error(problem.to_string()))?;
            if is_plain && !yaml::is_read_as_text(text) {
                self.warnings.push(error(format!(
                    "{text} is a number or a truth value for YAML; it is taken as the tag {text:?}: write it with quotes"
                )));
            }
            tags.push(text.to_owned());
        }
        Ok(tags)
    }

    fn exclusion(&mut self, node: Node, fields: &Fields, tags: &[String]) -> Result<Exclusion, FormatError> {
        const NAME: &str = "DoNotMirror";
        if let Some(all) = yaml::as_bool(&node.value) {
            return Ok(Exclusion::All(all));
        }
        let line = node.line;
        let list = match node.value {
            Value::List(list) => list,
            other => {
                let problem =
                    Problem::Type { expected: "true, false or a list of tags", found: other.kind() };
                return Err(fields.error(line, NAME, problem));
            }
        };
        let known: HashSet<&str> = tags.iter().map(String::as_str).collect();
        let (mut excluded, mut seen) = (Vec::with_capacity(list.len()), HashSet::new());
        for (at, node) in list.into_iter().enumerate() {
            let field = format!("{}[{at}]", fields.path(NAME));
            let (text, is_plain) = scalar(&node, &field, "a tag")?;
            let error = |problem: Problem| FormatError { line: node.line, field: field.clone(), problem };
            if is_plain && !yaml::is_read_as_text(text) {
                let problem = format!("{text} is a number or a truth value for YAML; write it with quotes");
                return Err(error(Problem::Value(problem)));
            }
            if !seen.insert(text.to_owned()) {
                return Err(error(Problem::Value(format!("the tag {text} is in the list twice"))));
            }
            if !known.contains(text) {
                self.warnings.push(error(Problem::Value(format!("the tag {text} is not in Tags"))));
            }
            excluded.push(text.to_owned());
        }
        Ok(Exclusion::Tags(excluded))
    }
}

impl Schema {
    /// Returns the name of the list of entries.
    pub(super) fn list(self) -> &'static str {
        match self {
            Self::Images => "Images",
            Self::Artifacts => "Artifacts",
        }
    }

    /// Returns the names of an entry's source and of its name at the target.
    pub(super) fn entry_keys(self) -> [&'static str; 2] {
        match self {
            Self::Images => ["SourceImage", "TargetImageName"],
            Self::Artifacts => ["SourceArtifact", "TargetArtifactName"],
        }
    }
}

fn scalar<'a>(node: &'a Node, field: &str, expected: &'static str) -> Result<(&'a str, bool), FormatError> {
    match &node.value {
        Value::Scalar { text, is_plain } => Ok((text, *is_plain)),
        other => {
            let problem = Problem::Type { expected, found: other.kind() };
            Err(FormatError { line: node.line, field: field.to_owned(), problem })
        }
    }
}

fn targets_of(list: Vec<Node>, path: &str, repositories: &[Target]) -> Result<Vec<String>, FormatError> {
    let targets = list.into_iter().enumerate().map(|(at, node)| {
        let field = format!("{path}[{at}]");
        let (text, _) = scalar(&node, &field, "a BaseUrl of Repositories")?;
        if repositories.iter().any(|target| target.base_url == text) {
            return Ok(text.to_owned());
        }
        let problem = format!("no entry of Repositories has the BaseUrl {text:?}");
        Err(FormatError { line: node.line, field, problem: Problem::Value(problem) })
    });
    targets.collect()
}

fn target(node: Node, path: &str) -> Result<Target, FormatError> {
    let mut fields = Fields::of(node, path)?;
    let line = fields.line();
    if let Some(node) = fields.take("EnvVarPrefix")? {
        let problem =
            "this is the oldest form of the file, which is not read: write Registry, Username and Password";
        return Err(fields.error(node.line, "EnvVarPrefix", Problem::Value(problem.to_owned())));
    }
    let (base_line, base_url) = fields.required_text("BaseUrl")?;
    let is_prefix = format!("{base_url}/name").parse::<Repository>();
    is_prefix.map_err(|error| fields.error(base_line, "BaseUrl", Problem::Value(error.to_string())))?;
    let (target, default_target) = (fields.bool("Target")?, fields.bool("DefaultTarget")?);
    let (key, is_default) = match (target, default_target) {
        (Some(is_default), None) => (TargetKey::Target, is_default),
        (None, is_default) => (TargetKey::DefaultTarget, is_default.unwrap_or(false)),
        (Some(_), Some(_)) => {
            let problem = Problem::Value("a repository has either Target or DefaultTarget".to_owned());
            return Err(fields.error(line, "DefaultTarget", problem));
        }
    };
    let mut text = |name| Ok(fields.text(name)?.map(|(_, text)| text).unwrap_or_default());
    let (registry, username, password) = (text("Registry")?, text("Username")?, text("Password")?);
    let repo_auth = fields.bool("RepoAuth")?.unwrap_or(false);
    let req_concurrent = fields.number("ReqConcurrent")?.unwrap_or(0);
    fields.finish()?;
    Ok(Target { line, base_url, registry, username, password, is_default, key, repo_auth, req_concurrent })
}
