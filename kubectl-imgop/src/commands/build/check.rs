//! `--check`: the Dockerfile, its base images, and what would be pushed where. Nothing is submitted.

use imgop_core::api::{EndpointRef, PullRegistry};
use kube::ResourceExt;

use super::BuildArgs;
use super::draft::Draft;
use crate::build_check::{Bases, Checked, check};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::{AnsweringCluster, ConnectionArgs};
use crate::output::Ui;
use crate::output::wording::Wording;
use crate::registry::local_access::{AccessSources, LocalAccessArgs};
use crate::registry::registries;

/// Checks, and prints what was found.
pub async fn of_draft(
    ui: Ui,
    args: &BuildArgs,
    draft: &Draft,
    connection: &ConnectionArgs,
) -> Result<Outcome, CliError> {
    let Some(dockerfile) = &draft.dockerfile else {
        return Err(CliError::usage(
            "--check reads a Dockerfile of this machine; git and ConfigMaps are read by builds",
        )
        .hinted("check out the repository, and give its folder: kubectl imgop build . -t … --check"));
    };
    let image = draft.spec.image.endpoint();
    let mut endpoints = draft.spec.registries.iter().map(PullRegistry::endpoint).chain([image]);
    let names_secret =
        |endpoint: EndpointRef<'_>| endpoint.credentials.is_some() || endpoint.tls.ca_secret_name.is_some();
    let own_secret = draft.secret.as_ref().map(ResourceExt::name_any);
    let mut mounted = draft.spec.secrets.iter().map(|secret| &secret.secret_name);
    let needs_cluster = endpoints.any(names_secret) || mounted.any(|name| own_secret.as_ref() != Some(name));
    let cluster = AnsweringCluster::new(if needs_cluster {
        connection.connect().await.map_err(|error| error.message)
    } else {
        Err("no cluster is needed".to_owned())
    });
    let flags = LocalAccessArgs::of_both_sides(args.local.clone(), args.ca_file.as_ref());
    let (local, registries) = (args.local.read()?, registries(false)?);
    let bases = Bases {
        registries: &registries,
        sources: AccessSources { ui, cluster: &cluster, local: &local, flags: &flags },
        spec: &draft.spec,
        namespace: None,
        wording: Wording::Flags,
        is_of_cluster: false,
    };
    let checked = Checked {
        name: &dockerfile.name,
        text: Some(&dockerfile.text),
        request: &draft.request,
        files: draft.files.as_ref(),
        own_secret: own_secret.as_deref(),
        buildah: args.buildah_version,
    };
    check(ui, checked, &bases).await
}
