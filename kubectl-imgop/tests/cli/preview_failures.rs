//! `preview` of what the registries do not have, or do not answer.

use imgop_fakes::Catalog;

use crate::preview::{destination, preview, source};
use crate::program::Program;

#[test]
fn a_tag_that_cannot_be_checked_hides_no_other() {
    let source = source();
    let destination = Catalog::default()
        .with("mirror/argocd", &[("v2.13.1", "one")])
        .failing("v2.13.1", 429)
        .start_in_background();
    insta::assert_snapshot!(preview(&source, &destination, ""), @"
    exit code: 0
    ----- stdout -----
    SOURCE        source........./argoproj/argocd   8 tags
    VERSION       v2.13.x
    DESTINATION   mirror........./mirror/argocd

        TAG        STATE         DIGEST         DESTINATION-DIGEST
    +   v2.13.10   missing       e4432baa9081   <none>
    +   v2.13.2    missing       3fc4ccfe7458   <none>
    ?   v2.13.1    not-checked   7692c3ad3540   <unknown>
    +   v2.13.0    missing       f9194e73f9e9   <none>

    4 tags: 3 to copy, 1 not checked.
    1 tag not checked: cannot look up mirror........./mirror/argocd: mirror......... wants fewer requests (HTTP 429)
    1 pre-release is excluded; add --allow-candidate-release to include it.
    2 other tags nearly match; add --show-excluded to see why not.
    ");
}

#[test]
fn a_tag_in_dockers_old_format_is_shown_as_such_before_any_job() {
    let old = r#"{"schemaVersion":1,"fsLayers":[]}"#;
    let source = Catalog::default().with("app", &[("1.0.0", old), ("1.0.1", "new")]).start_in_background();
    let destination = Catalog::default().start_in_background();
    let (from, to) = (&source.address, &destination.address);
    let preview = |flags: &str| Program::new().run(&format!("preview {from}/app:1.0.x {to}/mirror{flags}"));
    assert_eq!(preview(" --exit-code").code, 1, "the other tag would be copied");
    insta::assert_snapshot!(preview("").naming(from, "source").naming(to, "mirror"), @"
    exit code: 0
    ----- stdout -----
    SOURCE        source........./app      2 tags
    VERSION       1.0.x
    DESTINATION   mirror........./mirror

        TAG     STATE                DIGEST         DESTINATION-DIGEST
    +   1.0.1   missing              11507a0e2f5e   <none>
    !   1.0.0   format-unsupported   <unknown>      <none>

    2 tags: 1 to copy, 1 in an unsupported format.
    1 tag in an unsupported format: 1.0.0: it is in Docker's old format (schema 1), which cannot be copied by digest; its owner has to build or push it anew
    ");
}

#[test]
fn a_repository_that_does_not_exist_yet_has_none_of_the_tags() {
    let run = preview(&source(), &Catalog::default().start_in_background(), "");
    assert!(run.stdout.contains("4 tags: 4 to copy."), "{run}");
}

#[test]
fn a_pattern_that_means_too_many_tags_is_refused_before_they_are_looked_up() {
    insta::assert_snapshot!(preview(&source(), &destination(), " --max-tags 3"), @"
    exit code: 1
    ----- stderr -----
    error: v2.13.x selects 4 of 8 tags, and at most 3 are copied; narrow it, or use --latest

    hint: the agent rejects it too; to see the tags anyway: --max-tags 4
    ");
}

#[test]
fn a_repository_that_is_not_there_is_an_error_with_a_hint() {
    let source = source();
    let run = Program::new().run(&format!("preview {}/no/such:1.x", source.address));
    insta::assert_snapshot!(run.naming(&source.address, "source"), @"
    exit code: 1
    ----- stderr -----
    error: source: cannot list the tags of source........./no/such: source......... has no such repository or manifest: repository name not known (HTTP 404)

    hint: check the name of the repository; some registries answer the same when credentials are missing
    ");
}

#[test]
fn a_tag_that_is_not_there_is_a_failure_that_names_the_nearest() {
    let (source, destination) = (source(), destination());
    let (from, to) = (&source.address, &destination.address);
    let run = |arguments: &str| Program::new().run(arguments).naming(from, "source").naming(to, "mirror");
    insta::assert_snapshot!(run(&format!("preview {from}/argoproj/argocd:v2.13.9 {to}/mirror/argocd")), @"
    exit code: 1
    ----- stdout -----
    SOURCE        source........./argoproj/argocd
    VERSION       v2.13.9
    DESTINATION   mirror........./mirror/argocd

        TAG       STATE       DIGEST   DESTINATION-DIGEST
    !   v2.13.9   not-found   <none>   <none>

    1 tag: 1 not at the source.
    ----- stderr -----
    error: source........./argoproj/argocd has no tag v2.13.9

    hint: near misses v2.13.11-rc1, v2.13.10, v2.13.2: only its last part differs
    hint: it has 8 tags; the newest: v2.13.11-rc1, v2.13.10, v2.13.2, v2.13.1, 2.13.1
    hint: use one of them, or a pattern such as v2.13.x
    hint: if it is not released yet: an Image waits for the tag and copies it then
    ");
    let asked = format!("preview {from}/argoproj/argocd:v2.13.9 {to}/mirror/argocd --exit-code");
    assert_eq!(run(&asked).code, 2);
    insta::assert_snapshot!(run(&format!("preview {from}/no/such:1.0 --no-headers")), @"
    exit code: 1
    ----- stdout -----
    !   1.0   not-found   <none>
    ----- stderr -----
    error: source: cannot list the tags of source........./no/such: source......... has no such repository or manifest: repository name not known (HTTP 404)

    hint: check the name of the repository; some registries answer the same when credentials are missing
    ");
}

#[test]
fn a_pattern_that_matches_nothing_is_a_warning_and_a_failed_comparison() {
    let (source, destination) = (source(), destination());
    let (from, to) = (&source.address, &destination.address);
    let run =
        |arguments: &[&str]| Program::new().run_with(arguments).naming(from, "source").naming(to, "mirror");
    let (image, mirror) = (format!("{from}/argoproj/argocd"), format!("{to}/mirror/argocd"));
    let range = ["preview", &image, &mirror, "--versions", ">=2.13.11 <3"];
    insta::assert_snapshot!(run(&range), @"
    exit code: 0
    ----- stdout -----
    SOURCE        source........./argoproj/argocd   8 tags
    VERSION       >=2.13.11 <3
    DESTINATION   mirror........./mirror/argocd

    0 tags.
    1 pre-release is excluded; add --allow-candidate-release to include it.
    ----- stderr -----
    warning: no tag of source........./argoproj/argocd matches >=2.13.11 <3

    hint: near miss v2.13.11-rc1: it is a pre-release; --allow-candidate-release includes those
    hint: it has 8 tags; the newest: v2.13.11-rc1, v2.13.10, v2.13.2, v2.13.1, 2.13.1
    hint: use one of them, or add --allow-candidate-release
    ");
    assert_eq!(run(&[&range[..], &["--exit-code"]].concat()).code, 2);
}
