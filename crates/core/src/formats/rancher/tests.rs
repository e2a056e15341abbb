use super::*;

const TARGETS: &str = "\
Repositories:
- {BaseUrl: docker.io/acme, Registry: docker.io, Target: true, Username: u, Password: p}
- {BaseUrl: registry.corp/mirror, Registry: registry.corp, Target: true, Username: u, Password: p}
";

fn config(entries: &str) -> Read {
    read(&format!("Images:\n{entries}{TARGETS}")).unwrap()
}

fn error(entries: &str) -> String {
    read(&format!("Images:\n{entries}{TARGETS}")).unwrap_err().to_string()
}

fn rows(read: &Read) -> Vec<String> {
    read.config.rows().0.into_iter().map(|row| format!("{} {}", row.source, row.target)).collect()
}

#[test]
fn rows_go_entry_by_entry_repository_by_repository_and_tag_by_tag() {
    let read = config("- {SourceImage: quay.io/tools/widget, Tags: ['1.0', '1.1']}\n");
    insta::assert_snapshot!(rows(&read).join("\n"), @r"
    quay.io/tools/widget:1.0 docker.io/acme/mirrored-tools-widget:1.0
    quay.io/tools/widget:1.1 docker.io/acme/mirrored-tools-widget:1.1
    quay.io/tools/widget:1.0 registry.corp/mirror/mirrored-tools-widget:1.0
    quay.io/tools/widget:1.1 registry.corp/mirror/mirrored-tools-widget:1.1
    ");
}

#[test]
fn names_are_made_of_the_last_two_parts_as_they_are_written() {
    for (source, name) in [
        ("registry.k8s.io/pause", "mirrored-registry.k8s.io-pause"),
        ("dp.apps.rancher.io/containers/curl", "appco-curl"),
        ("a.io/b/c/d", "mirrored-c-d"),
    ] {
        assert_eq!(Source::parse(source).unwrap().default_name(), name);
    }
    assert_eq!(
        error("- {SourceImage: widget, Tags: [a]}\n"),
        "line 2: Images[0].SourceImage: \"widget\" has one part; write at least two, as in library/widget"
    );
    let with_port = error("- {SourceImage: 'localhost:5000/app', Tags: [a]}\n");
    assert!(
        with_port.starts_with("line 2: Images[0].TargetImageName: the name at the target is "),
        "{with_port}"
    );
    let named = config("- {SourceImage: 'localhost:5000/app', Tags: [a], TargetImageName: app}\n");
    assert_eq!(rows(&named).len(), 2);
}

#[test]
fn a_repository_is_not_copied_to_itself() {
    let read = config(
        "- {SourceImage: acme/mirrored-tools-widget, Tags: [a], TargetImageName: mirrored-tools-widget}\n",
    );
    assert_eq!(rows(&read), ["acme/mirrored-tools-widget:a registry.corp/mirror/mirrored-tools-widget:a"]);
}

#[test]
fn what_is_not_mirrored_has_no_rows_and_stays_in_the_file() {
    let read = config(
        "- {SourceImage: a/b, Tags: ['1.0'], DoNotMirror: true}\n- {SourceImage: a/c, Tags: ['1.0', '1.1'], DoNotMirror: ['1.0']}\n",
    );
    assert_eq!(rows(&read).iter().filter(|row| row.starts_with("a/b")).count(), 0);
    assert_eq!(
        rows(&read),
        ["a/c:1.1 docker.io/acme/mirrored-a-c:1.1", "a/c:1.1 registry.corp/mirror/mirrored-a-c:1.1"]
    );
    assert!(read.config.formatted().contains("- DoNotMirror: true\n  SourceImage: a/b\n"));
    for (value, part) in [
        ("['1.0', '1.0']", "twice"),
        ("[1.0]", "write it with quotes"),
        ("'true'", "true, false or a list of tags, and is text"),
    ] {
        let error = error(&format!("- {{SourceImage: a/b, Tags: ['1.0'], DoNotMirror: {value}}}\n"));
        assert!(error.contains(part), "{value}: {error}");
    }
    let unknown = config("- {SourceImage: a/b, Tags: ['1.0'], DoNotMirror: ['2.0']}\n");
    assert_eq!(
        unknown.warnings[0].to_string(),
        "line 2: Images[0].DoNotMirror[0]: the tag 2.0 is not in Tags"
    );
}

#[test]
fn targets_that_an_entry_names_replace_the_default_ones_in_the_newer_schema_and_narrow_them_in_the_older() {
    let entries = "- {SourceArtifact: a/b, Tags: [x]}\n- {SourceArtifact: a/c, Tags: [x], TargetRepositories: [v.io/z]}\n";
    let newer = format!(
        "Artifacts:\n{entries}Repositories:\n- {{BaseUrl: u.io/z, DefaultTarget: true}}\n- {{BaseUrl: v.io/z, DefaultTarget: false}}\n"
    );
    assert_eq!(rows(&read(&newer).unwrap()), ["a/b:x u.io/z/mirrored-a-b:x", "a/c:x v.io/z/mirrored-a-c:x"]);
    let older = newer.replace("DefaultTarget", "Target");
    assert_eq!(rows(&read(&older).unwrap()), ["a/b:x u.io/z/mirrored-a-b:x"]);
    let unknown = newer.replace("[v.io/z]", "[x.io/z]");
    assert_eq!(
        read(&unknown).unwrap_err().to_string(),
        "line 3: Artifacts[1].TargetRepositories[0]: no entry of Repositories has the BaseUrl \"x.io/z\""
    );
}

#[test]
fn a_tag_that_is_a_number_for_yaml_stays_as_it_is_written_and_is_warned_about() {
    let read = config("- {SourceImage: a/b, Tags: [3.10]}\n");
    assert_eq!(read.config.entries[0].tags, ["3.10"]);
    assert!(read.warnings[0].to_string().contains("write it with quotes"));
    assert!(read.config.formatted().contains("- \"3.10\"\n"));
}

#[test]
fn formatting_sorts_by_bytes_and_twice_is_the_same_as_once() {
    let read = config(
        "- {SourceImage: b/b, Tags: [v1, yes, 2024-01-15, 1e5, 5, 1.2.3, 3.10]}\n- {SourceImage: a/b, Tags: [], TargetImageName: mirrored-a-b}\n- {SourceImage: a/b, Tags: [x], TargetImageName: app}\n",
    );
    let once = read.config.formatted();
    insta::assert_snapshot!(once, @r#"
    Images:
    - SourceImage: a/b
      Tags:
      - x
      TargetImageName: app
    - SourceImage: a/b
      Tags: []
    - SourceImage: b/b
      Tags:
      - 1.2.3
      - "1e5"
      - "2024-01-15"
      - "3.10"
      - "5"
      - v1
      - "yes"
    Repositories:
    - BaseUrl: docker.io/acme
      Password: p
      Registry: docker.io
      Target: true
      Username: u
    - BaseUrl: registry.corp/mirror
      Password: p
      Registry: registry.corp
      Target: true
      Username: u
    "#);
    assert_eq!(super::read(&once).unwrap().config.formatted(), once);
    assert_eq!(super::read(&once).unwrap().warnings, []);
}

#[test]
fn unknown_fields_are_named_with_the_nearest_one() {
    assert_eq!(
        error("- {SourceImage: a/b, Tgas: [x]}\n"),
        "line 2: Images[0]: there is no field \"Tgas\" here; do you mean Tags?"
    );
    let read = read(&format!("images:\n- {{sourceimage: a/b, TAGS: [x]}}\n{TARGETS}")).unwrap();
    assert_eq!(read.config.entries[0].source.as_str(), "a/b", "names are compared without case");
}

#[test]
fn equal_credentials_are_one_entry_in_the_newer_schema_and_others_stay_in_the_files_order() {
    let repository = |base: &str, user: &str| {
        format!("- {{BaseUrl: {base}, DefaultTarget: true, Registry: r.io, Username: {user}, Password: p}}\n")
    };
    let file = format!(
        "Artifacts:\n- {{SourceArtifact: a/b, Tags: [x]}}\nRepositories:\n{}{}{}",
        repository("r.io/a", "zoe"),
        repository("r.io/b", "amy"),
        repository("r.io/c", "zoe"),
    );
    let regsync = read(&file).unwrap().config.regsync(None);
    insta::assert_snapshot!(regsync, @r"
    ##################################################
    # THIS FILE IS AUTO-GENERATED. DO NOT MODIFY IT.
    ##################################################
    creds:
    - pass: p
      registry: r.io
      user: zoe
    - pass: p
      registry: r.io
      user: amy
    defaults:
      userAgent: rancher-artifact-mirror
    sync:
    - source: a/b:x
      target: r.io/a/mirrored-a-b:x
      type: image
    - source: a/b:x
      target: r.io/b/mirrored-a-b:x
      type: image
    - source: a/b:x
      target: r.io/c/mirrored-a-b:x
      type: image
    ");
}
