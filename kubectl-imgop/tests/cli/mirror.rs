//! `mirror`: files of other tools, without a cluster.

use imgop_fakes::{Background, Content, ContentRegistry};

use crate::preview_details::{push, start};
use crate::program::{Program, Run};

/// A configuration as rancher's tools format it.
const CONFIG: &str = r#"Images:
- SourceImage: quay.io/tools/widget
  Tags:
  - "1.0"
  - v1.1
  TargetImageName: widget
- DoNotMirror: true
  SourceImage: registry.k8s.io/pause
  Tags:
  - "3.10"
Repositories:
- BaseUrl: docker.io/acme
  Password: '{{ env "HUB_PASSWORD" }}'
  Registry: docker.io
  Target: true
  Username: '{{ env "HUB_USERNAME" }}'
- BaseUrl: registry.corp/mirror
  Password: '{{ env "CORP_PASSWORD" }}'
  Registry: registry.corp
  Target: true
  Username: '{{ env "CORP_USERNAME" }}'
"#;

/// The same with its entries and tags in another order.
fn unordered() -> String {
    CONFIG.replace("  - \"1.0\"\n  - v1.1\n", "  - v1.1\n  - \"1.0\" # the first\n")
}

fn mirror(arguments: &str, config: &str) -> Run {
    let program = Program::new();
    program.file("config.yaml", config);
    program.run(&format!("mirror {arguments}"))
}

#[test]
fn regsync_yaml_is_written_as_ranchers_tool_generates_it() {
    insta::assert_snapshot!(mirror("export config.yaml --format regsync", CONFIG));
    let named = mirror("export config.yaml --format regsync --user-agent mine", CONFIG);
    assert!(named.stdout.contains("\n  userAgent: mine\n"), "{named}");
    let piped = Program::new().stdin(CONFIG).run("mirror export - --format rancher");
    assert_eq!((piped.code, piped.stdout.as_str(), piped.stderr.as_str()), (0, CONFIG, ""), "{piped}");
}

#[test]
fn format_writes_the_canonical_form_and_changes_no_file_with_check() {
    let program = Program::new();
    let path = program.file("config.yaml", &unordered());
    insta::assert_snapshot!(program.run("mirror format config.yaml --check"), @"
    exit code: 1
    ----- stderr -----
    config.yaml is not in its canonical form
    kubectl imgop mirror format changes 1 file
    ");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), unordered());
    insta::assert_snapshot!(program.run("mirror format config.yaml"), @"
    exit code: 0
    ");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), CONFIG);
    let again = program.run("mirror format config.yaml --check");
    assert_eq!((again.code, again.stdout.as_str(), again.stderr.as_str()), (0, "", ""), "{again}");
}

#[test]
fn a_file_that_cannot_be_read_leaves_all_files_as_they_are() {
    let program = Program::new();
    let path = program.file("config.yaml", &unordered());
    program.file("broken.yaml", "Images:\n- SourceImage: quay.io/tools/widget:1.0\n");
    insta::assert_snapshot!(program.run("mirror format config.yaml broken.yaml"), @r#"
    exit code: 1
    ----- stderr -----
    error: broken.yaml:2: Images[0].SourceImage: "quay.io/tools/widget:1.0" names a tag or digest; give "quay.io/tools/widget" as the name and the rest as the version
    "#);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), unordered());
    insta::assert_snapshot!(program.run("mirror format --check missing.yaml"), @"
    exit code: 2
    ----- stderr -----
    error: cannot read missing.yaml: No such file or directory (os error 2)
    ");
}

#[test]
fn an_image_mirror_is_made_of_a_file_and_becomes_that_file_again() {
    let program = Program::new();
    program.file("config.yaml", CONFIG);
    let imported = program.run("mirror import config.yaml --name acme");
    insta::assert_snapshot!(imported, @r#"
    exit code: 0
    ----- stdout -----
    apiVersion: skopeo.io/v1alpha1
    kind: ImageMirror
    metadata:
      annotations:
        imgop.skopeo.io/rancher-config: |
          Images: []
          Repositories:
          - BaseUrl: docker.io/acme
            Password: '{{ env "HUB_PASSWORD" }}'
            Registry: docker.io
            Target: true
            Username: '{{ env "HUB_USERNAME" }}'
          - BaseUrl: registry.corp/mirror
            Password: '{{ env "CORP_PASSWORD" }}'
            Registry: registry.corp
            Target: true
            Username: '{{ env "CORP_USERNAME" }}'
      name: acme
    spec:
      entries:
      - source: quay.io/tools/widget
        tags:
        - "1.0"
        - v1.1
        targetName: widget
      - excluded: true
        source: registry.k8s.io/pause
        tags:
        - "3.10"
      frequency: 5m
      targets:
      - default: true
        repository: docker.io/acme
      - default: true
        repository: registry.corp/mirror
    "#);
    program.file("mirror.yaml", &imported.stdout);
    for format in ["rancher", "regsync", "images-list"] {
        let [direct, by_mirror] = ["config.yaml", "mirror.yaml"]
            .map(|file| program.run(&format!("mirror export {file} --format {format}")));
        assert_eq!(by_mirror.code, 0, "{by_mirror}");
        assert_eq!(by_mirror.stdout, direct.stdout, "{format}");
    }
}

#[test]
fn what_a_file_says_and_an_image_mirror_does_not_is_named_and_no_password_is_carried() {
    let config = CONFIG.replace("'{{ env \"CORP_PASSWORD\" }}'", "secret");
    let run = mirror("import config.yaml -o json", &config);
    assert!(run.code == 0 && !run.stdout.contains("secret"), "{run}");
    insta::assert_snapshot!(run.stderr, @"
    warning: config.yaml:12: Repositories: not carried: a password; put it into a Secret and name it in targets[].credentials
    ");
    let regsync = "creds: [{registry: r.io, user: u, pass: p}]\nsync:\n- {source: q.io/a/b, target: r.io/m/b, type: repository}\n- {source: q.io/a/c:1, target: r.io/m/c:2, type: image}\n";
    insta::assert_snapshot!(Program::new().stdin(regsync).run("mirror import -"), @r#"
    exit code: 0
    ----- stdout -----
    apiVersion: skopeo.io/v1alpha1
    kind: ImageMirror
    metadata:
      name: mirror
    spec:
      entries:
      - source: q.io/a/b
        tags:
        - "*"
        targetName: b
      frequency: 5m
      sync: Follow
      targets:
      - default: true
        repository: r.io/m
    ----- stderr -----
    warning: stdin:1: creds[0].user: not carried: credentials; put them into a Secret and name it in targets[].credentials or sources[].credentials
    warning: stdin:1: creds[0].pass: not carried: credentials; put them into a Secret and name it in targets[].credentials or sources[].credentials
    warning: stdin:4: sync[1]: not carried: another tag at the target; an ImageMirror keeps tags as they are. Make an Image of it, whose destination.version names it
    "#);
}

#[test]
fn the_file_of_skopeo_sync_needs_a_target() {
    let program = Program::new();
    program.file("sync.yml", "quay.io: {images: {tools/widget: ['1.0']}}\n");
    insta::assert_snapshot!(program.run("mirror import sync.yml"), @"
    exit code: 2
    ----- stderr -----
    error: the file does not say where images go to: give --target, such as registry.example.com/mirror
    ");
    for (flag, target) in [("", "widget"), (" --keep-paths", "quay.io/tools/widget")] {
        let imported = program.run(&format!("mirror import sync.yml --target registry.corp/m{flag}"));
        program.file("mirror.yaml", &imported.stdout);
        let rows = program.run("mirror export mirror.yaml --format images-list").stdout;
        assert_eq!(rows, format!("quay.io/tools/widget registry.corp/m/{target} 1.0\n"));
    }
    let back = program.run("mirror export mirror.yaml --format skopeo-sync");
    insta::assert_snapshot!(back, @r#"
    exit code: 0
    ----- stdout -----
    quay.io:
      images:
        tools/widget:
        - "1.0"
    ----- stderr -----
    warning: not carried: targets; skopeo sync takes one as an argument
    "#);
}

#[test]
fn a_mirror_may_name_files_in_config_maps_beside_it() {
    let program = Program::new();
    let mirror = "apiVersion: skopeo.io/v1alpha1\nkind: ImageMirror\nmetadata: {name: acme}\nspec:\n  from:\n  - {configMap: {name: files, key: config.yaml}, format: Rancher}\n";
    let indented = CONFIG.replace('\n', "\n    ");
    let map = format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: files}}\ndata:\n  config.yaml: |\n    {indented}\n"
    );
    program.file("mirror.yaml", &format!("{mirror}{map}"));
    let rows = program.run("mirror export mirror.yaml --format images-list");
    assert_eq!(rows.stdout.lines().count(), 4, "{rows}");
    program.file("mirror.yaml", mirror);
    insta::assert_snapshot!(program.run("mirror export mirror.yaml --format images-list"), @"
    exit code: 1
    ----- stderr -----
    error: mirror.yaml: spec.from[0]: the file has no ConfigMap files with the key config.yaml; add it as a further document
    ");
    program.file("mirror.yaml", &mirror.replace("spec:", "spec:\n  entires: []"));
    insta::assert_snapshot!(program.run("mirror validate mirror.yaml"), @"
    exit code: 1
    ----- stdout -----
    mirror.yaml: ImageMirror acme: unknown field spec.entires (did you mean entries?)
    ----- stderr -----
    1 problem found
    ");
}

#[test]
fn contradictions_in_a_file_are_problems_with_their_lines() {
    let program = Program::new();
    let twice = CONFIG.replace("- DoNotMirror: true\n  SourceImage: registry.k8s.io/pause", "- SourceImage: ghcr.io/x/widget\n  TargetImageName: widget\n  Tags: [v1.1]\n- SourceImage: quay.io/tools/widget\n  TargetImageName: widget");
    program.file("config.yaml", &twice);
    insta::assert_snapshot!(program.run("mirror validate config.yaml"), @"
    exit code: 1
    ----- stdout -----
    config.yaml: docker.io/acme/widget:v1.1 would be both ghcr.io/x/widget:v1.1 and quay.io/tools/widget:v1.1
    config.yaml: registry.corp/mirror/widget:v1.1 would be both ghcr.io/x/widget:v1.1 and quay.io/tools/widget:v1.1
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

/// A registry with tags of each of its repositories.
fn registry(tags: &[&str]) -> Background<ContentRegistry> {
    let mut content = Content::default();
    for tag in tags {
        push(&mut content, tag);
    }
    start(content)
}

/// A configuration whose source is a registry.
fn config_of(registry: &ContentRegistry, tags: &str) -> String {
    let source = format!("{}/app", registry.http.address);
    format!(
        "Artifacts:\n- SourceArtifact: {source}\n  Tags:\n{tags}  TargetArtifactName: widget\nRepositories:\n- BaseUrl: docker.io/acme\n  DefaultTarget: true\n  Password: \"\"\n  Registry: docker.io\n  Username: \"\"\n"
    )
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
    error: stdin: tags are added to config.yaml and images-list only
    ");
}

/// An inventory from one registry to another.
fn between(from: &ContentRegistry, to: &ContentRegistry, tags: &str) -> String {
    let (from, to) = (&from.http.address, &to.http.address);
    format!(
        "apiVersion: skopeo.io/v1alpha1\nkind: ImageMirror\nmetadata: {{name: acme}}\nspec:\n  targets:\n  - {{repository: '{to}', default: true}}\n  naming: {{template: '{{name}}'}}\n  entries:\n  - {{source: '{from}/app', tags: [{tags}]}}\n"
    )
}

fn compared(from: &ContentRegistry, to: &ContentRegistry, tags: &str, arguments: &str) -> Run {
    let program = Program::new();
    program.file("mirror.yaml", &between(from, to, tags));
    let run = program.run(&format!("mirror {arguments}"));
    run.naming(&from.http.address.to_string(), "source").naming(&to.http.address.to_string(), "mirror")
}

#[test]
fn a_plan_shows_what_would_be_copied_and_its_exit_code_says_so() {
    let (from, to) = (registry(&["v1", "v2"]), registry(&["v1"]));
    insta::assert_snapshot!(compared(&from, &to, "v1, v2", "plan mirror.yaml"), @"
    exit code: 0
    ----- stdout -----
        SOURCE                   DESTINATION              STATE     REASON
    +   source........./app:v2   mirror........./app:v2   missing

    2 tags: 1 up-to-date, 1 missing.
    ");
    insta::assert_snapshot!(compared(&from, &to, "v1, v2, v3", "plan mirror.yaml -o markdown --exit-code"), @"
    exit code: 1
    ----- stdout -----
    <!-- kubectl imgop mirror -->
    ### Images of `mirror.yaml`

    3 tags: 1 up-to-date, 1 missing, 1 not-at-source.

    | | source | destination | |
    |---|---|---|---|
    | ! | `source........./app:v3` | `mirror........./app:v3` | not-at-source |
    | + | `source........./app:v2` | `mirror........./app:v2` | missing |
    ");
    let json = compared(&from, &to, "v1, v2", "plan mirror.yaml -o json --exit-code");
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, &document["counts"]["missing"]), (1, &serde_json::json!(1)), "{json}");
    assert_eq!(compared(&from, &to, "v1", "plan mirror.yaml --exit-code").code, 0);
}

#[test]
fn a_tag_whose_source_does_not_answer_is_not_checked_and_never_nothing_to_copy() {
    let (from, to) = (registry(&["v1"]), registry(&["v1"]));
    let program = Program::new();
    program.file("mirror.yaml", &between(&from, &to, "v1, v2"));
    drop(from);
    for verb in ["plan --exit-code", "verify"] {
        let run = program.run(&format!("mirror {verb} mirror.yaml"));
        assert!(run.code == 2 && run.stdout.contains("not-checked"), "{run}");
        assert!(run.stderr.contains("could not be checked"), "{run}");
    }
}

#[test]
fn a_target_with_other_content_has_an_exit_code_of_its_own() {
    let from = registry(&["v1", "v2"]);
    let mut other = Content::default();
    push(&mut other, "v1");
    push(&mut other, "x");
    let bytes = other.bytes("x");
    other.put("v2", bytes);
    let to = start(other);
    let run = compared(&from, &to, "v1, v2", "verify mirror.yaml");
    assert_eq!(run.code, 3, "{run}");
    assert!(
        run.stdout.contains("differs") && run.stdout.contains("2 tags: 1 up-to-date, 1 differs."),
        "{run}"
    );
    assert_eq!(compared(&from, &to, "v1", "diff mirror.yaml --layers").code, 0);
    assert_eq!(compared(&from, &to, "v1, v3", "verify mirror.yaml").code, 1);
}
