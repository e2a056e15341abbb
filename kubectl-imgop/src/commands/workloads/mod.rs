//! `kubectl imgop workloads`: what workloads use, and what WorkloadMirrors make of it. One verb a file.

mod describe;
mod list;
mod plan;
mod verify;

use clap::{Args, Subcommand};
use futures::future::try_join_all;
use imgop_core::api::WorkloadMirror;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use crate::cli_error::{CliError, Outcome};
use crate::cluster::{Cluster, ConnectionArgs};
use crate::kinds::{Erased, KindRef, ObjectRef, read};
use crate::output::Ui;
use crate::workloads::Mirrored;

/// Show which images workloads use, and what WorkloadMirrors make of them
///
/// Pods and workloads are read with your own rights, and planned by the code that the agent runs too: what you may not see
/// is missing, which is said.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
    kubectl imgop workloads list\n  \
    kubectl imgop workloads plan cluster\n  \
    kubectl imgop workloads describe quay.io/argoproj/argocd:v2.13.1\n  \
    kubectl imgop workloads verify cluster"
)]
pub struct WorkloadsArgs {
    #[command(subcommand)]
    verb: WorkloadsVerb,
}

#[derive(Debug, Subcommand)]
enum WorkloadsVerb {
    List(list::ListArgs),
    Plan(plan::PlanArgs),
    Describe(describe::DescribeArgs),
    Verify(verify::VerifyArgs),
}

/// Runs one of its verbs.
pub async fn run(ui: Ui, args: &WorkloadsArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    match &args.verb {
        WorkloadsVerb::List(args) => list::run(ui, args, connection).await,
        WorkloadsVerb::Plan(args) => plan::run(ui, args, connection).await,
        WorkloadsVerb::Describe(args) => describe::run(ui, args, connection).await,
        WorkloadsVerb::Verify(args) => Box::pin(verify::run(ui, args, connection)).await,
    }
}

/// The WorkloadMirrors that a verb is for.
#[derive(Debug, Args)]
struct MirrorsArgs {
    /// Name of the WorkloadMirror; all of the namespace without it
    #[arg(value_name = "MIRROR")]
    mirror: Option<String>,
}

impl MirrorsArgs {
    /// Returns each with what it sees. What the user may not see is said.
    async fn read(&self, ui: Ui, cluster: &Cluster) -> Result<Vec<Mirrored>, CliError> {
        self.read_of(ui, cluster, false).await
    }

    /// Returns the same; `everywhere` of all namespaces.
    async fn read_of(&self, ui: Ui, cluster: &Cluster, everywhere: bool) -> Result<Vec<Mirrored>, CliError> {
        let mirrors = self.mirrors(cluster, everywhere).await?;
        if mirrors.is_empty() && everywhere {
            ui.note("No WorkloadMirrors found.");
        } else if mirrors.is_empty() {
            cluster.check_namespace().await?;
            ui.note(&format!("No WorkloadMirrors found in {} namespace.", cluster.namespace));
        }
        let mirrored = try_join_all(mirrors.iter().map(|mirror| Mirrored::read(mirror, cluster))).await?;
        mirrored.iter().flat_map(Mirrored::warnings).for_each(|warning| ui.warning(&warning));
        Ok(mirrored)
    }

    async fn mirrors(&self, cluster: &Cluster, everywhere: bool) -> Result<Vec<WorkloadMirror>, CliError> {
        const KIND: KindRef = Erased::<WorkloadMirror>::REF;
        if let Some(name) = &self.mirror {
            // As other verbs have it: workloadmirror/NAME.
            let name = name.rsplit('/').next().unwrap_or(name).to_owned();
            let object = ObjectRef { kind: KIND, name };
            let found = cluster.get(&object).await?;
            return Ok(vec![read(&found.object).map_err(|why| cluster.unreadable(&object, &why))?]);
        }
        let api = if everywhere { Api::all(cluster.client.clone()) } else { cluster.api::<WorkloadMirror>() };
        let all = api.list(&ListParams::default()).await;
        let mut all = all.map_err(|error| cluster.explain_list(KIND, "list", everywhere, &error))?.items;
        all.sort_by_key(|mirror| (mirror.namespace(), mirror.name_any()));
        Ok(all)
    }
}

/// Says what is worth a look in a plan.
fn warn(ui: Ui, mirrored: &Mirrored, plan: &imgop_core::workloads::Plan<'_>) {
    for warning in mirrored.request.warnings() {
        ui.warning(&format!("{}: {warning}", mirrored.name));
    }
    let unread = plan.counts.without_architectures;
    if unread > 0 {
        ui.warning(&format!(
            "{}: {} no place here, as destination.prefix has $arch: the agent reads the platforms of images",
            mirrored.name,
            if unread == 1 { "1 image has".to_owned() } else { format!("{unread} images have") },
        ));
    }
    for finding in &plan.findings {
        ui.warning(&format!("{}: {finding}", mirrored.name));
    }
}

/// Says what rows do not tell of what became of images.
fn warn_of_rows(ui: Ui, mirrored: &Mirrored) {
    if let Some(unnamed) = mirrored.unnamed_failures() {
        ui.warning(&unnamed);
    }
}
