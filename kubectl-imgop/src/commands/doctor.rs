//! `kubectl imgop doctor`.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli_error::{CliError, Outcome};
use crate::cluster::objects::FoundObject;
use crate::cluster::{AnsweringCluster, Cluster, ConnectionArgs};
use crate::diagnosis::checks::{Check, Verdict, table};
use crate::diagnosis::{agent, crds, namespace, pod_probe, policies, registries, resources, rights, secrets};
use crate::installation::Installed;
use crate::installation::enabled::Account;
use crate::kinds::KINDS;
use crate::kinds::object_name::parse_namespace;
use crate::output::Ui;
use crate::output::documents::PrintedArgs;
use crate::output::text::count;

/// The version of the document that `-o` prints.
const API_VERSION: &str = "imgop.doctor/v1";

/// Find what keeps imgop from working, and the command that repairs it
///
/// It looks at the CRDs, the agent, the admission policies, your rights, what the namespace is enabled for, and what its
/// Images and ImageBuilders name: Secrets and registries. Nothing is changed. Each line is OK, WARN (it works, but not for
/// everything), FAIL (it does not work) or UNKNOWN (you may not look, or did not ask for it), and says what repairs it.
///
/// Registries are asked from this machine. With --from-cluster they are asked from the cluster too, which is what counts:
/// a Job with the agent's image runs for some seconds in the namespace, without any credential, and is deleted.
///
/// Exit code 0 means that nothing fails, and 1 that something does.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    What is wrong in the namespace of the context:\n    \
    kubectl imgop doctor\n  \
    In another one, with its registries asked from the cluster:\n    \
    kubectl imgop doctor -n team-a --from-cluster\n  \
    For a program; docs/doctor.schema.json describes it:\n    \
    kubectl imgop doctor -o json")]
pub struct DoctorArgs {
    /// Ask registries from the cluster too, by a Job in the namespace
    #[arg(long)]
    from_cluster: bool,

    /// Namespace of the agent, if there are several
    #[arg(long, value_name = "NAMESPACE", value_parser = parse_namespace)]
    agent_namespace: Option<String>,

    #[command(flatten)]
    printed: PrintedArgs,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.doctor/v1")]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// The version of the document.
    api_version: &'static str,
    /// The namespace that was looked at.
    namespace: String,
    /// Whether nothing fails.
    healthy: bool,
    /// What was looked at.
    checks: Vec<Check>,
}

/// Looks at everything.
pub async fn run(ui: Ui, args: &DoctorArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let cluster = connection.connect().await?;
    let checks = checks(ui, args, &cluster).await?;
    let number = |verdict: Verdict| checks.iter().filter(|check| check.result == verdict).count();
    let (failed, warned) = (number(Verdict::Fail), number(Verdict::Warn));
    if let Some(format) = args.printed.output {
        let diagnosis = Diagnosis {
            api_version: API_VERSION,
            namespace: cluster.namespace.clone(),
            healthy: failed == 0,
            checks,
        };
        format.print(ui, &diagnosis)?;
    } else {
        ui.page_table(&table(&checks), !args.printed.no_headers)?;
        ui.note(&match (failed, warned) {
            (0, 0) => "Nothing is wrong.".to_owned(),
            (0, warned) => format!("Nothing fails; {}.", count(warned, "warning")),
            (failed, 0) => format!("{}.", count(failed, "failure")),
            (failed, warned) => format!("{}, {}.", count(failed, "failure"), count(warned, "warning")),
        });
    }
    Ok(if failed == 0 { Outcome::Done } else { Outcome::NotReady })
}

async fn checks(ui: Ui, args: &DoctorArgs, cluster: &Cluster) -> Result<Vec<Check>, CliError> {
    // Without an API server there is nothing to look at; its error says why.
    let version = cluster.client.apiserver_version().await;
    let version = version.map_err(|error| cluster.explain_of_cluster("get", "version", &error))?;
    let mut checks =
        vec![Check::ok("cluster", &cluster.server, format!("Kubernetes {}", version.git_version))];
    checks.extend(crds::checks(cluster).await?);
    let (of_agent, agent) = agent::checks(cluster, args.agent_namespace.as_deref()).await;
    checks.extend(of_agent);
    checks.extend(policies::checks(cluster).await?);
    checks.extend(rights::checks(cluster).await);
    let objects = objects(cluster).await;
    let account = agent.as_ref().map(Account::from).unwrap_or_default();
    checks.extend(namespace::checks(cluster, &account, &objects).await);
    checks.extend(secrets::checks(cluster, &objects).await);
    checks.extend(registry_checks(ui, args, cluster, agent.as_ref(), &objects).await?);
    checks.extend(resources::checks(cluster, &objects));
    Ok(checks)
}

/// Returns the resources of the namespace; none of a kind that may not be listed, of which the rights tell.
async fn objects(cluster: &Cluster) -> Vec<FoundObject> {
    let mut objects = Vec::new();
    for kind in KINDS {
        objects.extend(cluster.list(kind, false, None).await.unwrap_or_default());
    }
    objects
}

async fn registry_checks(
    ui: Ui,
    args: &DoctorArgs,
    cluster: &Cluster,
    agent: Option<&Installed>,
    objects: &[FoundObject],
) -> Result<Vec<Check>, CliError> {
    let asked = registries::asked(objects);
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let mut checks = registries::from_here(ui, &AnsweringCluster::new(Ok(cluster.clone())), &asked).await?;
    let area = "registry from the cluster";
    match agent {
        _ if !args.from_cluster => {
            let check = Check::new(area, &cluster.namespace, Verdict::Unknown, "not asked from there");
            checks.push(
                check.repaired(format!("to ask: kubectl imgop doctor --from-cluster{}", cluster.place())),
            );
        }
        None => checks.push(Check::new(
            area,
            &cluster.namespace,
            Verdict::Unknown,
            "the agent's image is not known",
        )),
        Some(agent) => {
            ui.progress("asking registries from the cluster");
            let all: Vec<_> = asked.iter().collect();
            checks.extend(pod_probe::checks(cluster, agent, &all).await);
        }
    }
    Ok(checks)
}
