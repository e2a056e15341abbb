//! The command line: which verbs there are, and how the process ends.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use imgop_core::api::Side;

use crate::cli_error::{CliError, Outcome, exit_code};
use crate::cluster::ConnectionArgs;
use crate::commands::{
    build, cancel, completion, copy, delete, describe, disable, doctor, enable, history, install, list, logs,
    migrate, mirror, preview, quota, resume, run as run_verb, search, suspend, sync, tags, uninstall,
    upgrade, verify, version, wait, workloads,
};
use crate::complete::{COMPLETE, answers_shell, candidates};
use crate::interrupts::{interrupted, left_behind};
use crate::kinds::DEFAULT_KIND;
use crate::output::Ui;

/// Mirrors container images between registries, and builds them, with Jobs in your cluster.
///
/// An Image says which tags of a source repository should be at a destination repository; an ImageBuilder, which
/// image to build from a Dockerfile, and where to push it. imgop's agent in the cluster works out what is missing
/// there, and copies or builds it; these commands create Images and ImageBuilders, show beforehand what they would
/// do, and follow them afterwards.
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
                  Exit codes: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM."
)]
struct Cli {
    #[command(flatten)]
    connection: ConnectionArgs,

    /// Ask nothing, even on a terminal
    // Before --help, the last one.
    #[arg(long, global = true, help_heading = None::<&'static str>, display_order = 998)]
    no_input: bool,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Copy(copy::CopyArgs),
    Build(Box<build::BuildArgs>),
    Preview(preview::PreviewArgs),
    Verify(verify::VerifyArgs),
    Run(run_verb::RunArgs),
    Mirror(mirror::MirrorArgs),
    Workloads(workloads::WorkloadsArgs),
    Migrate(migrate::MigrateArgs),
    Search(search::SearchArgs),
    Tags(tags::TagsArgs),
    Quota(quota::QuotaArgs),
    List(list::ListArgs),
    Describe(describe::DescribeArgs),
    History(history::HistoryArgs),
    Sync(sync::SyncArgs),
    Wait(wait::WaitArgs),
    Logs(logs::LogsArgs),
    Cancel(cancel::CancelArgs),
    Suspend(suspend::SuspendArgs),
    Resume(resume::ResumeArgs),
    Delete(delete::DeleteArgs),
    Doctor(doctor::DoctorArgs),
    Install(install::InstallArgs),
    Upgrade(upgrade::UpgradeArgs),
    Uninstall(uninstall::UninstallArgs),
    Enable(enable::EnableArgs),
    Disable(disable::DisableArgs),
    Completion(completion::CompletionArgs),
    Version(version::VersionArgs),
}

/// Verbs that ask neither a cluster nor the user.
const WITHOUT_CLUSTER: [&str; 6] = ["migrate", "mirror", "run", "search", "tags", "completion"];

/// Returns the command line. The pages of verbs without a cluster do not list the flags for one, which they accept.
pub fn command() -> Command {
    let command = Cli::command();
    let global = command.get_arguments().filter(|argument| argument.is_global_set());
    let unlisted: Vec<Arg> = global.map(|argument| argument.clone().hide(true)).collect();
    command.mut_subcommands(|verb| {
        if WITHOUT_CLUSTER.contains(&verb.get_name()) { verb.args(&unlisted) } else { verb }
    })
}

/// The whole program.
pub fn main() -> ExitCode {
    let ui = Ui::new(true);
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next();
    #[cfg(target_os = "linux")]
    if first.as_ref().is_some_and(|first| first == crate::local_build::STEP) {
        return crate::local_build::step(arguments);
    }
    if first.is_some_and(|first| first == COMPLETE) {
        let typed: Vec<OsString> = arguments.collect();
        return exit_code(&ui.data(&candidates(command(), &typed)).map(|()| Outcome::Done));
    }
    if answers_shell(command) {
        return ExitCode::SUCCESS;
    }
    let read = |mut matches| Cli::from_arg_matches_mut(&mut matches);
    let cli = match command().try_get_matches().and_then(read) {
        Ok(cli) => cli,
        Err(mut error) => {
            // A verb is text, whatever else a path among the arguments may be.
            let words = std::env::args_os().skip(1).filter_map(|word| word.into_string().ok());
            correct_tips(&mut error, words);
            ui.usage(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let ui = Ui::new(!cli.no_input);
    let result = run(cli, ui);
    if let Err(error) = &result {
        ui.error(error);
    }
    exit_code(&result)
}

/// Words of other programs for what a verb of this one does.
const OTHER_WORDS: [(&[&str], &str); 15] = [
    (&["abort", "kill"], "cancel"),
    (&["add", "apply", "create", "update"], "copy"),
    (&["diff", "dry-run"], "preview"),
    (&["audit", "compare", "validate"], "verify"),
    (&["budget", "pulls", "ratelimit"], "quota"),
    (&["ls-tags", "releases", "tag", "versions"], "tags"),
    (&["events", "info", "inspect", "show", "status"], "describe"),
    (&["changes", "past", "rollout", "runs", "syncs", "timeline"], "history"),
    (&["reconcile", "refresh", "retry", "trigger"], "sync"),
    (&["debug", "diagnose", "health", "troubleshoot"], "doctor"),
    (&["bootstrap", "init", "setup"], "install"),
    (&["allow", "grant"], "enable"),
    (&["deny", "revoke"], "disable"),
    (&["pause", "stop"], "suspend"),
    (&["continue", "start", "unpause"], "resume"),
];

/// Returns whether a mode was typed that may mean two of them.
fn is_ambiguous_mode(error: &clap::Error) -> bool {
    let text = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    text(ContextKind::InvalidArg).starts_with("--mode ")
        && text(ContextKind::InvalidValue).eq_ignore_ascii_case("once")
}

/// Replaces clap's tips that mislead: verbs that are spelled alike but do something else, the advice to pass a wrong
/// flag as a value, and one mode where two may be meant. A flag that the verb has for each side is named by both, and a
/// file of a verb that takes it with -f alone, with that.
fn correct_tips(error: &mut clap::Error, words: impl Iterator<Item = String>) {
    if let Some(ContextValue::StyledStrs(tips)) = error.get(ContextKind::Suggested) {
        let kept = tips.iter().filter(|tip| !tip.to_string().contains("as a value, use '-- ")).cloned();
        let kept = kept.collect();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(kept));
    }
    if is_ambiguous_mode(error) {
        error.remove(ContextKind::SuggestedValue);
        let both = "OneShot copies once, OnceByTag each matching tag once, also those that appear later";
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![both.into()]));
        return;
    }
    if let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidArg)
        && let Some(flags) = meant_flags(typed, &command(), words)
    {
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![format!("use {flags}").into()]));
        return;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else { return };
    let tip = match OTHER_WORDS.iter().find(|(words, _)| words.contains(&typed.as_str())) {
        Some((_, verb)) => format!("use 'kubectl imgop {verb}'"),
        None if matches!(typed.as_str(), "edit" | "patch" | "label" | "annotate") => {
            format!("use 'kubectl {typed} {} NAME'", DEFAULT_KIND.resource_name())
        }
        None => return,
    };
    error.remove(ContextKind::SuggestedSubcommand);
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
}

/// Returns the flags of both sides that a verb has in place of one for both, such as those of `--tls`; for a file of a
/// verb that takes files by a flag alone, that flag.
fn meant_flags(typed: &str, command: &Command, mut words: impl Iterator<Item = String>) -> Option<String> {
    let verb = words.find_map(|word| command.find_subcommand(word))?;
    if !typed.starts_with('-') {
        let has_files = verb.get_arguments().any(|argument| argument.get_id() == "files");
        return (has_files && verb.get_positionals().next().is_none()).then(|| format!("'-f {typed}'"));
    }
    let name = typed.strip_prefix("--")?;
    let sided = [Side::Source, Side::Destination].map(|side| format!("{side}-{name}"));
    let has =
        |flag: &&String| verb.get_arguments().any(|argument| argument.get_long() == Some(flag.as_str()));
    let flags: Vec<String> = sided.iter().filter(has).map(|flag| format!("'--{flag}'")).collect();
    (!flags.is_empty()).then(|| flags.join(" or "))
}

fn run(cli: Cli, ui: Ui) -> Result<Outcome, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("cannot start: {error}")))?;
    let done = async {
        match cli.verb {
            Verb::Copy(args) => copy::run(ui, &args, &cli.connection).await,
            Verb::Build(args) => build::run(ui, &args, &cli.connection).await,
            Verb::Preview(args) => Box::pin(preview::run(ui, &args, &cli.connection)).await,
            Verb::Verify(args) => Box::pin(verify::run(ui, &args, &cli.connection)).await,
            Verb::Run(args) => Box::pin(run_verb::run(ui, &args, &cli.connection)).await,
            Verb::Mirror(args) => mirror::run(ui, args, &cli.connection).await,
            Verb::Workloads(args) => workloads::run(ui, &args, &cli.connection).await,
            Verb::Migrate(args) => {
                let deployed = args.deployed(&cli.connection).await?;
                left_behind(move || migrate::run(ui, &args, &deployed)).await
            }
            Verb::Search(args) => search::run(ui, &args).await,
            Verb::Tags(args) => tags::run(ui, &args).await,
            Verb::Quota(args) => quota::run(ui, &args, &cli.connection).await,
            Verb::List(args) => list::run(ui, &args, &cli.connection).await,
            Verb::Describe(args) => describe::run(ui, &args, &cli.connection).await,
            Verb::History(args) => history::run(ui, &args, &cli.connection).await,
            Verb::Sync(args) => sync::run(ui, &args, &cli.connection).await,
            Verb::Wait(args) => wait::run(ui, &args, &cli.connection).await,
            Verb::Logs(args) => logs::run(ui, &args, &cli.connection).await,
            Verb::Cancel(args) => cancel::run(ui, &args, &cli.connection).await,
            Verb::Suspend(args) => suspend::run(ui, &args, &cli.connection).await,
            Verb::Resume(args) => resume::run(ui, &args, &cli.connection).await,
            Verb::Delete(args) => delete::run(ui, &args, &cli.connection).await,
            Verb::Doctor(args) => Box::pin(doctor::run(ui, &args, &cli.connection)).await,
            Verb::Install(args) => install::run(ui, &args, &cli.connection).await,
            Verb::Upgrade(args) => upgrade::run(ui, &args, &cli.connection).await,
            Verb::Uninstall(args) => uninstall::run(ui, &args, &cli.connection).await,
            Verb::Enable(args) => enable::run(ui, &args, &cli.connection).await,
            Verb::Disable(args) => disable::run(ui, &args, &cli.connection).await,
            Verb::Completion(args) => completion::run(ui, &args),
            Verb::Version(args) => version::run(ui, &args, &cli.connection).await,
        }
    };
    // What is under way is dropped, and so a terminal gets back what it had.
    let result = runtime.block_on(async {
        tokio::select! {
            biased;
            error = interrupted() => Err(error),
            result = Box::pin(done) => result,
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
        command().debug_assert();
    }
}
