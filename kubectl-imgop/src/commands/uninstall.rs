//! `kubectl imgop uninstall`.

use clap::Args;

use super::installing::is_confirmed;
use crate::args::DryRun;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::{ConnectionArgs, TimeLimit};
use crate::installation::find;
use crate::installation::removal::Removal;
use crate::output::Ui;
use crate::output::text::count;
use crate::prompts::can_ask;

/// Remove imgop from the cluster; what users have written stays unless --crds is given
///
/// Deleted are the agent, its roles, the admission policies, the RoleBindings that enable namespaces, the binding by which
/// the agent sees workloads, and the Jobs that use what an administrator lends, with their Secrets. Nothing is deleted in
/// any registry. It waits until all of it is gone, and names what stays: bindings of users for WorkloadMirrors, and the
/// agent's namespace, with the command that removes it unless others have made it or need it.
///
/// Without --crds the CRDs and the agent's namespace stay, and with them what users and administrators have written: an
/// installation later goes on where this one ends. With --crds all of it is deleted, in every namespace, with the Jobs that
/// run, and the agent's namespace with all that is in it, if imgop has made that. It says first how many objects that are.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    See what would be deleted:\n    \
    kubectl imgop uninstall --crds --dry-run\n  \
    Remove the agent, and keep what users have written:\n    \
    kubectl imgop uninstall\n  \
    Remove everything, in a script:\n    \
    kubectl imgop uninstall --crds --yes")]
pub struct UninstallArgs {
    /// Delete the CRDs too, and with them every object of imgop's kinds in the cluster
    #[arg(long)]
    crds: bool,

    /// Show what would be deleted, and delete nothing
    #[arg(long, value_enum, value_name = "WHERE", require_equals = true, num_args = 0..=1,
        default_missing_value = "client", hide_possible_values = true)]
    dry_run: Option<DryRun>,

    /// How long to wait until all of it is gone; 0 means no limit
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    timeout: TimeLimit,

    /// Do not ask for confirmation; required without a terminal
    #[arg(short, long)]
    yes: bool,
}

/// Removes imgop.
pub async fn run(ui: Ui, args: &UninstallArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let is_dry_run = args.dry_run.is_some_and(|dry_run| dry_run != DryRun::None);
    if !args.yes && !is_dry_run && !can_ask(ui) {
        return Err(CliError::usage(
            "cannot ask for confirmation without a terminal; add --yes to uninstall",
        ));
    }
    let cluster = connection.connect().await?;
    let installed = find(&cluster, connection.namespace.as_deref()).await?;
    let removal =
        Removal::new(&cluster, installed.as_ref(), connection.namespace.as_deref(), args.crds).await?;
    if removal.objects.is_empty() {
        ui.data("imgop is not installed: nothing to delete")?;
        say_what_stays(ui, &removal);
        return Ok(Outcome::Done);
    }
    if is_dry_run {
        ui.data(&removal.text())?;
        ui.note("Dry run: nothing was deleted.");
        return Ok(Outcome::Done);
    }
    ui.note(&removal.text());
    if !args.yes && !is_confirmed(&question(&removal, &cluster.server)).await? {
        ui.note("Nothing was deleted.");
        return Ok(Outcome::NotReady);
    }
    let removed = removal.run(ui, &cluster, args.timeout).await;
    // Also where something could not be deleted.
    say_what_stays(ui, &removal);
    removed?;
    if !args.crds && removal.resources.iter().any(|(_, number)| *number > 0) {
        ui.note(
            "Images, ImageBuilders, ImageMirrors, WorkloadMirrors and RegistryAccesses stay as they are; nothing \
             reconciles them.",
        );
    }
    Ok(Outcome::Done)
}

/// Names what stays, and what can be done about it.
fn say_what_stays(ui: Ui, removal: &Removal) {
    removal.stays.iter().for_each(|stays| ui.note(&stays.sentence()));
}

fn question(removal: &Removal, server: &str) -> String {
    let objects = count(removal.objects.len(), "object");
    match removal.lost() {
        0 => format!("Delete {objects} from {server}? Nothing is deleted in any registry."),
        lost => format!(
            "Delete {objects} from {server}, and {} of users in all namespaces? Nothing is deleted in any registry.",
            count(lost, "resource")
        ),
    }
}
