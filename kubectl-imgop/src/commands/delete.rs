//! `kubectl imgop delete`.

use clap::Args;
use kube::api::DeleteParams;

use crate::args::SelectedArgs;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::objects::{Found, each, references};
use crate::cluster::{Cluster, ConnectionArgs};
use crate::kinds::ObjectRef;
use crate::output::Ui;
use crate::output::text::count;
use crate::prompts::{Answer, Terminal, can_ask};

/// Delete Images, ImageBuilders and ImageMirrors; nothing is deleted in any registry
///
/// Their Jobs are deleted with them, including those that are copying or building. The tags that were copied or built
/// stay where they are, but are no longer kept up to date. The Images of an
/// ImageMirror go with it; kubectl delete --cascade=orphan keeps them. Other kinds than Image are named with theirs:
/// imagebuilder/NAME, imagemirror/NAME.
#[derive(Debug, Args)]
#[command(visible_alias = "rm")]
pub struct DeleteArgs {
    #[command(flatten)]
    selected: SelectedArgs,

    /// Do not ask for confirmation; required without a terminal
    #[arg(short, long)]
    yes: bool,
}

/// Deletes objects.
pub async fn run(ui: Ui, args: &DeleteArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    args.selected.check(ui).map_err(|error| {
        let missing = if args.yes { "" } else { "; and --yes" };
        CliError { message: format!("{}{missing}", error.message), ..error }
    })?;
    if !args.yes && !can_ask(ui) {
        return Err(CliError::usage("cannot ask for confirmation without a terminal; add --yes to delete"));
    }
    let cluster = connection.connect().await?;
    let Found { objects, outcome } = args.selected.find(ui, &cluster).await?;
    let names = references(&objects);
    args.selected.check_kinds(&names)?;
    if names.is_empty() {
        return Ok(outcome);
    }
    if !args.yes && !is_confirmed(&question(&cluster, &names)).await? {
        ui.note("Nothing was deleted.");
        return Ok(Outcome::NotReady);
    }
    let mut number = 0;
    let deleted = each(ui, &names, async |object| {
        let objects = cluster.objects(object.kind, false);
        let deleted = objects.delete(&object.name, &DeleteParams::background()).await;
        deleted.map_err(|error| cluster.explain("delete", object, &error))?;
        number += 1;
        ui.data(&format!("{} deleted", object.qualified()))
    })
    .await?;
    if number > 0 {
        ui.note("The tags in the registries stay as they are.");
    }
    Ok(outcome.and(deleted))
}

async fn is_confirmed(question: &str) -> Result<bool, CliError> {
    Ok(Terminal::open()?.confirm(question, false).await? == Answer::Given(true))
}

fn question(cluster: &Cluster, objects: &[ObjectRef]) -> String {
    let one_kind = objects.iter().all(|object| object.kind == objects[0].kind);
    let what = if one_kind { objects[0].kind.title() } else { "object".to_owned() };
    let names: Vec<String> = objects.iter().map(ObjectRef::to_string).collect();
    let children = objects.iter().find_map(|object| object.kind.children());
    let with_it =
        children.map(|children| format!(" Its {children} are deleted with it.")).unwrap_or_default();
    format!(
        "Delete {} in namespace {}: {}?{with_it} Nothing is deleted in any registry.",
        count(objects.len(), &what),
        cluster.namespace,
        names.join(", ")
    )
}
