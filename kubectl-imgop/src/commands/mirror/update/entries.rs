//! What is missing of each entry: looked for, listed, written.

use std::fmt::Write as _;

use imgop_core::formats::rancher::Config;
use imgop_core::sources::github::GithubMemory;
use imgop_core::sources::{Addition, Finder, GithubUrls, Update, missing, propose};

use super::git::Git;
use super::outside::Outside;
use crate::cli_error::{CliError, Outcome};
use crate::commands::mirror::file::InputFile;
use crate::output::Ui;
use crate::output::text::count;

/// What new tags are looked for with.
pub struct Look<'a> {
    pub ui: Ui,
    pub outside: &'a Outside<'a>,
    pub urls: &'a GithubUrls,
    pub memory: &'a GithubMemory,
}

/// What is missing of an entry, and whether all of it is known.
pub struct Missing {
    pub additions: Vec<Addition>,
    pub is_complete: bool,
}

impl Look<'_> {
    /// Returns what an inventory lacks. What could not be found out is printed.
    pub async fn missing(&self, config: &Config, update: &Update) -> Missing {
        let name = &update.name;
        let finder = Finder { fetch: self.outside, github: self.urls, memory: self.memory };
        let found = match finder.find(update).await {
            Ok(found) => found.within(config, update),
            Err(error) => {
                self.ui.error_of_several(&CliError::failed(format!("{name}: {error}")));
                return Missing { additions: Vec::new(), is_complete: false };
            }
        };
        let mut is_complete = true;
        for note in &found.notes {
            let text = format!("{name}: {note}");
            if note.is_problem() {
                is_complete = false;
                self.ui.error_of_several(&CliError::failed(text));
            } else {
                self.ui.warning(&text);
            }
        }
        let additions = missing(config, &found.images);
        if additions.is_empty() && is_complete {
            self.ui.note(&format!("{name}: nothing is missing"));
        }
        Missing { additions, is_complete }
    }
}

/// Lists what is missing.
pub async fn list(
    look: &Look<'_>,
    config: &Config,
    updates: &[Update],
    has_exit_code: bool,
) -> Result<Outcome, CliError> {
    let (mut failed, mut is_any) = (0, false);
    for update in updates {
        let Missing { additions, is_complete } = look.missing(config, update).await;
        failed += usize::from(!is_complete);
        if !additions.is_empty() {
            is_any = true;
            look.ui.data(&listed(&update.name, config, &additions))?;
        }
    }
    ended(failed, updates.len())?;
    Ok(if is_any && has_exit_code { Outcome::Differences } else { Outcome::Done })
}

fn listed(name: &str, config: &Config, additions: &[Addition]) -> String {
    let references: Vec<String> = additions.iter().flat_map(Addition::references).collect();
    let branch = propose(name, config, additions).branch;
    let mut text = format!("{name}: {} ({branch})\n", count(references.len(), "tag"));
    for reference in references {
        let _ = writeln!(text, "+ {reference}");
    }
    text
}

/// Writes what is missing into the inventory, and `regsync.yaml` beside it.
pub async fn write(
    look: &Look<'_>,
    file: &InputFile,
    mut config: Config,
    updates: &[Update],
) -> Result<Outcome, CliError> {
    if file.is_stdin() {
        return Err(CliError::usage("--write: FILE is stdin; name a file"));
    }
    if let Some(git) = Git::of_file(file.path()).await {
        git.require_clean().await?;
    }
    let (mut failed, mut tags) = (0, 0);
    for update in updates {
        let Missing { additions, is_complete } = look.missing(&config, update).await;
        failed += usize::from(!is_complete);
        for addition in &additions {
            config.add_found(addition);
            tags += addition.tags.len();
        }
    }
    if tags > 0 {
        // The original generates regsync.yaml of what it has sorted.
        config.sort();
        let regsync = file.path().with_file_name("regsync.yaml");
        if regsync.exists() {
            InputFile::read(&regsync)?.replace(&config.regsync(None))?;
        }
        file.replace(&config.formatted())?;
        look.ui.note(&format!("{} added to {}", count(tags, "tag"), file.name()));
    }
    ended(failed, updates.len())?;
    Ok(Outcome::Done)
}

/// Fails if entries did.
pub fn ended(failed: usize, all: usize) -> Result<(), CliError> {
    match (failed, all) {
        (0, _) => Ok(()),
        (_, 1) => Err(CliError::failed("the entry failed")),
        _ => Err(CliError::failed(format!("{failed} of {all} entries failed"))),
    }
}
