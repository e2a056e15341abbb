//! What is missing of each entry: looked for, listed, written, proposed.

use std::fmt::Write as _;

use imgop_core::formats::TagFile;
use imgop_core::sources::github::{GithubLimits, GithubMemory};
use imgop_core::sources::{
    Addition, ChartLimits, Finder, GithubUrls, Matching, Update, check_name, missing, propose,
};

use super::UpdateArgs;
use super::outside::Outside;
use crate::cli_error::CliError;
use crate::commands::mirror::changes::{Change, Changes};
use crate::commands::mirror::file::InputFile;
use crate::commands::mirror::pull_requests::git::Git;
use crate::commands::mirror::pull_requests::{PullRequests, write_regsync};
use crate::output::Ui;
use crate::output::text::count;

/// What new tags are looked for with.
pub struct Look<'a> {
    pub ui: Ui,
    pub outside: &'a Outside<'a>,
    pub urls: &'a GithubUrls,
    pub memory: &'a GithubMemory,
    pub limits: &'a GithubLimits,
    /// How updates mean the entries of the file.
    pub matching: Matching,
    /// Whether a document is printed, and nothing else on stdout.
    pub is_document: bool,
}

impl Look<'_> {
    /// Returns what a file lacks, and how that is reported. What could not be found out is printed.
    async fn missing(&self, file: &TagFile, update: &Update) -> (Vec<Addition>, Change) {
        let name = &update.name;
        let mut change = Change { name: Some(name.clone()), ..Change::default() };
        let finder = Finder {
            fetch: self.outside,
            github: self.urls,
            memory: self.memory,
            limit: self.limits.of(self.outside.github_token.as_ref()),
            charts: ChartLimits::default(),
        };
        let found = match finder.find(update).await {
            Ok(found) => found.within(file, update, self.matching),
            Err(error) => {
                self.problem(&mut change, error.to_string());
                return (Vec::new(), change);
            }
        };
        for note in &found.notes {
            if note.is_problem() {
                self.problem(&mut change, note.to_string());
            } else {
                self.ui.warning(&format!("{name}: {note}"));
                change.warnings.push(note.to_string());
            }
        }
        let additions = missing(file, &found.images);
        for entry in additions.iter().map(|addition| &addition.entry) {
            if file.tags_of(entry).is_none() {
                let (source, target) = (entry.source.as_str(), entry.effective_name());
                let warning = format!("the inventory has no entry {source} named {target}; one is added");
                self.ui.warning(&format!("{name}: {warning}"));
                change.warnings.push(warning);
            }
        }
        if additions.is_empty() && change.problems.is_empty() {
            self.ui.note(&format!("{name}: nothing is missing"));
        }
        change.tags = additions.iter().flat_map(Addition::references).collect();
        (additions, change)
    }

    fn problem(&self, change: &mut Change, problem: String) {
        let name = change.name.as_deref().unwrap_or_default();
        self.ui.error_of_several(&CliError::failed(format!("{name}: {problem}")));
        change.problems.push(problem);
    }

    fn data(&self, text: &str) -> Result<(), CliError> {
        if self.is_document { Ok(()) } else { self.ui.data(text) }
    }
}

/// Lists what is missing.
pub async fn list(look: &Look<'_>, file: &InputFile, updates: &[Update]) -> Result<Changes, CliError> {
    let of = read(look.ui, file)?;
    let mut changes = Vec::with_capacity(updates.len());
    for update in updates {
        let (additions, mut change) = look.missing(&of, update).await;
        if !additions.is_empty() {
            let proposal = propose(&update.name, &of, &additions);
            change = change.on_branch(&proposal);
            look.data(&listed(&update.name, &change.tags, &proposal.branch))?;
        }
        changes.push(change);
    }
    Ok(Changes::new(file.name(), changes))
}

fn listed(name: &str, references: &[String], branch: &str) -> String {
    let mut text = format!("{name}: {} ({branch})\n", count(references.len(), "tag"));
    for reference in references {
        let _ = writeln!(text, "+ {reference}");
    }
    text
}

/// Writes what is missing into the file, and `regsync.yaml` beside it. Comments are lost only with `force`.
pub async fn write(
    look: &Look<'_>,
    file: &InputFile,
    updates: &[Update],
    force: bool,
) -> Result<Changes, CliError> {
    if file.is_stdin() {
        return Err(CliError::usage("--write: FILE is stdin; name a file"));
    }
    if let Some(git) = Git::of_file(file.path()).await {
        git.require_clean().await?;
    }
    let mut with = read(look.ui, file)?;
    let mut changes = Vec::with_capacity(updates.len());
    for update in updates {
        let (additions, change) = look.missing(&with, update).await;
        for addition in &additions {
            with.add_found(addition);
        }
        changes.push(Change { written: !additions.is_empty(), ..change });
    }
    let tags: usize = changes.iter().map(|change| change.tags.len()).sum();
    if tags > 0 {
        file.check_comments(&with.lost_comments(&file.text), force)?;
        file.replace(&with.formatted())?;
        write_regsync(file.path(), &with)?;
        look.ui.note(&format!("{} added to {}", count(tags, "tag"), file.name()));
    }
    Ok(Changes::new(file.name(), changes))
}

/// Makes a pull request for each entry that misses tags. All are looked at, also if one fails.
pub async fn propose_all(
    look: &Look<'_>,
    args: &UpdateArgs,
    updates: &[Update],
) -> Result<Changes, CliError> {
    for update in updates {
        check_name(&update.name)
            .map_err(|problem| CliError::failed(format!("{}: {problem}", update.name)))?;
    }
    let pulls = PullRequests::open(look.ui, &args.pull_requests, &args.file).await?;
    let result = proposed(look, &pulls, updates).await;
    pulls.close()?;
    Ok(Changes::new(args.file.display().to_string(), result?))
}

async fn proposed(
    look: &Look<'_>,
    pulls: &PullRequests<'_>,
    updates: &[Update],
) -> Result<Vec<Change>, CliError> {
    let file = read(look.ui, &pulls.file()?)?;
    let mut changes = Vec::with_capacity(updates.len());
    for update in updates {
        let (additions, mut change) = look.missing(&file, update).await;
        if !additions.is_empty() {
            let proposal = propose(&update.name, &file, &additions);
            change = change.on_branch(&proposal);
            let prefix = format!("{}: ", update.name);
            match pulls.propose(&prefix, &proposal, &update.reviewers).await {
                Ok(proposed) => {
                    if proposed.created {
                        look.data(&format!("{prefix}created pull request {}", proposed.url))?;
                    }
                    change.pull_request = Some(proposed);
                }
                Err(error) => look.problem(&mut change, error.message),
            }
        }
        changes.push(change);
    }
    Ok(changes)
}

fn read(ui: Ui, file: &InputFile) -> Result<TagFile, CliError> {
    let (read, warnings) = TagFile::read(&file.text).map_err(|error| file.error(&error))?;
    file.warn(ui, &warnings);
    file.warn(ui, &read.lost_comments(&file.text));
    Ok(read)
}

/// Fails if entries did.
pub fn ended(failed: usize, all: usize) -> Result<(), CliError> {
    match (failed, all) {
        (0, _) => Ok(()),
        (_, 1) => Err(CliError::failed("the entry failed")),
        _ => Err(CliError::failed(format!("{failed} of {all} entries failed"))),
    }
}
