//! What a file says must not be lost in silence, nor refused because of what only looks alike.

use super::super::{Format, images_list, rancher, regsync};
use super::{content, notes, rows};

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn entries_that_are_there_twice_are_found_in_one_line_too() {
    let text = "Images: [{SourceImage: a/b, Tags: [x]}, {SourceImage: a/b, Tags: [y]}]\n\
        Repositories: [{BaseUrl: docker.io/acme, Target: true}]\n";
    let duplicates = content(text, Format::Rancher).duplicates(Format::Rancher);
    let messages: Vec<String> = duplicates.iter().map(|error| error.in_file("f")).collect();
    assert_eq!(
        messages,
        ["f:1: a/b has a further entry with the same name at the target, in line 1; make one of both"]
    );
}

#[test]
fn a_tag_whose_text_is_in_the_path_too_is_a_tag() {
    let rules = "\
quay.io/a/redis7:7: reg.example.com/x/redis7
quay.io/1/b:1,2: reg.example.com/x/b
quay.io:443/a/c:443: reg.example.com/x/c
";
    assert_eq!(
        rows(content(rules, Format::ImageSyncer)),
        [
            "quay.io/a/redis7:7 reg.example.com/x/redis7:7",
            "quay.io/1/b:1 reg.example.com/x/b:1",
            "quay.io/1/b:2 reg.example.com/x/b:2",
            "quay.io:443/a/c:443 reg.example.com/x/c:443",
        ]
    );
}

#[test]
fn regsync_yaml_that_is_written_here_is_read_here_content_and_tag_included() {
    let list = format!("sync:\n- {{source: 'a/b@{DIGEST}', target: r.io/m/b:3.1, type: image}}\n");
    let before = rows(content(&list, Format::Regsync));
    assert_eq!(before, [format!("a/b:3.1@{DIGEST} r.io/m/b:3.1")]);
    let part = content(&list, Format::Regsync).into_part("file");
    let spec = crate::api::ImageMirrorSpec::default();
    let inventory = crate::inventory::Inventory::read(&spec, &[part]).unwrap();
    let written = regsync::written(inventory.rows(), "imgop");
    assert!(written.contains(&format!("a/b:3.1@{DIGEST}")), "{written}");
    assert_eq!(rows(content(&written, Format::Regsync)), before);
    // Of a tag with a digest regsync takes the digest, under whatever tag the target names.
    let other = written.replace("target: r.io/m/b:3.1", "target: r.io/m/b:stable");
    assert_eq!(rows(content(&other, Format::Regsync)), [format!("a/b:stable@{DIGEST} r.io/m/b:stable")]);
}

#[test]
fn that_an_entry_is_left_out_is_told_from_a_field_that_has_no_place() {
    let is_left_out = |text: &str, format| {
        content(text, format).notes.iter().map(|note| note.problem.is_left_out()).collect::<Vec<_>>()
    };
    let step = "{source: quay.io/a/b, target: r.io/a/b, type: repository, tags: {allow: ['v2.13.*']}}";
    let regsync = format!("defaults: {{parallel: 2}}\nsync:\n- {step}\n- {step}\n");
    assert_eq!(is_left_out(&regsync, Format::Regsync), [false, true]);
    let dregsy = "relay: skopeo\ntasks:\n- name: one\n  source: {registry: quay.io}\n  target: {registry: r.io}\n  \
        mappings: [{from: a/b, tags: ['1', 'regex: 2.*']}, {from: 'regex:a/.*'}]\n";
    assert_eq!(is_left_out(dregsy, Format::Dregsy), [false, true, true]);
    let sync = "quay.io:\n  images-by-tag-regex: {a/b: '1.*'}\n  images-by-semver: {a/c: '~3 || ^5'}\n  cert-dir: /certs\n";
    assert_eq!(is_left_out(sync, Format::SkopeoSync), [true, true, false]);
    let rules = "quay.io/a/b:/v.*/: r.io/a/b\nquay.io/a/c:1: r.io/a/c:2\n";
    assert_eq!(is_left_out(rules, Format::ImageSyncer), [true, true]);
}

#[test]
fn comments_that_an_images_list_loses_are_named_with_their_lines() {
    let list = "# header\na/b acme/b 1\n# below\n\na/c acme/c 1\n// last\n";
    let read = images_list::read(list).unwrap();
    let named: Vec<String> = read.lost().iter().map(|note| note.in_file("f")).collect();
    assert_eq!(
        named,
        [
            "f:3: this comment is left out when the file is written; only those above the first image are kept",
            "f:6: this comment is left out when the file is written; only those above the first image are kept",
        ]
    );
    assert!(images_list::read(&read.formatted()).unwrap().lost().is_empty());
}

#[test]
fn the_platform_of_all_of_dregsys_mappings_is_that_of_the_mirror_and_others_are_named() {
    let file = |first: &str, second: &str| {
        format!(
            "tasks:\n- name: one\n  source: {{registry: quay.io}}\n  target: {{registry: r.io}}\n  mappings:\n  \
             - {{from: a/b{first}}}\n  - {{from: a/c{second}}}\n"
        )
    };
    let one = content(&file(", platform: linux/arm64", ", platform: linux/arm64"), Format::Dregsy);
    assert_eq!(
        (one.settings.platforms.as_slice(), notes(&one).as_str()),
        (&["linux/arm64".to_owned()][..], "")
    );
    for second in ["", ", platform: linux/amd64"] {
        let two = content(&file(", platform: linux/arm64", second), Format::Dregsy);
        assert!(two.settings.platforms.is_empty());
        assert!(
            notes(&two).starts_with("file:6: tasks[0].mappings[0].platform: not carried: "),
            "{}",
            notes(&two)
        );
    }
    let all = content(&file(", platform: all", ""), Format::Dregsy);
    assert_eq!((all.settings.platforms.len(), notes(&all).as_str()), (0, ""));
}

#[test]
fn what_ranchers_repositories_say_and_a_mirror_does_not_is_named() {
    let text = "\
Images: []
Repositories:
- {BaseUrl: docker.io/acme, Target: true, Username: '{{ env \"U\" }}', Password: '{{ env \"P\" }}', RepoAuth: true}
- {BaseUrl: r.io/m, Target: true, Password: '{{ \"hunter2literal\" }}', ReqConcurrent: 3}
- {BaseUrl: q.io/m, Target: true}
";
    let config = rancher::read(text).unwrap().config;
    let messages: Vec<String> = config.not_carried().iter().map(|note| note.in_file("f")).collect();
    insta::assert_snapshot!(messages.join("\n"));
    let kept = config.without_entries().formatted();
    assert!(kept.contains("'{{ env \"P\" }}'") && !kept.contains("hunter2"), "{kept}");
}

#[test]
fn only_what_reads_a_variable_of_the_environment_stays_as_a_password() {
    for (password, stays) in [
        ("{{ env \"HUB_PASSWORD\" }}", true),
        ("{{env \"HUB_2\"}}", true),
        ("{{ env \"hunter2\" }}", false),
        ("{{ \"hunter2\" }}", false),
        ("{{ env \"A\" }}hunter2", false),
        ("{{ env \"A\" }}{{ env \"B\" }}", false),
        ("{{ envA }}", false),
        ("{{hunter2", false),
        ("hunter2", false),
    ] {
        let text = format!(
            "Images: []\nRepositories:\n- {{BaseUrl: r.io/m, Target: true, Password: '{password}'}}\n"
        );
        let config = rancher::read(&text).unwrap().config.without_entries();
        assert_eq!(config.repositories[0].password == password, stays, "{password}");
    }
}

#[test]
fn an_entry_is_only_made_if_it_can_be_read_again() {
    use super::super::{NewEntry, Wanted};
    let wanted = |source: &str| Wanted { source: source.to_owned(), tags: vec!["3".to_owned()] };
    let new = |name: &str| NewEntry { target_name: (!name.is_empty()).then(|| name.to_owned()) };
    let text = "Images: []\nRepositories:\n- {BaseUrl: r.io/m, Target: true}\n";
    for (source, name) in [("x/y", "Bad Name"), ("localhost:5000/y", ""), ("x/y", "a//b"), ("x/y", "a:1")] {
        let mut config = rancher::read(text).unwrap().config;
        let error = config.add(&wanted(source), Some(&new(name))).unwrap_err().to_string();
        assert!(error.contains("the name at the target is") && config.entries.is_empty(), "{error}");
    }
    for name in ["Bad Name", "acme/Bad", "acme/b:1"] {
        let mut list = images_list::read("a/b acme/b 1\n").unwrap();
        let error = list.add(&wanted("x/y"), Some(&new(name))).unwrap_err().to_string();
        assert!(error.starts_with("the name at the target is") && list.lines().len() == 1, "{error}");
    }
}

#[test]
fn of_an_earlier_state_with_mistakes_all_else_can_be_compared() {
    use super::super::read_usable;
    let config = "Images:\n- {SourceImage: a/b, Tags: [x]}\n- {SourceImage: a/c, Tgas: [x]}\nRepositories:\n- {BaseUrl: r.io/m, Target: true}\nOther: 1\n";
    let list = "a/b acme/b 1\na/c acme/c\n";
    for (text, format, line) in [(config, Format::Rancher, 3), (list, Format::ImagesList, 2)] {
        let (before, problems) = read_usable(text, format).unwrap();
        assert_eq!(before.entries.len(), 1);
        assert!(problems.iter().any(|problem| problem.line == line), "{problems:?}");
    }
    let (_, problems) = read_usable(config, Format::Rancher).unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(read_usable("Images: [\n", Format::Rancher).is_err());
}

#[test]
fn ranges_patterns_and_contents_are_said_in_the_file_of_skopeo_sync_and_the_tag_of_a_content_is_named() {
    let rows = [
        "a/b:>=1 <2 r.io/b".to_owned(),
        "a/b:>=3 r.io/b".to_owned(),
        "a/b:1.x r.io/b".to_owned(),
        "a/b:v2.x-alpine r.io/b".to_owned(),
        "a/c:1.x r.io/c:1.x".to_owned(),
        format!("a/c:3.1@{DIGEST} r.io/c:3.1"),
        format!("a/c@{DIGEST} r.io/c"),
        "a/d:* r.io/d".to_owned(),
    ];
    let rows = rows.map(|row| {
        let (source, destination) = row.rsplit_once(' ').unwrap();
        crate::inventory::Row { source: source.to_owned(), destination: destination.to_owned() }
    });
    let written = super::super::skopeo_sync::written(&rows).unwrap();
    insta::assert_snapshot!(written.text);
    assert_eq!(
        written.not_carried,
        [format!("the tag 3.1 of a/c:3.1@{DIGEST}; skopeo sync writes a content without a tag")]
    );
}
