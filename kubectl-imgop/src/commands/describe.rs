//! `kubectl imgop describe`.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use crate::commands::list::document;
use crate::completion::image_names;
use crate::connection::{Cluster, ConnectionArgs};
use crate::description::{Described, sections};
use crate::errors::{CliError, Outcome};
use crate::image_list;
use crate::job_tags::jobs;
use crate::names::parse_image_name;
use crate::output::{ObjectFormat, json, yaml};
use crate::ui::Ui;

/// Show everything about an Image: spec, conditions, failures, Jobs and events
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// Name of the Image
    #[arg(value_parser = parse_image_name,
        add = ArgValueCompleter::new(image_names))]
    name: String,

    /// Print the Image itself, as kubectl get does
    #[arg(short, long, value_enum)]
    output: Option<ObjectFormat>,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Describes an Image.
pub async fn run(ui: Ui, args: &DescribeArgs) -> Result<Outcome, CliError> {
    let cluster = args.connection.connect().await?;
    let object = cluster.raw_images(false).get(&args.name).await;
    let object = object.map_err(|error| cluster.explain("get", Some(&args.name), &error))?;
    match args.output {
        None => {}
        Some(ObjectFormat::Name) => ui.data(&format!("image.skopeo.io/{}", args.name))?,
        Some(ObjectFormat::Json) => ui.data(&json(&document(object.clone())?)?)?,
        Some(ObjectFormat::Yaml) => ui.data(&yaml(&document(object.clone())?)?)?,
    }
    if args.output.is_some() {
        return Ok(Outcome::Done);
    }
    let image = image_list::read(&object).map_err(|why| {
        CliError::failed(format!("this version cannot read {}: {why}", args.name))
            .hinted("-o yaml shows it as it is")
    })?;
    let uid = image.uid().unwrap_or_default();
    let (jobs, events) = futures::join!(jobs(&cluster, &uid), events(&cluster, &uid));
    let jobs = jobs.map_err(|error| error.message);
    let described = Described { image: &image, jobs, events };
    for (i, section) in sections(&described, Timestamp::now()).iter().enumerate() {
        if i > 0 {
            ui.data("\n")?;
        }
        ui.table(section, i > 0)?;
    }
    Ok(Outcome::Done)
}

/// What was reported of the Image lately.
async fn events(cluster: &Cluster, uid: &str) -> Result<Vec<Event>, String> {
    let api: Api<Event> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let list = api.list(&ListParams::default().fields(&format!("involvedObject.uid={uid}"))).await;
    list.map(|list| list.items)
        .map_err(|error| cluster.explain_in_namespace("list", "events", &error).message)
}
