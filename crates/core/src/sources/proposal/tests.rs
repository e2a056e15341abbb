use super::*;
use crate::formats::TagFile;
use crate::formats::rancher::Source;
use crate::sources::{
    EntryRef, Found, FoundImage, Note, RegistryTags, Update, VersionSource, autoupdate, missing,
    retrieve_image_tags,
};

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

fn file(text: &str) -> TagFile {
    TagFile::read(text).unwrap().0
}

fn found(source: &str, name: Option<&str>, tags: &[&str]) -> FoundImage {
    let entry = EntryRef { source: Source::parse(source).unwrap(), target_name: name.map(str::to_owned) };
    FoundImage { entry, tags: tags.iter().map(|tag| (*tag).to_owned()).collect() }
}

#[test]
fn only_what_an_entry_lacks_is_added_to_the_entry_with_that_name() {
    let config = file(CONFIG);
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
    insta::assert_snapshot!(commits[1].file.formatted(), @r#"
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
    let config = file("Images: []\nRepositories: []\n");
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
    let config = file(&all);
    let images =
        ["quay.io/tools/widget", "a/b", "x/unknown"].map(|source| found(source, None, &["2"])).to_vec();
    let within = Found { images, notes: Vec::new() }.within(&config, &update, autoupdate::MATCHING);
    let names: Vec<String> = within.images.iter().map(|image| image.entry.effective_name()).collect();
    assert_eq!(names, ["mirrored-tools-widget", "c"]);
    assert_eq!(within.notes, [Note::NotListed("x/unknown".to_owned())]);
}

#[test]
fn images_of_retrieve_image_tags_belong_to_the_entry_of_their_source_however_both_are_written() {
    let mut config = file(
        "Artifacts:\n- {SourceArtifact: quay.io/a/b, Tags: [1.0], TargetArtifactName: other}\n- {SourceArtifact: c/d, Tags: [1.0]}\nRepositories: []\n",
    );
    let settings =
        r#"{"versionSource": "github-latest-release:o/r", "images": ["quay.io/a/b", "docker.io/c/d"]}"#;
    let updates = retrieve_image_tags::read(&format!(r#"{{"all": {settings}}}"#)).unwrap().updates;
    let images = updates[0].entries.clone().unwrap_or_default().into_iter();
    let images =
        images.map(|entry| FoundImage { entry, tags: vec!["1.0".to_owned(), "2".to_owned()] }).collect();
    let within =
        Found { images, notes: Vec::new() }.within(&config, &updates[0], retrieve_image_tags::MATCHING);
    let additions = missing(&config, &within.images);
    for addition in &additions {
        config.add_found(addition);
    }
    insta::assert_snapshot!(config.formatted(), @r#"
    Artifacts:
    - SourceArtifact: c/d
      Tags:
      - "1.0"
      - "2"
    - SourceArtifact: quay.io/a/b
      Tags:
      - "1.0"
      - "2"
      TargetArtifactName: other
    Repositories: []
    "#);
}

#[test]
fn images_of_autoupdate_yaml_belong_to_the_entry_of_their_source_and_name() {
    let mut config = file(
        "Artifacts:\n- {SourceArtifact: c/d, Tags: [1.0]}\n- {SourceArtifact: c/d, Tags: [1.0], TargetArtifactName: e}\nRepositories: []\n",
    );
    let images = vec![found("docker.io/c/d", None, &["2"]), found("c/d", Some("f"), &["3"])];
    let within = Found { images, notes: Vec::new() }.within(&config, &update(), autoupdate::MATCHING);
    let additions = missing(&config, &within.images);
    for addition in &additions {
        config.add_found(addition);
    }
    insta::assert_snapshot!(config.formatted(), @r#"
    Artifacts:
    - SourceArtifact: c/d
      Tags:
      - "1.0"
      TargetArtifactName: e
    - SourceArtifact: c/d
      Tags:
      - "3"
      TargetArtifactName: f
    - SourceArtifact: c/d
      Tags:
      - "1.0"
      - "2"
    Repositories: []
    "#);
}

const LIST: &str = "\
# list
library/redis acme/mirrored-library-redis 7.4
quay.io/tools/two acme/one 1
quay.io/tools/two acme/two 1
quay.io/tools/widget acme/mirrored-tools-widget v1
quay.io/tools/widget acme/widget v2
";

fn update() -> Update {
    let source = VersionSource::Registry(RegistryTags::default());
    Update { name: "x".to_owned(), source, entries: Some(Vec::new()), reviewers: Vec::new() }
}

#[test]
fn tags_go_to_the_lines_of_an_images_list_that_are_called_mirrored_or_as_the_update_says() {
    let list = file(LIST);
    let images = vec![
        found("docker.io/library/redis", None, &["7.4", "7.10"]),
        found("quay.io/tools/widget", None, &["v1", "v2"]),
        found("quay.io/tools/widget", Some("widget"), &["v1", "v2"]),
        found("quay.io/tools/two", None, &["2"]),
        found("x/unknown", None, &["1"]),
    ];
    let within = Found { images, notes: Vec::new() }.within(&list, &update(), autoupdate::MATCHING);
    let [several, none] = ["quay.io/tools/two", "x/unknown"].map(str::to_owned);
    assert_eq!(within.notes, [Note::SeveralTargets(several), Note::NotListed(none)]);
    let additions = missing(&list, &within.images);
    let proposal = propose("x", &list, &additions);
    assert!(proposal.body.contains("the following image tags:"));
    insta::assert_snapshot!(proposal.commits[2].file.formatted(), @"
    # list
    library/redis acme/mirrored-library-redis 7.4
    library/redis acme/mirrored-library-redis 7.10
    quay.io/tools/two acme/one 1
    quay.io/tools/two acme/two 1
    quay.io/tools/widget acme/mirrored-tools-widget v1
    quay.io/tools/widget acme/mirrored-tools-widget v2
    quay.io/tools/widget acme/widget v1
    quay.io/tools/widget acme/widget v2
    ");
}

#[test]
fn what_a_user_adds_becomes_a_commit_for_each_source_and_what_is_there_none() {
    let wanted = |source: &str, tags: &[&str]| Wanted {
        source: source.to_owned(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    let all = [
        wanted("quay.io/tools/widget", &["v1", "v3"]),
        wanted("library/redis", &["7.4"]),
        wanted("docker.io/library/redis", &["7.10"]),
    ];
    let added = add_tags(&file(LIST), &all, None).unwrap();
    let Proposal { branch, title, body, commits } = added.proposal;
    let subjects: Vec<&str> = commits.iter().map(|commit| commit.subject.as_str()).collect();
    assert_eq!(
        subjects,
        ["Add tag(s) v3 for image quay.io/tools/widget", "Add tag(s) 7.10 for image docker.io/library/redis"]
    );
    assert_eq!(added.known.len(), 2);
    assert_eq!((title.as_str(), branch.len()), ("Add 2 image tags", "add/".len() + 8));
    insta::assert_snapshot!(body, @"
    This adds the following image tags:
    - `quay.io/tools/widget:v3`
    - `docker.io/library/redis:7.10`
    ");
    let one = add_tags(&file(LIST), &all[..1], None).unwrap();
    assert_eq!(one.proposal.title, "Add tag(s) v3 for image quay.io/tools/widget");
    assert_eq!(add_tags(&file(LIST), &all[1..2], None).unwrap().proposal.commits, []);
    assert!(add_tags(&file(LIST), &[wanted("quay.io/tools/two", &["2"])], None).is_err());
}
