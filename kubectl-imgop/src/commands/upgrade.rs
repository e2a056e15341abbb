//! `kubectl imgop upgrade`.

use clap::Args;

use super::installing::{ApplyArgs, ChoiceArgs, carry_out};
use crate::args::DryRun;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::installation::find;
use crate::installation::keeper::Verb;
use crate::installation::plan::Plan;
use crate::manifests::VERSION;
use crate::manifests::kept::is_newer;
use crate::output::Ui;

/// Upgrade imgop in the cluster to the version of this program
///
/// It shows what changes: the fields of each object, those that the CRDs gain, and what this version does not have any
/// more, which is deleted if kubectl imgop has installed it. On a terminal it asks before anything is stored.
///
/// What an administrator has set of the agent stays, however it was set: settings, service account, replicas, resources and
/// the image, which goes to the same repository's tag of this version; a digest, and a tag that is no version, stays as it
/// is. Flags replace that.
///
/// CRDs that know more than this version are left alone unless --allow-downgrade is given: objects would lose fields. The
/// agents are replaced one by one, so that Images and ImageBuilders are worked on all the time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    See what would change:\n    \
    kubectl imgop upgrade --dry-run\n  \
    Upgrade, and wait until the agents of this version are available:\n    \
    kubectl imgop upgrade --wait\n  \
    In a script:\n    \
    kubectl imgop upgrade --yes --wait --timeout 10m")]
pub struct UpgradeArgs {
    #[command(flatten)]
    choices: ChoiceArgs,

    /// Show what would change, as the API server works it out, and store nothing
    #[arg(long, value_enum, value_name = "WHERE", require_equals = true, num_args = 0..=1,
        default_missing_value = "server", hide_possible_values = true)]
    dry_run: Option<DryRun>,

    #[command(flatten)]
    apply: ApplyArgs,
}

/// Upgrades imgop.
pub async fn run(ui: Ui, args: &UpgradeArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let cluster = connection.connect().await?;
    let Some(installed) = find(&cluster, connection.namespace.as_deref()).await? else {
        return Err(CliError::failed("imgop is not installed in this cluster")
            .hinted(format!("kubectl imgop install{} installs version {VERSION}", cluster.flags)));
    };
    installed.check_keeper(&cluster, Verb::Apply).await?;
    let is_dry_run = args.dry_run.is_some_and(|dry_run| dry_run != DryRun::None);
    let from = installed.version.as_deref();
    if from.is_some_and(|from| is_newer(from, VERSION)) && !args.apply.allow_downgrade {
        return Err(CliError::failed(format!(
            "{} is installed, which is newer than {VERSION}",
            installed.title()
        ))
        .hinted("take a newer kubectl-imgop, or give --allow-downgrade"));
    }
    let choices = args.choices.choices(Some(&installed.namespace));
    let plan = Plan::new(&cluster, &choices, Some(&installed)).await?;
    if from.is_some_and(|from| from != VERSION) {
        ui.note(&format!("{} → {VERSION} in namespace {}", installed.title(), installed.namespace));
    }
    args.choices.remark(ui, Some(&installed));
    carry_out(ui, &cluster, &plan, &args.apply, is_dry_run).await
}
