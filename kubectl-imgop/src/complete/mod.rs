//! Answers kubectl, which asks for completions by running `kubectl_complete-imgop` (kubectl 1.26 and
//! later, `plugin_completion.go`), and the shells' own scripts for `kubectl-imgop`.

mod repositories;
mod typed;
mod values;

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::sync::Arc;

use clap::builder::Resettable;
use clap::{Arg, Command};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};

use crate::output::text::one_line;
use typed::Typed;

/// The hidden first argument by which the completion script for kubectl calls this program.
pub const COMPLETE: &str = "__complete";
/// The variable by which the scripts for shells call this program.
pub const SHELL_VARIABLE: &str = "KUBECTL_IMGOP_COMPLETE";
/// The program that those scripts complete, and call.
pub const PROGRAM: &str = "kubectl-imgop";

/// Returns what may follow the words that were typed; the last of them is not complete. A line each, with
/// its help after a tab, and `:4` at the end: no file names besides (cobra's `NoFileComp`).
pub fn candidates(command: Command, typed: &[OsString]) -> String {
    let words: Vec<OsString> = [OsString::from(PROGRAM)].into_iter().chain(typed.iter().cloned()).collect();
    let (mut command, last) = (prepared(command, typed), words.len() - 1);
    let here = std::env::current_dir().ok();
    let mut text = String::new();
    for candidate in complete(&mut command, words, last, here.as_deref()).unwrap_or_default() {
        // Where nothing else fits, what is hidden is offered.
        if candidate.is_hide_set() {
            continue;
        }
        let value = one_line(&candidate.get_value().to_string_lossy());
        let help = candidate.get_help().map(|help| one_line(&help.to_string())).unwrap_or_default();
        let _ = writeln!(text, "{value}\t{help}");
    }
    text + ":4\n"
}

/// Answers a shell's own script. Returns whether one asked.
pub fn answers_shell(command: impl Fn() -> Command) -> bool {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // The script puts the program in front of the words.
    let typed: Vec<OsString> = arguments.iter().skip_while(|word| *word != "--").skip(2).cloned().collect();
    let index = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
    let typed = typed.get(..index.unwrap_or(typed.len())).unwrap_or(&typed).to_vec();
    let answer = CompleteEnv::with_factory(|| prepared(command(), &typed)).var(SHELL_VARIABLE);
    // A shell that cannot be answered is offered nothing.
    answer.try_complete(arguments, std::env::current_dir().ok().as_deref()).unwrap_or(true)
}

/// Prepares a command line for the words that were typed. As in kubectl flags are offered once a dash is typed, and
/// verbs by their names; the cluster, the registries and the kubeconfig complete the arguments that take what they hold.
fn prepared(command: Command, typed: &[OsString]) -> Command {
    let words: Vec<String> = typed.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let begun = words.last().cloned().unwrap_or_default();
    let typed = Arc::new(Typed::before_the_last(words.clone()));
    let shows_flags = begun.starts_with('-');
    let is_used = |alias: &str, verb: &str| {
        words.iter().any(|word| word == alias) || (alias.starts_with(&begun) && !verb.starts_with(&begun))
    };
    with_values(command, &typed, shows_flags).mut_subcommands(|verb| {
        // clap offers one name for each verb, and not always the first.
        let keeps_aliases = verb.get_all_aliases().any(|alias| is_used(alias, verb.get_name()));
        if keeps_aliases { verb } else { verb.visible_alias(Resettable::Reset) }
    })
}

fn with_values(command: Command, typed: &Arc<Typed>, shows_flags: bool) -> Command {
    let verb = command.get_name().to_owned();
    let with_value = |argument: Arg| {
        let is_hidden = argument.is_hide_set() || !(shows_flags || argument.is_positional());
        let argument = argument.hide(is_hidden);
        match completer(&verb, &argument) {
            Some(values) => {
                let typed = Arc::clone(typed);
                argument.add(ArgValueCompleter::new(move |begun: &OsStr| {
                    values(&typed, &begun.to_string_lossy())
                }))
            }
            None => argument,
        }
    };
    let command = command.disable_help_flag(!shows_flags).disable_version_flag(!shows_flags);
    command.mut_args(with_value).mut_subcommands(|verb| with_values(verb, typed, shows_flags))
}

/// Returns the candidates for a word that is begun.
type Values = fn(&Arc<Typed>, &str) -> Vec<CompletionCandidate>;

fn completer(verb: &str, argument: &Arg) -> Option<Values> {
    Some(match (argument.get_id().as_str(), verb) {
        ("names", "cancel") => values::builders,
        ("names" | "name", "list" | "describe") if argument.is_positional() => values::listed_objects,
        ("names" | "name", _) if argument.is_positional() => values::objects,
        ("source", "preview" | "verify") => repositories::objects_and_sources,
        ("source" | "repository" | "repositories", _) => repositories::sources,
        ("destination", _) => repositories::destinations,
        ("namespace" | "namespaces" | "agent_namespace", _) => values::namespaces,
        ("context", _) => values::contexts,
        ("cluster", _) => values::clusters,
        ("user", _) => values::users,
        ("source_credentials" | "destination_credentials" | "credentials", _) => values::credential_secrets,
        ("source_ca_secret" | "destination_ca_secret" | "ca_secret" | "git_credentials", _) => {
            values::secrets
        }
        ("tag" | "platform", "logs") => values::works_of_jobs,
        ("platforms", _) => values::platforms,
        ("time_zone", _) => values::time_zones,
        _ => return None,
    })
}
