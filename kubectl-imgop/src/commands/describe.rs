//! `kubectl imgop describe`.

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::args::pick::OneListedArgs;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::cluster::agent::warn_where_none_leads;
use crate::description::{Described, sections};
use crate::output::Ui;
use crate::output::documents::{ObjectFormat, document, json, yaml};

/// Show everything about an Image or ImageBuilder: spec, conditions, failures, Jobs and events
///
/// A registryaccess/NAME shows what an administrator lends there, and whether it works, to whoever may read it.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    #[command(flatten)]
    one: OneListedArgs,

    /// Print the object itself, as kubectl get does
    #[arg(short, long, value_enum)]
    output: Option<ObjectFormat>,
}

/// Describes an object.
pub async fn run(ui: Ui, args: &DescribeArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let (cluster, found) = args.one.find(ui, connection).await?;
    let name = found.reference();
    let resource = name.kind.resource();
    match args.output {
        None => {}
        Some(ObjectFormat::Name) => ui.data(&name.qualified())?,
        Some(ObjectFormat::Json) => ui.data(&json(&document(found.object.clone(), &resource)?)?)?,
        Some(ObjectFormat::Yaml) => ui.data(&yaml(&document(found.object.clone(), &resource)?)?)?,
    }
    if args.output.is_some() {
        return Ok(Outcome::Done);
    }
    let uid = found.object.uid().unwrap_or_default();
    let (jobs, events) = if found.kind.is_namespaced() {
        futures::join!(cluster.jobs(&uid), cluster.events(&uid))
    } else {
        (Ok(Vec::new()), Ok(Vec::new()))
    };
    let described = Described {
        kind: found.kind,
        object: &found.object,
        jobs: jobs.map_err(|error| error.message),
        events: events.map_err(|error| error.message),
    };
    let sections = sections(&described, Timestamp::now()).map_err(|why| {
        CliError::failed(format!("this version cannot read {name}: {why}"))
            .hinted("-o yaml shows it as it is")
    })?;
    for (i, section) in sections.iter().enumerate() {
        if i > 0 {
            ui.data("\n")?;
        }
        ui.page_table(section, i > 0)?;
    }
    warn_where_none_leads(ui, &cluster).await;
    Ok(Outcome::Done)
}
