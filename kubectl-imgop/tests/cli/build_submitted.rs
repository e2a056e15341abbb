//! `build` against a scripted API server: what is sent, and how a build is followed to its end.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::build::{CONTEXT, TAG, cluster, files, is_input};
use crate::builders::job;
use crate::fake_cluster::{FakeCluster, builder, list, names, refused};

/// An `ImageBuilder` whose build succeeded, with files of this ConfigMap.
fn built(config_map: &str) -> Value {
    let mut built = builder("api", "True", "Succeeded", "build 2 is pushed");
    let items = json!([{ "key": "000.run.sh", "path": "run.sh" }]);
    built["spec"]["context"] = json!({ "configMap": { "name": config_map, "items": items } });
    built
}

/// Returns what a verb was asked to do, as `kind/name`.
fn done(cluster: &FakeCluster, verb: &str) -> Vec<String> {
    let requests = cluster.requests();
    let of_verb = requests.iter().filter_map(|line| line.strip_prefix(verb)?.split('?').next());
    of_verb
        .map(|path| path.rsplit('/').take(2).collect::<Vec<_>>())
        .map(|parts| format!("{}/{}", parts[1], parts[0]))
        .collect()
}

#[test]
fn a_build_is_followed_and_ends_with_its_digest() {
    let cluster = cluster(built(CONTEXT));
    let run = cluster.program.run(&format!("build app {TAG} --iidfile id --metadata-file meta.json"));
    insta::assert_snapshot!(run, @"
    exit code: 0
    ----- stdout -----
    sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    ----- stderr -----
    imagebuilder.buildah.io/api created
    imagebuilder/api is ready: build 2 is pushed
    ");
    let written = |name: &str| std::fs::read_to_string(cluster.program.home().join(name)).unwrap();
    assert_eq!(written("id"), run.stdout.trim_end());
    insta::assert_snapshot!(written("meta.json"), @r#"
    {
      "containerimage.digest": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
      "image.name": "registry.example.com/team/api:1.4"
    }
    "#);
    let context = format!("configmaps/{CONTEXT}");
    let tried_first = ["imagebuilders/api", &context, "imagebuilders/api", &context];
    assert_eq!(done(&cluster, "PATCH "), tried_first, "and what is named is there first");
    let bodies = cluster.bodies();
    assert!(bodies[2].contains(r#""platforms":["linux/arm64"]"#), "that of the nodes: {}", bodies[2]);
    assert!(bodies[3].contains("ownerReferences") && !bodies[3].contains("CANARY"), "{}", bodies[3]);
    assert_eq!(done(&cluster, "DELETE "), ["configmaps/api-context-older"]);
    let quiet = cluster.program.run(&format!("build app {TAG} -q"));
    assert_eq!((quiet.code, quiet.stderr.as_str(), quiet.stdout), (0, "", run.stdout), "{}", quiet.stderr);
}

/// A cluster in which a build runs until its last log is read, and is so then. This container's log cannot be read.
fn cluster_that_logs(ended: Value, unread: Option<&'static str>) -> FakeCluster {
    let is_read = AtomicBool::new(false);
    let cluster = FakeCluster::with_builders(move |request| {
        let mut builder = ended.clone();
        if !is_read.load(Ordering::Relaxed) {
            builder["status"]["observedGeneration"] = json!(0);
        }
        match request {
            request if request.contains("/log?") => {
                let container = ["prepare", "build", "push"];
                let container =
                    container.into_iter().find(|name| request.contains(&format!("container={name}")));
                is_read.fetch_or(container == Some("push"), Ordering::Relaxed);
                if container == unread {
                    return refused(404, "NotFound", "pods \"pod\" not found");
                }
                (200, json!(container))
            }
            request if request.contains("/jobs?") => {
                list("JobList", "batch/v1", &[job("a", 2, "linux/amd64"), job("b", 2, "linux/arm64")])
            }
            request if request.contains("/pods?") => {
                list("PodList", "v1", &[json!({ "metadata": { "name": "pod" } })])
            }
            request if request.contains("/pods/pod") => {
                let ended = json!({ "name": "build", "state": { "terminated": { "exitCode": 0 } } });
                let status = json!({ "initContainerStatuses": [ended] });
                (200, json!({ "metadata": { "name": "pod" }, "status": status }))
            }
            request if request.contains("/nodes") => list("NodeList", "v1", &[]),
            request if is_input(request) => refused(404, "NotFound", "not found"),
            request if request.contains("/configmaps/") => {
                (201, json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x" } }))
            }
            request if request.contains("/configmaps?") => names(&[]),
            request if request.contains("watch=") && is_read.load(Ordering::Relaxed) => {
                (200, json!({ "type": "MODIFIED", "object": builder }))
            }
            request if request.contains("watch=") => (200, Value::Null),
            request if request.contains("/imagebuilders?") => {
                list("ImageBuilderList", "buildah.io/v1alpha1", &[builder])
            }
            _ => (200, builder),
        }
    });
    files(&cluster.program);
    cluster
}

#[test]
fn what_the_containers_log_is_printed_while_they_run() {
    let run = cluster_that_logs(built(CONTEXT), None).program.run(&format!("build app {TAG}"));
    for platform in ["linux/amd64", "linux/arm64"] {
        for container in ["prepare", "build", "push"] {
            let line = format!("[{platform}] \"{container}\"");
            assert_eq!(run.stderr.lines().filter(|shown| *shown == line).count(), 1, "{line}: {run}");
        }
    }
    assert_eq!(run.code, 0);
    let quiet = cluster_that_logs(built(CONTEXT), None);
    let run = quiet.program.run(&format!("build app {TAG} --progress quiet --timeout 3s"));
    assert!(!quiet.requests().iter().any(|request| request.contains("/log?")), "{run}");
}

#[test]
fn a_log_that_breaks_off_ends_no_other_one() {
    let run = cluster_that_logs(built(CONTEXT), Some("build")).program.run(&format!("build app {TAG}"));
    for platform in ["linux/amd64", "linux/arm64"] {
        for line in [
            format!("[{platform}] \"prepare\""),
            format!("[{platform}] the rest of this log is not shown: pods \"pod\" not found"),
            format!("[{platform}] \"push\""),
        ] {
            assert!(run.stderr.lines().any(|shown| shown == line), "{line}: {run}");
        }
    }
    assert_eq!(run.code, 0);
}

#[test]
fn what_another_user_changed_meanwhile_is_kept_and_its_image_is_not_taken_for_ours() {
    let is_followed = AtomicBool::new(false);
    let cluster = FakeCluster::with_builders(move |request| {
        is_followed
            .fetch_or(request.contains("watch=") || request.contains("fieldSelector="), Ordering::Relaxed);
        let mut builder =
            built(if is_followed.load(Ordering::Relaxed) { "api-context-older" } else { CONTEXT });
        if is_followed.load(Ordering::Relaxed) {
            (builder["metadata"]["generation"], builder["status"]["observedGeneration"]) =
                (json!(2), json!(2));
        }
        match request {
            request if request.contains("/configmaps?") => names(&["api-context-older", CONTEXT]),
            request if request.contains("/nodes") => list("NodeList", "v1", &[]),
            request if is_input(request) => refused(404, "NotFound", "not found"),
            request if request.contains("watch=") => (200, Value::Null),
            request if request.contains("/imagebuilders?") => {
                list("ImageBuilderList", "buildah.io/v1alpha1", &[builder])
            }
            request if request.contains("/configmaps/") => {
                (201, json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x" } }))
            }
            _ => (200, builder),
        }
    });
    files(&cluster.program);
    let run = cluster.program.run(&format!("build app {TAG}"));
    assert!(run.code == 1 && run.stdout.is_empty() && run.stderr.contains("was changed again"), "{run}");
    assert_eq!(done(&cluster, "DELETE "), [format!("configmaps/{CONTEXT}")], "the spec names the other one");
}

#[test]
fn a_builder_that_is_refused_leaves_nothing_behind() {
    let refused_by = |is_dry: bool| {
        let cluster = FakeCluster::with_builders(move |request| match request {
            request if request.starts_with("PATCH") && request.contains("/imagebuilders/") => {
                let is_refused = is_dry || !request.contains("dryRun");
                if is_refused {
                    refused(422, "Invalid", "spec.image.name: too long")
                } else {
                    (200, built(CONTEXT))
                }
            }
            request if request.starts_with("PATCH") => {
                (201, json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x" } }))
            }
            request if request.contains("/nodes") => list("NodeList", "v1", &[]),
            _ => refused(404, "NotFound", "not found"),
        });
        files(&cluster.program);
        let run = cluster.program.run(&format!("build app {TAG}"));
        assert!(run.code == 1 && run.stderr.contains("too long"), "{run}");
        (done(&cluster, "PATCH "), done(&cluster, "DELETE "))
    };
    let context = format!("configmaps/{CONTEXT}");
    assert_eq!(refused_by(true), (vec!["imagebuilders/api".to_owned()], Vec::new()));
    assert_eq!(refused_by(false).1, [context], "it was made for this build");
}

#[test]
fn a_secret_of_the_user_is_not_taken_over() {
    let cluster = FakeCluster::with_builders(|request| match request {
        request if request.contains("/secrets/api-build-secrets") => (
            200,
            json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": { "name": "api-build-secrets" } }),
        ),
        request if request.contains("/nodes") => list("NodeList", "v1", &[]),
        request if request.starts_with("PATCH") => (201, built(CONTEXT)),
        _ => refused(404, "NotFound", "not found"),
    });
    files(&cluster.program);
    insta::assert_snapshot!(cluster.program.run(&format!("build app {TAG} --secret id=token,src=app/.env")), @"
    exit code: 1
    ----- stderr -----
    error: secret/api-build-secrets is there and was not made for imagebuilder/api, so that its keys are not replaced

    hint: use what is in it: --secret id=ID,secret=api-build-secrets/KEY
    hint: or give the ImageBuilder another name: --name api-2
    ");
    let written = |line: &String| !line.starts_with("GET") && !line.contains("dryRun");
    assert!(!cluster.requests().iter().any(written), "{:?}", cluster.requests());
}

#[test]
fn who_may_write_no_builder_learns_that_before_what_else_is_lacking() {
    let cluster = FakeCluster::with_builders(|request| match request {
        request if request.contains("/nodes") => list("NodeList", "v1", &[]),
        request if request.starts_with("GET") && request.contains("/imagebuilders") => {
            refused(404, "NotFound", "not found")
        }
        request if request.starts_with("PATCH") => refused(
            403,
            "Forbidden",
            "imagebuilders.buildah.io \"api\" is forbidden: User \"dev\" cannot create resource \"imagebuilders\" in API \
             group \"buildah.io\" in the namespace \"ci\"",
        ),
        _ => refused(403, "Forbidden", "secrets is forbidden"),
    });
    files(&cluster.program);
    let run = cluster.program.run(&format!("build app {TAG} --secret id=token,src=app/.env"));
    assert!(
        run.code == 1 && run.stderr.contains("\nerror: imagebuilders.buildah.io \"api\" is forbidden"),
        "{run}"
    );
    assert!(run.stderr.starts_with("RegistryAccesses may not be read, so only the agent knows"), "{run}");
    assert!(run.stderr.contains("kubectl auth can-i create imagebuilders.buildah.io -n ci"), "{run}");
}

#[test]
fn a_build_that_fails_shows_the_line() {
    let mut failed = builder("api", "False", "StepFailed", "linux/arm64: RUN /run.sh: exit code 3");
    failed["status"]["platforms"][1]["step"] = json!("RUN /run.sh (line 4)");
    let cluster = cluster(failed);
    let quiet = cluster.program.run(&format!("build app {TAG} -q"));
    assert!(
        quiet.stderr.starts_with("error: imagebuilder/api is not ready: linux/arm64: RUN /run.sh"),
        "{quiet}"
    );
    assert_eq!((quiet.code, quiet.stdout.as_str()), (1, ""));
    insta::assert_snapshot!(cluster.program.run(&format!("build app {TAG}")), @"
    exit code: 1
    ----- stderr -----
    warning: architecture stays both: owned by another manager
    imagebuilder.buildah.io/api unchanged
    error: imagebuilder/api is not ready: linux/arm64: RUN /run.sh: exit code 3

    hint: kubectl imgop describe imagebuilder/api -n ci
    hint: once app/Dockerfile, its files or the arguments are corrected: run the same build again, which sends them anew
    hint: to build again what was sent: kubectl imgop sync imagebuilder/api -n ci

    app/Dockerfile:4
           2 | ARG MODE
           3 | COPY run.sh /
    >>>    4 | RUN /run.sh

    hint: kubectl imgop logs imagebuilder/api --platform linux/arm64 -n ci
    ");
}

#[test]
fn what_a_failed_step_printed_is_shown_once_a_line_each() {
    let shown = "error: imagebuilder/api is not ready: build 2 failed; linux/arm64: step 4 of 4, line 4: `RUN /run.sh` \
                 exited with 3\n  before\n  no libfoo\n\nhint: ";
    let cluster = cluster(step_failed());
    let run = cluster.program.run(&format!("build app {TAG}"));
    assert!(run.code == 1 && run.stderr.contains(shown), "{run}");
    assert_eq!(run.stderr.matches("no libfoo").count(), 1, "{run}");
    let waited = cluster.program.run("wait imagebuilder/api");
    assert!(waited.code == 1 && waited.stderr.starts_with(shown), "{waited}");
    let logged = cluster_that_logs(step_failed(), None).program.run(&format!("build app {TAG}"));
    let alone = "line 4: `RUN /run.sh` exited with 3\n\nhint: ";
    assert!(logged.code == 1 && logged.stderr.contains(alone), "it stands in the log: {logged}");
}

/// An ImageBuilder of which a step failed that printed two lines.
fn step_failed() -> Value {
    let quoted =
        "build 2 failed; linux/arm64: step 4 of 4, line 4: `RUN /run.sh` exited with 3: before | no libfoo";
    let mut failed = builder("api", "False", "StepFailed", quoted);
    let part = &mut failed["status"]["platforms"][1];
    (part["step"], part["lastLines"]) = (json!("RUN /run.sh (line 4)"), json!(["before", "no libfoo"]));
    part["message"] = json!("step 4 of 4, line 4: `RUN /run.sh` exited with 3");
    failed
}

#[test]
fn a_step_that_failed_in_an_earlier_build_is_not_shown_under_another_cause() {
    // A build that does not begin leaves the parts of the last one.
    let mut refused = builder("api", "False", "SecretUnusable", "Secret nosuch does not exist");
    refused["status"]["platforms"][1]["step"] = json!("RUN /run.sh (line 4)");
    let run = cluster(refused).program.run(&format!("build app {TAG} --credentials nosuch"));
    assert!(run.code == 1 && run.stderr.contains("Secret nosuch does not exist"), "{run}");
    assert!(!run.stderr.contains("Dockerfile:4") && !run.stderr.contains("imgop logs"), "{run}");
}

#[test]
fn a_build_from_git_is_tried_again_by_a_sync() {
    let failed = builder("api", "False", "BaseImageNotFound", "there is no busybox:9");
    let run = cluster(failed).program.run(&format!("build https://git.example.com/api.git {TAG}"));
    let hint = "hint: once it is corrected at its source: kubectl imgop sync imagebuilder/api -n ci";
    assert!(run.code == 1 && run.stderr.contains(hint), "{run}");
}

#[test]
fn a_builder_of_another_image_is_not_changed_unless_it_is_named() {
    let mut other = builder("api", "True", "Succeeded", "there");
    other["spec"]["image"]["name"] = json!("registry.example.com/other/api");
    let cluster = FakeCluster::with_builders(move |request| match request {
        request if request.contains("/nodes") => list("NodeList", "v1", &[]),
        _ => (200, other.clone()),
    });
    files(&cluster.program);
    insta::assert_snapshot!(cluster.program.run(&format!("build app {TAG}")), @"
    exit code: 1
    ----- stderr -----
    error: imagebuilder/api builds another image, registry.example.com/other/api

    hint: give this one another name: --name api-2, or change that one: --name api
    ");
    assert!(cluster.bodies().is_empty());
}
