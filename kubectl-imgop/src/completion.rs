//! Answers kubectl, which asks for completions by running `kubectl_complete-imgop` (kubectl 1.26 and
//! later, `plugin_completion.go`).

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::time::Duration;

use clap::{Command, Parser};
use clap_complete::engine::{CompletionCandidate, complete};
use kube::ResourceExt;
use kube::api::ListParams;

use crate::connection::ConnectionArgs;
use crate::text::one_line;

/// The hidden first argument by which the completion script calls this program.
pub const COMPLETE: &str = "__complete";

/// How long a cluster may take: somebody has pressed a key and waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many names are offered at most.
const MOST: u32 = 500;

/// What may follow the words that were typed; the last of them is not complete. A line each, with what
/// it means behind a tab, and `:4` at the end: no file names beside them (cobra's `NoFileComp`).
pub fn candidates(mut command: Command, typed: &[OsString]) -> String {
    let words: Vec<OsString> =
        [OsString::from("kubectl-imgop")].into_iter().chain(typed.iter().cloned()).collect();
    let last = words.len() - 1;
    let here = std::env::current_dir().ok();
    let mut text = String::new();
    for candidate in complete(&mut command, words, last, here.as_deref()).unwrap_or_default() {
        if candidate.is_hide_set() {
            continue;
        }
        let help = candidate.get_help().map(|help| one_line(&help.to_string())).unwrap_or_default();
        let value = one_line(&candidate.get_value().to_string_lossy());
        let _ = writeln!(text, "{value}\t{help}");
    }
    text + ":4\n"
}

/// The names of the Images that the typed flags of the connection lead to; none if they cannot be had.
pub fn image_names(begun: &OsStr) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let connection = connection(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()));
    let names = names(&connection).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with(&*begun)).map(CompletionCandidate::new).collect()
}

fn names(connection: &ConnectionArgs) -> Option<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let list = async {
        let cluster = connection.connect().await.ok()?;
        let list = cluster.raw_images(false).list_metadata(&ListParams::default().limit(MOST)).await.ok()?;
        Some(list.items.iter().map(ResourceExt::name_any).collect())
    };
    let names = runtime.block_on(async { tokio::time::timeout(PATIENCE, list).await.ok().flatten() });
    runtime.shutdown_background();
    names
}

/// The flags of the connection among words that may be no whole command yet.
fn connection(words: impl Iterator<Item = String>) -> ConnectionArgs {
    #[derive(Parser)]
    #[command(no_binary_name = true)]
    struct Flags {
        #[command(flatten)]
        connection: ConnectionArgs,
    }
    const NAMES: [&str; 8] =
        ["-n", "--namespace", "--context", "--cluster", "--user", "--kubeconfig", "--as", "--as-group"];
    let mut given = Vec::new();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        // `-nci` is `-n ci`.
        if word.len() > 2 && word.starts_with("-n") {
            given.push(word);
            continue;
        }
        let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
        if !NAMES.contains(&name) {
            continue;
        }
        let value = if name.len() == word.len() { words.next() } else { None };
        given.push(word);
        given.extend(value);
    }
    Flags::try_parse_from(given).map(|flags| flags.connection).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_the_connection_are_found_in_what_was_typed() {
        let words = "describe -n ci --context=prod --output yaml arg";
        let found = connection(words.split(' ').map(str::to_owned));
        assert_eq!(found.namespace.as_deref(), Some("ci"));
        assert_eq!(connection(["-nci".to_owned()].into_iter()).namespace.as_deref(), Some("ci"));
        assert_eq!(connection(["-n".to_owned()].into_iter()).namespace, None);
    }
}
