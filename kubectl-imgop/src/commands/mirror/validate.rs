//! `kubectl imgop mirror validate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use imgop_core::formats::{Content, Format, FormatError, NewTag, read_usable};
use imgop_core::inventory::Conflict;
use imgop_registry::reference::{ManifestRef, Repository};
use schemars::JsonSchema;
use serde::Serialize;
use url::Url;

use super::base::{self, Base};
use super::checks::{Checks, Depth, Found};
use super::file::InputFile;
use super::finding::Finding;
use super::subject::{Source, Subject, SubjectError};
use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::output::documents::DocumentFormat;
use crate::output::text::count;
use crate::registry::one_repository::OneRepositoryArgs;

/// Check a file: whether it can be used, what a change takes away, and whether what is new exists
///
/// Without --base no registry is asked: the file must be readable, its entries unique, and no two of them may become the same
/// tag at a target. With --base it is compared with an earlier state: tags that were removed are problems, and each tag that is
/// new is looked for at its source. A registry that does not answer, or asks for credentials, makes a tag "not checked", never
/// passed. Each problem is printed with file and line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl imgop mirror validate config.yaml\n  \
    kubectl imgop mirror validate config.yaml --base origin/main --check-targets\n  \
    kubectl imgop mirror validate config.yaml --regsync regsync.yaml\n\n\
    Exit codes: 0 no problem, 1 problems, 2 failed, or something could not be checked.")]
pub struct ValidateArgs {
    /// File to check; - reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Its format, where the file does not tell
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// What to compare with: a file, or a commit or branch of git, of which the commit counts where HEAD left it
    #[arg(long, value_name = "REF|FILE")]
    base: Option<String>,

    /// How each new tag is looked for at its source
    #[arg(long, value_enum, value_name = "HOW", default_value = "manifest", requires = "base")]
    check_new: CheckNew,

    /// Check that the repositories exist which entries newly go to; those of Docker Hub by its own API
    #[arg(long, requires = "base")]
    check_targets: bool,

    /// Check that this regsync.yaml is what the file generates
    #[arg(long, value_name = "FILE")]
    regsync: Option<PathBuf>,

    /// Docker Hub's own API, which knows the repositories there
    #[arg(long, hide = true, default_value = "https://hub.docker.com", value_name = "URL")]
    docker_hub_api: Url,

    #[command(flatten)]
    access: OneRepositoryArgs,

    /// Print a document of apiVersion imgop.mirror-validation/v1
    #[arg(short, long, value_enum)]
    output: Option<DocumentFormat>,
}

/// How new tags are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CheckNew {
    /// Ask for the manifest; no pull is counted
    Manifest,
    /// Ask for every layer of every platform too
    Full,
    /// Do not look
    None,
}

/// What was found in a file.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(title = "imgop.mirror-validation/v1")]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// The version of the document.
    api_version: &'static str,
    /// The file.
    file: String,
    /// What is wrong.
    problems: Vec<Finding>,
    /// What could not be checked, and why: it is not known to be right.
    not_checked: Vec<Finding>,
    /// What is worth a look.
    warnings: Vec<Finding>,
    /// Whether one of them is that an entry or a tag is not carried.
    #[serde(skip)]
    is_left_out: bool,
}

/// The version of the document.
const API_VERSION: &str = "imgop.mirror-validation/v1";

/// Checks a file.
pub async fn run(ui: Ui, args: &ValidateArgs) -> Result<Outcome, CliError> {
    let validation = Box::pin(validated(ui, args)).await.map_err(CliError::of_comparison)?;
    validation.print(ui, args.output)?;
    validation.outcome().map_err(CliError::of_comparison)
}

async fn validated(ui: Ui, args: &ValidateArgs) -> Result<Validation, CliError> {
    let mut found = Validation { api_version: API_VERSION, ..Validation::default() };
    let subject = match Subject::read(&args.file, args.format) {
        Ok(subject) => subject,
        Err(SubjectError::File(error)) => return Err(error),
        Err(SubjectError::Content(problem)) => {
            found.file.clone_from(&problem.file);
            found.problems.push(problem);
            return Ok(found);
        }
    };
    let name = subject.file.name();
    found.file.clone_from(&name);
    found.warn(subject.notes());
    found.problems.extend(contradictions(&subject));
    if let Source::File(format, content) = &subject.source {
        let duplicates = content.duplicates(*format);
        found.problems.extend(duplicates.iter().map(|error| Finding::of_format(&name, error)));
        found.warn(&content.doubtful());
        if let Some(base) = &args.base {
            args.since(ui, &subject.file, (*format, content), base, &mut found).await?;
        }
    } else if args.base.is_some() {
        return Err(CliError::usage(
            "--base compares files of other tools; kubectl diff compares an ImageMirror",
        ));
    }
    if let Some(path) = &args.regsync {
        let current = subject.config()?.regsync(None);
        if InputFile::read(path)?.text != current {
            let problem = format!(
                "it is not what {name} generates; kubectl imgop mirror export --format regsync writes it"
            );
            found.problems.push(Finding::of_file(path.display().to_string(), problem));
        }
    }
    Ok(found)
}

impl Validation {
    fn warn(&mut self, errors: &[FormatError]) {
        let notes = errors.iter().map(|note| Finding::of_format(&self.file, note));
        self.warnings.extend(notes);
        self.is_left_out |= errors.iter().any(|note| note.problem.is_left_out());
    }

    /// Prints problems, a line each, or the document.
    fn print(&self, ui: Ui, format: Option<DocumentFormat>) -> Result<(), CliError> {
        for warning in &self.warnings {
            ui.warning(&warning.to_string());
        }
        for open in &self.not_checked {
            ui.warning(&open.to_string());
        }
        match format {
            Some(format) => format.print(ui, self)?,
            None => self.problems.iter().try_for_each(|problem| ui.data(&problem.to_string()))?,
        }
        if !self.problems.is_empty() {
            ui.note(&format!("{} found", count(self.problems.len(), "problem")));
        } else if self.not_checked.is_empty() && format.is_none() {
            let but = if self.is_left_out {
                ", but not all of it would be copied; the warnings say what"
            } else {
                ""
            };
            ui.note(&format!("{}: no problem found{but}", self.file));
        }
        Ok(())
    }

    fn outcome(&self) -> Result<Outcome, CliError> {
        match self.not_checked.len() {
            _ if !self.problems.is_empty() => Ok(Outcome::Differences),
            0 => Ok(Outcome::Done),
            number => Err(CliError::failed(format!("{} could not be checked", count(number, "reference")))),
        }
    }

    fn take(&mut self, found: impl Iterator<Item = ((usize, String), Found)>) {
        for ((line, reference), found) in found {
            let finding = |why: String| Finding::of_line(&self.file, line, format!("{reference}: {why}"));
            match found {
                Found::There => {}
                Found::Missing(why) => self.problems.push(finding(why)),
                Found::NotChecked(why) => self.not_checked.push(finding(format!("not checked: {why}"))),
            }
        }
    }
}

/// Returns what keeps a file from being used, and what its entries say against each other.
fn contradictions(subject: &Subject) -> Vec<Finding> {
    let name = subject.file.name();
    let expansion = subject.usable().and_then(|inventory| inventory.expand());
    match expansion {
        Ok(expansion) => {
            let conflict = |conflict: &Conflict| Finding::of_file(&name, conflict.to_string());
            expansion.conflicts.iter().map(conflict).collect()
        }
        Err(error) => Finding::of_inventory(&name, &error),
    }
}

impl ValidateArgs {
    /// Compares with an earlier state.
    async fn since(
        &self,
        ui: Ui,
        file: &InputFile,
        (format, content): (Format, &Content),
        base: &str,
        validation: &mut Validation,
    ) -> Result<(), CliError> {
        let Some(before) = before(&base::read(file, base)?, format, validation) else { return Ok(()) };
        let lost = content.removed_since(&before).into_iter();
        validation.problems.extend(lost.map(|lost| Finding::of_file(file.name(), lost)));
        let checks = Checks::new(ui, &self.access)?;
        let depth = match self.check_new {
            CheckNew::None => None,
            CheckNew::Manifest => Some(Depth::Manifest),
            CheckNew::Full => Some(Depth::Full),
        };
        if let Some(depth) = depth {
            let new = exact(&content.new_since(&before));
            let images: Vec<_> = new.iter().map(|(_, image)| image.clone()).collect();
            let found = checks.images(&images, depth).await?;
            let checked = new.iter().map(|(tag, _)| (tag.line, format!("{}:{}", tag.source, tag.tag)));
            validation.take(checked.zip(found));
        }
        if self.check_targets {
            let new = content.repositories_since(&before);
            let repositories: Vec<Repository> =
                new.iter().filter_map(|new| new.repository.parse().ok()).collect();
            let found = checks.repositories(&repositories, &self.docker_hub_api).await?;
            validation.take(new.into_iter().map(|new| (new.line, new.repository)).zip(found));
        }
        Ok(())
    }
}

/// Returns an earlier state. What is wrong in it is a warning, since a change may repair it; none is returned where that keeps
/// all of it from being read.
fn before(base: &Base, format: Format, validation: &mut Validation) -> Option<Content> {
    if base.text.is_empty() {
        return Some(Content::default());
    }
    let warning = |error: &FormatError, so: &str| {
        let finding = Finding::of_format(&base.name, error);
        Finding { message: format!("{}; {so}", finding.message), ..finding }
    };
    match read_usable(&base.text, format) {
        Ok((before, wrong)) => {
            validation.warnings.extend(wrong.iter().map(|error| warning(error, "it is not compared")));
            Some(before)
        }
        Err(error) => {
            validation.warnings.push(warning(&error, "so nothing is compared"));
            None
        }
    }
}

/// Returns the tags and digests among what is new: a pattern need not match anything yet.
fn exact(new: &[NewTag]) -> Vec<(NewTag, (Repository, ManifestRef))> {
    let image = |new: &NewTag| {
        let text = new.tag.split_once('@').map_or(new.tag.as_str(), |(_, digest)| digest);
        let what = if text.contains(':') {
            ManifestRef::Digest(text.parse().ok()?)
        } else {
            ManifestRef::Tag(text.parse().ok()?)
        };
        Some((new.clone(), (new.source.parse().ok()?, what)))
    };
    new.iter().filter_map(image).collect()
}
