use super::*;
use crate::formats::rancher;
use crate::formats::rancher::Source;
use crate::sources::{EntryRef, Found, FoundImage, Note, RegistryTags, Update, VersionSource, missing};

const CONFIG: &str = "\
Artifacts:
- SourceArtifact: quay.io/tools/widget
  Tags:
  - v1.9.1
- SourceArtifact: quay.io/tools/widget
  Tags:
  - v1.9.1
  TargetArtifactName: widget
Repositories: []
";

fn found(source: &str, name: Option<&str>, tags: &[&str]) -> FoundImage {
    let entry = EntryRef { source: Source::parse(source).unwrap(), target_name: name.map(str::to_owned) };
    FoundImage { entry, tags: tags.iter().map(|tag| (*tag).to_owned()).collect() }
}

#[test]
fn only_what_an_entry_lacks_is_added_to_the_entry_with_that_name() {
    let config = rancher::read(CONFIG).unwrap().config;
    let found = [
        found("quay.io/tools/widget", Some("widget"), &["v1.10.0", "v1.9.1", "v1.9.3"]),
        found("quay.io/tools/widget", None, &["v1.9.1"]),
        found("quay.io/tools/gadget", Some("mirrored-tools-gadget"), &["3.10"]),
        found("quay.io/tools/empty", None, &[]),
    ];
    let additions = missing(&config, &found);
    let shown: Vec<String> = additions.iter().flat_map(Addition::references).collect();
    assert_eq!(
        shown,
        ["quay.io/tools/gadget:3.10", "quay.io/tools/widget:v1.10.0", "quay.io/tools/widget:v1.9.3"]
    );
    let Proposal { branch, title, body, commits } = propose("widget", &config, &additions);
    assert_eq!(title, "[autoupdate] Add 3 tag(s) for `widget`");
    insta::assert_snapshot!(body, @"
    This PR was created by the autoupdate workflow.

    It adds the following artifact tags:
    - `quay.io/tools/gadget:3.10`
    - `quay.io/tools/widget:v1.10.0`
    - `quay.io/tools/widget:v1.9.3`
    ");
    // `printf 'quay.io/tools/gadget:3.10quay.io/tools/widget:v1.10.0quay.io/tools/widget:v1.9.3' | sha256sum`, the first
    // five bytes in base 32.
    assert_eq!(branch, "autoupdate/widget/ftkpzzam");
    let subjects: Vec<&str> = commits.iter().map(|commit| commit.subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "Add tag(s) 3.10 for artifact quay.io/tools/gadget",
            "Add tag(s) v1.10.0, v1.9.3 for artifact quay.io/tools/widget"
        ]
    );
    insta::assert_snapshot!(commits[1].config.formatted(), @r#"
    Artifacts:
    - SourceArtifact: quay.io/tools/gadget
      Tags:
      - "3.10"
    - SourceArtifact: quay.io/tools/widget
      Tags:
      - v1.9.1
    - SourceArtifact: quay.io/tools/widget
      Tags:
      - v1.10.0
      - v1.9.1
      - v1.9.3
      TargetArtifactName: widget
    Repositories: []
    "#);
}

#[test]
fn the_older_schema_speaks_of_images() {
    let config = rancher::read("Images: []\nRepositories: []\n").unwrap().config;
    let additions = missing(&config, &[found("a/b", None, &["1"])]);
    let proposal = propose("x", &config, &additions);
    assert_eq!(proposal.commits[0].subject, "Add tag(s) 1 for image a/b");
    assert!(proposal.body.contains("the following image tags:"));
}

#[test]
fn images_of_no_named_entry_belong_to_the_one_entry_that_has_their_source() {
    let update = Update {
        name: "x".to_owned(),
        source: VersionSource::Registry(RegistryTags::default()),
        entries: None,
        reviewers: Vec::new(),
    };
    let all = CONFIG.replace(
        "Repositories: []",
        "- SourceArtifact: a/b\n  Tags: []\n  TargetArtifactName: c\nRepositories: []",
    );
    let config = rancher::read(&all).unwrap().config;
    let images =
        ["quay.io/tools/widget", "a/b", "x/unknown"].map(|source| found(source, None, &["2"])).to_vec();
    let within = Found { images, notes: Vec::new() }.within(&config, &update);
    let names: Vec<String> = within.images.iter().map(|image| image.entry.effective_name()).collect();
    assert_eq!(names, ["mirrored-tools-widget", "c"]);
    assert_eq!(within.notes, [Note::NotListed("x/unknown".to_owned())]);
}
