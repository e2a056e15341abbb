//! `mirror validate`.

use std::collections::BTreeMap;

use imgop_fakes::{Background, FakeHubNamespaces};
use serde_json::{Value, json};

use super::{CONFIG, config_of, mirror, registry};
use crate::program::{Program, Run};

#[test]
fn contradictions_in_a_file_are_problems_with_their_lines() {
    let program = Program::new();
    let twice = CONFIG.replace("- DoNotMirror: true\n  SourceImage: registry.k8s.io/pause", "- SourceImage: ghcr.io/x/widget\n  TargetImageName: widget\n  Tags: [v1.1]\n- SourceImage: quay.io/tools/widget\n  TargetImageName: widget");
    program.file("config.yaml", &twice);
    insta::assert_snapshot!(program.run("mirror validate config.yaml"), @"
    exit code: 1
    ----- stdout -----
    config.yaml: docker.io/acme/widget:v1.1 would be both ghcr.io/x/widget:v1.1 and quay.io/tools/widget:v1.1, so none of them is copied
    config.yaml: registry.corp/mirror/widget:v1.1 would be both ghcr.io/x/widget:v1.1 and quay.io/tools/widget:v1.1, so none of them is copied
    config.yaml:10: quay.io/tools/widget has a further entry with the same name at the target, in line 2; make one of both
    ----- stderr -----
    3 problems found
    ");
    assert_eq!(mirror("validate config.yaml", CONFIG).code, 0);
    insta::assert_snapshot!(Program::new().stdin("Images: [{SourceImage: a}]\n").run("mirror validate -"), @r#"
    exit code: 1
    ----- stdout -----
    stdin:1: Images[0].SourceImage: "a" has one part; write at least two, as in library/a
    ----- stderr -----
    1 problem found
    "#);
    insta::assert_snapshot!(program.run("mirror validate missing.yaml"), @"
    exit code: 2
    ----- stderr -----
    error: cannot read missing.yaml: No such file or directory (os error 2)
    ");
}

#[test]
fn what_would_not_be_copied_is_said_where_nothing_else_is_wrong() {
    let whole = "sync:\n- {source: q.io/a/b, target: r.io/m/b, type: repository}\n";
    let other = "- {source: q.io/a/c, target: r.io/m/c, type: repository, tags: {allow: ['v2.13.*']}}\n";
    let validated = |text: &str| Program::new().stdin(text).run("mirror validate -");
    insta::assert_snapshot!(validated(&format!("{whole}{other}")), @"
    exit code: 0
    ----- stderr -----
    warning: stdin:3: sync[1]: not carried: tags.allow with an expression; list the tags, or make an Image of it, whose source.select.include has expressions
    stdin: no problem found, but not all of it would be copied; the warnings say what
    ");
    let run = validated(whole);
    assert!(run.stderr.ends_with("stdin: no problem found\n"), "{run}");
}

#[test]
fn a_regsync_yaml_that_is_not_current_is_a_problem() {
    let program = Program::new();
    program.file("config.yaml", CONFIG);
    program.file("regsync.yaml", &program.run("mirror export config.yaml --format regsync").stdout);
    assert_eq!(program.run("mirror validate config.yaml --regsync regsync.yaml").code, 0);
    program.file("regsync.yaml", "sync: []\n");
    insta::assert_snapshot!(program.run("mirror validate config.yaml --regsync regsync.yaml"), @"
    exit code: 1
    ----- stdout -----
    regsync.yaml: it is not what config.yaml generates; kubectl imgop mirror export --format regsync writes it
    ----- stderr -----
    1 problem found
    ");
}

#[test]
fn tags_that_are_new_must_be_at_their_source_and_none_may_be_removed() {
    let from = registry(&["v1", "v2"]);
    let program = Program::new();
    program.file("before.yaml", &config_of(&from, "  - v0\n  - v1\n"));
    program.file("config.yaml", &config_of(&from, "  - v1\n  - v2\n  - v3\n"));
    let named = |run: Run| run.naming(&from.http.address.to_string(), "source");
    insta::assert_snapshot!(named(program.run("mirror validate config.yaml --base before.yaml")), @"
    exit code: 1
    ----- stdout -----
    config.yaml: source........./app:v0 was removed (name at the target: widget)
    config.yaml:2: source........./app:v3: the source does not have it
    ----- stderr -----
    2 problems found
    ");
    program.file("config.yaml", &config_of(&from, "  - v0\n  - v1\n  - v2\n"));
    for how in ["manifest", "full", "none"] {
        let run = program.run(&format!("mirror validate config.yaml --base before.yaml --check-new {how}"));
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run}");
    }
    drop(from);
    let run = program.run("mirror validate config.yaml --base before.yaml");
    assert!(run.code == 2 && run.stderr.contains("v2: not checked: "), "{run}");
}

#[test]
fn the_base_is_what_git_has_where_a_branch_began() {
    let program = Program::new().variable("PATH", &std::env::var("PATH").unwrap());
    let git = |arguments: &str| {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main"]);
        let status =
            git.args(arguments.split(' ')).current_dir(program.home()).env("HOME", program.home()).output();
        assert!(status.unwrap().status.success(), "git {arguments}");
    };
    program.file("folder/config.yaml", CONFIG);
    git("init -q");
    git("add .");
    git("commit -q -m one");
    git("checkout -q -b branch");
    program.file("folder/config.yaml", &CONFIG.replace("  - v1.1\n", ""));
    git("commit -q -a -m two");
    // What main has since then does not count.
    git("checkout -q main");
    program.file("folder/config.yaml", &CONFIG.replace("  - v1.1\n", "  - v1.1\n  - v1.2\n"));
    git("commit -q -a -m three");
    git("checkout -q branch");
    insta::assert_snapshot!(program.run("mirror validate folder/config.yaml --base main --check-new none"), @"
    exit code: 1
    ----- stdout -----
    folder/config.yaml: quay.io/tools/widget:v1.1 was removed (name at the target: widget)
    ----- stderr -----
    1 problem found
    ");
    insta::assert_snapshot!(program.run("mirror validate folder/config.yaml --base=--all"), @"
    exit code: 2
    ----- stderr -----
    error: --base --all: there is no file and no commit of that name
    ");
    insta::assert_snapshot!(program.run("mirror validate folder/config.yaml --base nowhere"), @"
    exit code: 2
    ----- stderr -----
    error: --base nowhere: there is no file and no commit of that name
    ");
}

/// A configuration with targets of Docker Hub and an entry for each of these names.
fn at_docker_hub(names: &[&str]) -> String {
    let entry = |name: &&str| {
        format!("- {{SourceArtifact: quay.io/tools/{name}, Tags: [v1], TargetArtifactName: {name}}}\n")
    };
    let entries: String = names.iter().map(entry).collect();
    format!(
        "Artifacts:\n{entries}Repositories:\n- {{BaseUrl: docker.io/acme, DefaultTarget: true}}\n- {{BaseUrl: docker.io/none, DefaultTarget: false}}\n"
    )
}

#[test]
fn repositories_of_docker_hub_are_looked_for_by_its_own_api_page_by_page() {
    // The last one is on the second page.
    let names: Vec<String> = (0..100).map(|n| format!("r{n}")).chain(["widget".to_owned()]).collect();
    let hub = Background::of(FakeHubNamespaces::start(BTreeMap::from([("acme".to_owned(), names)])));
    let program = Program::new();
    program.file("before.yaml", &at_docker_hub(&["r1"]));
    let validate = |config: &str| {
        program.file("config.yaml", config);
        let api = hub.api.address;
        program.run(&format!(
            "mirror validate config.yaml --base before.yaml --check-new none --check-targets --docker-hub-api http://{api}"
        ))
    };
    let there = validate(&at_docker_hub(&["r1", "widget"]));
    assert_eq!((there.code, there.stdout.as_str()), (0, ""), "{there}");
    assert_eq!(hub.api.count("GET /v2/namespaces/acme/repositories"), 2);
    let elsewhere = at_docker_hub(&["r1", "gadget", "widget"])
        .replace("TargetArtifactName: widget", "TargetRepositories: [docker.io/none]");
    insta::assert_snapshot!(validate(&elsewhere), @"
    exit code: 1
    ----- stdout -----
    config.yaml:3: docker.io/acme/gadget: Docker Hub has no such repository, or shows it only to those who may use it
    config.yaml:4: docker.io/none/mirrored-tools-widget: Docker Hub has no such repository, or shows it only to those who may use it
    ----- stderr -----
    2 problems found
    ");
    drop(hub);
}

#[test]
fn a_silent_docker_hub_makes_repositories_not_checked_and_never_passed() {
    let hub = Background::of(imgop_fakes::ScriptedRegistry::start(|_| imgop_fakes::json(403, "{}")));
    let program = Program::new();
    program.file("before.yaml", &at_docker_hub(&["r1"]));
    program.file("config.yaml", &at_docker_hub(&["r1", "widget"]));
    let api = hub.address;
    let run = program.run(&format!(
        "mirror validate config.yaml --base before.yaml --check-new none --check-targets --docker-hub-api http://{api}"
    ));
    insta::assert_snapshot!(run, @"
    exit code: 2
    ----- stderr -----
    warning: config.yaml:3: docker.io/acme/widget: not checked: Docker Hub answered 403 for the namespace acme
    error: 1 reference could not be checked
    ");
}

#[test]
fn a_program_gets_each_problem_with_its_file_line_and_field() {
    let validated = |config: &str| -> (i32, Value) {
        let run = mirror("validate config.yaml -o json", config);
        (run.code, serde_json::from_str(&run.stdout).unwrap())
    };
    let (code, document) = validated(CONFIG);
    assert_eq!(code, 0);
    assert_eq!(
        document,
        json!({ "apiVersion": "imgop.mirror-validation/v1", "file": "config.yaml", "problems": [], "notChecked": [],
            "warnings": [] })
    );
    let (code, document) = validated(&CONFIG.replace("quay.io/tools/widget", "widget"));
    assert_eq!(code, 1);
    let problem = json!({ "file": "config.yaml", "line": 2, "field": "Images[0].SourceImage",
        "message": "\"widget\" has one part; write at least two, as in library/widget" });
    assert_eq!(document["problems"], json!([problem]));
    let (code, document) = validated(&CONFIG.replace("\"3.10\"", "3.10"));
    assert_eq!((code, &document["warnings"][0]["field"]), (0, &json!("Images[1].Tags[0]")));
}
