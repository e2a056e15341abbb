//! `build` of a folder that no ConfigMap holds: it is pushed to the registry of the image.

use std::os::unix::fs::symlink;

use imgop_fakes::{Background, UploadRegistry};
use imgop_registry::reference::Digest;
use serde_json::{Value, json};

use crate::build::files;
use crate::fake_cluster::{FakeCluster, builder, list, refused};

/// A cluster without ImageBuilders, whose user has the login of this registry, and a folder with a link.
fn cluster(registry: &UploadRegistry, password: &str) -> FakeCluster {
    let cluster = FakeCluster::with_builders(|request| match request {
        request if request.contains("/nodes") => list("NodeList", "v1", &[]),
        request if request.starts_with("PATCH") => (201, builder("api", "True", "Succeeded", "there")),
        _ => refused(404, "NotFound", "not found"),
    });
    with_link(&cluster, registry, password);
    cluster
}

fn with_link(cluster: &FakeCluster, registry: &UploadRegistry, password: &str) {
    files(&cluster.program);
    symlink("run.sh", cluster.program.home().join("app/link")).unwrap();
    let login = json!({ "auths": { registry.address(): { "username": "user", "password": password } } });
    cluster.program.file(".docker/config.json", &login.to_string());
}

fn build(registry: &UploadRegistry) -> String {
    format!("build app -t {}/team/api:1.4 --tls PlainHttp --credentials push --detach", registry.address())
}

/// Returns the context of the ImageBuilder that was submitted in earnest.
fn context(cluster: &FakeCluster) -> Value {
    let last: Value = serde_json::from_str(cluster.bodies().last().unwrap()).unwrap();
    last["spec"]["context"].clone()
}

#[test]
fn a_folder_with_links_is_pushed_by_digest_with_the_login_of_this_machine_and_once() {
    let registry = Background::of(UploadRegistry::start());
    let cluster = cluster(&registry, "hunter2");
    let run = cluster.program.run(&build(&registry));
    assert_eq!(run.code, 0, "{run}");
    let image = context(&cluster)["image"].clone();
    let name = image["name"].as_str().unwrap().to_owned();
    let (repository, digest) = name.split_once('@').unwrap();
    assert_eq!(repository, format!("{}/team/api", registry.address()));
    assert_eq!(
        (&image["credentials"]["secretName"], &image["tls"]["mode"]),
        (&json!("push"), &json!("PlainHTTP"))
    );
    let manifest = registry.held(&format!("team/api/manifests/{digest}")).unwrap();
    assert_eq!(Digest::of(&manifest).as_str(), digest);
    assert!(run.stderr.contains(&format!("the folder goes to {name} with ")), "{run}");
    assert!(run.stderr.contains(", since it has links"), "{run}");
    assert!(!run.to_string().contains("hunter2"));
    let puts = registry.sent("PUT ").len();
    let again = cluster.program.run(&build(&registry));
    assert!(again.stderr.contains("it is there already"), "{again}");
    assert_eq!((registry.sent("PUT ").len(), context(&cluster)["image"].clone()), (puts, image));
}

#[test]
fn a_folder_that_cannot_be_pushed_is_no_builder_and_the_message_says_what_to_do() {
    let registry = Background::of(UploadRegistry::start());
    let cluster = cluster(&registry, "wrong");
    let run = cluster.program.run(&build(&registry)).naming(&registry.address(), "registry");
    assert_eq!(run.code, 1, "{run}");
    assert!(
        run.stderr
            .contains("error: the folder cannot be pushed: cannot look up registry......./team/api@sha256:"),
        "{run}"
    );
    for hint in [
        "on this machine: docker login registry.......",
        "because it has links; 700 KiB in 256 files without links are not",
        "leave out what the build does not need, such as: echo ",
        "or build from git",
    ] {
        assert!(run.stderr.contains(hint), "{hint}: {run}");
    }
    let requests = cluster.requests();
    assert!(!requests.iter().any(|r| r.starts_with("PATCH") && !r.contains("dryRun")), "{requests:?}");
}

#[test]
fn a_folder_that_the_registry_lost_is_sent_again_and_built_where_the_build_lacks_it() {
    for (ready, reason, is_requested) in [("False", "BaseImageNotFound", true), ("True", "Succeeded", false)]
    {
        let registry = Background::of(UploadRegistry::start());
        let mut there = builder("api", ready, reason, "as it was");
        there["spec"]["image"]["name"] = json!(format!("{}/team/api", registry.address()));
        let cluster = FakeCluster::with_builders(move |request| match request {
            request if request.contains("/nodes") => list("NodeList", "v1", &[]),
            request if request.contains("/imagebuilders/api") => (200, there.clone()),
            _ => refused(404, "NotFound", "not found"),
        });
        with_link(&cluster, &registry, "hunter2");
        let run = cluster.program.run(&build(&registry));
        assert_eq!(run.code, 0, "{run}");
        let asked = cluster.bodies().iter().any(|body| body.contains("requested-at"));
        assert_eq!(asked, is_requested, "{reason}: {run}");
    }
}

#[test]
fn a_dry_run_pushes_nothing_and_names_the_digest() {
    let registry = Background::of(UploadRegistry::start());
    let cluster = cluster(&registry, "hunter2");
    let run = cluster.program.run(&format!("{} --dry-run=client -o json", build(&registry)));
    assert!(run.stdout.contains(&format!("\"name\": \"{}/team/api@sha256:", registry.address())), "{run}");
    assert!(run.stderr.contains("the folder would be pushed, since it has links: "), "{run}");
    let run = cluster.program.run(&format!("{} --dry-run=server", build(&registry)));
    assert_eq!((run.code, registry.lines().len()), (0, 0), "{run}");
}
