//! `kubectl imgop cancel`.

use clap::Args;
use imgop_core::api::{CANCEL_REQUESTED_AT_ANNOTATION, ImageBuilder};
use jiff::Timestamp;
use serde_json::json;

use crate::cli_error::{CliError, Outcome};
use crate::cluster::objects::each;
use crate::cluster::{Cluster, ConnectionArgs};
use crate::kinds::object_name::parse_name;
use crate::kinds::{Erased, KINDS, ObjectRef, read, split};
use crate::output::Ui;

/// End the running build of an ImageBuilder
///
/// The agent is asked to delete its pods. The tags stay as they are; a platform that is pushed already stays at the
/// registry by its digest. The next build begins when something changes, or with kubectl imgop sync. Exit code 1 means
/// that no build runs.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// Names of the ImageBuilders
    #[arg(value_name = "NAME", required = true, value_parser = parse_builder)]
    names: Vec<ObjectRef>,
}

/// Reads the name of an ImageBuilder, with its kind or without.
pub fn parse_builder(text: &str) -> Result<ObjectRef, String> {
    let builder = Erased::<ImageBuilder>::REF;
    match split(text, &KINDS) {
        (Some(kind), _) if kind != builder => {
            Err(format!("{}s have no builds; only those of ImageBuilders are cancelled", kind.title()))
        }
        (_, name) => Ok(ObjectRef { kind: builder, name: parse_name(name)? }),
    }
}

/// Asks the agent to end builds.
pub async fn run(ui: Ui, args: &CancelArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let cluster = connection.connect().await?;
    each(ui, &args.names, async |object| cancel(ui, &cluster, object).await).await
}

async fn cancel(ui: Ui, cluster: &Cluster, object: &ObjectRef) -> Result<(), CliError> {
    let found = cluster.get(object).await?;
    let builder: ImageBuilder = read(&found.object).map_err(|why| cluster.unreadable(object, &why))?;
    let running = builder.status.as_ref().and_then(|status| status.build.as_ref());
    let Some(running) = running else {
        let error = CliError::failed(format!("no build of {object} runs"));
        let suspend = format!("to start no more: kubectl imgop suspend {object}{}", cluster.place());
        return Err(error.hinted(suspend));
    };
    let token = Timestamp::now().to_string();
    let annotation = json!({ "metadata": { "annotations": { CANCEL_REQUESTED_AT_ANNOTATION: token } } });
    cluster.merge(object, &annotation).await?;
    ui.data(&format!("{} build {} is asked to end", object.qualified(), running.number))
}
