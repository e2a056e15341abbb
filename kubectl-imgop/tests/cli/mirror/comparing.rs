//! `mirror plan` and `mirror verify`.

use imgop_fakes::{Content, ContentRegistry};

use super::{between, registry};
use crate::preview_details::{push, start};
use crate::program::{Program, Run};

fn compared(from: &ContentRegistry, to: &ContentRegistry, tags: &str, arguments: &str) -> Run {
    let program = Program::new();
    program.file("mirror.yaml", &between(from, to, tags));
    let run = program.run(&format!("mirror {arguments}"));
    run.naming(&from.http.address.to_string(), "source").naming(&to.http.address.to_string(), "mirror")
}

#[test]
fn a_plan_shows_what_would_be_copied_and_its_exit_code_says_so() {
    let (from, to) = (registry(&["v1", "v2"]), registry(&["v1"]));
    insta::assert_snapshot!(compared(&from, &to, "v1, v2", "plan mirror.yaml"), @"
    exit code: 0
    ----- stdout -----
        SOURCE                   DESTINATION              STATE     REASON
    +   source........./app:v2   mirror........./app:v2   missing

    2 tags: 1 up-to-date, 1 missing.
    ");
    insta::assert_snapshot!(compared(&from, &to, "v1, v2, v3", "plan mirror.yaml -o markdown --exit-code"), @"
    exit code: 1
    ----- stdout -----
    <!-- kubectl imgop mirror -->
    ### Images of `mirror.yaml`

    3 tags: 1 up-to-date, 1 missing, 1 not-at-source.

    | | source | destination | |
    |---|---|---|---|
    | ! | `source........./app:v3` | `mirror........./app:v3` | not-at-source |
    | + | `source........./app:v2` | `mirror........./app:v2` | missing |
    ");
    let json = compared(&from, &to, "v1, v2", "plan mirror.yaml -o json --exit-code");
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, &document["counts"]["missing"]), (1, &serde_json::json!(1)), "{json}");
    assert_eq!(compared(&from, &to, "v1", "plan mirror.yaml --exit-code").code, 0);
    for verb in ["plan", "verify"] {
        let yaml = compared(&from, &to, "v1", &format!("{verb} mirror.yaml -o yaml"));
        assert!(yaml.code == 0 && yaml.stdout.starts_with("apiVersion: imgop.mirror/v1\n"), "{yaml}");
    }
}

#[test]
fn a_tag_whose_source_does_not_answer_is_not_checked_and_never_nothing_to_copy() {
    let (from, to) = (registry(&["v1"]), registry(&["v1"]));
    let program = Program::new();
    program.file("mirror.yaml", &between(&from, &to, "v1, v2"));
    drop(from);
    for verb in ["plan --exit-code", "verify"] {
        let run = program.run(&format!("mirror {verb} mirror.yaml"));
        assert!(run.code == 2 && run.stdout.contains("not-checked"), "{run}");
        assert!(run.stderr.contains("could not be checked"), "{run}");
    }
}

#[test]
fn a_target_with_other_content_has_an_exit_code_of_its_own() {
    let from = registry(&["v1", "v2"]);
    let mut other = Content::default();
    push(&mut other, "v1");
    push(&mut other, "x");
    let bytes = other.bytes("x");
    other.put("v2", bytes);
    let to = start(other);
    let run = compared(&from, &to, "v1, v2", "verify mirror.yaml");
    assert_eq!(run.code, 3, "{run}");
    assert!(
        run.stdout.contains("differs") && run.stdout.contains("2 tags: 1 up-to-date, 1 differs."),
        "{run}"
    );
    assert_eq!(compared(&from, &to, "v1", "diff mirror.yaml --layers").code, 0);
    assert_eq!(compared(&from, &to, "v1, v3", "verify mirror.yaml").code, 1);
}
