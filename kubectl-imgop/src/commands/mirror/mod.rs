//! `kubectl imgop mirror`: files that say which image goes where. One verb a file.

mod add;
mod base;
mod checks;
pub mod comparison;
mod export;
pub mod file;
mod format;
pub mod import;
mod plan;
mod registries;
mod subject;
mod update;
mod validate;
mod verify;

use clap::{Args, Subcommand};

use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::output::Ui;

/// Work with files that say which image goes where, as other tools have them, without a cluster
///
/// Such a file lists source repositories with their tags, and the repositories that they are mirrored to: rancher's config.yaml
/// and images-list, regsync.yaml, the files of skopeo sync, dregsy and image-syncer, or an ImageMirror of imgop itself.
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
    Add(add::AddArgs),
    Plan(plan::PlanArgs),
    Verify(verify::VerifyArgs),
}

/// Runs one of its verbs.
pub async fn run(ui: Ui, args: &MirrorArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    match &args.verb {
        MirrorVerb::Import(args) => import::run(ui, args),
        MirrorVerb::Export(args) => export::run(ui, args),
        MirrorVerb::Format(args) => format::run(ui, args),
        MirrorVerb::Update(args) => Box::pin(update::run(ui, args)).await,
        MirrorVerb::Validate(args) => Box::pin(validate::run(ui, args)).await,
        MirrorVerb::Add(args) => Box::pin(add::run(ui, args)).await,
        MirrorVerb::Plan(args) => plan::run(ui, args, connection).await,
        MirrorVerb::Verify(args) => verify::run(ui, args, connection).await,
    }
}
