//! `kubectl imgop completion`.

use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, EnvCompleter, Fish, Powershell, Zsh};

use crate::cli_error::{CliError, Outcome};
use crate::complete::{PROGRAM, SHELL_VARIABLE};
use crate::output::Ui;

/// What kubectl runs to complete a plugin's arguments.
const FOR_KUBECTL: &str = "#!/bin/sh\nexec kubectl-imgop __complete \"$@\"\n";

/// Print a completion script
///
/// kubectl completes kubectl imgop by a program named kubectl_complete-imgop:
///
///   kubectl imgop completion kubectl > /usr/local/bin/kubectl_complete-imgop
///   chmod +x /usr/local/bin/kubectl_complete-imgop
///
/// The scripts for the shells complete kubectl-imgop:
///
///   source <(kubectl imgop completion bash)
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct CompletionArgs {
    /// What to complete for
    #[arg(value_enum)]
    target: Target,
}

/// What completion is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// kubectl 1.26 and later
    Kubectl,
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
    /// PowerShell
    #[value(alias = "pwsh")]
    Powershell,
}

/// Prints a script for this command line.
pub fn run(ui: Ui, args: &CompletionArgs) -> Result<Outcome, CliError> {
    let shell: &dyn EnvCompleter = match args.target {
        Target::Kubectl => {
            ui.data(FOR_KUBECTL)?;
            return Ok(Outcome::Done);
        }
        Target::Bash => &Bash,
        Target::Zsh => &Zsh,
        Target::Fish => &Fish,
        Target::Powershell => &Powershell,
    };
    let mut script = Vec::new();
    shell
        .write_registration(SHELL_VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)
        .map_err(|error| CliError::failed(format!("cannot write the script: {error}")))?;
    ui.data(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Done)
}
