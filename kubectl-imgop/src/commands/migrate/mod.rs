//! `kubectl imgop migrate`: what other tools were told, as resources of imgop. One verb a tool.

mod copycat;
mod environment;
mod image_operator;
mod inventory;

use clap::{Args, Subcommand};
use imgop_core::formats::Format;

use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;

/// Print what another tool was told as resources of this one
///
/// The resources go to stdout, to be looked at and applied with kubectl. Stderr has a line for each thing that is carried
/// otherwise than it was, or not carried, and why. Credentials are never read: what is to be created for them is said.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
    kubectl imgop migrate rancher config.yaml --autoupdate autoupdate.yaml > mirror.yaml\n  \
    kubectl imgop migrate regsync regsync.yaml | kubectl apply -f -\n  \
    kubectl imgop migrate image-operator before.yaml > after.yaml"
)]
pub struct MigrateArgs {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    Rancher(inventory::RancherArgs),
    Regsync(inventory::RegsyncArgs),
    SkopeoSync(inventory::SkopeoSyncArgs),
    Dregsy(inventory::DregsyArgs),
    Copycat(copycat::CopycatArgs),
    ImageOperator(image_operator::ImageOperatorArgs),
}

/// Runs one of its verbs.
pub fn run(ui: Ui, args: &MigrateArgs) -> Result<Outcome, CliError> {
    match &args.tool {
        Tool::Rancher(args) => inventory::rancher(ui, args),
        Tool::Regsync(args) => inventory::run(ui, &args.of, Format::Regsync),
        Tool::SkopeoSync(args) => inventory::run(ui, &args.of, Format::SkopeoSync),
        Tool::Dregsy(args) => inventory::run(ui, &args.of, Format::Dregsy),
        Tool::Copycat(args) => copycat::run(ui, args),
        Tool::ImageOperator(args) => image_operator::run(ui, args),
    }
}
