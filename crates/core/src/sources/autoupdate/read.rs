//! Text to entries.

use std::collections::HashMap;
use std::str::FromStr;

use imgop_registry::reference::Repository;

use super::charts::{chart, maps, texts};
use super::{Autoupdate, AutoupdateEntry};
use crate::formats::rancher::Source;
use crate::formats::yaml::{self, Fields, Node, Value};
use crate::formats::{FormatError, Problem};
use crate::sources::{
    ChartLocation, EntryRef, GithubFile, GithubRelease, GithubRepository, HelmCharts, ImageTier, Pick,
    RegistryTags, ReleaseRule, Reviewer, Taken, Update, VersionSource, check_name,
};

/// The field that says where versions are announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    GithubLatestRelease,
    GithubRelease,
    GithubTaggedImagesFile,
    HelmLatest,
    Registry,
}

impl Strategy {
    const ALL: [Self; 5] = [
        Self::GithubLatestRelease,
        Self::GithubRelease,
        Self::GithubTaggedImagesFile,
        Self::HelmLatest,
        Self::Registry,
    ];

    fn field(self) -> &'static str {
        match self {
            Self::GithubLatestRelease => "GithubLatestRelease",
            Self::GithubRelease => "GithubRelease",
            Self::GithubTaggedImagesFile => "GithubTaggedImagesFile",
            Self::HelmLatest => "HelmLatest",
            Self::Registry => "Registry",
        }
    }
}

/// Reads `autoupdate.yaml`.
///
/// # Errors
/// The first thing that is wrong, with its line and field.
pub fn read(text: &str) -> Result<Autoupdate, FormatError> {
    let Some(document) = yaml::read(text)? else { return Ok(Autoupdate { entries: Vec::new() }) };
    let list = match document.value {
        Value::List(list) => list,
        other => {
            let problem = Problem::Type { expected: "a list of entries", found: other.kind() };
            return Err(FormatError { line: document.line, field: String::new(), problem });
        }
    };
    let mut entries: Vec<AutoupdateEntry> = Vec::with_capacity(list.len());
    let mut lines: HashMap<String, usize> = HashMap::new();
    for (at, node) in list.into_iter().enumerate() {
        let entry = entry(node, &format!("[{at}]"))?;
        if let Some(other) = lines.insert(entry.update.name.clone(), entry.line) {
            let problem = Problem::Value(format!(
                "the entry in line {other} has the name {:?} already; branches are named after it",
                entry.update.name
            ));
            return Err(FormatError { line: entry.line, field: format!("[{at}].Name"), problem });
        }
        entries.push(entry);
    }
    Ok(Autoupdate { entries })
}

fn entry(node: Node, path: &str) -> Result<AutoupdateEntry, FormatError> {
    let mut fields = Fields::of(node, path)?;
    let line = fields.line();
    let (name_line, name) = fields.required_text("Name")?;
    if name.is_empty() {
        return Err(fields.error(name_line, "Name", Problem::Missing("Name")));
    }
    check_name(&name).map_err(|problem| fields.error(name_line, "Name", Problem::Value(problem)))?;
    let mut chosen: Option<(Strategy, Node)> = None;
    for strategy in Strategy::ALL {
        let Some(node) = fields.take(strategy.field())? else { continue };
        if let Some((other, _)) = &chosen {
            let problem =
                Problem::Value(format!("an entry has either {} or {}", other.field(), strategy.field()));
            return Err(fields.error(node.line, strategy.field(), problem));
        }
        chosen = Some((strategy, node));
    }
    let mut reviewers = Vec::new();
    for (at, node) in fields.list("Reviewers")?.into_iter().enumerate() {
        let field = format!("{}[{at}]", fields.path("Reviewers"));
        reviewers.push(parsed::<Reviewer>(&node, &field)?);
    }
    fields.finish()?;
    let Some((strategy, node)) = chosen else {
        let problem = Problem::Missing("GithubRelease, HelmLatest or Registry");
        return Err(FormatError { line, field: path.to_owned(), problem });
    };
    let mut reader = Reader { fields: Fields::of(node, format!("{path}.{}", strategy.field()))?, strategy };
    let entries = reader.entries()?;
    let source = reader.source()?;
    reader.check_entries(&source, &entries)?;
    reader.fields.finish()?;
    Ok(AutoupdateEntry { line, update: Update { name, source, entries: Some(entries), reviewers } })
}

/// Reads what stands below the name of a strategy.
struct Reader {
    fields: Fields,
    strategy: Strategy,
}

impl Reader {
    fn entries(&mut self) -> Result<Vec<EntryRef>, FormatError> {
        let (images, artifacts) = (self.fields.take("Images")?, self.fields.take("Artifacts")?);
        let (name, node, names) = match (images, artifacts) {
            (None, None) => return Ok(Vec::new()),
            (Some(node), None) => ("Images", node, ["SourceImage", "TargetImageName"]),
            (None, Some(node)) => ("Artifacts", node, ["SourceArtifact", "TargetArtifactName"]),
            (Some(_), Some(node)) => {
                let problem = Problem::Value("a source has either Images or Artifacts".to_owned());
                return Err(self.fields.error(node.line, "Artifacts", problem));
            }
        };
        let field = self.fields.path(name);
        let Value::List(nodes) = node.value else {
            let problem = Problem::Type { expected: "a list", found: node.value.kind() };
            return Err(FormatError { line: node.line, field, problem });
        };
        let nodes = nodes.into_iter().enumerate();
        nodes.map(|(at, node)| entry_ref(node, &format!("{field}[{at}]"), names)).collect()
    }

    fn source(&mut self) -> Result<VersionSource, FormatError> {
        match self.strategy {
            Strategy::GithubLatestRelease => Ok(VersionSource::GithubRelease(GithubRelease {
                repository: self.repository()?,
                is_latest_only: true,
                rule: ReleaseRule::default(),
            })),
            Strategy::GithubRelease => {
                let repository = self.repository()?;
                let is_latest_only = self.fields.bool("LatestOnly")?.unwrap_or(false);
                let constraint = self.optional("VersionConstraint")?;
                if let (true, Some((line, _))) = (is_latest_only, &constraint) {
                    let problem =
                        "only the latest release is taken; leave VersionConstraint or LatestOnly out";
                    return Err(self.error(*line, "VersionConstraint", problem));
                }
                let regex = self.optional("VersionRegex")?.map(|(_, regex)| regex);
                let constraint = constraint.map(|(_, constraint)| constraint);
                let rule = ReleaseRule { regex, constraint, ..ReleaseRule::default() };
                Ok(VersionSource::GithubRelease(GithubRelease { repository, is_latest_only, rule }))
            }
            Strategy::GithubTaggedImagesFile => {
                let repository = self.repository()?;
                let (_, path) = self.fields.required_text("ImagesFilePath")?;
                let constraint = self.optional("VersionConstraint")?.map(|(_, constraint)| constraint);
                let rule = ReleaseRule { constraint, taken: Taken::Whole, ..ReleaseRule::default() };
                Ok(VersionSource::GithubFile(GithubFile { repository, path, rule }))
            }
            Strategy::HelmLatest => Ok(VersionSource::HelmChart(self.charts()?)),
            Strategy::Registry => {
                let is_latest = self.fields.bool("Latest")?.unwrap_or(false);
                let filter = self.optional("VersionFilter")?.map(|(_, filter)| filter);
                let pick = if is_latest { Pick::Latest } else { Pick::All };
                Ok(VersionSource::Registry(RegistryTags { filter, pick, is_each: false }))
            }
        }
    }

    /// Charts may stand for any image; other sources need to know which.
    fn check_entries(&self, source: &VersionSource, entries: &[EntryRef]) -> Result<(), FormatError> {
        let needs_some = !matches!(source, VersionSource::HelmChart(_) | VersionSource::GithubFile(_));
        if needs_some && entries.is_empty() {
            let problem = Problem::Missing("Artifacts, with at least one element,");
            let field = self.fields.path("");
            let field = field.trim_end_matches('.').to_owned();
            return Err(FormatError { line: self.fields.line(), field, problem });
        }
        Ok(())
    }

    fn repository(&mut self) -> Result<GithubRepository, FormatError> {
        let ((line, owner), (_, name)) =
            (self.fields.required_text("Owner")?, self.fields.required_text("Repository")?);
        let parsed = format!("{owner}/{name}").parse();
        parsed.map_err(|error: String| self.error(line, "Owner", &error))
    }

    fn charts(&mut self) -> Result<HelmCharts, FormatError> {
        let (_, url) = self.fields.required_text("HelmRepo")?;
        let node = self.fields.take("Charts")?;
        let (line, field) = (self.fields.line(), self.fields.path("Charts"));
        let missing = |line| FormatError { line, field: field.clone(), problem: Problem::Missing("a chart") };
        let charts = maps(node.ok_or_else(|| missing(line))?, &field)?;
        if charts.is_empty() {
            return Err(missing(line));
        }
        let charts = charts.into_iter().map(|(name, node)| chart(name, node, &field));
        let charts = charts.collect::<Result<_, _>>()?;
        let denylist = texts(&self.fields.list("ImageDenylist")?, &self.fields.path("ImageDenylist"))?;
        let location = ChartLocation::Repository(url);
        Ok(HelmCharts { location, charts, denylist, images_from: vec![ImageTier::Template], is_loose: false })
    }

    fn optional<T: FromStr<Err: ToString>>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<(usize, T)>, FormatError> {
        let Some((line, text)) = self.fields.text(name)?.filter(|(_, text)| !text.is_empty()) else {
            return Ok(None);
        };
        let parsed = text.parse().map_err(|error: T::Err| self.error(line, name, &error.to_string()));
        parsed.map(|parsed| Some((line, parsed)))
    }

    fn error(&self, line: usize, name: &str, problem: &str) -> FormatError {
        self.fields.error(line, name, Problem::Value(problem.to_owned()))
    }
}

/// Reads an entry: an object, or a source alone, as in the first form of the file.
fn entry_ref(
    node: Node,
    path: &str,
    [source_field, name_field]: [&'static str; 2],
) -> Result<EntryRef, FormatError> {
    if let Value::Scalar { text, .. } = &node.value {
        let source = Source::parse(text).map_err(|error| value_error(&node, path, error))?;
        return Ok(EntryRef { source, target_name: None });
    }
    let mut fields = Fields::of(node, path)?;
    let (line, text) = fields.required_text(source_field)?;
    let source = Source::parse(&text);
    let source = source.map_err(|error| fields.error(line, source_field, Problem::Value(error)))?;
    let (name_line, name) = fields.text(name_field)?.unwrap_or((line, String::new()));
    let entry = EntryRef { source, target_name: Some(name).filter(|name| !name.is_empty()) };
    let name = entry.effective_name();
    if format!("r.invalid/{name}").parse::<Repository>().is_err() {
        let problem = format!("the name at the target is {name:?}, which is none; give another one");
        return Err(fields.error(name_line, name_field, Problem::Value(problem)));
    }
    fields.finish()?;
    Ok(entry)
}

fn parsed<T: FromStr<Err = String>>(node: &Node, path: &str) -> Result<T, FormatError> {
    let text = super::charts::text(node, path)?;
    text.parse().map_err(|error| value_error(node, path, error))
}

fn value_error(node: &Node, path: &str, error: String) -> FormatError {
    FormatError { line: node.line, field: path.to_owned(), problem: Problem::Value(error) }
}
