//! `kubectl imgop mirror`: files that say which image goes where. One verb a file.

mod add;
mod base;
pub mod changes;
mod checks;
pub mod comparison;
mod export;
pub mod file;
mod finding;
mod format;
mod hub;
pub mod import;
mod of_cluster;
mod plan;
mod pull_requests;
mod registries;
mod subject;
mod update;
pub mod validate;
mod verify;

pub use registries::{Mirrored, ReadFrom};
pub use verify::VerificationArgs;

use clap::{Args, Subcommand};

use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::interrupts::left_behind;
use crate::output::Ui;

/// Work with files that say which image goes where, as other tools have them, without a cluster
///
/// Such a file lists source repositories with their tags, and the repositories that they are mirrored to: rancher's config.yaml
/// and images-list, regsync.yaml, the files of skopeo sync, dregsy and image-syncer, or an ImageMirror of imgop itself. No verb
/// needs a cluster; plan and verify also take an ImageMirror that is in one.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
    kubectl imgop mirror validate config.yaml --base origin/main\n  \
    kubectl imgop mirror add config.yaml quay.io/argoproj/argocd:v2.13.1\n  \
    kubectl imgop mirror export config.yaml --format regsync > regsync.yaml\n  \
    kubectl imgop mirror import config.yaml > mirror.yaml"
)]
pub struct MirrorArgs {
    #[command(subcommand)]
    verb: MirrorVerb,
}

#[derive(Debug, Subcommand)]
enum MirrorVerb {
    Import(import::ImportArgs),
    Export(export::ExportArgs),
    Format(format::FormatArgs),
    Update(Box<update::UpdateArgs>),
    Validate(validate::ValidateArgs),
    Add(Box<add::AddArgs>),
    Plan(plan::PlanArgs),
    Verify(verify::VerifyArgs),
}

/// Runs one of its verbs.
pub async fn run(ui: Ui, args: MirrorArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    match args.verb {
        MirrorVerb::Import(args) => left_behind(move || import::run(ui, &args)).await,
        MirrorVerb::Export(args) => left_behind(move || export::run(ui, &args)).await,
        MirrorVerb::Format(args) => left_behind(move || format::run(ui, &args)).await,
        MirrorVerb::Update(args) => Box::pin(update::run(ui, &args)).await,
        MirrorVerb::Validate(args) => Box::pin(validate::run(ui, &args)).await,
        MirrorVerb::Add(args) => Box::pin(add::run(ui, &args)).await,
        MirrorVerb::Plan(args) => plan::run(ui, &args, connection).await,
        MirrorVerb::Verify(args) => verify::run(ui, &args, connection).await,
    }
}
