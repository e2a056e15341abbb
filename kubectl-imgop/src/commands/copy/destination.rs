//! Where a copy goes that names no registry as its destination.

use std::borrow::Cow;

use super::CopyArgs;
use super::context::repository;
use super::questions::has_version;
use crate::args::DryRun;
use crate::cli_error::CliError;
use crate::cluster::registry_accesses::RegistryAccesses;
use crate::cluster::{AnsweringCluster, ConnectionArgs};
use crate::commands::default_destination::{below_default, names_no_registry};
use crate::output::Ui;

/// Returns the arguments with the default destination of the namespace in the place of one that names no registry. Where
/// `asks`, a destination that is missing is asked for.
pub async fn with_default<'a>(
    ui: Ui,
    args: &'a CopyArgs,
    connection: &ConnectionArgs,
    asks: bool,
) -> Result<Cow<'a, CopyArgs>, CliError> {
    let is_open = match &args.destination {
        Some(written) => names_no_registry(written),
        None => !asks,
    };
    // A dry run of the client asks no cluster for what can be told without one.
    let is_offline = args.submit.dry_run == Some(DryRun::Client) && args.destination.is_some();
    let source = args.source.as_deref().filter(|source| has_version(source) || args.image.has_versions());
    let (Some(source), true, false) = (source, is_open, is_offline) else { return Ok(Cow::Borrowed(args)) };
    let cluster = AnsweringCluster::new(connection.connect().await.map_err(|error| error.message));
    let accesses = RegistryAccesses::new(&cluster);
    let destination = if let Some(written) = &args.destination {
        below_default(ui, written, &accesses).await?
    } else {
        let found = match repository(source) {
            Some((source, _)) => accesses.below_default(source.path()).await?,
            None => None,
        };
        found.map(|(repository, origin)| {
            ui.note(&format!("copying to {repository}, the default destination of {origin}"));
            repository.to_string()
        })
    };
    let Some(destination) = destination else { return Ok(Cow::Borrowed(args)) };
    Ok(Cow::Owned(CopyArgs { destination: Some(destination), ..args.clone() }))
}
