//! `kubectl imgop describe`.

use clap::Args;
use imgop_core::api::{IMAGE_UID_LABEL, MANAGED_BY, MANAGED_BY_LABEL};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use crate::connection::{Cluster, ConnectionArgs};
use crate::description::{Described, sections};
use crate::errors::{CliError, Outcome};
use crate::names::parse_image_name;
use crate::ui::Ui;

/// Show everything about an Image: spec, conditions, failures, Jobs and events
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// Name of the Image
    #[arg(value_parser = parse_image_name)]
    name: String,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Describes an Image.
pub async fn run(ui: Ui, args: &DescribeArgs) -> Result<Outcome, CliError> {
    let cluster = args.connection.connect().await?;
    let image = cluster.image(&args.name).await?;
    let uid = image.uid().unwrap_or_default();
    let (jobs, events) = futures::join!(jobs(&cluster, &uid), events(&cluster, &uid));
    let described = Described { image: &image, jobs, events };
    for (i, section) in sections(&described, Timestamp::now()).iter().enumerate() {
        if i > 0 {
            ui.data("\n")?;
        }
        ui.table(section, i > 0)?;
    }
    Ok(Outcome::Done)
}

/// The Jobs that the agent made for the Image; an error in words where they may not be read.
async fn jobs(cluster: &Cluster, uid: &str) -> Result<Vec<Job>, String> {
    let api: Api<Job> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let ours = format!("{MANAGED_BY_LABEL}={MANAGED_BY},{IMAGE_UID_LABEL}={uid}");
    let list = api.list(&ListParams::default().labels(&ours)).await;
    list.map(|list| list.items).map_err(|error| cluster.explain_for("list", "jobs.batch", &error).message)
}

/// What was reported of the Image lately.
async fn events(cluster: &Cluster, uid: &str) -> Result<Vec<Event>, String> {
    let api: Api<Event> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let list = api.list(&ListParams::default().fields(&format!("involvedObject.uid={uid}"))).await;
    list.map(|list| list.items).map_err(|error| cluster.explain_for("list", "events", &error).message)
}
