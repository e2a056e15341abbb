//! `kubectl imgop disable`.

use clap::Args;
use serde_json::json;

use super::enabling::{AgentArgs, FeatureArgs, missing_namespace};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::{Cluster, ConnectionArgs};
use crate::installation::applying::delete;
use crate::installation::enabled::{Account, Feature, bindings};
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
    let mut is_changed = false;
    for binding in found.iter().filter(|binding| features.contains(&binding.feature)) {
        let (name, title) = (&binding.name, binding.feature.title());
        if binding.namespace.is_none() {
            ui.warning(&format!("{title} stay enabled in all namespaces by the ClusterRoleBinding {name}"));
            continue;
        }
        if binding.is_shared {
            return Err(CliError::failed(format!(
                "the RoleBinding {name} of namespace {namespace} is for others too; nothing is deleted"
            ))
            .hinted(format!(
                "take {} out of it: kubectl edit rolebinding {name}{}",
                account.user(),
                cluster.place()
            )));
        }
        let body = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": name, "namespace": namespace } });
        let Some(manifest) = Manifest::read(body) else { continue };
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
