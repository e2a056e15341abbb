//! Answers kubectl, which asks for completions by running `kubectl_complete-imgop` (kubectl 1.26 and
//! later, `plugin_completion.go`).

mod typed;
mod values;

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, complete};

use crate::output::text::one_line;

/// The hidden first argument by which the completion script calls this program.
pub const COMPLETE: &str = "__complete";

/// Returns what may follow the words that were typed; the last of them is not complete. A line each, with
/// its help after a tab, and `:4` at the end: no file names besides (cobra's `NoFileComp`).
pub fn candidates(command: Command, typed: &[OsString]) -> String {
    let mut command = with_values(command);
    let aliases = aliases(&command);
    let words: Vec<OsString> =
        [OsString::from("kubectl-imgop")].into_iter().chain(typed.iter().cloned()).collect();
    let last = words.len() - 1;
    let begun = words[last].to_string_lossy().into_owned();
    let here = std::env::current_dir().ok();
    let mut text = String::new();
    for candidate in complete(&mut command, words, last, here.as_deref()).unwrap_or_default() {
        let mut value = one_line(&candidate.get_value().to_string_lossy());
        // As in kubectl, flags are offered once a dash is typed.
        if candidate.is_hide_set() || (value.starts_with('-') && !begun.starts_with('-')) {
            continue;
        }
        // clap offers one name for each verb, and not always the first.
        if let Some((_, verb)) =
            aliases.iter().find(|(alias, verb)| *alias == value && verb.starts_with(&begun))
        {
            value.clone_from(verb);
        }
        let help = candidate.get_help().map(|help| one_line(&help.to_string())).unwrap_or_default();
        let _ = writeln!(text, "{value}\t{help}");
    }
    text + ":4\n"
}

/// Returns the aliases of verbs, each with the verb.
fn aliases(command: &Command) -> Vec<(String, String)> {
    let of = |verb: &Command| -> Vec<(String, String)> {
        verb.get_all_aliases().map(|alias| (alias.to_owned(), verb.get_name().to_owned())).collect()
    };
    command.get_subcommands().flat_map(of).collect()
}

/// Lets the cluster and the kubeconfig complete the arguments that take what they hold.
fn with_values(command: Command) -> Command {
    let with_value = |argument: Arg| match completer(&argument) {
        Some(completer) => argument.add(completer),
        None => argument,
    };
    command.mut_args(with_value).mut_subcommands(with_values)
}

fn completer(argument: &Arg) -> Option<ArgValueCompleter> {
    Some(match argument.get_id().as_str() {
        "names" | "name" if argument.is_positional() => ArgValueCompleter::new(values::objects),
        "namespace" => ArgValueCompleter::new(values::namespaces),
        "context" => ArgValueCompleter::new(values::contexts),
        "cluster" => ArgValueCompleter::new(values::clusters),
        "user" => ArgValueCompleter::new(values::users),
        "source_credentials" | "destination_credentials" => {
            ArgValueCompleter::new(values::credential_secrets)
        }
        "source_ca_secret" | "destination_ca_secret" => ArgValueCompleter::new(values::secrets),
        "tag" => ArgValueCompleter::new(values::tags),
        _ => return None,
    })
}
