//! Default destinations of namespaces, and destinations that administrators keep for others, as a user of the program meets
//! them: before anything is submitted.

use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, list, refused};

const COPY: &str = "copy quay.io/argoproj/argocd:v2.13.x";
const DRY: &str = "--dry-run=client -o yaml";

/// A `RegistryAccess` to namespaces of this team.
fn access(name: &str, team: &str, fields: &Value) -> Value {
    let mut spec = json!({ "hosts": ["r.example.com"], "repositories": ["mirror/"], "actions": ["Push"],
        "namespaceSelector": { "matchLabels": { "team": team } } });
    for (key, value) in fields.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({ "apiVersion": "imgop.io/v1alpha1", "kind": "RegistryAccess", "metadata": { "name": name }, "spec": spec })
}

fn with_default(name: &str, prefix: &str) -> Value {
    access(
        name,
        "a",
        &json!({ "defaultDestination": { "prefix": prefix, "credentials": { "secretName": "push" } } }),
    )
}

/// A cluster with these; namespace `ci` is of team `a`.
fn cluster(accesses: Vec<Value>) -> FakeCluster {
    FakeCluster::with_builders(move |request| match request {
        request if request.starts_with("GET /apis/imgop.io/v1alpha1/registryaccesses") => {
            list("RegistryAccessList", "imgop.io/v1alpha1", &accesses)
        }
        request if request.starts_with("GET /api/v1/namespaces/ci") => {
            let metadata = json!({ "name": "ci", "labels": { "team": "a" } });
            (
                200,
                json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata }),
            )
        }
        _ => refused(404, "NotFound", "not found"),
    })
}

#[test]
fn a_copy_without_a_destination_goes_to_the_default_which_is_said_before_anything_is_submitted() {
    let cluster = cluster(vec![with_default("corp", "r.example.com/mirror/{namespace}/")]);
    let run = cluster.program.run(&format!("{COPY} --name argocd {DRY}"));
    insta::assert_snapshot!(run, @"
    exit code: 0
    ----- stdout -----
    apiVersion: skopeo.io/v1alpha1
    kind: Image
    metadata:
      name: argocd
    spec:
      destination:
        name: r.example.com/mirror/ci/argoproj/argocd
      mode: OnceByTag
      source:
        name: quay.io/argoproj/argocd
        version: v2.13.x
    ----- stderr -----
    copying to r.example.com/mirror/ci/argoproj/argocd, the default destination of RegistryAccess/corp
    ");
}

#[test]
fn without_a_default_or_the_right_to_read_it_a_destination_is_missing_as_before() {
    let none =
        cluster(vec![access("other", "b", &json!({ "defaultDestination": { "prefix": "s.example.com" } }))]);
    let forbidden =
        FakeCluster::with_builders(|_| refused(403, "Forbidden", "registryaccesses is forbidden"));
    for cluster in [none, forbidden] {
        let run = cluster.program.run(COPY);
        assert_eq!(run.code, 2, "{run}");
        assert!(run.stderr.starts_with("error: missing: DESTINATION\n"), "{run}");
        assert!(run.stderr.contains("default destination of the namespace"), "{run}");
    }
}

#[test]
fn two_defaults_are_refused_with_both_names() {
    let both = vec![with_default("one", "r.example.com"), with_default("two", "s.example.com")];
    let run = cluster(both).program.run(COPY);
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stderr.contains(r#"RegistryAccess "one" and RegistryAccess "two""#), "{run}");
}

#[test]
fn a_destination_or_a_tag_without_a_registry_is_below_the_default() {
    let accesses = vec![with_default("corp", "r.example.com/mirror")];
    let copied = cluster(accesses.clone());
    let run = copied.program.run(&format!("{COPY} web/argocd"));
    assert!(run.stderr.contains("web/argocd goes to r.example.com/mirror/web/argocd"), "{run}");
    let submitted = copied.bodies().concat();
    assert!(submitted.contains(r#""name":"r.example.com/mirror/web/argocd""#), "{submitted}");
    let built = cluster(accesses);
    built.program.file("Dockerfile", "FROM scratch\n");
    let run = built.program.run("build . -t web/app:1.4 --platform linux/amd64 --detach");
    assert!(run.stderr.contains("web/app:1.4 goes to r.example.com/mirror/web/app"), "{run}");
    let submitted = built.bodies().concat();
    assert!(submitted.contains(r#""name":"r.example.com/mirror/web/app""#), "{submitted}");
}

#[test]
fn a_destination_that_is_kept_for_others_is_refused_before_anything_is_sent() {
    let cluster = cluster(vec![access("theirs", "b", &json!({}))]);
    let run = cluster.program.run(&format!("{COPY} r.example.com/mirror/argocd"));
    insta::assert_snapshot!(run, @r#"
    exit code: 1
    ----- stderr -----
    error: namespace "ci" may not write to r.example.com/mirror/argocd: an administrator keeps r.example.com/mirror/ for other namespaces

    hint: choose another destination, or ask an administrator for a RegistryAccess with the action Push that selects this namespace
    "#);
    assert_eq!(cluster.bodies(), Vec::<String>::new());
    let manifest = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "a" },
        "spec": { "mode": "OneShot", "source": { "name": "quay.io/a/b", "version": "1" },
            "destination": { "name": "r.example.com/mirror/b" } } });
    cluster.program.file("image.yaml", &manifest.to_string());
    let run = cluster.program.run("preview -f image.yaml");
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stderr.contains("may not write to r.example.com/mirror/b"), "{run}");
}

#[test]
fn a_preview_of_a_destination_that_is_kept_for_others_says_so() {
    let cluster = cluster(vec![access("theirs", "b", &json!({}))]);
    let run = cluster.program.run("preview quay.io/a/b:1 r.example.com/mirror/b");
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stderr.contains("may not write to r.example.com/mirror/b: an administrator keeps"), "{run}");
}

#[test]
fn who_may_not_read_what_decides_is_told_that_it_is_not_known() {
    let cluster = FakeCluster::with_builders(|_| {
        refused(403, "Forbidden", "registryaccesses.imgop.io is forbidden: User \"eve\" cannot list it")
    });
    let run = cluster.program.run(&format!("{COPY} r.example.com/mirror/argocd"));
    let said = run.stderr.lines().filter(|line| line.contains("only the agent knows")).collect::<Vec<_>>();
    insta::assert_snapshot!(said.join("\n"), @r#"RegistryAccesses may not be read, so only the agent knows whether this namespace may write to the destination: registryaccesses.imgop.io is forbidden: User "eve" cannot list it"#);
    let run = cluster.program.run("preview 127.0.0.1:1/a/b:1 127.0.0.1:1/mirror/b");
    assert!(run.stderr.contains("only the agent knows"), "{run}");
}

#[test]
fn what_administrators_lend_is_listed_and_described_and_changed_by_no_verb() {
    let corp = access("corp", "a", &json!({ "secretName": "shared" }));
    let cluster = FakeCluster::with_builders(move |request| match request {
        request if request.starts_with("GET /apis/imgop.io/v1alpha1/registryaccesses/corp") => {
            (200, corp.clone())
        }
        request if request.starts_with("GET /apis/imgop.io/v1alpha1/registryaccesses") => {
            list("RegistryAccessList", "imgop.io/v1alpha1", std::slice::from_ref(&corp))
        }
        _ => refused(404, "NotFound", "not found"),
    });
    for listed in ["list registryaccess", "list registryaccesses -o wide", "list registryaccess/corp"] {
        let run = cluster.program.run(listed);
        assert_eq!(run.code, 0, "{run}");
        assert!(run.stdout.starts_with("NAME"), "{run}");
        assert!(run.stdout.contains("corp   r.example.com   mirror/        Push"), "{run}");
    }
    let run = cluster.program.run("describe registryaccess/corp");
    assert!(run.stdout.contains("Credentials:    Secret shared of the agent's namespace"), "{run}");
    assert!(cluster.requests().iter().all(|request| !request.contains("/namespaces/")), "none are in one");
    for changing in ["delete registryaccess/corp", "suspend registryaccess/corp"] {
        assert_eq!(cluster.program.run(changing).code, 2, "{changing}");
    }
    assert_eq!(cluster.bodies(), Vec::<String>::new());
}

#[test]
fn a_manifest_without_a_destination_and_without_a_default_is_explained() {
    let cluster = cluster(Vec::new());
    let manifest = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "a" },
        "spec": { "mode": "OneShot", "source": { "name": "quay.io/a/b", "version": "1" } } });
    cluster.program.file("image.yaml", &manifest.to_string());
    let run = cluster.program.run("preview -f image.yaml");
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stderr.contains("spec.destination.name is missing"), "{run}");
}
