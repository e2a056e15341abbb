use super::*;

fn read_one(settings: &str) -> Update {
    read(&format!("{{\"app\": {settings}}}")).unwrap().updates.remove(0)
}

fn refused(settings: &str) -> String {
    read(&format!("{{\"app\": {settings}}}")).unwrap_err().to_string()
}

#[test]
fn all_seven_sources_are_read() {
    let text = r#"{
      "a": {"versionSource": "github-releases:o/r", "images": ["x/a"], "versionConstraint": "==1.4.0", "versionFilter": "^v"},
      "b": {"versionSource": "github-latest-release:o/r", "images": ["x/b", "rancher/b"]},
      "c": {"versionSource": "github-tagged-images-file:o/r", "imagesFilePath": "images.txt", "versionConstraint": ">=1.4.0"},
      "d": {"versionSource": "registry", "images": ["x/d"], "latest": true},
      "e": {"versionSource": "helm-latest:https://charts.example.com", "imageDenylist": ["x/no"],
            "helmCharts": {"web": {"devel": true, "chartConfig": {"aws": {"values": ["a=b"], "kubeVersion": "1.30"}}}}},
      "f": {"versionSource": "helm-oci", "helmCharts": {"oci://r.example.com/web": {"versionFilter": "1.x"}}, "additionalVersionFilter": ["0.x"]},
      "g": {"versionSource": "helm-directory:/charts", "helmCharts": {"web": {}}}
    }"#;
    let RetrieveImageTags { updates, warnings } = read(text).unwrap();
    assert_eq!(warnings, [""; 0]);
    let VersionSource::GithubRelease(a) = &updates[0].source else { panic!("{:?}", updates[0]) };
    assert!(a.rule.is_only_semver && a.rule.taken == Taken::Whole);
    assert_eq!(a.rule.constraint.as_ref().unwrap().as_str(), "=1.4.0");
    let VersionSource::GithubRelease(b) = &updates[1].source else { panic!("{:?}", updates[1]) };
    assert!(b.is_latest_only);
    assert_eq!(updates[1].entries.as_ref().unwrap().len(), 1);
    assert!(matches!(&updates[2].source, VersionSource::GithubFile(file) if file.path == "images.txt"));
    assert!(matches!(&updates[3].source, VersionSource::Registry(tags) if tags.pick == Pick::Latest));
    let arguments = |at: usize| {
        let VersionSource::HelmChart(charts) = &updates[at].source else { panic!("{:?}", updates[at]) };
        charts.runs().iter().map(|run| run.template_arguments().join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(
        arguments(4),
        ["template --repo=https://charts.example.com --devel --kube-version=1.30 --set=a=b -- web-aws web"]
    );
    assert_eq!(
        arguments(5),
        [
            "template --version=1.x -- web oci://r.example.com/web",
            "template --version=0.x -- web oci://r.example.com/web"
        ]
    );
    assert_eq!(arguments(6), ["template -- web /charts/web"]);
    assert_eq!(updates[6].entries, None);
}

#[test]
fn latest_counts_by_being_there_and_the_latest_entry_before_it() {
    let pick = |settings: &str| match read_one(settings).source {
        VersionSource::Registry(tags) => tags.pick,
        other => panic!("{other:?}"),
    };
    assert_eq!(pick(r#"{"versionSource": "registry", "images": ["x/a"]}"#), Pick::All);
    assert_eq!(pick(r#"{"versionSource": "registry", "images": ["x/a"], "latest": false}"#), Pick::Latest);
    let both = r#"{"versionSource": "registry", "images": ["x/a"], "latest": true, "latest_entry": false}"#;
    assert_eq!(pick(both), Pick::LatestEntry);
    let file = read(r#"{"a": {"versionSource": "registry", "images": ["x/a"], "latest": false}}"#).unwrap();
    assert_eq!(file.warnings, ["a: latest is false, which the original tool takes for true; it is so here"]);
}

#[test]
fn of_a_key_that_stands_twice_the_last_one_counts_and_a_warning_says_so() {
    let text = r#"{
      "a": {"versionSource": "github-latest-release:o/first", "images": ["x/a"]},
      "a": {"versionSource": "github-latest-release:o/second", "images": ["x/a"]}
    }"#;
    let RetrieveImageTags { updates, warnings } = read(text).unwrap();
    assert!(
        matches!(&updates[..], [Update { source: VersionSource::GithubRelease(of), .. }] if of.repository.name == "second")
    );
    assert_eq!(warnings, ["a: the key stands twice; the last one counts, as in the original tool"]);
}

#[test]
fn what_cannot_be_used_is_named_with_its_key_and_field() {
    insta::assert_snapshot!(
        refused(r#"{"versionSource": "gitlab:o/r"}"#),
        @r#"app: versionSource: "gitlab" is no source; there are github-releases, github-latest-release, github-tagged-images-file, registry, helm-latest, helm-oci and helm-directory"#
    );
    insta::assert_snapshot!(
        refused(r#"{"versionSource": "github-releases:o"}"#),
        @r#"app: versionSource: "o" is no repository of GitHub; write owner/name"#
    );
    insta::assert_snapshot!(
        refused(r#"{"versionSource": "registry", "images": ["x/a"], "versionFilter": "("}"#),
        @r#"app: versionFilter: "(" is no regular expression: unclosed group"#
    );
    insta::assert_snapshot!(
        refused(r#"{"versionSource": "registry", "image": []}"#),
        @"app.image: unknown field `image`, expected one of `versionSource`, `images`, `versionConstraint`, `versionFilter`, `latest`, `latest_entry`, `imagesFilePath`, `helmCharts`, `imageDenylist`, `additionalVersionFilter` at line 1 column 45"
    );
    for (file, message) in [
        (
            r#"{"a": 1}"#,
            "a: invalid type: integer `1`, expected an object with versionSource at line 1 column 7",
        ),
        (
            r#"{"a": {"versionSource": []}}"#,
            "a.versionSource: invalid type: sequence, expected a string at line 1 column 24",
        ),
        (
            r#"{"a": {"versionSource": "registry", "images": [1]}}"#,
            "a.images[0]: invalid type: integer `1`, expected a string at line 1 column 48",
        ),
        (r#"{"a": {}}"#, "a: missing field `versionSource` at line 1 column 8"),
        ("[]", "invalid type: sequence, expected an object at line 1 column 0"),
    ] {
        assert_eq!(read(file).unwrap_err().to_string(), message);
    }
}
