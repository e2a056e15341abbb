//! `kubectl imgop list`.

use clap::Args;
use imgop_core::api::Image;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::ListParams;
use kube::core::{DynamicObject, TypeMeta};
use serde_json::{Value, json};

use crate::connection::{Cluster, ConnectionArgs};
use crate::errors::{CliError, Outcome};
use crate::image_list::{Columns, table};
use crate::names::parse_image_name;
use crate::output::{ListFormat, json as as_json, yaml};
use crate::ui::Ui;

/// List Images and what became of them
#[derive(Debug, Args)]
#[command(visible_aliases = ["get", "ls"])]
pub struct ListArgs {
    /// Only these Images
    #[arg(value_name = "NAME", value_parser = parse_image_name)]
    names: Vec<String>,

    /// Images of all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "names"])]
    all_namespaces: bool,

    /// Only Images with these labels, such as team=web
    #[arg(short = 'l', long, conflicts_with = "names")]
    selector: Option<String>,

    /// What to print
    #[arg(short, long, value_enum, default_value = "table", hide_default_value = true)]
    output: ListFormat,

    /// Print no column names
    #[arg(long)]
    no_headers: bool,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Lists Images.
pub async fn run(ui: Ui, args: &ListArgs) -> Result<Outcome, CliError> {
    let cluster = args.connection.connect().await?;
    let objects = fetch(args, &cluster).await?;
    match args.output {
        ListFormat::Table | ListFormat::Wide if objects.is_empty() => {
            let place = format!("in {} namespace", cluster.namespace);
            ui.note(&format!(
                "No resources found{}.",
                if args.all_namespaces { String::new() } else { format!(" {place}") }
            ));
        }
        ListFormat::Table | ListFormat::Wide => {
            let columns = Columns { namespace: args.all_namespaces, wide: args.output == ListFormat::Wide };
            ui.table(&table(&objects, columns, Timestamp::now()), !args.no_headers)?;
        }
        ListFormat::Name => {
            for object in &objects {
                ui.data(&format!("image.skopeo.io/{}", object.name_any()))?;
            }
        }
        ListFormat::Json => ui.data(&as_json(&whole(args, objects)?)?)?,
        ListFormat::Yaml => ui.data(&yaml(&whole(args, objects)?)?)?,
    }
    Ok(Outcome::Done)
}

async fn fetch(args: &ListArgs, cluster: &Cluster) -> Result<Vec<DynamicObject>, CliError> {
    let images = cluster.raw_images(args.all_namespaces);
    if args.names.is_empty() {
        let mut wanted = ListParams::default();
        wanted.label_selector.clone_from(&args.selector);
        let list = images.list(&wanted).await.map_err(|error| cluster.explain("list", None, &error))?;
        return Ok(list.items);
    }
    let mut objects = Vec::new();
    for name in &args.names {
        objects.push(images.get(name).await.map_err(|error| cluster.explain("get", Some(name), &error))?);
    }
    Ok(objects)
}

/// One object where one was named, else a List as kubectl prints it.
fn whole(args: &ListArgs, objects: Vec<DynamicObject>) -> Result<Value, CliError> {
    let mut items = objects.into_iter().map(document).collect::<Result<Vec<Value>, _>>()?;
    match (args.names.as_slice(), items.pop()) {
        ([_], Some(only)) => Ok(only),
        (_, last) => {
            items.extend(last);
            Ok(
                json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "" }, "items": items }),
            )
        }
    }
}

/// An object as kubectl shows it: without the record of who set which field, and with its kind,
/// which lists leave out.
pub fn document(mut object: DynamicObject) -> Result<Value, CliError> {
    object.metadata.managed_fields = None;
    let types = object.types.take().filter(|types| !types.kind.is_empty());
    object.types = Some(types.unwrap_or_else(TypeMeta::resource::<Image>));
    serde_json::to_value(object).map_err(|error| CliError::failed(format!("cannot write the Image: {error}")))
}
