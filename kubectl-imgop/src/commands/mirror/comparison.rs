//! What registries have of the tags of an inventory: one document for `plan` and `verify`, and how it is printed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use imgop_core::text::shorten;
use imgop_registry::reference::Digest;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::output::documents::{json, yaml};
use crate::output::table::Table;
use crate::output::text::count;

/// The version of the document.
const API_VERSION: &str = "imgop.mirror/v1";
/// The first line of a comment on a pull request, by which a program finds its own.
const MARKER: &str = "<!-- kubectl imgop mirror -->";
/// The most bytes of a comment: GitHub takes 65,536 characters.
const MAX_COMMENT_BYTES: usize = 60_000;
/// Those of its table, and of what stands before it.
const MAX_COMMENT_ROWS_BYTES: usize = 45_000;
/// Those of a reason in it.
const MAX_REASON_BYTES: usize = 500;

/// What registries have of the tags of an inventory.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.mirror/v1")]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The version of the document.
    api_version: &'static str,
    /// The file.
    file: String,
    /// How many tags have which state.
    counts: BTreeMap<State, usize>,
    /// The tags, in the order of sources and destinations.
    tags: Vec<ComparedTag>,
    /// Tags that two sources would become; none of them is copied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    conflicts: Vec<ConflictReport>,
}

/// One tag.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComparedTag {
    /// The reference at the source.
    pub source: String,
    /// The reference at the destination.
    pub destination: String,
    /// What was found.
    pub state: State,
    /// What the source has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub source_digest: Option<Digest>,
    /// What the destination has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub destination_digest: Option<Digest>,
    /// Why it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What was found of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The destination has it; of a plan also with content of its own, where no tag is replaced.
    UpToDate,
    /// The destination does not have it.
    Missing,
    /// The destination has other content.
    Differs,
    /// The destination has its tag and lacks some of its content.
    Incomplete,
    /// The source does not have it.
    NotAtSource,
    /// A registry did not say.
    NotChecked,
}

/// A tag that two sources would become.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConflictReport {
    /// The reference at the destination.
    pub destination: String,
    /// The references at the sources.
    pub sources: Vec<String>,
}

/// How a comparison is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ComparisonFormat {
    /// Tags that are not up to date, and a summary
    #[default]
    Table,
    /// A document of apiVersion imgop.mirror/v1
    Json,
    /// A document of apiVersion imgop.mirror/v1
    Yaml,
    /// A comment on a pull request
    Markdown,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::UpToDate => "up-to-date",
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Incomplete => "incomplete",
            Self::NotAtSource => "not-at-source",
            Self::NotChecked => "not-checked",
        }
    }

    fn sign(self) -> (&'static str, Option<AnsiColor>) {
        match self {
            Self::UpToDate => ("=", None),
            Self::Missing => ("+", Some(AnsiColor::Green)),
            Self::Differs => ("~", Some(AnsiColor::Yellow)),
            Self::Incomplete | Self::NotAtSource => ("!", Some(AnsiColor::Red)),
            Self::NotChecked => ("?", Some(AnsiColor::Red)),
        }
    }
}

impl Comparison {
    /// Returns the document of these tags.
    pub fn new(file: String, tags: Vec<ComparedTag>, conflicts: Vec<ConflictReport>) -> Self {
        let mut counts = BTreeMap::new();
        for tag in &tags {
            *counts.entry(tag.state).or_default() += 1;
        }
        Self { api_version: API_VERSION, file, counts, tags, conflicts }
    }

    /// Prints it.
    pub fn print(&self, ui: Ui, format: ComparisonFormat) -> Result<(), CliError> {
        match format {
            ComparisonFormat::Json => ui.data(&json(self)?),
            ComparisonFormat::Yaml => ui.data(&yaml(self)?),
            ComparisonFormat::Markdown => ui.data(&self.markdown()),
            ComparisonFormat::Table => {
                let table = self.table();
                if let Some(table) = table {
                    ui.table(&table, true)?;
                    ui.data("\n")?;
                }
                ui.data(&self.summary())
            }
        }
    }

    /// Returns how a comparison ended whose exit code says so: what is not known is never "nothing to do".
    pub fn outcome(&self) -> Result<Outcome, CliError> {
        let has = |state: State| self.counts.contains_key(&state);
        match self.counts.get(&State::NotChecked) {
            Some(number) => Err(CliError::failed(format!("{} could not be checked", count(*number, "tag")))),
            None if has(State::Differs) => Ok(Outcome::Drift),
            None if has(State::Missing) || has(State::Incomplete) || has(State::NotAtSource) => {
                Ok(Outcome::Differences)
            }
            None if !self.conflicts.is_empty() => Ok(Outcome::Differences),
            None => Ok(Outcome::Done),
        }
    }

    fn open(&self) -> impl Iterator<Item = &ComparedTag> {
        self.tags.iter().filter(|tag| tag.state != State::UpToDate)
    }

    fn table(&self) -> Option<Table> {
        let mut table = Table::new(["", "SOURCE", "DESTINATION", "STATE", "REASON"]);
        let mut is_empty = true;
        for tag in self.open() {
            let (sign, colour) = tag.state.sign();
            let cells = [
                sign.to_owned(),
                tag.source.clone(),
                tag.destination.clone(),
                tag.state.word().to_owned(),
                tag.reason(),
            ];
            table.styled_row(colour.map_or_else(Style::new, AnsiColor::on_default), cells);
            is_empty = false;
        }
        for conflict in &self.conflicts {
            let (sources, destination) = (conflict.sources.join(" and "), conflict.destination.clone());
            let reason = "none of them is copied".to_owned();
            table.styled_row(
                AnsiColor::Red.on_default(),
                ["!".to_owned(), sources, destination, "conflict".to_owned(), reason],
            );
            is_empty = false;
        }
        (!is_empty).then_some(table)
    }

    fn summary(&self) -> String {
        let parts = self.counts.iter().map(|(state, number)| format!("{number} {}", state.word()));
        let conflicts = (!self.conflicts.is_empty()).then(|| count(self.conflicts.len(), "conflict"));
        let parts: Vec<String> = parts.chain(conflicts).collect();
        let total = count(self.tags.len(), "tag");
        if parts.is_empty() { format!("{total}.") } else { format!("{total}: {}.", parts.join(", ")) }
    }

    /// Returns a comment on a pull request, which has as much of it as there is room for.
    fn markdown(&self) -> String {
        let mut text = format!("{MARKER}\n### Images of `{}`\n\n{}\n", self.file, self.summary());
        let rows: Vec<String> = self.open().map(ComparedTag::markdown).collect();
        if !rows.is_empty() {
            text.push_str("\n| | source | destination | |\n|---|---|---|---|\n");
        }
        push_within(&mut text, &rows, MAX_COMMENT_ROWS_BYTES);
        let conflicts: Vec<String> = self.conflicts.iter().map(ConflictReport::markdown).collect();
        push_within(&mut text, &conflicts, MAX_COMMENT_BYTES);
        text
    }
}

/// Adds as many of these as there is room for, and says how many more there are.
fn push_within(text: &mut String, parts: &[String], most: usize) {
    for (number, part) in parts.iter().enumerate() {
        if text.len() + part.len() > most {
            let _ = writeln!(text, "\nand {} more", parts.len() - number);
            return;
        }
        text.push_str(part);
    }
}

impl ConflictReport {
    fn markdown(&self) -> String {
        let sources: Vec<String> = self.sources.iter().map(|source| format!("`{source}`")).collect();
        let (destination, sources) = (&self.destination, sources.join(" and "));
        format!("\n**Conflict:** `{destination}` would be both {sources}, so none of them is copied.\n")
    }
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").split_whitespace().collect::<Vec<_>>().join(" ")
}

impl ComparedTag {
    fn markdown(&self) -> String {
        let reason = cell(&self.reason());
        let reason = shorten(&reason, MAX_REASON_BYTES);
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let (sign, word) = (self.state.sign().0, self.state.word());
        format!("| {sign} | `{}` | `{}` | {word}{reason} |\n", self.source, self.destination)
    }

    fn reason(&self) -> String {
        match (self.state, &self.reason, &self.source_digest, &self.destination_digest) {
            (_, Some(reason), ..) => reason.clone(),
            (State::Differs, None, Some(source), Some(destination)) => {
                format!("{} at the source, {} there", source.short(), destination.short())
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_has_room_at_github_also_where_everything_is_wrong() {
        let tags = (0..1000).map(|number| ComparedTag {
            source: format!("quay.io/a/b:{number}"),
            destination: format!("r.example.com/b:{number}"),
            state: State::NotChecked,
            source_digest: None,
            destination_digest: None,
            reason: Some("the registry refuses ".repeat(100)),
        });
        let conflict = |number: usize| ConflictReport {
            destination: format!("r.example.com/c:{number}"),
            sources: vec!["quay.io/a/c:1".repeat(20), "quay.io/a/d:1".repeat(20)],
        };
        let comparison = Comparison::new("f".to_owned(), tags.collect(), (0..1000).map(conflict).collect());
        let text = comparison.markdown();
        assert!(text.len() <= 65_536, "{}", text.len());
        assert_eq!(
            text.lines().filter(|line| line.starts_with("and ") && line.ends_with(" more")).count(),
            2
        );
        assert!(
            text.contains("| ? | `quay.io/a/b:0` |") && text.contains("**Conflict:** `r.example.com/c:0`")
        );
    }
}
