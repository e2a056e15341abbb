//! What the documents have a user type is what this program takes.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use imgop_documents::{Call, Page};

use crate::cli::command;

/// Pages that say what was, in the words of then.
const PAST: [&str; 1] = ["CHANGELOG.md"];

/// Returns a word with a name in it where the page leaves that to the reader: `NAME`, `registryaccess/NAME`.
fn filled(word: &str) -> String {
    let is_left_open = |part: &str| part.bytes().all(|byte| byte.is_ascii_uppercase());
    let parts = word.split('/');
    let parts = parts.map(|part| if is_left_open(part) { part.to_lowercase() } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("/")
}

/// Returns why this program does not take a call. A text may name a verb, or a flag, without what belongs to it.
fn refusal(call: &Call) -> Option<Error> {
    let words = call.words[1..].iter().map(|word| filled(word));
    let error = command().try_get_matches_from(words).err().filter(Error::use_stderr)?;
    let is_empty =
        matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(value)) if value.is_empty());
    let is_name = match error.kind() {
        ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => true,
        ErrorKind::InvalidValue => is_empty,
        _ => false,
    };
    (call.is_whole || !is_name).then_some(error)
}

#[test]
fn every_command_line_of_the_documents_is_one_of_this_program() {
    let pages = Page::all().into_iter().filter(|page| !PAST.iter().any(|past| page.path.ends_with(past)));
    let calls: Vec<(Page, Call)> = pages
        .flat_map(|page| page.calls("kubectl imgop").into_iter().map(move |call| (page.clone(), call)))
        .collect();
    assert!(calls.len() > 60, "{}", calls.len());
    let wrong = calls.iter().filter_map(|(page, call)| {
        let (path, words) = (page.path.display(), call.words.join(" "));
        refusal(call).map(|error| format!("{path}:{}: {words}\n{error}", call.line))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
