//! What a change of a file does, and how tags are added.

use super::super::rancher::Config;
use super::super::{AddError, Format, NewEntry, Wanted, images_list, rancher};
use super::content;

const REPOSITORIES: &str = "Repositories:\n- {BaseUrl: docker.io/acme, DefaultTarget: true}\n- {BaseUrl: u.io/m, DefaultTarget: false}\n";

fn config(entries: &str) -> Config {
    rancher::read(&format!("Artifacts:\n{entries}{REPOSITORIES}")).unwrap().config
}

fn wanted(source: &str, tags: &[&str]) -> Wanted {
    Wanted { source: source.to_owned(), tags: tags.iter().map(|tag| (*tag).to_owned()).collect() }
}

const TWO_NAMES: &str = "- {SourceArtifact: quay.io/tools/widget, Tags: [1.2.3]}\n- {SourceArtifact: quay.io/tools/widget, Tags: [1.2.3], TargetArtifactName: tools-widget}\n";

#[test]
fn a_tag_goes_to_the_entry_that_is_called_mirrored() {
    let mut config = config(TWO_NAMES);
    // 1.2 is not there because 1.2.3 is.
    let added = config.add(&wanted("quay.io/tools/widget", &["1.2", "1.2.3", "1.2"]), None).unwrap();
    assert_eq!(added, ["1.2"]);
    insta::assert_snapshot!(config.formatted(), @r#"
    Artifacts:
    - SourceArtifact: quay.io/tools/widget
      Tags:
      - "1.2"
      - 1.2.3
    - SourceArtifact: quay.io/tools/widget
      Tags:
      - 1.2.3
      TargetArtifactName: tools-widget
    Repositories:
    - BaseUrl: docker.io/acme
      DefaultTarget: true
      Password: ""
      Registry: ""
      Username: ""
    - BaseUrl: u.io/m
      DefaultTarget: false
      Password: ""
      Registry: ""
      Username: ""
    "#);
}

#[test]
fn several_names_of_which_none_is_called_mirrored_are_an_error_and_nothing_is_added() {
    let entries = "- {SourceArtifact: x/y, Tags: [a], TargetArtifactName: a}\n- {SourceArtifact: x/y, Tags: [a], TargetArtifactName: b}\n";
    let mut changed = config(entries);
    let error = changed.add(&wanted("docker.io/x/y", &["b"]), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "docker.io/x/y goes to a and b, and not exactly one of them is mirrored-…; edit the file"
    );
    assert_eq!(changed, config(entries));
    let error = changed.add(&wanted("x/z", &["b"]), None).unwrap_err();
    assert_eq!(error, AddError::NoEntry("x/z".to_owned()));
}

#[test]
fn an_entry_is_made_where_that_is_asked_for() {
    let mut config = config("- {SourceArtifact: x/y, Tags: [a]}\n");
    config
        .add(&wanted("x/a", &["1"]), Some(&NewEntry { target_name: Some("mirrored-x-a".to_owned()) }))
        .unwrap();
    config.add(&wanted("x/b", &["1"]), Some(&NewEntry { target_name: Some("b".to_owned()) })).unwrap();
    insta::assert_snapshot!(config.formatted(), @r#"
    Artifacts:
    - SourceArtifact: x/a
      Tags:
      - "1"
    - SourceArtifact: x/b
      Tags:
      - "1"
      TargetArtifactName: b
    - SourceArtifact: x/y
      Tags:
      - a
    Repositories:
    - BaseUrl: docker.io/acme
      DefaultTarget: true
      Password: ""
      Registry: ""
      Username: ""
    - BaseUrl: u.io/m
      DefaultTarget: false
      Password: ""
      Registry: ""
      Username: ""
    "#);
    let error = config.add(&wanted("x", &["1"]), Some(&NewEntry::default())).unwrap_err();
    assert_eq!(error.to_string(), "\"x\" has one part; write at least two, as in library/x");
}

#[test]
fn a_tag_of_an_images_list_is_a_line_of_its_own() {
    let text = "# list\nquay.io/a/b acme/b v1.2.3\nquay.io/a/b acme/mirrored-a-b v1.2.3\n";
    let mut list = images_list::read(text).unwrap();
    assert_eq!(list.add(&wanted("quay.io/a/b", &["v1.2", "v1.2.3"]), None).unwrap(), ["v1.2"]);
    insta::assert_snapshot!(list.formatted(), @"
    # list
    quay.io/a/b acme/b v1.2.3
    quay.io/a/b acme/mirrored-a-b v1.2
    quay.io/a/b acme/mirrored-a-b v1.2.3
    ");
    let error = list.add(&wanted("a/c", &["1"]), Some(&NewEntry::default())).unwrap_err();
    assert_eq!(error, AddError::NoTargetName);
    let new = NewEntry { target_name: Some("acme/c".to_owned()) };
    assert_eq!(list.add(&wanted("a/c", &["1"]), Some(&new)).unwrap(), ["1"]);
}

#[test]
fn what_a_change_takes_away_and_what_is_new_is_found() {
    let before = content(
        &config("- {SourceArtifact: x/y, Tags: [a, b]}\n- {SourceArtifact: x/z, Tags: [a]}\n").formatted(),
        Format::Rancher,
    );
    let after = content(
        &config(
            "- {SourceArtifact: x/n, Tags: [c], DoNotMirror: true}\n- {SourceArtifact: x/y, Tags: [b, c], TargetRepositories: [docker.io/acme, u.io/m]}\n- {SourceArtifact: x/y, Tags: [d], TargetArtifactName: y}\n",
        )
        .formatted(),
        Format::Rancher,
    );
    insta::assert_debug_snapshot!((
        after.removed_since(&before),
        after.new_since(&before),
        after.repositories_since(&before)
    ));
    assert_eq!(after.removed_since(&after), [""; 0]);
    assert_eq!(after.new_since(&after), []);
}

#[test]
fn entries_that_are_there_twice_and_doubtful_ones_are_named_with_their_lines() {
    let content = content(
        &format!(
            "Artifacts:\n- {{SourceArtifact: x/y, Tags: [a]}}\n- {{SourceArtifact: docker.io/x/y, Tags: ['1.0', v1.0], TargetArtifactName: y}}\n- {{SourceArtifact: x/y, Tags: [b]}}\n{REPOSITORIES}"
        ),
        Format::Rancher,
    );
    let shown = |errors: Vec<super::super::FormatError>| {
        errors.iter().map(|error| error.in_file("f")).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(shown(content.duplicates(Format::Rancher)), @"
    f:4: x/y has a further entry with the same name at the target, in line 2; make one of both
    ");
    insta::assert_snapshot!(shown(content.doubtful()), @"
    f:3: docker.io/x/y is x/y of line 2; write it in one way
    f:3: docker.io/x/y has both 1.0 and v1.0; are both meant?
    ");
}
