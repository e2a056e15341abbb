//! `kubectl imgop disable`.

use clap::Args;
use serde_json::json;

use super::enabling::{AgentArgs, FeatureArgs, missing_namespace};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::{Cluster, ConnectionArgs};
use crate::installation::applying::delete;
use crate::installation::enabled::{Account, Binding, Feature, bindings};
use crate::installation::keeper::{Keeper, Verb};
use crate::kinds::object_name::parse_namespace;
use crate::manifests::Manifest;
use crate::output::Ui;

/// Take back what namespaces are enabled for
///
/// Its RoleBindings are deleted, so that the agent copies and builds nothing there any more. Images and ImageBuilders stay
/// as they are, with a condition that says so, and Jobs that run end by themselves. With --builds or --aws that alone is
/// taken back. To let one Image rest, see kubectl imgop suspend.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    Nothing is copied or built there any more:\n    \
    kubectl imgop disable team-a\n  \
    Nothing is built there any more, and Images are copied as before:\n    \
    kubectl imgop disable team-a --builds")]
pub struct DisableArgs {
    /// Namespaces to disable
    #[arg(value_name = "NAMESPACE", value_parser = parse_namespace)]
    namespaces: Vec<String>,

    #[command(flatten)]
    features: FeatureArgs,

    /// Show what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    agent: AgentArgs,
}

/// Disables namespaces.
pub async fn run(ui: Ui, args: &DisableArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let namespaces =
        if args.namespaces.is_empty() { connection.namespace.as_slice() } else { &args.namespaces };
    if namespaces.is_empty() {
        return Err(missing_namespace("disable"));
    }
    let cluster = connection.connect().await?;
    let account = args.agent.account(ui, &cluster).await?;
    let named = args.features.named();
    let features = if named.is_empty() { Feature::ALL.to_vec() } else { named };
    for namespace in namespaces {
        disable(ui, &cluster.in_namespace(Some(namespace)), &account, &features, args.dry_run).await?;
    }
    Ok(Outcome::Done)
}

/// Disables the namespace of the cluster.
async fn disable(
    ui: Ui,
    cluster: &Cluster,
    account: &Account,
    features: &[Feature],
    is_dry_run: bool,
) -> Result<(), CliError> {
    cluster.check_namespace().await?;
    let namespace = &cluster.namespace;
    let found = bindings(cluster, account, Some(namespace)).await?;
    let chosen = || found.iter().filter(|binding| features.contains(&binding.feature));
    // All or nothing: what cannot be deleted is said before anything is.
    for binding in chosen().filter(|binding| binding.namespace.is_some()) {
        check(cluster, account, binding).await?;
    }
    let mut is_changed = false;
    for binding in chosen() {
        let (name, title) = (&binding.name, binding.feature.title());
        if binding.namespace.is_none() {
            ui.warning(&format!("{title} stay enabled in all namespaces by the ClusterRoleBinding {name}"));
            continue;
        }
        let Some(manifest) = manifest(binding) else { continue };
        if !is_dry_run {
            delete(cluster, &manifest).await?;
        }
        let remark = if is_dry_run { " (dry run)" } else { "" };
        ui.data(&format!("namespace {namespace}: {title} disabled{remark}"))?;
        is_changed = true;
    }
    if !is_changed {
        ui.data(&format!("namespace {namespace}: nothing to disable"))?;
    }
    Ok(())
}
/// Returns an error if a RoleBinding is not this program's to delete.
async fn check(cluster: &Cluster, account: &Account, binding: &Binding) -> Result<(), CliError> {
    let (name, namespace) = (&binding.name, &cluster.namespace);
    if binding.is_shared {
        return Err(CliError::failed(format!(
            "the RoleBinding {name} of namespace {namespace} is for others too; nothing is deleted there"
        ))
        .hinted(format!(
            "take {} out of it: kubectl edit rolebinding {name}{}",
            account.user(),
            cluster.place()
        )));
    }
    let Some(manifest) = manifest(binding) else { return Ok(()) };
    let Some(live) = cluster.live(&manifest).await? else { return Ok(()) };
    let keeper = Keeper::in_charge(cluster, &live.metadata).await?;
    keeper.map_or(Ok(()), |keeper| Err(keeper.refusal(Verb::Apply)))
}

fn manifest(binding: &Binding) -> Option<Manifest> {
    Manifest::read(json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": binding.name, "namespace": binding.namespace } }))
}
