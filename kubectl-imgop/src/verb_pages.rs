//! `docs/verbs/` is made from the command line; this test is also the generator.
//!
//! clap-markdown writes flags as one list, without the headings under which `--help` has them.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};
use imgop_documents::{assert_current, assert_only};

use crate::cli::command;

const FOLDER: &str = "docs/verbs";
const NOTE: &str = "Generated from the code by `make docs`; do not edit.";

/// Text of a help page as Markdown: what looks like a tag of HTML is none.
fn prose(text: &str) -> String {
    text.replace('<', "\\<").replace('*', "\\*")
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    prose(text).replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How an argument is written: `-o, --output FORMAT`, or `SOURCE`.
fn written(argument: &Arg) -> String {
    let names: Vec<&str> =
        argument.get_value_names().unwrap_or_default().iter().map(clap::builder::Str::as_str).collect();
    let values = names.join(" ");
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    if flags.is_empty() {
        return values;
    }
    let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let is_optional = argument.get_num_args().is_some_and(|range| range.min_values() == 0);
    match (takes_value, is_optional) {
        (false, _) => flags.join(", "),
        (true, false) => format!("{} {values}", flags.join(", ")),
        (true, true) => format!("{}[={values}]", flags.join(", ")),
    }
}

/// What an argument means: its help, with values, default and environment variable.
fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let mut text = help.map(|help| cell(&help.to_string())).unwrap_or_default();
    let values = argument.get_possible_values();
    let shown: Vec<String> = values
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| match value.get_help() {
            Some(help) => format!("`{}` ({})", value.get_name(), cell(&help.to_string())),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    if !shown.is_empty() && !argument.is_hide_possible_values_set() {
        let _ = write!(text, ". Values: {}", shown.join(", "));
    }
    let defaults = argument.get_default_values().iter().filter_map(|value| value.to_str());
    let defaults: Vec<String> = defaults.map(|value| format!("`{value}`")).collect();
    if !defaults.is_empty() && !argument.is_hide_default_value_set() && argument.get_action().takes_values() {
        let _ = write!(text, ". Default: {}", defaults.join(", "));
    }
    if let Some(variable) = argument.get_env().and_then(|name| name.to_str()) {
        let _ = write!(text, ". Environment variable: `{variable}`");
    }
    text
}

/// Tables of arguments, one for each heading of `--help`.
fn tables(arguments: &[&Arg], level: &str) -> String {
    let heading = |argument: &Arg| {
        let other = if argument.is_positional() { "Arguments" } else { "Options" };
        argument.get_help_heading().unwrap_or(other).to_owned()
    };
    let mut headings: Vec<String> = Vec::new();
    for name in arguments.iter().map(|argument| heading(argument)) {
        if !headings.contains(&name) {
            headings.push(name);
        }
    }
    headings.sort_by_key(|name| usize::from(name != "Arguments"));
    headings.iter().fold(String::new(), |mut text, name| {
        let _ = write!(text, "\n{level} {name}\n\n| | |\n|---|---|\n");
        for argument in arguments.iter().filter(|argument| heading(argument) == *name) {
            let _ = writeln!(text, "| `{}` | {} |", written(argument).replace('|', "\\|"), meaning(argument));
        }
        text
    })
}

fn is_shown(argument: &Arg) -> bool {
    !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version")
}

fn page(verb: &Command) -> String {
    let mut verb = verb.clone();
    let usage = verb.render_usage().to_string().replacen("Usage: ", "", 1);
    let mut text = format!("# kubectl imgop {}\n\n{NOTE}\n", verb.get_name());
    let about =
        verb.get_long_about().or_else(|| verb.get_about()).map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "\n{}\n\n```text\n{}\n```\n", prose(&about), usage.trim());
    let aliases: Vec<String> = verb.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        let _ = write!(text, "\nAlso: {}.\n", aliases.join(", "));
    }
    let own: Vec<&Arg> = verb.get_arguments().filter(|a| is_shown(a) && !a.is_global_set()).collect();
    text.push_str(&tables(&own, "##"));
    for part in verb.get_subcommands().filter(|part| !part.is_hide_set() && part.get_name() != "help") {
        let _ = writeln!(
            text,
            "\n## {}\n\n{}",
            part.get_name(),
            prose(&part.get_about().map(ToString::to_string).unwrap_or_default())
        );
        let own: Vec<&Arg> = part.get_arguments().filter(|a| is_shown(a) && !a.is_global_set()).collect();
        text.push_str(&tables(&own, "###"));
    }
    let help = verb.get_after_long_help().or_else(|| verb.get_after_help());
    if let Some(help) = help {
        let _ = write!(text, "\n## Examples and notes\n\n```console\n{}\n```\n", help.to_string().trim_end());
    }
    text + "\nFlags of every verb, and exit codes: [all verbs](README.md).\n"
}

fn index(program: &Command) -> String {
    let mut text = format!("# The verbs of kubectl imgop\n\n{NOTE}\n\n| | |\n|---|---|\n");
    for verb in verbs(program) {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        let name = verb.get_name();
        let _ = writeln!(text, "| [`{name}`]({name}.md) | {} |", cell(&about));
    }
    text.push_str("\n## Flags of every verb\n\nVerbs that ask no cluster take them too, without effect.\n");
    let global: Vec<&Arg> = program.get_arguments().filter(|a| is_shown(a) && a.is_global_set()).collect();
    text.push_str(&tables(&global, "###"));
    let help = program.get_after_help().map(ToString::to_string).unwrap_or_default();
    let codes = help.lines().filter_map(|line| line.strip_prefix("Exit codes: "));
    codes.fold(text, |text, codes| text + "\n## Exit codes\n\n" + codes + "\n")
}

fn verbs(program: &Command) -> impl Iterator<Item = &Command> {
    program.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help")
}

#[test]
fn the_pages_of_verbs_are_those_of_the_command_line() {
    let mut program = command();
    program.build();
    assert_current(&format!("{FOLDER}/README.md"), &index(&program));
    let mut names = vec!["README.md".to_owned()];
    for verb in verbs(&program) {
        let name = format!("{}.md", verb.get_name());
        assert_current(&format!("{FOLDER}/{name}"), &page(verb));
        names.push(name);
    }
    assert_only(FOLDER, &names);
}
