//! `preview` of references, against fake registries.

use imgop_fakes::{Background, Catalog, CatalogRegistry};

use crate::program::{Program, Run};

pub fn source() -> Background<CatalogRegistry> {
    let tags = [
        ("v2.13.0", "zero"),
        ("v2.13.1", "one"),
        ("v2.13.2", "two"),
        ("v2.13.10", "ten"),
        ("v2.13.11-rc1", "candidate"),
        ("v2.13.1-alpine", "alpine"),
        ("2.13.1", "without v"),
        ("latest", "ten"),
    ];
    Catalog::default().with("argoproj/argocd", &tags).start_in_background()
}

pub fn destination() -> Background<CatalogRegistry> {
    let tags = [("v2.13.0", "zero"), ("v2.13.1", "other"), ("mirror-v2.13.0", "zero")];
    Catalog::default().with("mirror/argocd", &tags).start_in_background()
}

pub fn preview(
    source: &Background<CatalogRegistry>,
    destination: &Background<CatalogRegistry>,
    more: &str,
) -> Run {
    let (from, to) = (&source.address, &destination.address);
    let run = Program::new().run(&format!("preview {from}/argoproj/argocd:v2.13.x {to}/mirror/argocd{more}"));
    run.naming(from, "source").naming(to, "mirror")
}

#[test]
fn a_preview_shows_what_would_be_copied_newest_version_first() {
    insta::assert_snapshot!(preview(&source(), &destination(), ""), @"
    exit code: 0
    ----- stdout -----
    SOURCE        source........./argoproj/argocd   8 tags
    VERSION       v2.13.x
    DESTINATION   mirror........./mirror/argocd

        TAG        STATE        DIGEST         DESTINATION-DIGEST
    +   v2.13.10   missing      e4432baa9081   <none>
    +   v2.13.2    missing      3fc4ccfe7458   <none>
    ~   v2.13.1    differs      7692c3ad3540   d9298a10d1b0
    =   v2.13.0    up-to-date   f9194e73f9e9   f9194e73f9e9

    4 tags: 2 to copy, 1 up to date, 1 to be overwritten.
    1 pre-release is excluded; add --allow-candidate-release to include it.
    2 other tags nearly match; add --show-excluded to see why not.
    ");
}

#[test]
fn a_wide_preview_has_whole_digests() {
    insta::assert_snapshot!(preview(&source(), &destination(), " -o wide --no-headers"), @"
    exit code: 0
    ----- stdout -----
    +   v2.13.10   missing      sha256:e4432baa90819aaef51d2a7f8e148bf7e679610f3173752fabb4dcb2d0f418d3   <none>
    +   v2.13.2    missing      sha256:3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3   <none>
    ~   v2.13.1    differs      sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed   sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa
    =   v2.13.0    up-to-date   sha256:f9194e73f9e9459e3450ea10a179cdf77aafa695beecd3b9344a98d111622243   sha256:f9194e73f9e9459e3450ea10a179cdf77aafa695beecd3b9344a98d111622243
    ");
}

#[test]
fn tags_that_nearly_match_are_listed_with_the_reason() {
    insta::assert_snapshot!(preview(&source(), &destination(), " --show-excluded"), @r#"
    exit code: 0
    ----- stdout -----
    SOURCE        source........./argoproj/argocd   8 tags
    VERSION       v2.13.x
    DESTINATION   mirror........./mirror/argocd

        TAG        STATE        DIGEST         DESTINATION-DIGEST
    +   v2.13.10   missing      e4432baa9081   <none>
    +   v2.13.2    missing      3fc4ccfe7458   <none>
    ~   v2.13.1    differs      7692c3ad3540   d9298a10d1b0
    =   v2.13.0    up-to-date   f9194e73f9e9   f9194e73f9e9

    4 tags: 2 to copy, 1 up to date, 1 to be overwritten.

        EXCLUDED         REASON
    -   v2.13.11-rc1     it is a pre-release; --allow-candidate-release includes those
    -   2.13.1           it has no leading v, which is asked for
    -   v2.13.1-alpine   it ends in "-alpine", which is not asked for
    "#);
}

#[test]
fn tags_that_are_too_young_are_listed_with_the_time_when_they_are_taken() {
    // The fake's manifests say no time, so these are as old as this preview.
    let mut run = preview(&source(), &destination(), " --min-age 3d --show-excluded");
    let times: Vec<String> =
        run.stdout.split("taken from ").skip(1).map(|text| text[..20].to_owned()).collect();
    assert_eq!(times.len(), 3);
    for time in times {
        let hours = (time.parse::<jiff::Timestamp>().unwrap() - jiff::Timestamp::now()).get_seconds() / 3600;
        assert!((70..=72).contains(&hours), "{time}");
        run.stdout = run.stdout.replace(&time, "TIME");
    }
    insta::assert_snapshot!(run, @r#"
    exit code: 0
    ----- stdout -----
    SOURCE        source........./argoproj/argocd   8 tags
    VERSION       v2.13.x                           min age 3d
    DESTINATION   mirror........./mirror/argocd

        TAG       STATE                 DIGEST         DESTINATION-DIGEST
    =   v2.13.1   differs (too young)   7692c3ad3540   d9298a10d1b0
    =   v2.13.0   up-to-date            f9194e73f9e9   f9194e73f9e9

    2 tags: 1 up to date, 1 differing and kept for now: the new content is too young.
    1 tag too young: it is younger than 3d (--min-age); taken from TIME if it still has the same content

        EXCLUDED         REASON
    -   v2.13.10         it is younger than 3d (--min-age); taken from TIME if it still has the same content
    -   v2.13.2          it is younger than 3d (--min-age); taken from TIME if it still has the same content
    -   v2.13.11-rc1     it is a pre-release; --allow-candidate-release includes those
    -   2.13.1           it has no leading v, which is asked for
    -   v2.13.1-alpine   it ends in "-alpine", which is not asked for
    "#);
    let summary = preview(&source(), &destination(), " --min-age 3d").stdout;
    assert!(summary.contains("2 tags are too young; add --show-excluded to see until when."), "{summary}");
}

#[test]
fn what_is_too_young_is_not_reported_as_absent() {
    let (source, destination) = (source(), destination());
    for (version, more) in [("v2.13.2", ""), ("v2.13.x", " --latest 2")] {
        let from = format!("{}/argoproj/argocd:{version}", source.address);
        let to = format!("{}/mirror/argocd", destination.address);
        let run = Program::new().run(&format!("preview {from} {to} --min-age 3d{more}"));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{version}");
        assert!(run.stdout.contains(&format!("that matches {version} is too young")), "{}", run.stdout);
    }
}

#[test]
fn a_tag_that_moved_and_is_too_young_stays_as_it_is() {
    let (source, destination) = (source(), destination());
    let from = format!("{}/argoproj/argocd:v2.13.1", source.address);
    let to = format!("{}/mirror/argocd", destination.address);
    let run = Program::new().run(&format!("preview {from} {to} --min-age 3d --exit-code"));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "nothing would be copied");
    for said in
        ["differs (too young)", "1 differing and kept for now", "1 tag too young: it is younger than 3d"]
    {
        assert!(run.stdout.contains(said), "{}", run.stdout);
    }
}

#[test]
fn candidates_are_taken_when_allowed() {
    let run = preview(&source(), &destination(), " --allow-candidate-release --no-headers");
    assert!(run.stdout.starts_with("+   v2.13.11-rc1"), "{run}");
}

#[test]
fn tags_that_are_kept_are_not_counted_as_work() {
    let run = preview(&source(), &destination(), " --overwrite IfMissing");
    assert!(run.stdout.contains("=   v2.13.1    differs (kept)"), "{run}");
    assert!(run.stdout.contains("1 differing and kept"), "{run}");
}

#[test]
fn a_template_shows_the_tag_at_the_destination() {
    insta::assert_snapshot!(preview(&source(), &destination(), ":mirror-{tag}"), @"
    exit code: 0
    ----- stdout -----
    SOURCE        source........./argoproj/argocd   8 tags
    VERSION       v2.13.x
    DESTINATION   mirror........./mirror/argocd

        TAG        STATE        DIGEST         DESTINATION-TAG   DESTINATION-DIGEST
    +   v2.13.10   missing      e4432baa9081   mirror-v2.13.10   <none>
    +   v2.13.2    missing      3fc4ccfe7458   mirror-v2.13.2    <none>
    +   v2.13.1    missing      7692c3ad3540   mirror-v2.13.1    <none>
    =   v2.13.0    up-to-date   f9194e73f9e9   mirror-v2.13.0    f9194e73f9e9

    4 tags: 3 to copy, 1 up to date.
    1 pre-release is excluded; add --allow-candidate-release to include it.
    2 other tags nearly match; add --show-excluded to see why not.
    ");
}

#[test]
fn a_range_and_what_narrows_it_are_shown() {
    let source = source();
    let from = format!("{}/argoproj/argocd", source.address);
    let arguments =
        ["preview", &from, "--versions", ">=2.13.1 <3", "--exclude", ".*-alpine", "--latest", "2"];
    insta::assert_snapshot!(Program::new().run_with(&arguments).naming(&source.address, "source"), @"
    exit code: 0
    ----- stdout -----
    SOURCE    source........./argoproj/argocd   8 tags
    VERSION   >=2.13.1 <3                       exclude .*-alpine, latest 2

        TAG        STATE       DIGEST
        v2.13.10   at-source   e4432baa9081
        v2.13.2    at-source   3fc4ccfe7458

    2 tags: 2 at the source.
    1 pre-release is excluded; add --allow-candidate-release to include it.
    3 other tags nearly match; add --show-excluded to see why not.
    ");
}

#[test]
fn the_document_has_the_documented_fields() {
    insta::assert_snapshot!(preview(&source(), &destination(), " -o json"));
}

#[test]
fn without_a_destination_the_meaning_of_a_version_is_shown() {
    let source = source();
    let program = Program::new();
    let run = |more: &str| {
        program
            .run(&format!("preview {}/argoproj/argocd{more}", source.address))
            .naming(&source.address, "source")
    };
    insta::assert_snapshot!(run(":v2.13.x"), @"
    exit code: 0
    ----- stdout -----
    SOURCE    source........./argoproj/argocd   8 tags
    VERSION   v2.13.x

        TAG        STATE       DIGEST
        v2.13.10   at-source   e4432baa9081
        v2.13.2    at-source   3fc4ccfe7458
        v2.13.1    at-source   7692c3ad3540
        v2.13.0    at-source   f9194e73f9e9

    4 tags: 4 at the source.
    1 pre-release is excluded; add --allow-candidate-release to include it.
    2 other tags nearly match; add --show-excluded to see why not.
    ");
    insta::assert_snapshot!(run(":v9.9.9"), @"
    exit code: 1
    ----- stdout -----
    SOURCE    source........./argoproj/argocd
    VERSION   v9.9.9

        TAG      STATE       DIGEST
    !   v9.9.9   not-found   <none>

    1 tag: 1 not at the source.
    ----- stderr -----
    error: source........./argoproj/argocd has no tag v9.9.9

    hint: it has 8 tags; the newest: v2.13.11-rc1, v2.13.10, v2.13.2, v2.13.1, 2.13.1
    hint: use one of them, or a pattern such as v2.13.x
    hint: if it is not released yet: an Image waits for the tag and copies it then
    ");
    insta::assert_snapshot!(run(" --versions 9.x"), @"
    exit code: 0
    ----- stdout -----
    SOURCE    source........./argoproj/argocd   8 tags
    VERSION   9.x

    0 tags.
    ----- stderr -----
    warning: no tag of source........./argoproj/argocd matches 9.x

    hint: it has 8 tags; the newest: v2.13.11-rc1, v2.13.10, v2.13.2, v2.13.1, 2.13.1
    hint: use one of them, or a pattern such as v2.13.x
    ");
    let digest = imgop_registry::reference::Digest::of(b"zero");
    let run = run(&format!("@{digest} -o json"));
    assert!([r#""destination": null"#, r#""listed": null"#].iter().all(|f| run.stdout.contains(f)), "{run}");
}

#[test]
fn the_exit_code_tells_differences_only_when_asked() {
    let (source, same) = (source(), source());
    let code = |destination: &str, more: &str| {
        let from = &source.address;
        Program::new().run(&format!("preview {from}/argoproj/argocd:v2.13.x {destination}{more}")).code
    };
    let (equal, absent) = (format!("{}/argoproj/argocd", same.address), format!("{}/a/b", same.address));
    assert_eq!([code(&absent, ""), code(&equal, "")], [0, 0]);
    assert_eq!([code(&absent, " --exit-code"), code(&equal, " --exit-code")], [1, 0]);
    let broken =
        Catalog::default().failing("v2.13.0", 429).with("a/b", &[("v2.13.0", "zero")]).start_in_background();
    let all = [("v2.13.0", "zero"), ("v2.13.1", "one"), ("v2.13.2", "two"), ("v2.13.10", "ten")];
    let unknown = Catalog::default().failing("v2.13.0", 429).with("a/b", &all).start_in_background();
    assert_eq!(code(&format!("{}/a/b", broken.address), " --exit-code"), 1);
    assert_eq!(code(&format!("{}/a/b", unknown.address), " --exit-code"), 2);
    assert_eq!(code("registry.example.com:5000", " --exit-code"), 2);
}

#[test]
fn digests_that_were_not_requested_are_not_none() {
    let (source, same) = (source(), source());
    let (from, to) = (&source.address, &same.address);
    let arguments = format!("preview {from}/argoproj/argocd:v2.13.x {to}/argoproj/argocd --immutable-tags *");
    let run = Program::new().run(&arguments).naming(from, "source").naming(to, "mirror");
    insta::assert_snapshot!(run, @"
    exit code: 0
    ----- stdout -----
    SOURCE        source........./argoproj/argocd   8 tags
    VERSION       v2.13.x
    DESTINATION   mirror........./argoproj/argocd

        TAG        STATE            DIGEST   DESTINATION-DIGEST
    =   v2.13.10   already-synced
    =   v2.13.2    already-synced
    =   v2.13.1    already-synced
    =   v2.13.0    already-synced

    4 tags: 4 already synced.
    A digest that is empty was not requested: for a tag that is synced, or that never changes, it is enough that the destination has it.
    1 pre-release is excluded; add --allow-candidate-release to include it.
    2 other tags nearly match; add --show-excluded to see why not.
    ");
}
