//! What `install` and `upgrade` share: their flags, the question before something is stored, and what follows it.

use clap::Args;
use imgop_registry::reference::Reference;

use crate::cli_error::{CliError, Outcome};
use crate::cluster::{Cluster, TimeLimit};
use crate::installation::Installed;
use crate::installation::applying::{apply, wait_until_available};
use crate::installation::plan::Plan;
use crate::manifests::VERSION;
use crate::manifests::choices::{Choices, Setting};
use crate::manifests::listen::{LISTEN, remark};
use crate::output::Ui;
use crate::prompts::{Answer, Terminal, can_ask};

/// What an administrator chooses.
#[derive(Debug, Clone, Default, Args)]
pub struct ChoiceArgs {
    /// Image of the agent, such as that of a mirror; by default ghcr.io/imgop/agent of this version
    #[arg(long, value_name = "IMAGE", value_parser = parse_image, help_heading = "Agent")]
    image: Option<String>,

    /// Setting of the agent; may be given several times. docs/configuration.md lists them
    #[arg(long = "set", value_name = "NAME=VALUE", help_heading = "Agent")]
    settings: Vec<Setting>,

    /// How many agents there are: one works, the others take over
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Agent")]
    replicas: Option<u16>,
}

/// How it is applied.
#[derive(Debug, Clone, Default, Args)]
pub struct ApplyArgs {
    /// Wait until the agent is available
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,

    /// How long to wait; 0 means no limit
    #[arg(long, value_name = "DURATION", default_value = "5m", requires = "wait")]
    pub timeout: TimeLimit,

    /// Install an older version over a newer one, though its CRDs lose fields
    #[arg(long)]
    pub allow_downgrade: bool,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
}

fn parse_image(text: &str) -> Result<String, String> {
    text.parse::<Reference>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

impl ChoiceArgs {
    /// Returns what is chosen, with the agent in a namespace.
    pub fn choices(&self, namespace: Option<&str>) -> Choices {
        Choices {
            namespace: namespace.map(str::to_owned),
            image: self.image.clone(),
            replicas: self.replicas,
            settings: self.settings.clone(),
        }
    }

    /// Says what has to be changed besides what is chosen.
    pub fn remark(&self, ui: Ui, installed: Option<&Installed>) {
        let deployment = installed.and_then(|agent| serde_json::to_value(&agent.deployment).ok());
        let address = self.settings.iter().rev().find(|setting| setting.name == LISTEN);
        if let Some(text) = address.and_then(|setting| remark(&setting.value, deployment.as_ref())) {
            ui.note(&text);
        }
    }
}

/// Shows a plan and, unless it is a dry run, carries it out once the user agrees.
pub async fn carry_out(
    ui: Ui,
    cluster: &Cluster,
    plan: &Plan,
    args: &ApplyArgs,
    is_dry_run: bool,
) -> Result<Outcome, CliError> {
    let agent = plan.steps.iter().map(|step| &step.manifest).find(|manifest| manifest.is("Deployment"));
    let place = agent.and_then(|agent| agent.namespace.clone()).unwrap_or_default();
    if plan.is_empty() {
        ui.data(&format!("imgop {VERSION} in namespace {place}: nothing to change"))?;
    } else if is_dry_run {
        ui.data(&plan.text())?;
        ui.note("Dry run: nothing was stored.");
        return Ok(Outcome::Done);
    } else {
        let asks = !args.yes && can_ask(ui);
        if asks {
            ui.note(&plan.text());
        }
        if !args.allow_downgrade {
            check_downgrade(plan, asks).await?;
        }
        if asks && !is_confirmed(&format!("Apply this to {} (namespace {place})?", cluster.server)).await? {
            ui.note("Nothing was changed.");
            return Ok(Outcome::NotReady);
        }
        apply(ui, cluster, plan).await?;
        for kept in &plan.kept {
            ui.note(&format!("kept: {}: {}", kept.what, kept.value));
        }
    }
    if let (true, Some(agent)) = (args.wait, agent) {
        wait_until_available(ui, cluster, (&place, &agent.name), args.timeout).await?;
        ui.note("The agent is available.");
    }
    Ok(Outcome::Done)
}

/// Asks whether CRDs may lose fields, or fails where the user cannot be asked.
async fn check_downgrade(plan: &Plan, asks: bool) -> Result<(), CliError> {
    let crds = plan.downgrades();
    if crds.is_empty() {
        return Ok(());
    }
    let crds = crds.join(", ");
    let question = format!("{crds}: this version knows less, and objects lose the fields above. Go on?");
    if asks && is_confirmed(&question).await? {
        return Ok(());
    }
    let message = format!("the cluster has newer CRDs than this program, which is version {VERSION}: {crds}");
    Err(CliError::failed(message)
        .hinted("take a newer kubectl-imgop; or give --allow-downgrade: objects lose the fields that it does not know"))
}

/// Asks for yes or no.
pub async fn is_confirmed(question: &str) -> Result<bool, CliError> {
    Ok(Terminal::open()?.confirm(question, false).await? == Answer::Given(true))
}
