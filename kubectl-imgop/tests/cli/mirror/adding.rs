//! `mirror add`.

use serde_json::{Value, json};

use super::{CONFIG, config_of, registry};
use crate::program::Program;

#[test]
fn a_tag_is_added_only_if_its_source_has_it_and_else_nothing_is_written() {
    let from = registry(&["v1", "v2"]);
    let address = from.http.address.to_string();
    let program = Program::new();
    let before = config_of(&from, "  - v1\n");
    let path = program.file("config.yaml", &before);
    let run = program.run(&format!("mirror add config.yaml {address}/app:v2 {address}/app:v3"));
    insta::assert_snapshot!(run.naming(&address, "source"), @"
    exit code: 1
    ----- stderr -----
    error: source........./app:v3: the source does not have it

    hint: nothing is written; --no-check asks no registry
    ");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    let run = program.run(&format!("mirror add config.yaml --images {address}/app --tags v1,v2"));
    insta::assert_snapshot!(run.naming(&address, "source"), @"
    exit code: 0
    ----- stderr -----
    source........./app:v1 is there already
    source........./app:v2 is added
    ");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), config_of(&from, "  - v1\n  - v2\n"));
    let run = program.run("mirror add config.yaml quay.io/tools/gadget:1");
    insta::assert_snapshot!(run, @"
    exit code: 1
    ----- stderr -----
    error: config.yaml: quay.io/tools/gadget has no entry; --create makes one
    ");
    let run =
        program.run("mirror add config.yaml --create --target-name gadget --no-check quay.io/tools/gadget:1");
    assert!(
        run.code == 0 && std::fs::read_to_string(&path).unwrap().contains("TargetArtifactName: gadget"),
        "{run}"
    );
}

#[test]
fn a_line_is_added_to_an_images_list() {
    let program = Program::new().stdin("# list\nquay.io/a/b acme/mirrored-a-b v1.10\n");
    let run = program.run("mirror add - --no-check quay.io/a/b:v1.9");
    insta::assert_snapshot!(run, @"
    exit code: 0
    ----- stdout -----
    # list
    quay.io/a/b acme/mirrored-a-b v1.9
    quay.io/a/b acme/mirrored-a-b v1.10
    ----- stderr -----
    quay.io/a/b:v1.9 is added
    ");
    insta::assert_snapshot!(Program::new().stdin("tasks: []\n").run("mirror add - a/b:1"), @"
    exit code: 1
    ----- stderr -----
    error: stdin:1: tags are added to config.yaml and images-list only
    ");
}

#[test]
fn the_file_that_is_generated_of_a_configuration_stays_current() {
    let program = Program::new();
    program.file("config.yaml", CONFIG);
    let generated = program.file("regsync.yaml", "sync: []\n");
    let run = program.run("mirror add config.yaml --no-check quay.io/tools/widget:v1.2");
    assert_eq!(run.code, 0, "{run}");
    let current = program.run("mirror export config.yaml --format regsync").stdout;
    assert_eq!(std::fs::read_to_string(generated).unwrap(), current);
    assert!(current.contains("widget:v1.2"), "{current}");
}

#[test]
fn a_program_gets_what_was_added_and_what_was_there() {
    let program = Program::new();
    program.file("images-list", "quay.io/a/b acme/mirrored-a-b v1\n");
    let add = |tags: &str| -> Value {
        let run = program
            .run(&format!("mirror add images-list --no-check --images quay.io/a/b --tags {tags} -o json"));
        assert_eq!(run.code, 0, "{run}");
        serde_json::from_str(&run.stdout).unwrap()
    };
    assert_eq!(
        add("v1,v2"),
        json!({ "apiVersion": "imgop.mirror-changes/v1", "file": "images-list",
            "changes": [{ "tags": ["quay.io/a/b:v2"], "written": true, "present": ["quay.io/a/b:v1"] }] })
    );
    assert_eq!(add("v2")["changes"][0]["written"], false);
}
