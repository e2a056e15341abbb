//! `kubectl imgop describe`.

use clap::Args;

use crate::connection::ConnectionArgs;
use crate::errors::{CliError, Outcome};
use crate::ui::Ui;

/// Show everything about an Image: spec, conditions, failures, Jobs and events
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// Name of the Image
    name: String,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Describes an Image.
pub async fn run(ui: Ui, args: &DescribeArgs) -> Result<Outcome, CliError> {
    let _ = (ui, args.connection.connect().await?.image(&args.name).await?);
    Ok(Outcome::Done)
}
