//! `kubectl imgop mirror update`.

mod entries;
mod helm;
mod outside;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use imgop_core::formats::FormatError;
use imgop_core::sources::github::{GithubLimits, GithubMemory};
use imgop_core::sources::{GithubUrls, Matching, Update, autoupdate, retrieve_image_tags};
use url::Url;

use super::file::InputFile;
use super::pull_requests::{PullRequestArgs, github_token};
use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::output::documents::DocumentFormat;
use crate::registry::one_repository::OneRepositoryArgs;
use crate::registry::registries;
use outside::Outside;

/// Add the tags that were announced since: as a list, to the file, or as pull requests
///
/// SOURCES says where new versions are announced: releases of GitHub, a file of a repository there, tags of a registry, or
/// the images of Helm charts. What the inventory lacks of them is added to its entries; nothing is ever removed. In an
/// images-list a source that goes to several targets gets the tags where the target is called mirrored-.
///
/// Pull requests are made one for each entry of SOURCES, with git as it is set up here, in a working tree of its own. One that
/// exists for the same tags is left as it is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl imgop mirror update config.yaml --sources autoupdate.yaml\n  \
    kubectl imgop mirror update config.yaml --sources autoupdate.yaml --entry calico --write\n  \
    kubectl imgop mirror update config.yaml --sources autoupdate.yaml --pull-request\n  \
    kubectl imgop mirror update images-list --sources config.json -o json\n\n\
    GITHUB_TOKEN is the token for GitHub. Without one GitHub takes 60 requests an hour, and no pull requests.\n\n\
    Exit codes: 0 done, 1 an entry failed, 2 wrong usage. With --exit-code: 0 nothing is missing, 1 tags are missing, \
    2 an entry failed.")]
pub struct UpdateArgs {
    /// The inventory: config.yaml or images-list of rancher's artifact-mirror or image-mirror
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Where versions are announced: autoupdate.yaml, or config.json of retrieve-image-tags
    #[arg(long, value_name = "FILE")]
    sources: PathBuf,

    /// Only this entry of SOURCES
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,

    #[command(flatten)]
    action: ActionArgs,

    /// Write FILE also where its comments are lost by that: its canonical form has none
    #[arg(long, requires = "write")]
    force: bool,

    /// Return exit code 1 if tags are missing
    #[arg(long, conflicts_with_all = ["write", "pull_request"])]
    exit_code: bool,

    #[command(flatten)]
    pull_requests: PullRequestArgs,

    /// GitHub's host for raw files
    #[arg(
        long,
        default_value = "https://raw.githubusercontent.com",
        value_name = "URL",
        help_heading = "GitHub"
    )]
    github_raw: Url,

    /// Helm's program, 3 or 4, for entries that look for the images in what it renders
    #[arg(long, default_value = "helm", value_name = "PATH")]
    helm: OsString,

    #[command(flatten)]
    registries: OneRepositoryArgs,

    /// Print a document of apiVersion imgop.mirror-changes/v1
    #[arg(short, long, value_enum)]
    output: Option<DocumentFormat>,
}

/// What is done with what is missing.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct ActionArgs {
    /// List what is missing and change nothing; the default
    #[arg(long)]
    diff: bool,

    /// Write it into FILE, and regsync.yaml beside it anew if it is there
    #[arg(long)]
    write: bool,

    /// Make a pull request for each entry of SOURCES
    #[arg(long)]
    pull_request: bool,
}

/// Looks for new tags.
pub async fn run(ui: Ui, args: &UpdateArgs) -> Result<Outcome, CliError> {
    let result = updated(ui, args).await;
    if args.exit_code { result.map_err(CliError::of_comparison) } else { result }
}

async fn updated(ui: Ui, args: &UpdateArgs) -> Result<Outcome, CliError> {
    let sources = InputFile::read(&args.sources)?;
    let (updates, matching) = updates(ui, &sources)?;
    let updates = chosen(updates, args.entry.as_deref())?;
    let outside = Outside {
        ui,
        registries: registries(false)?,
        args: &args.registries,
        local: args.registries.credentials()?,
        helm: args.helm.clone(),
        github_token: github_token(),
    };
    let urls = GithubUrls { api: args.pull_requests.github_api.clone(), raw: args.github_raw.clone() };
    let (memory, limits) = (GithubMemory::default(), GithubLimits::default());
    let is_document = args.output.is_some();
    let (memory, limits) = (&memory, &limits);
    let look = entries::Look { ui, outside: &outside, urls: &urls, memory, limits, matching, is_document };
    let changes = if args.action.pull_request {
        entries::propose_all(&look, args, &updates).await?
    } else if args.action.write {
        entries::write(&look, &InputFile::read(&args.file)?, &updates, args.force).await?
    } else {
        entries::list(&look, &InputFile::read(&args.file)?, &updates).await?
    };
    if let Some(format) = args.output {
        format.print(ui, &changes)?;
    }
    entries::ended(changes.failed(), updates.len())?;
    Ok(if args.exit_code && changes.has_tags() { Outcome::Differences } else { Outcome::Done })
}

/// Reads the sources in the form that they have, and how they mean the entries of an inventory.
fn updates(ui: Ui, file: &InputFile) -> Result<(Vec<Update>, Matching), CliError> {
    if file.text.trim_start().starts_with('{') {
        let failed =
            |error: retrieve_image_tags::RetrieveError| CliError::failed(format!("{}: {error}", file.name()));
        let read = retrieve_image_tags::read(&file.text).map_err(failed)?;
        for warning in &read.warnings {
            ui.warning(&format!("{}: {warning}", file.name()));
        }
        return Ok((read.updates, retrieve_image_tags::MATCHING));
    }
    let read = autoupdate::read(&file.text).map_err(|error: FormatError| file.error(&error))?;
    let updates = read.entries.into_iter().map(|entry| entry.update).collect();
    Ok((updates, autoupdate::MATCHING))
}

/// Returns the entries that were asked for.
fn chosen(updates: Vec<Update>, name: Option<&str>) -> Result<Vec<Update>, CliError> {
    let Some(name) = name else { return Ok(updates) };
    let nearest = updates.iter().map(|update| update.name.clone());
    let nearest = nearest.min_by_key(|other| strsim::damerau_levenshtein(other, name));
    let chosen: Vec<Update> = updates.into_iter().filter(|update| update.name == name).collect();
    if chosen.is_empty() {
        let error = CliError::usage(format!("--entry: SOURCES has no entry {name:?}"));
        return Err(match nearest {
            Some(nearest) => error.hinted(format!("the nearest name is {nearest:?}")),
            None => error,
        });
    }
    Ok(chosen)
}
