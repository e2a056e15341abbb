//! `kubectl imgop mirror validate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use imgop_core::formats::{Content, Format, NewTag, read};
use imgop_core::inventory::{Conflict, Inventory};
use imgop_registry::reference::{ManifestRef, Repository};

use super::base;
use super::checks::{Checks, Depth, Found};
use super::file::InputFile;
use super::subject::{Source, Subject};
use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
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

    /// Check that the repositories exist which entries newly go to
    #[arg(long, requires = "base")]
    check_targets: bool,

    /// Check that this regsync.yaml is what the file generates
    #[arg(long, value_name = "FILE")]
    regsync: Option<PathBuf>,

    #[command(flatten)]
    access: OneRepositoryArgs,
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

/// What was found so far.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<String>,
    not_checked: usize,
}

/// Checks a file.
pub async fn run(ui: Ui, args: &ValidateArgs) -> Result<Outcome, CliError> {
    Box::pin(validated(ui, args)).await.map_err(CliError::of_comparison)
}

async fn validated(ui: Ui, args: &ValidateArgs) -> Result<Outcome, CliError> {
    let subject = match Subject::read(&args.file, args.format) {
        Ok(subject) => subject,
        Err(error) if args.file.exists() || args.file.as_os_str() == "-" => {
            return problems(ui, &[error.message]);
        }
        Err(error) => return Err(error),
    };
    subject.warn(ui);
    let mut findings = Findings::default();
    match subject.inventory() {
        Ok(inventory) => findings.problems.extend(contradictions(&subject, &inventory)),
        Err(error) => findings.problems.extend(error.message.lines().map(str::to_owned)),
    }
    if let Source::File(format, content) = &subject.source {
        let name = subject.file.name();
        findings.problems.extend(content.duplicates(*format).iter().map(|error| error.in_file(&name)));
        subject.file.warn(ui, &content.doubtful());
        if let Some(base) = &args.base {
            args.since(ui, &subject.file, (*format, content), base, &mut findings).await?;
        }
    } else if args.base.is_some() {
        return Err(CliError::usage(
            "--base compares files of other tools; kubectl diff compares an ImageMirror",
        ));
    }
    if let Some(path) = &args.regsync {
        let current = subject.config()?.regsync(None);
        if InputFile::read(path)?.text != current {
            findings.problems.push(format!(
                "{}: it is not what {} generates; kubectl imgop mirror export --format regsync writes it",
                path.display(),
                subject.file.name()
            ));
        }
    }
    if !findings.problems.is_empty() {
        return problems(ui, &findings.problems);
    }
    match findings.not_checked {
        0 => Ok(Outcome::Done),
        number => Err(CliError::failed(format!("{} could not be checked", count(number, "reference")))),
    }
}

/// Prints problems, a line each.
fn problems(ui: Ui, problems: &[String]) -> Result<Outcome, CliError> {
    for problem in problems {
        ui.data(problem)?;
    }
    ui.note(&format!("{} found", count(problems.len(), "problem")));
    Ok(Outcome::Differences)
}

/// Returns what entries say against each other.
fn contradictions(subject: &Subject, inventory: &Inventory) -> Vec<String> {
    match inventory.expand() {
        Ok(expansion) => {
            let conflict = |Conflict { destination, sources }: &Conflict| {
                format!("{}: {destination} would be both {}", subject.file.name(), sources.join(" and "))
            };
            expansion.conflicts.iter().map(conflict).collect()
        }
        Err(error) => subject.unusable(&error).message.lines().map(str::to_owned).collect(),
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
        findings: &mut Findings,
    ) -> Result<(), CliError> {
        let text = base::text(file, base)?;
        let before = if text.is_empty() {
            Content::default()
        } else {
            read(&text, format)
                .map_err(|error| CliError::failed(error.in_file(&format!("{base}, {}", file.name()))))?
        };
        let name = file.name();
        findings
            .problems
            .extend(content.removed_since(&before).into_iter().map(|lost| format!("{name}: {lost}")));
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
            findings.take(ui, &name, checked.zip(found));
        }
        if self.check_targets {
            let new = content.repositories_since(&before);
            let repositories: Vec<Repository> =
                new.iter().filter_map(|new| new.repository.parse().ok()).collect();
            let found = checks.repositories(&repositories).await?;
            findings.take(ui, &name, new.into_iter().map(|new| (new.line, new.repository)).zip(found));
        }
        Ok(())
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

impl Findings {
    fn take(&mut self, ui: Ui, file: &str, found: impl Iterator<Item = ((usize, String), Found)>) {
        for ((line, reference), found) in found {
            match found {
                Found::There => {}
                Found::Missing(why) => self.problems.push(format!("{file}:{line}: {reference}: {why}")),
                Found::NotChecked(why) => {
                    self.not_checked += 1;
                    ui.warning(&format!("{file}:{line}: {reference}: not checked: {why}"));
                }
            }
        }
    }
}
