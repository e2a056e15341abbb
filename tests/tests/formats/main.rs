//! Files of other tools, compared with what those tools themselves write and how they sort.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests; clippy knows only functions with #[test]"
)]

mod go_yaml;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use imgop_core::formats::{autoupdate, images_list, rancher};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::go_yaml::GoYaml;

/// Texts that YAML may take for something else, and longer ones that it folds.
fn text() -> impl Strategy<Value = String> {
    let number = "[-+]?[0-9_]{0,4}[.]?[0-9_]{0,3}([eE][-+]?[0-9]{1,3})?";
    let date = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9]{1,2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,3})?(Z|[-+][0-9]{2}:[0-9]{2})?)?";
    prop_oneof![
        number,
        date,
        "0[xob]?[0-9a-fA-F]{0,4}",
        "[0-9]{1,3}(:[0-9]{1,2}){1,2}([.][0-9]{0,2})?",
        "(y|n|yes|no|on|off|true|false|null|~|nan|inf|[.]inf|[.]nan|<<|=)",
        "(Y|N|Yes|NO|On|OFF|True|FALSE|Null|NULL|[.]Inf|[-+][.]INF|[.]NaN)",
        "[v]?[0-9]{1,3}([.][0-9]{1,3}){0,3}(-[a-z0-9.]{0,6})?",
        "[-?:,\\[\\]{}#&*!|>'\"%@` a1.~=<\\\\]{0,8}",
        "[ -~é日🦀]{0,12}",
        "([a-z'\"\\\\:#\\[{]{1,12} {1,2}){4,30}[a-z]{0,3}",
        "([a-z:#'-]{0,6}[ ]?\n){1,4}[a-z ]{0,4}",
        "[ -~\t\r\u{7}é日🦀\u{fe0f}\u{a0}]{0,16}",
        "\\{\\{ env \"[A-Z_]{1,12}\" \\}\\}",
    ]
}

fn runner(cases: u32) -> TestRunner {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(cases);
    TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) })
}

#[test]
fn any_text_is_quoted_and_folded_as_go_yaml_does_it() {
    let go = Mutex::new(GoYaml::start().unwrap());
    let checked = runner(3000).run(&text(), |text| {
        let expected = go.lock().unwrap().written("text", &text).unwrap();
        // JSON is YAML: what is read from it is written as any file is.
        let text = json!(text);
        let document = json!([{ "Name": "x", "a": text, "b": [text, { "c": text, "d": [[text]] }] }]);
        prop_assert_eq!(autoupdate::formatted(&document.to_string()).unwrap(), expected);
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn keys_are_quoted_and_sorted_as_go_yaml_does_it() {
    let go = Mutex::new(GoYaml::start().unwrap());
    // Keys are names of fields, of charts and of registries. Behind digits there is no letter: the order of the library
    // has circles then (0084, 0E4, 37b), and what it writes changes from run to run.
    let is_ordered = |text: &String| {
        let rest = text.trim_end_matches(|c: char| c.is_ascii_digit());
        text.len() < 100
            && text.is_ascii()
            && !rest.contains(|c: char| c.is_ascii_digit() || c == '\n' || c == '\r')
    };
    let key = prop_oneof!["[a-cA-C._-]{1,5}[0-9]{0,4}", text().prop_filter("one short line", is_ordered)];

    let keys = prop::collection::btree_set(key, 1..8);
    let checked = runner(1000).run(&keys, |keys| {
        let expected = go.lock().unwrap().written("keys", &json!(keys).to_string()).unwrap();
        let of: serde_json::Map<String, Value> = keys.into_iter().map(|key| (key, json!(true))).collect();
        let document = json!([{ "Name": "x", "of": of }]);
        prop_assert_eq!(autoupdate::formatted(&document.to_string()).unwrap(), expected);
        Ok(())
    });
    checked.unwrap();
}

/// A word with its letters in either case.
fn in_any_case(word: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec(any::<bool>(), word.len()).prop_map(move |upper| {
        let letters = word.chars().zip(upper);
        letters
            .map(|(c, upper)| if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect()
    })
}

#[test]
fn a_configuration_is_read_and_formatted_as_go_does_it_whatever_the_case_of_its_fields() {
    let go = Mutex::new(GoYaml::start().unwrap());
    let fields = [
        "Artifacts",
        "SourceArtifact",
        "Tags",
        "DoNotMirror",
        "Repositories",
        "BaseUrl",
        "DefaultTarget",
        "Password",
    ];
    let names: Vec<_> = fields.into_iter().map(in_any_case).collect();
    let tags = prop::collection::btree_set("[a-z0-9_][A-Za-z0-9._-]{0,6}", 0..4);
    let sources = prop::collection::btree_set("[a-c]{1,2}/[a-d]{1,2}", 1..4);
    let excluded =
        prop_oneof![Just(json!(null)), any::<bool>().prop_map(|all| json!(all)), Just(json!(["a"]))];
    let checked = runner(500).run(&(names, tags, sources, excluded, text()), |(names, tags, sources, excluded, text)| {
        let name = |at: usize| names[at].as_str();
        let entry = |source: String| {
            let mut entry = json!({ name(1): source, name(2): tags });
            if !excluded.is_null() {
                entry[name(3)] = excluded.clone();
            }
            entry
        };
        let entries: Vec<Value> = sources.into_iter().rev().map(entry).collect();
        let repository = json!({ name(5): "r.io/a", name(6): true, name(7): text, "Registry": "r.io", "Username": text });
        let document = json!({ name(0): entries, name(4): [repository] }).to_string();
        let expected = go.lock().unwrap().written("config", &document).unwrap();
        prop_assert_eq!(rancher::read(&document).unwrap().config.formatted(), expected);
        Ok(())
    });
    checked.unwrap();
}

/// Sorts lines with the real program.
fn sorted(lines: &str) -> String {
    let mut sort = Command::new("sort");
    let mut child =
        sort.arg("-V").env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn an_images_list_is_in_the_order_of_gnu_sort_by_versions() {
    let part = "[a-b][a-b0-2]?((_|__|-|[.])[a-b0-2]{1,2})?";
    let tag = prop_oneof![
        "[a-bA-B0-2_][a-bA-B0-2._-]{0,8}",
        "v?[0-9]{1,3}([.][0-9]{1,2}){0,3}(-(rc|alpine)[0-9.]{0,2})?"
    ];
    let line = (part, part, tag).prop_map(|(name, target, tag)| format!("x/{name} acme/{target} {tag}\n"));
    let checked = runner(300).run(&prop::collection::vec(line, 2..40), |lines| {
        let text = lines.concat();
        prop_assert_eq!(images_list::read(&text).unwrap().formatted(), sorted(&text));
        Ok(())
    });
    checked.unwrap();
}
