//! `kubectl imgop resume`.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use crate::commands::suspend::set;
use crate::completion::image_names;
use crate::connection::ConnectionArgs;
use crate::errors::{CliError, Outcome};
use crate::names::parse_image_name;
use crate::ui::Ui;

/// Let the agent sync suspended Images again
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Images to resume
    #[arg(value_name = "NAME", required = true, value_parser = parse_image_name,
        add = ArgValueCompleter::new(image_names))]
    names: Vec<String>,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Resumes Images.
pub async fn run(ui: Ui, args: &ResumeArgs) -> Result<Outcome, CliError> {
    let cluster = args.connection.connect().await?;
    set(ui, &cluster, &args.names, false).await
}
