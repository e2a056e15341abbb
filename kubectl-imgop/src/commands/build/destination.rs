//! Where a build goes whose tags name no registry.

use std::borrow::Cow;

use super::BuildArgs;
use crate::args::DryRun;
use crate::cli_error::CliError;
use crate::cluster::registry_accesses::RegistryAccesses;
use crate::cluster::{AnsweringCluster, ConnectionArgs};
use crate::commands::default_destination::{below_default, names_no_registry};
use crate::output::Ui;

/// Returns the arguments with the default destination of the namespace before each tag that names no registry.
pub async fn with_default<'a>(
    ui: Ui,
    args: &'a BuildArgs,
    connection: &ConnectionArgs,
) -> Result<Cow<'a, BuildArgs>, CliError> {
    // A dry run of the client asks no cluster.
    let is_offline = args.submit.dry_run == Some(DryRun::Client);
    if is_offline || !args.builder.tags.iter().any(|tag| names_no_registry(tag)) {
        return Ok(Cow::Borrowed(args));
    }
    let cluster = AnsweringCluster::new(connection.connect().await.map_err(|error| error.message));
    let accesses = RegistryAccesses::new(&cluster);
    let ui = if args.is_quiet() { ui.silent() } else { ui };
    let mut args = args.clone();
    for tag in &mut args.builder.tags {
        if let Some(below) = below_default(ui, tag, &accesses).await? {
            *tag = below;
        }
    }
    Ok(Cow::Owned(args))
}
