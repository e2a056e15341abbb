//! `kubectl imgop mirror plan`.

use std::path::PathBuf;

use clap::Args;
use imgop_core::copy::TagState;
use imgop_core::formats::Format;
use jiff::Timestamp;

use super::comparison::{ComparedTag, ComparisonFormat, State};
use super::registries::Mirrored;
use super::subject::Subject;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::cluster::registry_accesses::RegistryAccesses;
use crate::output::Ui;
use crate::preview::cluster_images::ClusterImages;
use crate::preview::details::Details;
use crate::preview::document::{Report, TagReport};
use crate::preview::inspect::{Inspector, inspect};
use crate::registry::one_repository::OneRepositoryArgs;

/// Show what an inventory would copy, without changing anything
///
/// Registries are asked from this machine, by the code that the agent runs too. A file of another tool is taken as the
/// ImageMirror that import makes of it. An ImageMirror of the cluster (imagemirror/NAME, or NAME where no file is called so) is
/// read with the ConfigMaps that it names and with the tags that its version sources have added. Tags that a target has are not compared unless the ImageMirror follows its sources;
/// kubectl imgop mirror verify compares all.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    kubectl imgop mirror plan config.yaml\n  \
    kubectl imgop mirror plan mirror.yaml -o markdown > comment.md\n  \
    kubectl imgop mirror plan config.yaml --exit-code\n  \
    kubectl imgop mirror plan imagemirror/acme -n mirrors\n\n\
    Signs: + missing, ~ differs, ! not at the source, or a conflict, ? could not be checked.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage. With --exit-code: 0 nothing to copy, 1 something to copy, or a tag that is \
    not at its source or in conflict, 2 failed, or a tag could not be checked, 3 a target has other content than the source.")]
pub struct PlanArgs {
    /// File to read: an ImageMirror, or the file of another tool; - reads stdin. Or the name of an ImageMirror of the cluster
    #[arg(value_name = "FILE|NAME")]
    file: PathBuf,

    /// Its format, where the file does not tell
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Return an exit code that says whether something would be copied
    #[arg(long)]
    exit_code: bool,

    /// Output format
    #[arg(short, long, value_enum, default_value = "table", hide_default_value = true)]
    output: ComparisonFormat,

    #[command(flatten)]
    access: OneRepositoryArgs,
}

/// Shows what an inventory would copy.
pub async fn run(ui: Ui, args: &PlanArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let result = Box::pin(planned(ui, args, connection)).await;
    if args.exit_code { result.map_err(CliError::of_comparison) } else { result.map(|_| Outcome::Done) }
}

async fn planned(ui: Ui, args: &PlanArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let now = Timestamp::now();
    let subject = Subject::find(&args.file, args.format, connection).await?;
    subject.warn(ui);
    let mirrored = Mirrored::read(&subject, &args.access, connection, now).await?;
    let accesses = RegistryAccesses::new(mirrored.cluster());
    let images = ClusterImages::new(mirrored.cluster(), &accesses);
    let inspector = Inspector {
        registries: &mirrored.registries,
        sources: mirrored.sources(ui),
        images: &images,
        source_tls: args.access.tls(),
        destination_tls: args.access.tls(),
        limits: mirrored.limits,
        details: Details::Listed,
    };
    let inspector = &inspector;
    let comparison = mirrored
        .compared(|target| async move {
            let inspected = Box::pin(inspect(target, inspector)).await?;
            Ok(rows(&inspected.report))
        })
        .await;
    comparison.print(ui, args.output)?;
    if args.exit_code { comparison.outcome() } else { Ok(Outcome::Done) }
}

fn rows(report: &Report) -> Vec<ComparedTag> {
    let destination = report.destination.as_deref().unwrap_or_default();
    let row = |tag: &TagReport| ComparedTag {
        source: format!("{}{}{}", report.source, separator(&tag.tag), tag.tag),
        destination: format!("{destination}:{}", tag.destination_tag.as_deref().unwrap_or_default()),
        state: state(tag.state),
        source_digest: tag.source_digest.clone(),
        destination_digest: tag.destination_digest.clone(),
        reason: tag.reason.clone().or_else(|| tag.conflict.clone()),
    };
    report.tags.iter().map(row).collect()
}

/// Returns what stands between a repository and a tag or digest.
pub fn separator(version: &str) -> char {
    if version.contains(':') { '@' } else { ':' }
}

fn state(state: TagState) -> State {
    match state {
        TagState::UpToDate | TagState::AlreadySynced | TagState::AtSource => State::UpToDate,
        TagState::Missing => State::Missing,
        TagState::Differs => State::Differs,
        TagState::NotFound | TagState::PlatformNotFound => State::NotAtSource,
        TagState::FormatUnsupported | TagState::NotChecked => State::NotChecked,
    }
}
