//! docs/troubleshooting.md explains every reason that the code has, and no other.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use imgop_core::api::FailureReason;
use imgop_core::build::BuildFailure;
use imgop_documents::{Page, root};
use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// A word of an enum for what another version has; no agent gives it as a reason.
const OTHER: &str = "Unknown";

/// Asks a type which variants it has, and gives it none of them.
struct Variants<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Variants<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom("no enum"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = variants;
        Err(serde::de::Error::custom("only its variants"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

fn variants_of<T: DeserializeOwned>() -> BTreeSet<String> {
    let mut variants: &[&str] = &[];
    let _ = T::deserialize(Variants(&mut variants));
    variants.iter().filter(|variant| **variant != OTHER).map(ToString::to_string).collect()
}

/// The constants of `conditions::reasons`, read from its source: a list of them could lack one.
fn reasons() -> BTreeSet<String> {
    let source = std::fs::read_to_string(root().join("crates/core/src/api/conditions.rs")).unwrap();
    let (_, reasons) = source.split_once("pub mod reasons {").unwrap();
    let (reasons, _) = reasons.split_once("\n}").unwrap();
    reasons
        .lines()
        .filter_map(|line| line.split_once("&str = \"")?.1.split('"').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn troubleshooting_explains_every_reason_of_the_code_and_no_other() {
    let in_code: BTreeSet<String> =
        [reasons(), variants_of::<FailureReason>(), variants_of::<BuildFailure>()]
            .into_iter()
            .flatten()
            .collect();
    assert!(in_code.len() > 45, "{in_code:?}");
    let is_reason = |word: &String| word.starts_with(char::is_uppercase) && !word.contains(' ');
    let rows = Page::read("docs/troubleshooting.md").rows();
    let explained: BTreeSet<String> = rows
        .iter()
        .filter(|row| row.len() == 3 && row.iter().all(|cell| !cell.is_empty()))
        .map(|row| row[0].clone())
        .filter(is_reason)
        .collect();
    let missing: Vec<&String> = in_code.difference(&explained).collect();
    let unknown: Vec<&String> = explained.difference(&in_code).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not explained: {missing:?}; of no code: {unknown:?}");
}

/// Folders of programs whose messages users read.
const SPEAKING: [&str; 4] = ["agent/src", "crates/core/src", "crates/registry/src", "kubectl-imgop/src"];

/// Messages of clap, which the plugin shows.
const OF_CLAP: [&str; 1] = ["unrecognized subcommand"];

#[test]
fn the_messages_that_troubleshooting_quotes_are_in_the_code() {
    let texts: Vec<String> = SPEAKING.iter().flat_map(|folder| sources(&root().join(folder))).collect();
    let rows = Page::read("docs/troubleshooting.md").rows();
    let messages = rows.iter().filter(|row| row.len() == 3 && row[0].contains(' ')).map(|row| &row[0]);
    let messages: Vec<&String> = messages.filter(|message| !OF_CLAP.contains(&message.as_str())).collect();
    assert!(messages.len() > 15, "{messages:?}");
    let is_said = |message: &str| {
        let parts = message.split('…').map(str::trim).filter(|part| part.len() > 8);
        parts.into_iter().all(|part| texts.iter().any(|text| text.contains(part)))
    };
    let unknown: Vec<&String> = messages.into_iter().filter(|message| !is_said(message)).collect();
    assert!(unknown.is_empty(), "in no code: {unknown:#?}");
}

/// Returns the sources in a folder and those within it, each in one line: a message may go on in the next one.
fn sources(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let in_one_line = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap().replace("\\\n", " ");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let within = folders.iter().flat_map(|folder| sources(folder));
    files.iter().map(in_one_line).chain(within).collect()
}
