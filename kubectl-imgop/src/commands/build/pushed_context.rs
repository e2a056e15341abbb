//! A folder of this machine that goes to the registry of the image, with the login of this machine.

use imgop_core::api::{EndpointRef, Side};
use imgop_core::copy::ObserveError;
use imgop_registry::{Registries, RegistryError, RepositoryClient, Settings};

use super::BuildArgs;
use super::draft::Draft;
use super::local_context::ContextArchive;
use crate::cli_error::CliError;
use crate::cluster::AnsweringCluster;
use crate::output::Ui;
use crate::output::text::bytes;
use crate::output::wording::Wording;
use crate::registry::errors::{ErrorContext, explain};
use crate::registry::local_access::{AccessSources, Endpoint, LocalAccessArgs, Origin, Role};
use crate::registry::settings;

/// Pushes the folder by its digest; what is there already is not sent again. Returns whether it was not there.
pub async fn push(
    ui: Ui,
    args: &BuildArgs,
    cluster: &AnsweringCluster,
    draft: &Draft,
    archive: &ContextArchive,
) -> Result<bool, CliError> {
    let (client, origin) = client(ui, args, cluster, draft, archive).await?;
    let layer = &archive.layer;
    ui.note(&format!(
        "the folder goes to {} with {}, since {}",
        archive.name(),
        bytes(layer.size),
        archive.why
    ));
    let sent = send(&client, archive).await;
    let is_sent = sent.map_err(|error| failed(error, origin, archive))?;
    if !is_sent {
        ui.note("it is there already");
    }
    Ok(is_sent)
}

/// Sends layer, configuration and manifest. Returns whether any of it was sent.
async fn send(client: &RepositoryClient, archive: &ContextArchive) -> Result<bool, RegistryError> {
    let ContextArchive { image, layer, .. } = archive;
    let by_digest = image.manifest.digest.clone().into();
    if client.head(&by_digest).await?.is_some() {
        return Ok(false);
    }
    client.upload_blob(&layer.digest, archive.content()).await?;
    let config = imgop_registry::reference::Digest::of(&image.config);
    client.upload_blob(&config, image.config.clone().into()).await?;
    client.put_manifest(&by_digest, &image.manifest).await?;
    Ok(true)
}

/// Returns the client of the destination. The login of this machine goes before the Secret that the agent pushes with.
async fn client(
    ui: Ui,
    args: &BuildArgs,
    cluster: &AnsweringCluster,
    draft: &Draft,
    archive: &ContextArchive,
) -> Result<(RepositoryClient, Origin), CliError> {
    let local = args.local.read()?;
    let repository = &archive.repository;
    let has_login = local.find(ui, repository, false).await?.is_some();
    let spec = draft.spec.image.endpoint();
    let spec = EndpointRef { credentials: spec.credentials.filter(|_| !has_login), ..spec };
    let flags = LocalAccessArgs::of_both_sides(args.local.clone(), args.ca_file.as_ref());
    let sources = AccessSources { ui, cluster, local: &local, flags: &flags };
    let (side, namespace) = (Side::Destination, None);
    let endpoint = Endpoint { side, namespace, repository, spec, tls_flag: None, is_of_cluster: false };
    let reached = sources.reach(endpoint).await?;
    let settings = settings()?;
    // Nothing is read until all is sent.
    let read_timeout = settings.read_timeout + archive.content().extra_time();
    let registries = Registries::new(Settings { read_timeout, ..settings });
    let origin = Origin { role: Role::Alone, ..reached.origin };
    Ok((registries.push_target(repository, &reached.access), origin))
}

/// Returns why the folder could not be pushed, and how to do without.
fn failed(error: RegistryError, destination: Origin, archive: &ContextArchive) -> CliError {
    let context =
        ErrorContext { wording: Wording::Flags, source: Origin::default(), destination, copies_here: false };
    let explained = explain(&ObserveError::Registry { side: Side::Destination, error }, &context);
    let why = explained.message.strip_prefix("destination: ").unwrap_or(&explained.message);
    let message = format!("the folder cannot be pushed: {why}");
    CliError { message, ..explained }
        .hinted(format!(
            "the folder is pushed from this machine because {}; 700 KiB in 256 files without links are not",
            archive.why
        ))
        .hinted(archive.advice.clone())
        .hinted("or build from git: kubectl imgop build https://host/app.git#branch -t …")
}
