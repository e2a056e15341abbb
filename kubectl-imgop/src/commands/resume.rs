//! `kubectl imgop resume`.

use clap::Args;

use crate::commands::suspend::set;
use crate::connection::ConnectionArgs;
use crate::errors::{CliError, Outcome};
use crate::ui::Ui;
use crate::which_images::WhichImages;

/// Let the agent sync suspended Images again
#[derive(Debug, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    which: WhichImages,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Resumes Images.
pub async fn run(ui: Ui, args: &ResumeArgs) -> Result<Outcome, CliError> {
    let cluster = args.connection.connect().await?;
    set(ui, &cluster, &args.which, false).await
}
