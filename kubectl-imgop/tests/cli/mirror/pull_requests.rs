//! `mirror add --pull-request`, and `mirror update` of an images-list.

use serde_json::{Value, json};

use crate::mirror_update::Place;

const LIST: &str = "\
# What is mirrored
quay.io/tools/gadget acme/mirrored-tools-gadget 3.9
quay.io/tools/widget acme/mirrored-tools-widget v1.9.1
quay.io/tools/widget acme/widget v1.9.1
";

#[test]
fn tags_are_proposed_with_a_commit_for_each_source_and_the_file_stays_as_it_is() {
    let place = Place::new();
    let add = "mirror add tree/config.yaml --no-check --pull-request --reviewer ann --reviewer acme/mirrors \
               quay.io/tools/widget:v3 quay.io/tools/gadget:4.0 quay.io/tools/gadget:3.9";
    let before = place.config();
    let run = place.program.run(add);
    insta::assert_snapshot!(run);
    assert_eq!(place.config(), before);
    let pulls = place.github.pulls();
    let [pull] = &pulls[..] else { panic!("{pulls:?}") };
    assert_eq!((pull.title.as_str(), pull.base.as_str()), ("Add 2 artifact tags", "trunk"));
    assert_eq!(pull.reviewers, ["ann"]);
    assert_eq!(pull.team_reviewers, ["mirrors"]);
    let log = place.remote(&["log", "--reverse", "--format=%an: %s", &format!("trunk..{}", pull.head)]);
    insta::assert_snapshot!(log, @"
    Ann: Add tag(s) v3 for artifact quay.io/tools/widget
    Ann: Add tag(s) 4.0 for artifact quay.io/tools/gadget
    ");
    assert_eq!(place.remote(&["diff", "--name-only", "trunk", &pull.head]), "config.yaml\nregsync.yaml");
    let again = place.program.run(&format!("{add} -o json"));
    let document: Value = serde_json::from_str(&again.stdout).unwrap();
    let change = &document["changes"][0];
    assert_eq!(
        change["pullRequest"],
        json!({ "url": "https://github.com/acme/mirror/pull/1", "created": false }),
        "{again}"
    );
    assert_eq!((&change["branch"], &change["written"]), (&json!(pull.head), &json!(false)));
}

#[test]
fn what_is_there_already_is_no_pull_request_and_a_tag_that_does_not_exist_neither() {
    let place = Place::new();
    let there =
        place.program.run("mirror add tree/config.yaml --no-check --pull-request quay.io/tools/gadget:3.9");
    assert_eq!(
        (there.code, there.stderr.as_str()),
        (0, "quay.io/tools/gadget:3.9 is there already\n"),
        "{there}"
    );
    let none =
        place.program.run("mirror add tree/config.yaml --no-check --pull-request quay.io/tools/none:1");
    insta::assert_snapshot!(none);
    assert!(place.github.pulls().is_empty());
    assert_eq!(imgop_fakes::git(&place.tree, &["worktree", "list"]).lines().count(), 1);
    let alone = place.program.run("mirror add tree/config.yaml --reviewer ann quay.io/tools/gadget:4");
    assert_eq!(alone.code, 2, "{alone}");
}

#[test]
fn an_images_list_gets_what_was_announced_where_its_target_is_called_mirrored() {
    let place = Place::new();
    place.commit("images-list", LIST);
    let update = |arguments: &str| {
        let raw = place.github.raw.address;
        place.program.run(&format!(
            "mirror update tree/images-list --sources tree/autoupdate.yaml --entry tools --github-raw http://{raw} {arguments}"
        ))
    };
    let listed = update("-o json --exit-code");
    let document: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed.code, 1, "{listed}");
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
    let proposed = update("--pull-request");
    assert_eq!(proposed.code, 0, "{proposed}");
    let branch = &place.github.pulls()[0].head;
    assert_eq!(place.remote(&["diff", "--name-only", "trunk", branch]), "images-list");
    assert_eq!(update("--write").code, 0);
    let with = LIST
        .replace("3.9\n", "3.9\nquay.io/tools/gadget acme/mirrored-tools-gadget v1.9.1\nquay.io/tools/gadget acme/mirrored-tools-gadget v1.10.0\n")
        .replace("mirrored-tools-widget v1.9.1\n", "mirrored-tools-widget v1.9.1\nquay.io/tools/widget acme/mirrored-tools-widget v1.10.0\n");
    let written = std::fs::read_to_string(place.tree.join("images-list")).unwrap();
    assert_eq!(written, with);
    assert_eq!(place.remote(&["show", &format!("{branch}:images-list")]), written.trim_end());
}
