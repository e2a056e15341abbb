//! Answers kubectl, which asks for completions by running `kubectl_complete-imgop` (kubectl 1.26 and
//! later, `plugin_completion.go`).

mod values;

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::Command;
use clap_complete::engine::complete;

pub use values::object_names;

use crate::output::text::one_line;

/// The hidden first argument by which the completion script calls this program.
pub const COMPLETE: &str = "__complete";

/// Returns what may follow the words that were typed; the last of them is not complete. A line each, with
/// its help after a tab, and `:4` at the end: no file names besides (cobra's `NoFileComp`).
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
