//! `kubectl imgop resume`.

use clap::Args;

use crate::args::SelectedArgs;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::commands::suspend::set;
use crate::output::Ui;

/// Resume suspended Images and ImageBuilders
#[derive(Debug, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    selected: SelectedArgs,
}

/// Resumes objects.
pub async fn run(ui: Ui, args: &ResumeArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    args.selected.check(ui)?;
    let cluster = connection.connect().await?;
    set(ui, &cluster, &args.selected, false).await
}
