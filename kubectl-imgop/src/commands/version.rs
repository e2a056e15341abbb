//! `kubectl imgop version`.

use std::time::Duration;

use clap::Args;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::cluster::agent::agents;
use crate::output::Ui;
use crate::output::documents::DocumentFormat;

/// How long a cluster may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The commit that a release was built from; unknown elsewhere.
const REVISION: Option<&str> = option_env!("IMGOP_REVISION");

/// Show the version of this program, and of the agent in the cluster
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Print only the version of this program
    #[arg(long)]
    client: bool,

    /// Output format
    #[arg(short, long, value_enum)]
    output: Option<DocumentFormat>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_revision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agents: Option<Vec<Agent>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Agent {
    namespace: String,
    name: String,
    image: String,
}

/// Prints versions.
pub async fn run(ui: Ui, args: &VersionArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let mut versions = Versions {
        client_version: concat!("v", env!("CARGO_PKG_VERSION")),
        client_revision: REVISION,
        agents: None,
    };
    if !args.client {
        match found(connection).await {
            Ok(agents) => versions.agents = Some(agents),
            // The version of this program is useful without a cluster too.
            Err(error) => ui.warning(&format!("the agent's version is unknown: {error}")),
        }
    }
    match args.output {
        Some(format) => format.print(ui, &versions)?,
        None => ui.data(&text(&versions))?,
    }
    Ok(Outcome::Done)
}

async fn found(connection: &ConnectionArgs) -> Result<Vec<Agent>, CliError> {
    let cluster = connection.connect().await?;
    let deployments = match tokio::time::timeout(ANSWER_TIMEOUT, agents(&cluster)).await {
        Ok(result) => {
            result.map_err(|error| cluster.explain_everywhere("list", "deployments.apps", &error))?
        }
        Err(_) => return Err(CliError::failed(format!("{} does not answer", cluster.server))),
    };
    Ok(deployments.iter().map(agent).collect())
}

fn agent(deployment: &Deployment) -> Agent {
    let mut containers =
        deployment.spec.iter().filter_map(|s| s.template.spec.as_ref()).flat_map(|s| &s.containers);
    let image = containers.find_map(|c| c.image.clone()).unwrap_or_default();
    Agent { namespace: deployment.namespace().unwrap_or_default(), name: deployment.name_any(), image }
}

fn text(versions: &Versions) -> String {
    let revision = versions.client_revision.map(|revision| format!(" ({revision})")).unwrap_or_default();
    let mut lines = vec![format!("Client: {}{revision}", versions.client_version)];
    match versions.agents.as_deref() {
        None => {}
        Some([]) => lines.push("Agent: <none>".to_owned()),
        Some(agents) => {
            lines.extend(agents.iter().map(|a| format!("Agent: {} ({}/{})", a.image, a.namespace, a.name)));
        }
    }
    lines.join("\n")
}
