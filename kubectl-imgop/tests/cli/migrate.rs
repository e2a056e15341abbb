//! `migrate`: what other tools were told, without a cluster.

use crate::program::Program;

const CONFIG: &str = "\
Images:
- SourceImage: quay.io/tools/widget
  Tags:
  - v1.0
  TargetImageName: widget
Repositories:
- BaseUrl: docker.io/acme
  Password: '{{ env \"HUB_PASSWORD\" }}'
  Registry: docker.io
  Target: true
  Username: '{{ env \"HUB_USERNAME\" }}'
";

const DAILY: &str = "\
version: 1
sync:
- source: neuvector/scanner:latest
  target: docker.io/acme/mirrored-neuvector-scanner:latest
  type: image
";

const AUTOUPDATE: &str = "\
- Name: widget
  GithubRelease:
    Owner: tools
    Repository: widget
    Images:
    - SourceImage: quay.io/tools/widget
      TargetImageName: widget
  Reviewers:
  - someone
- Name: chart
  HelmLatest:
    HelmRepo: https://charts.example.com
    Charts:
      widget:
        default: []
    Images:
    - SourceImage: quay.io/tools/widget
  Reviewers:
  - someone
";

const IMAGES: &str = r#"apiVersion: v1
kind: List
items:
- apiVersion: skopeo.io/v1alpha1
  kind: Image
  metadata: { name: argocd, namespace: team-a, uid: 1b2c, resourceVersion: "7" }
  spec:
    mode: Recurrent
    frequency: 1.5d
    source: { name: quay.io/argoproj/argocd, version: v2.13.x }
    destination: { name: registry.example.com/argocd, version: v2.13 }
  status: { phase: COMPLETED }
- apiVersion: v1
  kind: ConfigMap
  metadata: { name: other }
"#;

#[test]
fn ranchers_files_become_one_image_mirror_and_what_is_not_carried_is_said() {
    let program = Program::new();
    program.file("config.yaml", CONFIG);
    program.file("regsync-daily.yaml", DAILY);
    program.file("autoupdate.yaml", AUTOUPDATE);
    let run =
        program.run("migrate rancher config.yaml --daily regsync-daily.yaml --autoupdate autoupdate.yaml");
    insta::assert_snapshot!(run);
}

#[test]
fn a_file_of_regsync_becomes_an_image_mirror() {
    let program = Program::new();
    program.file("regsync.yaml", DAILY);
    insta::assert_snapshot!(program.run("migrate regsync regsync.yaml --name scanner"));
}

#[test]
fn objects_of_image_operator_are_printed_as_they_are_applied_here() {
    let program = Program::new();
    program.file("before.yaml", IMAGES);
    insta::assert_snapshot!(program.run("migrate image-operator before.yaml"));
}

#[test]
fn an_object_that_cannot_be_used_is_named_and_fails_the_command() {
    let run = Program::new()
        .stdin(&IMAGES.replace("quay.io/argoproj/argocd", "https://quay.io/argoproj/argocd"))
        .run("migrate image-operator -");
    assert_ne!(run.code, 0, "{run}");
    assert!(run.stderr.contains("image/argocd -n team-a: spec.source.name cannot be used"), "{run}");
}
