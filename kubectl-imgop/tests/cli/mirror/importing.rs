//! `mirror import`, and ImageMirrors as files.

use serde_json::{Value, json};

use super::{CONFIG, mirror};
use crate::program::Program;

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
    ----- stderr -----
    warning: config.yaml:12: Repositories[0].Username: not carried: credentials; put them into a Secret and name it in targets[].credentials (and 1 more)
    warning: config.yaml:12: Repositories[0].Password: not carried: credentials; put them into a Secret and name it in targets[].credentials (and 1 more)
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
fn images_are_those_that_an_image_mirror_of_the_name_would_become() {
    let program = Program::new();
    // Two sources that become one tag: none of them is an Image.
    let entry =
        "- SourceImage: ghcr.io/x/gadget\n  TargetImageName: widget\n  Tags: ['2.0', v1.1]\n- DoNotMirror";
    program.file("config.yaml", &CONFIG.replace("- DoNotMirror", entry));
    let run = program.run("mirror import config.yaml --name acme --images");
    insta::assert_snapshot!(run);
    program.file("images.yaml", &run.stdout);
    let read = program.run("migrate image-operator images.yaml");
    assert_eq!((read.code, read.stderr.as_str()), (0, ""), "they are Images of this program: {read}");
}

#[test]
fn what_a_file_says_and_an_image_mirror_does_not_is_named_and_no_password_is_carried() {
    let config = CONFIG.replace("'{{ env \"CORP_PASSWORD\" }}'", "secret");
    let run = mirror("import config.yaml -o json", &config);
    assert!(run.code == 0 && !run.stdout.contains("secret"), "{run}");
    insta::assert_snapshot!(run.stderr, @"
    warning: config.yaml:12: Repositories[0].Username: not carried: credentials; put them into a Secret and name it in targets[].credentials (and 1 more)
    warning: config.yaml:12: Repositories[0].Password: not carried: credentials; put them into a Secret and name it in targets[].credentials (and 1 more)
    warning: config.yaml:17: Repositories[1].Password: not carried: a password that no variable of the environment has; it is in no way back to this file either
    ");
    let regsync = "creds: [{registry: r.io, user: u, pass: p}]\nsync:\n- {source: q.io/a/b, target: r.io/m/b, type: repository}\n- {source: q.io/a/c:1, target: r.io/m/c:2, type: image}\n";
    insta::assert_snapshot!(Program::new().stdin(regsync).run("mirror import -"), @r#"
    exit code: 1
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
fn where_no_entry_can_be_carried_that_is_said_and_nothing_is_printed() {
    let program = Program::new();
    let step = "{source: q.io/a/b, target: r.io/m/b, type: repository, tags: {allow: ['v2\\.13\\..*']}}";
    program.file("regsync.yaml", &format!("version: 1\nsync: [{step}]\n"));
    for target in ["", " --target r.io/m"] {
        let run = program.run(&format!("mirror import regsync.yaml{target}"));
        assert!(run.code == 1 && run.stdout.is_empty(), "{run}");
        assert!(run.stderr.contains("not carried: tags.allow with an expression"), "{run}");
        assert!(run.stderr.contains("error: regsync.yaml: no entry could be carried\n"), "{run}");
    }
}

#[test]
fn paths_are_kept_of_the_file_of_skopeo_sync_alone() {
    let program = Program::new();
    program.file(
        "regsync.yaml",
        "version: 1\nsync: [{source: quay.io/a/b, target: registry.corp/b, type: repository}]\n",
    );
    insta::assert_snapshot!(program.run("mirror import regsync.yaml --target registry.corp/m --keep-paths"), @"
    exit code: 2
    ----- stderr -----
    error: --keep-paths is for the file of skopeo sync alone; leave it out
    ");
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
fn a_list_as_kubectl_prints_it_in_json_is_read_as_its_objects() {
    let program = Program::new();
    let mirror = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "ImageMirror",
        "metadata": { "name": "acme", "namespace": "ci", "uid": "u", "resourceVersion": "1", "generation": 1 },
        "spec": { "from": [{ "configMap": { "name": "files", "key": "list" }, "format": "ImagesList" }] },
        "status": { "observedGeneration": 1 } });
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "files", "namespace": "ci" },
        "data": { "list": "quay.io/a/b acme/mirrored-a-b v1\n" } });
    let list = json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "" }, "items": [mirror, map] });
    let text = serde_json::to_string_pretty(&list).unwrap();
    program.file("list.json", &text);
    assert_eq!(program.run("mirror validate list.json").code, 0);
    let rows = program.run("mirror export list.json --format images-list");
    assert_eq!(rows.stdout, "quay.io/a/b acme/mirrored-a-b v1\n", "{rows}");
    let image = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "a" },
        "spec": { "mode": "OnceByTag", "source": { "name": "quay.io/a/b", "version": "1.x" },
            "destination": { "name": "registry.example.com/a" } } });
    let images = json!({ "apiVersion": "v1", "kind": "List", "items": [image] });
    let migrated = Program::new().stdin(&images.to_string()).run("migrate image-operator - -o json");
    let items: Value = serde_json::from_str(&migrated.stdout).unwrap();
    assert_eq!(items["items"][0]["metadata"]["name"], "a", "{migrated}");
}
