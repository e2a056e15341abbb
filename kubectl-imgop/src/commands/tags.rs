//! `kubectl imgop tags`.

use std::collections::{HashMap, HashSet};

use clap::Args;
use imgop_core::selection::{Version, by_version};
use imgop_registry::BulkDigest;
use imgop_registry::reference::{Reference, Tag};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::reference_problem;
use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::output::age::human;
use crate::output::documents::PrintedArgs;
use crate::output::table::{Table, terminal_width};
use crate::output::text::{bytes, count};
use crate::preview::absent::release_line;
use crate::registry::one_repository::OneRepositoryArgs;
use crate::registry::registries;

/// The version of the document.
const API_VERSION: &str = "imgop.tags/v1";
/// How many tags a terminal shows unless a flag says otherwise.
const TAGS_ON_A_TERMINAL: usize = 50;

/// List the tags of a repository, the newest version first
///
/// The column PATTERN shows what selects a tag together with the others of its release line: write it after
/// SOURCE in a copy. Ages and sizes are shown where the registry has an API that tells them (Docker Hub, Quay,
/// ECR Public). No pull is counted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl imgop tags quay.io/argoproj/argocd\n  \
    kubectl imgop tags nginx:1.27.x-alpine\n  \
    kubectl imgop tags quay.io/argoproj/argocd --versions 'v2.13.x' --versions '>=2.12 <2.14'")]
pub struct TagsArgs {
    /// Repository; with a tag or a pattern, only the tags that it selects are listed
    #[arg(value_name = "REPOSITORY[:VERSION]")]
    repository: String,

    /// Show which tags a pattern or a range selects; may be given several times
    #[arg(long, value_name = "VERSIONS")]
    versions: Vec<Version>,

    /// Let patterns and ranges select pre-releases too
    #[arg(long)]
    allow_candidate_release: bool,

    /// How many tags to list; by default 50 on a terminal, else all; 0 means all
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,

    #[command(flatten)]
    access: OneRepositoryArgs,

    #[command(flatten)]
    printed: PrintedArgs,
}

/// The tags of a repository.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.tags/v1")]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// The version of the document.
    api_version: &'static str,
    /// The repository.
    repository: String,
    /// How many the repository has.
    number: usize,
    /// Those that are listed, the newest version first.
    tags: Vec<ListedTag>,
}

/// One tag.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ListedTag {
    /// The tag.
    tag: String,
    /// The pattern of its release line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    /// The versions that were asked about and select it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    selected_by: Vec<String>,
    /// When it was pushed with the content that it shows, where the registry tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pushed: Option<Timestamp>,
    /// The bytes of its layers, where the registry tells them.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

/// Lists tags.
pub async fn run(ui: Ui, args: &TagsArgs) -> Result<Outcome, CliError> {
    let (reference, version) = args.reference()?;
    let (local, registries) = (args.access.credentials()?, registries(false)?);
    let client = args.access.client(ui, &registries, &local, &reference.repository).await?;
    let all = client.tags().await.map_err(|error| args.access.explain(error))?;
    let number = all.len();
    let mut tags = all.clone();
    tags.retain(|tag| version.as_ref().is_none_or(|v| v.selects_with(tag, args.allow_candidate_release)));
    if let (Some(version), []) = (&version, tags.as_slice()) {
        let nothing = format!("no tag of {} matches {version}", reference.repository);
        return Err(CliError::failed(nothing)
            .hinted(format!("kubectl imgop preview {} says why not", args.repository)));
    }
    tags.sort_by(|a, b| by_version(b, a));
    let left_out = tags.len().saturating_sub(args.limit());
    tags.truncate(args.limit());
    let wanted: HashSet<Tag> = tags.iter().cloned().collect();
    let reported = client.pushes_in_bulk(&wanted, &all).await;
    let listed = Listing {
        api_version: API_VERSION,
        repository: reference.repository.to_string(),
        number,
        tags: tags.iter().map(|tag| args.listed(tag, &reported)).collect(),
    };
    match args.printed.output {
        Some(format) => format.print(ui, &listed)?,
        None => ui.table(&table(&listed, Timestamp::now()), !args.printed.no_headers)?,
    }
    if left_out > 0 {
        ui.note(&format!("{}; --limit 0 lists all", count(left_out, "more tag")));
    }
    Ok(Outcome::Done)
}

impl TagsArgs {
    fn reference(&self) -> Result<(Reference, Option<Version>), CliError> {
        let usage = |why: String| CliError::usage(format!("REPOSITORY: {why}"));
        if let Some(problem) = reference_problem(&self.repository) {
            return Err(usage(problem));
        }
        let reference: Reference = self.repository.parse().map_err(|e: _| usage(ToString::to_string(&e)))?;
        let version = reference.version.as_deref().map(str::parse::<Version>).transpose();
        let version = version.map_err(|error| usage(error.to_string()))?;
        if matches!(version, Some(Version::Digest(_))) {
            return Err(usage("a digest selects no tag; give a pattern, or the repository alone".to_owned()));
        }
        Ok((reference, version))
    }

    fn limit(&self) -> usize {
        match (self.limit, terminal_width()) {
            (Some(0), _) | (None, None) => usize::MAX,
            (Some(limit), _) => limit,
            (None, Some(_)) => TAGS_ON_A_TERMINAL,
        }
    }

    fn listed(&self, tag: &Tag, reported: &HashMap<Tag, BulkDigest>) -> ListedTag {
        let selects = |version: &&Version| version.selects_with(tag, self.allow_candidate_release);
        let reported = reported.get(tag);
        ListedTag {
            tag: tag.to_string(),
            pattern: release_line(tag).map(|[_, pattern]| pattern),
            selected_by: self.versions.iter().filter(selects).map(ToString::to_string).collect(),
            pushed: reported.and_then(|reported| reported.pushed),
            size: reported.and_then(|reported| reported.size),
        }
    }
}

fn table(listed: &Listing, now: Timestamp) -> Table {
    let any = |is_known: fn(&ListedTag) -> bool| listed.tags.iter().any(is_known);
    let (marks, ages) = (any(|tag| !tag.selected_by.is_empty()), any(|tag| tag.pushed.is_some()));
    let sizes = any(|tag| tag.size.is_some());
    let mut header = vec!["TAG", "PATTERN"];
    header.extend(marks.then_some("SELECTED-BY"));
    header.extend(ages.then_some("AGE"));
    header.extend(sizes.then_some("SIZE"));
    let mut table = Table::new(header);
    for tag in &listed.tags {
        let age = || tag.pushed.map(|time| human(now.as_second() - time.as_second())).unwrap_or_default();
        let mut cells = vec![tag.tag.clone(), tag.pattern.clone().unwrap_or_else(|| "<none>".to_owned())];
        cells.extend(marks.then(|| tag.selected_by.join(", ")));
        cells.extend(ages.then(age));
        cells.extend(sizes.then(|| tag.size.map(bytes).unwrap_or_default()));
        table.row(cells);
    }
    table
}
