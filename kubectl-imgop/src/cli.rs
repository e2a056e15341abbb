//! The command line: which verbs there are, and how the process ends.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::cli_error::{CliError, Outcome, exit_code};
use crate::commands::{
    completion, copy, delete, describe, list, logs, preview, resume, suspend, sync, version, wait,
};
use crate::complete::{COMPLETE, candidates};
use crate::output::Ui;

/// Mirrors container images between registries, with Skopeo Jobs in your cluster.
///
/// An Image says which tags of a source repository should be at a destination repository. imgop's
/// agent in the cluster works out what is missing there and copies it; these commands create Images,
/// show beforehand what they would copy, and follow them afterwards.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-imgop",
    bin_name = "kubectl imgop",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100,
    after_help = "See what a copy would do, then do it:\n  \
                  kubectl imgop preview quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd\n  \
                  kubectl imgop copy    quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd\n\n\
                  Exit codes: 0 done, 1 failed, 2 wrong usage."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Copy(copy::CopyArgs),
    Preview(preview::PreviewArgs),
    List(list::ListArgs),
    Describe(describe::DescribeArgs),
    Sync(sync::SyncArgs),
    Wait(wait::WaitArgs),
    Logs(logs::LogsArgs),
    Suspend(suspend::SuspendArgs),
    Resume(resume::ResumeArgs),
    Delete(delete::DeleteArgs),
    Completion(completion::CompletionArgs),
    Version(version::VersionArgs),
}

/// The whole program.
pub fn main() -> ExitCode {
    let ui = Ui;
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == COMPLETE) {
        let typed: Vec<OsString> = arguments.collect();
        return exit_code(&ui.data(&candidates(Cli::command(), &typed)).map(|()| Outcome::Done));
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            ui.usage(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = run(cli, ui);
    if let Err(error) = &result {
        ui.error(error);
    }
    exit_code(&result)
}

fn run(cli: Cli, ui: Ui) -> Result<Outcome, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("cannot start: {error}")))?;
    let result = runtime.block_on(async {
        match cli.verb {
            Verb::Copy(args) => copy::run(ui, &args).await,
            Verb::Preview(args) => Box::pin(preview::run(ui, &args)).await,
            Verb::List(args) => list::run(ui, &args).await,
            Verb::Describe(args) => describe::run(ui, &args).await,
            Verb::Sync(args) => sync::run(ui, &args).await,
            Verb::Wait(args) => wait::run(ui, &args).await,
            Verb::Logs(args) => logs::run(ui, &args).await,
            Verb::Suspend(args) => suspend::run(ui, &args).await,
            Verb::Resume(args) => resume::run(ui, &args).await,
            Verb::Delete(args) => delete::run(ui, &args).await,
            Verb::Completion(args) => completion::run(ui, &args, Cli::command()),
            Verb::Version(args) => version::run(ui, &args).await,
        }
    });
    // A name lookup that hangs must not keep the process.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
