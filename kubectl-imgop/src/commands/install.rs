//! `kubectl imgop install`.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::installing::{ApplyArgs, ChoiceArgs, carry_out};
use crate::args::DryRun;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::installation::find;
use crate::installation::keeper::Verb;
use crate::installation::plan::{Plan, done};
use crate::manifests::{Manifest, VERSION, shipped};
use crate::output::Ui;
use crate::output::documents::{json, yaml};

/// Install imgop in the cluster: its CRDs, roles, admission policies and the agent
///
/// The manifests are in this program, so that nothing is downloaded, and both have one version. Objects are applied by the
/// API server (server-side apply) under the field manager imgop-install. On a terminal it shows first what is created, and
/// asks.
///
/// Running it again changes nothing, and says so. What an administrator has set of the agent stays: its image, settings,
/// service account, replicas and resources. An installation of another version is left alone: see kubectl imgop upgrade. So
/// is one that Helm, Flux or Argo CD manages. Where the image names no version, the other objects tell.
///
/// The agent is in the namespace imgop-system, or in that of -n; one that is there already stays as it is. It works in no
/// namespace but its own until that is enabled: see kubectl imgop enable.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    Install it, and wait until the agent is available:\n    \
    kubectl imgop install --wait\n  \
    With an image of a mirror, and more Jobs at a time:\n    \
    kubectl imgop install --image registry.example.com/imgop/agent:0.1.0 --set MAX_JOBS=100\n  \
    In a namespace of another name:\n    \
    kubectl imgop install -n mirrors\n  \
    Only the manifests, for a repository that Argo CD or Flux watches; no cluster is asked:\n    \
    kubectl imgop install --dry-run=client -o yaml > imgop.yaml\n  \
    What the API server would change, without storing it:\n    \
    kubectl imgop install --dry-run=server")]
pub struct InstallArgs {
    #[command(flatten)]
    choices: ChoiceArgs,

    /// Only print what would be applied (client), or have the API server work out what would change (server)
    #[arg(long, value_enum, value_name = "WHERE", require_equals = true, num_args = 0..=1,
        default_missing_value = "client")]
    dry_run: Option<DryRun>,

    /// Print the manifests in this format; with --dry-run=client
    #[arg(short, long, value_enum, requires = "dry_run")]
    output: Option<ManifestFormat>,

    #[command(flatten)]
    apply: ApplyArgs,
}

/// Formats of manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ManifestFormat {
    /// A list of all objects
    Json,
    /// Documents, one an object
    Yaml,
    /// Kind and name, a line each
    Name,
}

/// Installs imgop.
pub async fn run(ui: Ui, args: &InstallArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    if let Some(DryRun::Client) = args.dry_run {
        let manifests = args.choices.choices(connection.namespace.as_deref()).applied(shipped()?)?;
        return print(ui, &manifests, args.output).map(|()| Outcome::Done);
    }
    if args.output.is_some() {
        return Err(CliError::usage(
            "-o prints manifests without asking a cluster: give --dry-run=client with it",
        ));
    }
    let cluster = connection.connect().await?;
    let installed = find(&cluster, connection.namespace.as_deref()).await?;
    if let Some(agent) = &installed {
        agent.check_keeper(&cluster, Verb::Apply).await?;
    }
    if let Some(other) =
        installed.as_ref().filter(|agent| agent.version.as_deref().is_some_and(|v| v != VERSION))
    {
        return Err(CliError::failed(format!(
            "{} is installed in namespace {}; this program installs {VERSION}",
            other.title(),
            other.namespace
        ))
        .hinted(format!("kubectl imgop upgrade{} goes from one to the other", cluster.flags)));
    }
    let namespace =
        connection.namespace.as_deref().or(installed.as_ref().map(|agent| agent.namespace.as_str()));
    let choices = args.choices.choices(namespace);
    let plan = Plan::new(&cluster, &choices, installed.as_ref()).await?;
    if let Some(unknown) =
        installed.as_ref().filter(|agent| agent.version.is_none() && plan.is_of_other_version())
    {
        return Err(CliError::failed(format!(
            "{} is installed in namespace {}, with objects of another version; this program installs {VERSION}",
            unknown.title(),
            unknown.namespace
        ))
        .hinted(format!("kubectl imgop upgrade{} goes from one to the other", cluster.flags)));
    }
    let is_dry_run = args.dry_run == Some(DryRun::Server);
    args.choices.remark(ui, installed.as_ref());
    let outcome = carry_out(ui, &cluster, &plan, &args.apply, is_dry_run).await?;
    if installed.is_none() && !is_dry_run && outcome == Outcome::Done {
        ui.hint(&format!(
            "to let the agent work in a namespace: kubectl imgop enable NAMESPACE{}",
            cluster.flags
        ));
    }
    Ok(outcome)
}

/// Prints manifests.
fn print(ui: Ui, manifests: &[Manifest], format: Option<ManifestFormat>) -> Result<(), CliError> {
    let bodies = || manifests.iter().map(|manifest| &manifest.body);
    match format {
        None => manifests.iter().try_for_each(|manifest| ui.data(&done(manifest, "created", " (dry run)"))),
        Some(ManifestFormat::Name) => {
            manifests.iter().try_for_each(|manifest| ui.data(&manifest.qualified()))
        }
        Some(ManifestFormat::Json) => {
            let items: Vec<&Value> = bodies().collect();
            ui.data(&json(&json!({ "apiVersion": "v1", "kind": "List", "items": items }))?)
        }
        Some(ManifestFormat::Yaml) => {
            let documents: Vec<String> = bodies().map(yaml).collect::<Result<_, _>>()?;
            ui.data(&documents.join("---\n"))
        }
    }
}
