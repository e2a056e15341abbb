//! `build`, without a cluster and against a scripted API server.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, list, names, refused};
use crate::program::Program;

/// The ConfigMap that holds the files of [`files`].
pub const CONTEXT: &str = "api-context-3cbdfd5eb999";
pub const TAG: &str = "-t registry.example.com/team/api:1.4";

/// A folder with a Dockerfile, a file and what is not to leave this machine.
pub fn program() -> Program {
    let program = Program::new();
    files(&program);
    program
}

pub fn files(program: &Program) {
    program.file("app/Dockerfile", "FROM busybox\nARG MODE\nCOPY run.sh /\nRUN /run.sh\n");
    program.file("app/run.sh", "echo $HOME\n");
    program.file("app/.env", "CANARY");
    program.file("app/.dockerignore", ".env\n.dockerignore\nDockerfile\n");
}

#[test]
fn a_dry_run_prints_the_files_and_the_builder() {
    let run = program().run(&format!("build app {TAG} --build-arg MODE=fast --dry-run=client -o yaml"));
    insta::assert_snapshot!(run, @r#"
    exit code: 0
    ----- stdout -----
    apiVersion: v1
    binaryData:
      000.run.sh: ZWNobyAkSE9NRQo=
    immutable: true
    kind: ConfigMap
    metadata:
      labels:
        imgop.skopeo.io/context-of: api
      name: api-context-3cbdfd5eb999
    ---
    apiVersion: buildah.io/v1alpha1
    kind: ImageBuilder
    metadata:
      name: api
    spec:
      buildArgs:
      - name: MODE
        value: fast
      context:
        configMap:
          items:
          - key: 000.run.sh
            mode: 420
            path: run.sh
          name: api-context-3cbdfd5eb999
      image:
        name: registry.example.com/team/api
        version: "1.4"
      platforms:
      - linux/amd64
      source: |
        FROM busybox
        ARG MODE
        COPY run.sh /
        RUN /run.sh
    "#);
    let name = program().run(&format!("build app {TAG} --dry-run -o name"));
    assert_eq!((name.code, name.stdout.as_str()), (0, "imagebuilder.buildah.io/api\n"), "{name}");
}

#[test]
fn a_dockerfile_of_the_standard_input_has_no_files() {
    let program = Program::new().stdin("FROM busybox\nRUN true\n");
    insta::assert_snapshot!(program.run(&format!("build - {TAG} --platform linux/arm64 --dry-run -o yaml")), @r#"
    exit code: 0
    ----- stdout -----
    apiVersion: buildah.io/v1alpha1
    kind: ImageBuilder
    metadata:
      name: api
    spec:
      image:
        name: registry.example.com/team/api
        version: "1.4"
      platforms:
      - linux/arm64
      source: |
        FROM busybox
        RUN true
    "#);
}

#[test]
fn an_archive_of_the_standard_input_is_the_folder_that_was_packed() {
    let line = |place: &str| format!("build {place} {TAG} --platform linux/arm64 --dry-run -o yaml");
    let folder = program();
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all(".", folder.home().join("app")).unwrap();
    // All of it is text, and what fills its blocks.
    let archive = String::from_utf8(archive.into_inner().unwrap()).unwrap();
    assert!(archive.contains("CANARY"), "the ignore file is applied here");
    let packed = Program::new().stdin(&archive).run(&line("-"));
    assert_eq!((packed.code, packed.to_string()), (0, folder.run(&line("app")).to_string()));
}

#[test]
fn every_flag_of_what_is_built_becomes_a_field() {
    let run = Program::new().variable("TOKEN", "CANARY").run(
        "build https://git.example.com/team/api.git#main:src -f build/Dockerfile -t r.example.com/api:1 --name web -n ci \
         --build-arg A=b=c --target final --platform linux/amd64,linux/arm64 --secret id=token,env=TOKEN \
         --secret id=ca,secret=corp/ca.pem --git-credentials git --push --dry-run -o yaml",
    );
    assert!(!run.to_string().contains("CANARY") && !run.to_string().contains("Q0FOQVJZ"), "{run}");
    insta::assert_snapshot!(run);
}

#[test]
fn every_flag_of_the_image_and_its_registries_becomes_a_field() {
    insta::assert_snapshot!(
        Program::new().run("build https://git.example.com/team/api.git -t r.example.com/api:1 -t r.example.com/api:2 --label a=b \
             --annotation c=d --cache-to type=registry,ref=r.example.com/cache --registry-secret push --tls SkipVerify \
             --registry quay.io,credentials=pull --rebuild-on Source,BaseImage --frequency 1h --min-interval 30s --source-date-epoch 0 \
             --dry-run -o yaml")
    );
}

#[test]
fn flags_of_copy_are_taken_by_the_names_that_they_have_there() {
    let printed = |flags: &str| program().run(&format!("build app {TAG} {flags} --dry-run -o yaml"));
    let own = printed("--platform linux/s390x --credentials push");
    assert_eq!(own.code, 0, "{own}");
    assert_eq!(printed("--platforms linux/s390x --destination-credentials push").stdout, own.stdout);
}

#[test]
fn flags_of_other_builders_are_ignored_or_refused_with_what_to_do_instead() {
    let program = program();
    let ignored = format!("build app {TAG} --rm --force-rm=false -m 1g --isolation default --dry-run");
    insta::assert_snapshot!(program.run(&ignored), @"
    exit code: 0
    ----- stdout -----
    imagebuilder.buildah.io/api created (dry run)
    ----- stderr -----
    ignored, since it changes nothing here: --rm, --force-rm, --isolation
    ignored: --memory; memory and CPU of a build are limited by spec.resources of the ImageBuilder, or by --job-memory and --job-cpu
    ");
    for refused in
        ["--push=false", "--load", "--ssh default", "--network host", "--squash", "-o type=local,dest=."]
    {
        let run = program.run(&format!("build app {TAG} {refused}"));
        assert_eq!(run.code, 2, "{run}");
        assert!(run.stderr.starts_with("error: "), "{run}");
    }
    insta::assert_snapshot!(program.run(&format!("build app {TAG} --load")), @"
    exit code: 2
    ----- stderr -----
    error: --load: no node is given the image; pull it by the digest that is printed
    ");
}

#[test]
fn what_is_missing_or_wrong_is_named_before_anything_is_sent() {
    let program = program();
    insta::assert_snapshot!(program.run("build"), @"
    exit code: 2
    ----- stderr -----
    error: missing: PATH, URL or - (where the Dockerfile and its files come from)

    hint: for example: kubectl imgop build . -t registry.example.com/team/app:1.4
    ");
    insta::assert_snapshot!(program.run("build app"), @"
    exit code: 2
    ----- stderr -----
    error: --tag: it is missing; give the repository and the tag, such as -t registry.example.com/team/app:1.4
    ");
    insta::assert_snapshot!(program.run(&format!("build nowhere {TAG}")), @"
    exit code: 1
    ----- stderr -----
    error: nowhere does not exist

    hint: give the folder of the context, the URL of a git repository (https://…/app.git#ref:dir), or -
    ");
    program.file("app/Dockerfile", "FROM busybox\nRUM make\nCOPY --from=9 /a /b\n");
    insta::assert_snapshot!(program.run(&format!("build app {TAG}")), @"
    exit code: 1
    ----- stderr -----
    app/Dockerfile:2:1: error: there is no instruction RUM; did you mean RUN?
    app/Dockerfile:3:6: error: there is no stage 9; there is no stage in front of this one
    error: app/Dockerfile cannot be built: 2 mistakes in it, the first in line 2
    ");
}

/// A cluster that has no such ImageBuilder before it is applied; then this one.
pub fn cluster(after: Value) -> FakeCluster {
    let is_applied = AtomicBool::new(false);
    let cluster = FakeCluster::with_builders(move |request| match request {
        request if request.starts_with("PATCH") && request.contains("/imagebuilders/") => {
            is_applied.store(true, Ordering::Relaxed);
            (201, after.clone())
        }
        request if request.starts_with("PATCH") => {
            (201, json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x" } }))
        }
        request if request.contains("/nodes") => {
            let node = json!({ "metadata": { "name": "n", "labels": { "kubernetes.io/arch": "arm64" } } });
            list("PartialObjectMetadataList", "meta.k8s.io/v1", &[node])
        }
        request if request.starts_with("GET") && request.contains("/secrets?") => names(&["push"]),
        request if is_input(request) => refused(404, "NotFound", "not found"),
        request if request.starts_with("GET") && request.contains("/configmaps?") => {
            names(&["api-context-older", CONTEXT])
        }
        request if request.contains("watch=") => (200, Value::Null),
        request if request.contains("/imagebuilders/") && !is_applied.load(Ordering::Relaxed) => {
            refused(404, "NotFound", "imagebuilders.buildah.io \"api\" not found")
        }
        request if request.contains("/imagebuilders/") => (200, after.clone()),
        request if request.contains("/imagebuilders") => {
            list("ImageBuilderList", "buildah.io/v1alpha1", std::slice::from_ref(&after))
        }
        _ => list("JobList", "batch/v1", &[]),
    });
    files(&cluster.program);
    cluster
}

/// Whether a request reads one ConfigMap or Secret.
pub fn is_input(request: &str) -> bool {
    request.starts_with("GET") && (request.contains("/configmaps/") || request.contains("/secrets/"))
}
