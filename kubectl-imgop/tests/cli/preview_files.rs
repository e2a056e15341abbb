//! `preview -f`.

use imgop_fakes::Catalog;

use crate::program::Program;

fn image(name: &str, source: &str, version: &str) -> String {
    format!(
        "apiVersion: skopeo.io/v1alpha1\nkind: Image\nmetadata:\n  name: {name}\nspec:\n  mode: OneShot\n  source:\n    \
         name: {source}\n    version: '{version}'\n  destination:\n    name: {source}-mirror\n"
    )
}

#[test]
fn each_image_of_a_file_is_previewed_and_a_failure_hides_no_other() {
    let registry = Catalog::default().with("a/b", &[("1", "one")]).start_in_background();
    let name = format!("{}/a/b", registry.address);
    let text = [
        image("first", &name, "1"),
        image("second", &format!("{}/no/such", registry.address), "1.x"),
        image("third", &name, "2"),
    ];
    let program = Program::new();
    program.file("images.yaml", &text.join("---\n"));
    let run = program.run("preview -f images.yaml").naming(&registry.address, "registry");
    insta::assert_snapshot!(run, @"
    exit code: 1
    ----- stdout -----
    IMAGE         first
    SOURCE        registry......./a/b
    VERSION       1
    DESTINATION   registry......./a/b-mirror

        TAG   STATE     DIGEST         DESTINATION-DIGEST
    +   1     missing   7692c3ad3540   <none>

    1 tag: 1 to copy.

    IMAGE         third
    SOURCE        registry......./a/b
    VERSION       2
    DESTINATION   registry......./a/b-mirror

        TAG   STATE       DIGEST   DESTINATION-DIGEST
    !   2     not-found   <none>   <none>

    1 tag: 1 not at the source.
    ----- stderr -----
    error: second: source: cannot list the tags of registry......./no/such: registry....... has no such repository or manifest: repository name not known (HTTP 404)

    hint: check the name of the repository; some registries answer the same when credentials are missing
    error: third: registry......./a/b has no tag 2

    hint: its tags: 1
    hint: use one of them
    hint: if it is not released yet: an Image waits for the tag and copies it then
    warning: whether tags belong to an older Image is not known: cannot read [HOME]/kubeconfig: No such file or directory (os error 2)
    error: 2 of 3 previews failed
    ");
}

#[test]
fn manifests_are_read_from_stdin() {
    let registry = Catalog::default().with("a/b", &[("1", "one")]).start_in_background();
    let text = image("first", &format!("{}/a/b", registry.address), "1");
    let run = Program::new().stdin(&text).run("preview -f - -o json");
    assert_eq!(run.code, 0, "{run}");
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["tags"][0]["state"], "missing");
    let run = Program::new().stdin(&format!("{text}---\n{text}")).run("preview -f - -o json");
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&document["kind"], document["items"].as_array().unwrap().len()), (&"List".into(), 2));
}

#[test]
fn a_file_that_cannot_be_used_says_why() {
    let program = Program::new();
    insta::assert_snapshot!(program.run("preview -f absent.yaml"), @"
    exit code: 1
    ----- stderr -----
    error: cannot read absent.yaml: No such file or directory (os error 2)
    ");
    program.file("bad.yaml", &image("bad", "docker://a/b", "2.x.y"));
    insta::assert_snapshot!(program.run("preview -f bad.yaml"), @r#"
    exit code: 1
    ----- stderr -----
    error: bad.yaml: Image bad: spec.source.name: "docker://a/b" starts with a scheme; leave "docker://" out; spec.source.version: "2.x.y" is not a tag pattern; write dotted numbers with x for any number, such as 2.13.x, v2.x.0 or 2.13.x-alpine; spec.destination.name: "docker://a/b-mirror" starts with a scheme; leave "docker://" out
    "#);
    program.file("torn.yaml", "kind: [Image");
    assert_eq!(program.run("preview -f torn.yaml").code, 1);
}

#[test]
fn terminal_escapes_of_a_file_are_shown_and_never_sent() {
    let text = image(r#""\e[2J""#, r#""a/\e]0;x\a""#, "1");
    let run = Program::new().stdin(&text).run("preview -f -");
    assert_eq!(run.code, 1);
    assert!(!run.stderr.contains(['\u{1b}', '\u{7}']), "{run}");
}

#[test]
fn secrets_of_a_file_need_a_cluster_and_their_absence_is_reported() {
    let registry = Catalog::default().with("a/b", &[("1", "one")]).start_in_background();
    let text = image("first", &format!("{}/a/b", registry.address), "1")
        .replace("    version", "    credentials: {secretName: pull}\n    version");
    let run = Program::new().stdin(&text).run("preview -f -").naming(&registry.address, "registry");
    insta::assert_snapshot!(run, @"
    exit code: 0
    ----- stdout -----
    IMAGE         first
    SOURCE        registry......./a/b
    VERSION       1
    DESTINATION   registry......./a/b-mirror

        TAG   STATE     DIGEST         DESTINATION-DIGEST
    +   1     missing   7692c3ad3540   <none>

    1 tag: 1 to copy.
    ----- stderr -----
    warning: using the credentials of this machine for the source: Secret pull was not read: cannot read [HOME]/kubeconfig: No such file or directory (os error 2)
    warning: whether tags belong to an older Image is not known: cannot read [HOME]/kubeconfig: No such file or directory (os error 2)
    ");
}

#[test]
fn several_files_and_folders_are_previewed_together() {
    let registry = Catalog::default().with("a/b", &[("1", "one")]).start_in_background();
    let name = format!("{}/a/b", registry.address);
    let program = Program::new();
    program.file("one.yaml", &image("one", &name, "1"));
    program.file("folder/two.yml", &image("two", &name, "1"));
    program.file("folder/three.json", &image("three", &name, "1"));
    program.file("folder/README.md", "no manifest");
    program.file("folder/service.yaml", "apiVersion: v1\nkind: Service\n");
    program.file("folder/below/four.yaml", &image("four", &name, "1"));
    let run = program.run("plan -f one.yaml --filename folder -o json");
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let names: Vec<&str> =
        document["items"].as_array().unwrap().iter().filter_map(|i| i["image"]["name"].as_str()).collect();
    assert_eq!(names, ["one", "three", "two"], "{run}");
    program.file("empty/service.yaml", "apiVersion: v1\nkind: Service\n");
    let run = program.run("preview -f empty");
    assert!(
        run.stderr.contains("error: empty: it contains no Image of skopeo.io/v1alpha1, no ImageBuilder of "),
        "{run}"
    );
    program.file("misspelt.yaml", "apiVersion: skopeo.io/v1alpha1\nkind: Imag\n");
    let run = program.run("preview -f misspelt.yaml");
    assert!(run.stderr.contains("; it has Imag of skopeo.io/v1alpha1"), "{run}");
    assert!(run.stderr.contains("hint: do you mean Image of skopeo.io/v1alpha1?"), "{run}");
}

/// An index without images: it has no platform.
const INDEX: &str =
    r#"{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}"#;

#[test]
fn a_builder_of_a_file_is_checked() {
    let registry = imgop_fakes::Catalog::default().with("busybox", &[("1", INDEX)]).start_in_background();
    let program = Program::new();
    let text = format!(
        "apiVersion: buildah.io/v1alpha1\nkind: ImageBuilder\nmetadata: {{name: api}}\nspec:\n  architecture: amd64\n  \
         image: {{name: {0}/api, version: '1'}}\n  source: |\n    FROM {0}/busybox:1\n    FROM {0}/busybox:2\n    \
         COPY --from=0 / /\n",
        registry.address
    );
    program.file("builder.yaml", &text);
    let run = program.run("preview -f builder.yaml").naming(&registry.address, "registry");
    insta::assert_snapshot!(run, @"
    exit code: 1
    ----- stdout -----
    BASE-IMAGE                  PLATFORM      LINE   DIGEST                                                                    STATE
    registry......./busybox:1   linux/amd64   1      sha256:0de3ff5142db66fc26e560dd9a0f9c7e44db177caa5632c534a536a2c9337c5b   present
    registry......./busybox:2   linux/amd64   2      <none>                                                                    not found
    ----- stderr -----
    error: api cannot be built: 1 base image not usable
    ");
}
