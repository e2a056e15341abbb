//! `kubectl imgop migrate`: what other tools were told, as resources of imgop. One verb a tool.

mod copycat;
mod deployed;
mod environment;
mod image_operator;
mod inventory;

use std::collections::BTreeMap;

use clap::{ArgGroup, Args, Subcommand};
use imgop_core::formats::Format;
use serde_json::Value;

use crate::cli_error::{CliError, Outcome};
use crate::cluster::ConnectionArgs;
use crate::manifests::choices::chart_value;
use crate::output::Ui;
use crate::output::text::shell_word;
use environment::Unread;

/// Print what another tool was told as resources of this one
///
/// The resources go to stdout, to be looked at and applied with kubectl. Stderr has a line for each thing that is carried
/// otherwise than it was, or not carried, and why. Credentials are never read: what is to be created for them is said.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
    kubectl imgop migrate rancher config.yaml --autoupdate autoupdate.yaml > mirror.yaml\n  \
    kubectl imgop migrate regsync regsync.yaml | kubectl apply -f -\n  \
    kubectl imgop migrate image-operator before.yaml > after.yaml\n\n\
    Exit codes: 0 done, 1 failed, or something that was mirrored is not carried or a setting cannot be used as it is; all \
    else is printed then, too."
)]
pub struct MigrateArgs {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    Rancher(inventory::RancherArgs),
    Regsync(inventory::RegsyncArgs),
    SkopeoSync(inventory::SkopeoSyncArgs),
    Dregsy(inventory::DregsyArgs),
    Copycat(copycat::CopycatArgs),
    ImageOperator(image_operator::ImageOperatorArgs),
}

impl MigrateArgs {
    /// Reads what `--from` names.
    pub async fn deployed(&self, connection: &ConnectionArgs) -> Result<Vec<Value>, CliError> {
        let from = match &self.tool {
            Tool::Copycat(args) => args.from.as_ref(),
            Tool::ImageOperator(args) => args.from.as_ref(),
            _ => None,
        };
        match from {
            Some(from) => deployed::deployed(from, connection).await,
            None => Ok(Vec::new()),
        }
    }
}

/// Runs one of its verbs. `deployed` is what `--from` names.
pub fn run(ui: Ui, args: &MigrateArgs, deployed: &[Value]) -> Result<Outcome, CliError> {
    match &args.tool {
        Tool::Rancher(args) => inventory::rancher(ui, args),
        Tool::Regsync(args) => inventory::run(ui, &args.of, Format::Regsync),
        Tool::SkopeoSync(args) => inventory::run(ui, &args.of, Format::SkopeoSync),
        Tool::Dregsy(args) => inventory::run(ui, &args.of, Format::Dregsy),
        Tool::Copycat(args) => copycat::run(ui, args, deployed),
        Tool::ImageOperator(args) => image_operator::run(ui, args, deployed),
    }
}

/// Files, an environment and a Deployment, of which one is enough.
fn what_is_read() -> ArgGroup {
    ArgGroup::new("read").args(["files", "env", "from"]).required(true).multiple(true)
}

/// Says what could not be read of an environment; `has_env` is whether a file gives the rest of it. Returns whether anything
/// is missing.
fn warn_unread(ui: Ui, unread: &[Unread], has_env: bool) -> bool {
    for one in unread {
        ui.warning(&one.warning(has_env));
    }
    unread.iter().any(|one| !(has_env && one.is_whole()))
}

/// Says what is to be typed: the commands that create Secrets, and the settings of the agent.
fn hint(ui: Ui, commands: &[String], agent: &BTreeMap<String, String>) {
    for command in commands {
        ui.hint(&format!("to give the login, type:\n  {command}"));
    }
    for hint in agent_hints(agent) {
        ui.hint(&hint);
    }
}

/// Returns how the agent gets these settings: by a command, and by the Helm chart those that `--set` refuses.
fn agent_hints(agent: &BTreeMap<String, String>) -> Vec<String> {
    let is_of_chart = |(name, _): &(&String, &String)| chart_value(name).is_some();
    let (of_chart, others): (Vec<_>, Vec<_>) = agent.iter().partition(is_of_chart);
    let mut hints = Vec::new();
    if !others.is_empty() {
        hints.push(format!("settings of the agent:\n  {}", upgrade_command(&others)));
    }
    for (name, value) in of_chart {
        let key = chart_value(name).unwrap_or_default();
        hints.push(format!(
            "the agent's setting {name}={value} is in no command, since its roles have to fit: the Helm chart sets both by its value {key}"
        ));
    }
    hints
}

/// Returns the command that sets these. Their values are what others wrote.
fn upgrade_command(agent: &[(&String, &String)]) -> String {
    let set = agent.iter().map(|(name, value)| format!(" --set {}", shell_word(&format!("{name}={value}"))));
    set.fold("kubectl imgop upgrade".to_owned(), |command, set| command + &set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_setting_stays_one_word_of_the_command() {
        let agent = [("A", "registry.corp"), ("B", "r; touch /tmp/x"), ("C", "it's")];
        let agent = agent.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        insta::assert_snapshot!(agent_hints(&agent).join("\n"), @r"
        settings of the agent:
          kubectl imgop upgrade --set A=registry.corp --set 'B=r; touch /tmp/x' --set 'C=it'\''s'
        ");
    }

    #[test]
    fn a_setting_that_the_command_would_refuse_is_left_out_of_it_and_named_with_the_value_of_the_chart() {
        let of = |agent: &[(&str, &str)]| {
            let agent = agent.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            agent_hints(&agent).join("\n")
        };
        insta::assert_snapshot!(of(&[("JOB_NAMESPACE", "copies"), ("MAX_JOBS", "7")]), @"
        settings of the agent:
          kubectl imgop upgrade --set MAX_JOBS=7
        the agent's setting JOB_NAMESPACE=copies is in no command, since its roles have to fit: the Helm chart sets both by its value settings.jobNamespace
        ");
        assert!(!of(&[("JOB_NAMESPACE", "copies")]).contains("upgrade"));
        assert_eq!(of(&[]), "");
    }
}
