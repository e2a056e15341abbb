//! `kubectl imgop mirror add`.

use std::path::PathBuf;

use clap::Args;
use imgop_core::formats::{NewEntry, TagFile, Wanted};
use imgop_core::sources::{Added, Reviewer, add_tags};
use imgop_registry::reference::{ManifestRef, Reference, ReferenceError, Repository, Tag};

use super::changes::{Change, Changes};
use super::checks::{Checks, Depth, Found};
use super::file::InputFile;
use super::pull_requests::{PullRequestArgs, PullRequests, write_regsync};
use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::output::documents::DocumentFormat;
use crate::registry::one_repository::OneRepositoryArgs;

/// Add tags to the entries of a file
///
/// Of rancher's config.yaml or images-list. A source that goes to several names gets the tags under the one that begins with
/// mirrored-. Each tag that is not there yet is looked for at its source first; if one does not exist, or anything else is wrong,
/// the file stays as it is. It is written in its canonical form, and regsync.yaml beside it anew if it is there. Of - the
/// result is printed.
///
/// A pull request is made with git as it is set up here, in a working tree of its own, of the file as it is on the branch that
/// pull requests are for. One that exists for the same tags is left as it is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl imgop mirror add config.yaml quay.io/argoproj/argocd:v2.13.1 docker.io/library/redis:7.4\n  \
    kubectl imgop mirror add config.yaml --images quay.io/calico/cni,quay.io/calico/node --tags v3.29.0,v3.29.1\n  \
    kubectl imgop mirror add config.yaml --create --target-name argocd quay.io/argoproj/argocd:v2.13.1\n  \
    kubectl imgop mirror add images-list quay.io/argoproj/argocd:v2.13.1 --pull-request\n\n\
    GITHUB_TOKEN is the token for GitHub, which pull requests need.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct AddArgs {
    /// File to change; - reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Images with their tags
    #[arg(value_name = "IMAGE:TAG", required_unless_present = "images", conflicts_with_all = ["images", "tags"])]
    full_images: Vec<String>,

    /// Sources, each of which gets all --tags
    #[arg(long, value_name = "IMAGE", value_delimiter = ',', requires = "tags")]
    images: Vec<String>,

    /// Tags for all --images
    #[arg(long, value_name = "TAG", value_delimiter = ',', requires = "images")]
    tags: Vec<String>,

    /// Make an entry for a source that has none
    #[arg(long)]
    create: bool,

    /// Name at the targets of an entry that is made; in an images-list its whole repository
    #[arg(long, value_name = "NAME", requires = "create")]
    target_name: Option<String>,

    /// Ask no registry whether the tags exist
    #[arg(long)]
    no_check: bool,

    /// Write the file also where its comments are lost by that: its canonical form has none
    #[arg(long, conflicts_with = "pull_request")]
    force: bool,

    /// Make a pull request with the tags, and leave FILE as it is
    #[arg(long)]
    pull_request: bool,

    /// Ask this user, or the team org/team, to review the pull request; may be given several times
    #[arg(long = "reviewer", value_name = "NAME", requires = "pull_request", help_heading = "GitHub")]
    reviewers: Vec<Reviewer>,

    #[command(flatten)]
    pull_requests: PullRequestArgs,

    #[command(flatten)]
    access: OneRepositoryArgs,

    /// Print a document of apiVersion imgop.mirror-changes/v1
    #[arg(short, long, value_enum)]
    output: Option<DocumentFormat>,
}

/// Adds tags to a file, or proposes that.
pub async fn run(ui: Ui, args: &AddArgs) -> Result<Outcome, CliError> {
    let (name, change) = if args.pull_request { args.proposed(ui).await? } else { args.written(ui).await? };
    if let Some(format) = args.output {
        format.print(ui, &Changes::new(name, vec![change]))?;
    }
    Ok(Outcome::Done)
}

impl AddArgs {
    /// Writes the file with the tags.
    async fn written(&self, ui: Ui) -> Result<(String, Change), CliError> {
        let file = InputFile::read(&self.file)?;
        let (added, change) = self.added(ui, &file).await?;
        let is_written = !file.is_stdin() && !added.tags.is_empty();
        if is_written {
            file.check_comments(&added.file.lost_comments(&file.text), self.force)?;
            file.replace(&added.file.formatted())?;
            write_regsync(file.path(), &added.file)?;
        } else if file.is_stdin() && self.output.is_none() {
            ui.data(&added.file.formatted())?;
        }
        for (reference, (source, tag)) in change.tags.iter().zip(&added.tags) {
            ui.note(&format!("{reference} is added"));
            if !added.file.mirrors(source, tag) {
                ui.warning(&format!("{reference} is not mirrored, since DoNotMirror of its entry says so"));
            }
        }
        Ok((file.name(), Change { written: is_written, ..change }))
    }

    /// Makes a pull request with the tags, of the file as it is on the branch that pull requests are for.
    async fn proposed(&self, ui: Ui) -> Result<(String, Change), CliError> {
        let pulls = PullRequests::open(ui, &self.pull_requests, &self.file).await?;
        let result = self.proposed_by(ui, &pulls).await;
        pulls.close()?;
        Ok((self.file.display().to_string(), result?))
    }

    async fn proposed_by(&self, ui: Ui, pulls: &PullRequests<'_>) -> Result<Change, CliError> {
        let (added, change) = self.added(ui, &pulls.file()?).await?;
        if added.tags.is_empty() {
            return Ok(change);
        }
        let proposed = pulls.propose("", &added.proposal, &self.reviewers).await?;
        if proposed.created && self.output.is_none() {
            ui.data(&format!("created pull request {}", proposed.url))?;
        }
        let change = change.on_branch(&added.proposal);
        Ok(Change { pull_request: Some(proposed), ..change })
    }

    /// Returns the file with the tags, once all of them are known to exist.
    async fn added(&self, ui: Ui, file: &InputFile) -> Result<(Added, Change), CliError> {
        let (of, warnings) = TagFile::read(&file.text).map_err(|error| file.error(&error))?;
        file.warn(ui, &warnings);
        file.warn(ui, &of.lost_comments(&file.text));
        let new = self.create.then(|| NewEntry { target_name: self.target_name.clone() });
        let added = add_tags(&of, &self.wanted()?, new.as_ref());
        let added = added.map_err(|error| CliError::failed(format!("{}: {error}", file.name())))?;
        let shown = |tags: &[(String, String)]| -> Vec<String> {
            tags.iter().map(|(source, tag)| format!("{source}:{tag}")).collect()
        };
        let change = Change { tags: shown(&added.tags), present: shown(&added.known), ..Change::default() };
        for reference in &change.present {
            ui.note(&format!("{reference} is there already"));
        }
        if !self.no_check {
            self.check(ui, &added.tags).await?;
        }
        Ok((added, change))
    }

    /// Returns what is to be added, source by source.
    fn wanted(&self) -> Result<Vec<Wanted>, CliError> {
        let of_images =
            self.images.iter().map(|source| Wanted { source: source.clone(), tags: self.tags.clone() });
        let mut all: Vec<Wanted> = of_images.collect();
        for text in &self.full_images {
            let usage = |why: String| CliError::usage(format!("{text}: {why}"));
            let reference: Reference =
                text.parse().map_err(|error: ReferenceError| usage(error.to_string()))?;
            let tag = reference.version.ok_or_else(|| usage("add its tag, as in IMAGE:TAG".to_owned()))?;
            let source = text[..text.len() - tag.len() - 1].to_owned();
            all.push(Wanted { source, tags: vec![tag] });
        }
        for Wanted { source, tags } in &all {
            let usage = |error: ReferenceError| CliError::usage(format!("{source}: {error}"));
            source.parse::<Repository>().map_err(usage)?;
            tags.iter().try_for_each(|tag| tag.parse::<Tag>().map(drop)).map_err(usage)?;
        }
        Ok(all)
    }

    /// Looks for the tags at their sources.
    async fn check(&self, ui: Ui, added: &[(String, String)]) -> Result<(), CliError> {
        let image = |(source, tag): &(String, String)| {
            Some((source.parse::<Repository>().ok()?, ManifestRef::Tag(tag.parse().ok()?)))
        };
        let images: Vec<_> = added.iter().filter_map(image).collect();
        let found = Checks::new(ui, &self.access)?.images(&images, Depth::Manifest).await?;
        let missing = added.iter().zip(found).filter_map(|((source, tag), found)| match found {
            Found::There => None,
            Found::Missing(why) => Some(format!("{source}:{tag}: {why}")),
            Found::NotChecked(why) => Some(format!("{source}:{tag} could not be checked: {why}")),
        });
        let missing: Vec<String> = missing.collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(CliError::failed(missing.join("\n")).hinted("nothing is written; --no-check asks no registry"))
    }
}
