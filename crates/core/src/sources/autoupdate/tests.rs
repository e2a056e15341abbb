use proptest::prelude::*;

use super::*;
use crate::sources::{ChartLocation, Pick, Reviewer, VersionSource};

const NEWEST: &str = "\
- GithubRelease:
    Artifacts:
    - SourceArtifact: quay.io/tools/widget
      TargetArtifactName: widget
    - SourceArtifact: quay.io/tools/gadget
    Owner: tools
    Repository: widget
    VersionConstraint: '>1.8'
    VersionRegex: ^v(.*)
  Name: widget
  Reviewers:
  - ann
  - acme/mirrors
- HelmLatest:
    Artifacts:
    - SourceArtifact: ghcr.io/a/b
    Charts:
      web:
        \"1\": []
        aws:
        - a.b=true
    HelmRepo: https://charts.example.com
    ImageDenylist:
    - x/no
  Name: web
- Name: words
  Registry:
    Artifacts:
    - SourceArtifact: library/words
    Latest: true
    VersionFilter: ^3
";

fn refused(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn the_newest_form_is_read() {
    let file = read(NEWEST).unwrap();
    let [widget, web, words] = &file.entries[..] else { panic!("{file:?}") };
    let entries = widget.update.entries.as_ref().unwrap();
    assert_eq!(entries[0].effective_name(), "widget");
    assert_eq!(entries[1].effective_name(), "mirrored-tools-gadget");
    assert_eq!(widget.update.reviewers[0], Reviewer::User("ann".to_owned()));
    assert_eq!(widget.line, 1);
    let VersionSource::HelmChart(charts) = &web.update.source else { panic!("{web:?}") };
    assert_eq!(charts.location, ChartLocation::Repository("https://charts.example.com".to_owned()));
    assert_eq!(charts.runs().len(), 2);
    assert!(matches!(&words.update.source, VersionSource::Registry(tags) if tags.pick == Pick::Latest));
}

#[test]
fn earlier_forms_are_read() {
    let text = "\
- GithubLatestRelease:
    Images:
    - flannel/flannel
    Owner: flannel-io
    Repository: flannel
  Name: flannel
- GithubTaggedImagesFile:
    Images:
    - SourceImage: a/b
      TargetImageName: c
    ImagesFilePath: deploy/images.txt
    Owner: o
    Repository: r
    VersionConstraint: '>=1.4.0'
  Name: list
- GithubRelease:
    Images:
    - SourceImage: a/b
    LatestOnly: true
    Owner: o
    Repository: r
  Name: middle
";
    let file = read(text).unwrap();
    assert!(matches!(&file.entries[0].update.source, VersionSource::GithubRelease(of) if of.is_latest_only));
    let names = |at: usize| file.entries[at].update.entries.as_ref().unwrap()[0].effective_name();
    assert_eq!([names(0), names(1), names(2)], ["mirrored-flannel-flannel", "c", "mirrored-a-b"]);
    assert_eq!(read("").unwrap().entries, []);
}

#[test]
fn what_is_wrong_is_named_with_line_and_field() {
    let github = |extra: &str| {
        format!(
            "- Name: a\n  GithubRelease:\n    Owner: o\n    Repository: r\n    Artifacts: [{{SourceArtifact: a/b}}]\n{extra}"
        )
    };
    let errors = [
        refused("Name: a\n"),
        refused("- Name: a\n"),
        refused("- Name: a\n  Registry: {}\n"),
        refused("- Name: a\n  Registry: {Artifacts: [{SourceArtifact: a/b}]}\n  GithubRelease: {}\n"),
        refused(&github("    LatestOnly: true\n    VersionConstraint: '>1'\n")),
        refused(&github("    VersionConstraint: '>>1'\n")),
        refused(&github("    VersionRegex: '('\n")),
        refused(&github("    VersionRegexp: v\n")),
        refused(&github("  Reviewers: [a/b/c]\n")),
        refused("- Name: a\n  Registry: {Artifacts: [{SourceArtifact: nginx}]}\n"),
        refused("- Name: a\n  Registry: {Artifacts: [{SourceArtifact: 'host:5000/c'}]}\n"),
        refused("- Name: a\n  HelmLatest: {HelmRepo: x, Charts: {web: {}}}\n"),
        refused(&format!("{}{}", github(""), github(""))),
    ];
    insta::assert_snapshot!(errors.join("\n"), @r#"
line 1: this has to be a list of entries, and is an object
line 1: [0]: GithubRelease, HelmLatest or Registry is missing
line 2: [0].Registry: Artifacts, with at least one element, is missing
line 2: [0].Registry: an entry has either GithubRelease or Registry
line 7: [0].GithubRelease.VersionConstraint: only the latest release is taken; leave VersionConstraint or LatestOnly out
line 6: [0].GithubRelease.VersionConstraint: ">>1" is no constraint; write comparators such as >=1.4.0, ~1.2 or ^2, with || between alternatives
line 6: [0].GithubRelease.VersionRegex: "(" is no regular expression: unclosed group
line 6: [0].GithubRelease: there is no field "VersionRegexp" here; do you mean VersionRegex?
line 6: [0].Reviewers[0]: "a/b/c" is no reviewer; write a user, or a team as in org/team
line 2: [0].Registry.Artifacts[0].SourceArtifact: "nginx" has one part; write at least two, as in library/nginx
line 2: [0].Registry.Artifacts[0].TargetArtifactName: the name at the target is "mirrored-host:5000-c", which is none; give another one
line 2: [0].HelmLatest.Charts.web: an environment, which may have an empty list of values, is missing
line 6: [1].Name: the entry in line 1 has the name "a" already; branches are named after it
"#);
}

proptest! {
    #[test]
    fn no_text_ends_in_a_panic(text in "[-:#a \\n\\[\\]{}ANGRimest]{0,80}") {
        let _ = read(&text);
    }
}

#[test]
fn a_name_of_which_no_branch_can_be_made_is_refused_where_it_stands() {
    for name in [
        "a b", "a..b", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a.lock", "a.", "/a", "a/", "a//b",
        ".a", "a/.b", "a@{b",
    ] {
        let text = format!("- Registry: {{Artifacts: [x/y]}}\n  Name: {}\n", serde_json::Value::from(name));
        let error = read(&text).unwrap_err().to_string();
        assert!(error.starts_with("line 2: [0].Name: this is no name: "), "{name}: {error}");
    }
    for name in ["calico", "a/b", "a.b", "a@b", "k8s-1.x", "ü"] {
        let text = format!("- Registry: {{Artifacts: [x/y]}}\n  Name: '{name}'\n");
        assert_eq!(read(&text).unwrap().entries[0].update.name, name);
    }
}
