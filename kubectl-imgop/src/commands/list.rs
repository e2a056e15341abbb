//! `kubectl imgop list`.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use imgop_core::api::Image;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::ListParams;
use kube::core::{DynamicObject, TypeMeta};
use kube::runtime::watcher;
use serde_json::{Value, json};

use crate::completion::image_names;
use crate::connection::{Cluster, ConnectionArgs};
use crate::errors::{CliError, Outcome};
use crate::image_list::{Columns, table};
use crate::image_watch::{Known, follow};
use crate::names::{parse_image_name, parse_selector};
use crate::output::{ListFormat, json as as_json, yaml};
use crate::ui::Ui;
use crate::which_images::each;

/// List Images and what became of them
#[derive(Debug, Args)]
#[command(visible_aliases = ["get", "ls"])]
pub struct ListArgs {
    /// Only these Images
    #[arg(value_name = "NAME", value_parser = parse_image_name,
        add = ArgValueCompleter::new(image_names))]
    names: Vec<String>,

    /// Images of all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "names"])]
    all_namespaces: bool,

    /// Only Images with these labels, such as team=web
    #[arg(short = 'l', long, conflicts_with = "names", value_parser = parse_selector)]
    selector: Option<String>,

    /// What to print
    #[arg(short, long, value_enum, default_value = "table", hide_default_value = true)]
    output: ListFormat,

    /// Print no column names
    #[arg(long)]
    no_headers: bool,

    /// Print each change too, until Ctrl-C
    #[arg(short, long)]
    watch: bool,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Lists Images.
pub async fn run(ui: Ui, args: &ListArgs) -> Result<Outcome, CliError> {
    if args.watch && args.names.len() > 1 {
        return Err(CliError::usage("--watch takes one name, a --selector, or all Images of the namespace"));
    }
    let cluster = args.connection.connect().await?;
    let (objects, outcome) = fetch(ui, args, &cluster).await?;
    if objects.is_empty() && !args.all_namespaces {
        cluster.check_namespace().await?;
    }
    let columns = Columns { namespace: args.all_namespaces, wide: args.output == ListFormat::Wide };
    match args.output {
        // Why those that were named are not there is said already.
        ListFormat::Table | ListFormat::Wide if objects.is_empty() && !args.names.is_empty() => {}
        ListFormat::Table | ListFormat::Wide if objects.is_empty() => {
            let place = format!("in {} namespace", cluster.namespace);
            ui.note(&format!(
                "No resources found{}.",
                if args.all_namespaces { String::new() } else { format!(" {place}") }
            ));
        }
        ListFormat::Table | ListFormat::Wide => {
            ui.table(&table(&objects, columns, Timestamp::now()), !args.no_headers)?;
        }
        ListFormat::Name | ListFormat::Json | ListFormat::Yaml
            if args.watch || args.output == ListFormat::Name =>
        {
            objects.iter().try_for_each(|object| print_one(ui, args.output, object.clone()))?;
        }
        ListFormat::Yaml => ui.data(&yaml(&whole(args, objects.clone())?)?)?,
        ListFormat::Json | ListFormat::Name => ui.data(&as_json(&whole(args, objects.clone())?)?)?,
    }
    if args.watch {
        watch(ui, args, &cluster, columns, Known::new(&objects)).await?;
    }
    Ok(outcome)
}

/// Prints changes until Ctrl-C.
async fn watch(
    ui: Ui,
    args: &ListArgs,
    cluster: &Cluster,
    columns: Columns,
    known: Known,
) -> Result<(), CliError> {
    let mut which = watcher::Config { label_selector: args.selector.clone(), ..watcher::Config::default() };
    if let [name] = args.names.as_slice() {
        which = which.fields(&format!("metadata.name={name}"));
    }
    follow(cluster, args.all_namespaces, which, known, |known, object| match args.output {
        ListFormat::Table | ListFormat::Wide => match known.line(&object, columns, Timestamp::now()) {
            Some(line) => ui.table_line(&line),
            None => Ok(()),
        },
        format => print_one(ui, format, object),
    })
    .await
}

/// One object, where each is printed by itself.
fn print_one(ui: Ui, format: ListFormat, object: DynamicObject) -> Result<(), CliError> {
    match format {
        ListFormat::Json => ui.data(&as_json(&document(object)?)?),
        ListFormat::Yaml => ui.data(&format!("---\n{}", yaml(&document(object)?)?)),
        _ => ui.data(&format!("image.skopeo.io/{}", object.name_any())),
    }
}

async fn fetch(
    ui: Ui,
    args: &ListArgs,
    cluster: &Cluster,
) -> Result<(Vec<DynamicObject>, Outcome), CliError> {
    let images = cluster.raw_images(args.all_namespaces);
    if args.names.is_empty() {
        let mut wanted = ListParams::default();
        wanted.label_selector.clone_from(&args.selector);
        let list = images.list(&wanted).await.map_err(|error| explain_list(args, cluster, &error))?;
        return Ok((list.items, Outcome::Done));
    }
    let mut objects = Vec::new();
    let outcome = each(ui, &args.names, async |name| {
        objects.push(images.get(name).await.map_err(|error| cluster.explain("get", Some(name), &error))?);
        Ok(())
    })
    .await?;
    Ok((objects, outcome))
}

fn explain_list(args: &ListArgs, cluster: &Cluster, error: &kube::Error) -> CliError {
    if args.all_namespaces {
        cluster.explain_for_all("list", error)
    } else {
        cluster.explain("list", None, error)
    }
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
