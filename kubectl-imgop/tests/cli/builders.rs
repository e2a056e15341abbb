//! `ImageBuilders` beside Images, against a scripted API server.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, builder, image, list, refused};

/// A cluster with an Image and an ImageBuilder.
fn cluster() -> FakeCluster {
    FakeCluster::with_builders(|request| match request {
        request if request.contains("/imagebuilders/api") => {
            (200, builder("api", "False", "StepFailed", "RUN true: exit code 3"))
        }
        request if request.contains("/imagebuilders") => list(
            "ImageBuilderList",
            "buildah.io/v1alpha1",
            &[builder("api", "False", "StepFailed", "RUN true: exit code 3")],
        ),
        request if request.contains("/imagemirrors") => list("ImageMirrorList", "skopeo.io/v1alpha1", &[]),
        request if request.contains("/workloadmirrors") => {
            list("WorkloadMirrorList", "skopeo.io/v1alpha1", &[])
        }
        request if request.contains("/jobs") => list("JobList", "batch/v1", &[]),
        request if request.contains("/events") => list("EventList", "v1", &[]),
        request if request.contains("/images/") => {
            refused(404, "NotFound", "images.skopeo.io \"api\" not found")
        }
        _ => list("ImageList", "skopeo.io/v1alpha1", &[image("argocd", "True", "there")]),
    })
}

#[test]
fn each_kind_has_a_table_of_its_own() {
    let cluster = cluster();
    insta::assert_snapshot!(cluster.program.run("list"), @"
    exit code: 0
    ----- stdout -----
    NAME     MODE      SOURCE   READY   REASON       SYNCED   LAST-CHANGE   AGE
    argocd   OneShot   a/b:1    True    CopyFailed   <none>   <none>        <none>

    NAME   IMAGE                               READY   REASON       BUILD         LAST-BUILD   AGE
    api    registry.example.com/team/api:1.4   False   StepFailed   2/COMPLETED   <none>       <none>
    ");
    insta::assert_snapshot!(cluster.program.run("list imagebuilders -o wide"), @"
    exit code: 0
    ----- stdout -----
    NAME   IMAGE                               READY   REASON       BUILD         LAST-BUILD   AGE      COMMIT         DIGEST                                                                    MESSAGE
    api    registry.example.com/team/api:1.4   False   StepFailed   2/COMPLETED   <none>       <none>   0123456789ab   sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef   RUN true: exit code 3
    ");
    insta::assert_snapshot!(cluster.program.run("list imgb/api -o name"), @"
    exit code: 0
    ----- stdout -----
    imagebuilder.buildah.io/api
    ");
}

#[test]
fn whoever_may_not_list_builders_lists_images_and_is_told() {
    let cluster = FakeCluster::with_builders(|request| match request {
        request if request.contains("/imagebuilders") => {
            refused(403, "Forbidden", "imagebuilders.buildah.io is forbidden")
        }
        _ => list("ImageList", "skopeo.io/v1alpha1", &[image("argocd", "True", "there")]),
    });
    let run = cluster.program.run("list");
    assert!(run.code == 0 && run.stdout.contains("argocd") && run.stderr.starts_with("warning: "), "{run}");
    assert_eq!(cluster.program.run("list imagebuilders").code, 1);
}

#[test]
fn a_builder_is_described_with_its_parts_bases_and_builds() {
    let page = cluster().program.run("describe imagebuilder/api").stdout;
    for line in [
        "Image:        registry.example.com/team/api:1.4",
        "Dockerfile:   in the spec, 2 lines",
        "Commit:       0123456789abcdef0123456789abcdef01234567",
        "linux/arm64   Failed   StepFailed   RUN true (line 2)   1          <none>",
        "docker.io/library/busybox:latest   sha256:0123456789abcdef",
    ] {
        assert!(page.lines().any(|shown| shown.starts_with(line)), "{line}\n{page}");
    }
    assert!(page.contains("BaseImageMoved   busybox:latest ab → cd"), "{page}");
}

#[test]
fn a_name_that_only_a_builder_has_is_its_own_and_one_that_is_typed_with_a_kind_is_that() {
    let cluster = cluster();
    for verb in ["describe", "history", "list", "wait --timeout 0", "suspend"] {
        let run = cluster.program.run(&format!("{verb} api"));
        assert!(
            !run.to_string().contains("not found") && !run.to_string().contains("not installed"),
            "{run}"
        );
    }
    let run = cluster.program.run("delete image/api --yes");
    assert!(run.code == 1 && run.stderr.contains("write imagebuilder/api"), "{run}");
    // Of what cannot be undone, an ImageBuilder is named with its kind: the Image may be gone that the name stood for.
    let run = cluster.program.run("delete api --yes");
    assert!(run.code == 1 && run.stderr.contains("to delete it, name its kind: imagebuilder/api"), "{run}");
    assert!(!cluster.requests().iter().any(|line| line.starts_with("DELETE")));
}

#[test]
fn a_name_that_an_image_and_a_builder_have_needs_a_kind() {
    let cluster = FakeCluster::with_builders(|request| match request {
        request if request.contains("/imagebuilders/") => (200, builder("api", "True", "Succeeded", "there")),
        _ => (200, image("api", "True", "there")),
    });
    insta::assert_snapshot!(cluster.program.run("sync api --no-wait"), @"
    exit code: 1
    ----- stderr -----
    error: api is the name of an Image and of an ImageBuilder

    hint: write image/api, or imagebuilder/api
    ");
    assert!(cluster.bodies().is_empty());
    let run = cluster.program.run("sync image/api imagebuilder/api --no-wait");
    assert!(run.code == 0 && cluster.bodies().len() == 2, "{run}");
}

#[test]
fn all_is_for_one_kind_and_the_other_one_is_named() {
    let cluster = FakeCluster::with_builders(|request| match request {
        request if request.contains("/imagebuilders") => {
            let builders = ["api", "web"].map(|name| builder(name, "True", "Succeeded", "there"));
            list("ImageBuilderList", "buildah.io/v1alpha1", &builders)
        }
        request if request.contains("/images") => list("ImageList", "skopeo.io/v1alpha1", &[]),
        _ => (200, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "ci" } })),
    });
    insta::assert_snapshot!(cluster.program.run("wait --all"), @"
    exit code: 1
    ----- stderr -----
    No Images found in ci namespace.
    hint: this verb is for one kind at a time; for the 2 ImageBuilders: add imagebuilders
    ");
    assert_eq!(cluster.program.run("wait imagebuilders --all --timeout 0").code, 0);
}

#[test]
fn a_cancelled_build_is_cancelled_wherever_it_is_shown() {
    let cluster = FakeCluster::with_builders(|request| {
        let mut cancelled = builder("api", "False", "Cancelled", "build 2 was cancelled");
        cancelled["status"]["progress"] = json!("2/FAILED");
        cancelled["status"]["platforms"] = json!([
            // As an older agent leaves it, and as this one does.
            { "platform": "linux/amd64", "state": "RUNNING", "attempts": 1 },
            { "platform": "linux/arm64", "state": "FAILED", "reason": "Cancelled", "attempts": 1 },
        ]);
        cancelled["status"]["history"][1] = json!({ "number": 2, "reason": "SpecChanged", "result": "Cancelled",
            "startedAt": "2026-01-02T00:00:00Z" });
        match request {
            request if request.contains("/imagebuilders/") => (200, cancelled),
            request if request.contains("/imagebuilders") => {
                list("ImageBuilderList", "buildah.io/v1alpha1", &[cancelled])
            }
            request if request.contains("/images/") => refused(404, "NotFound", "not found"),
            _ => list("List", "v1", &[]),
        }
    });
    let page = cluster.program.run("describe api").stdout;
    for platform in ["linux/amd64   Cancelled", "linux/arm64   Cancelled"] {
        assert!(page.lines().any(|line| line.starts_with(platform)), "{platform}\n{page}");
    }
    let list = cluster.program.run("list imagebuilders").stdout;
    assert!(list.contains("2/CANCELLED"), "{list}");
}

#[test]
fn what_a_minimal_interval_holds_back_is_said_with_its_time() {
    let cluster = FakeCluster::with_builders(|request| {
        let mut held = builder("api", "True", "Succeeded", "there");
        held["spec"]["rebuildOn"] = json!(["BaseImage"]);
        held["spec"]["frequency"] = json!("10s");
        held["status"]["nextBuildTime"] = json!("2999-01-01T00:00:00Z");
        match request {
            request if request.contains("/imagebuilders/") => (200, held),
            _ => list("List", "v1", &[]),
        }
    });
    let page = cluster.program.run("describe imagebuilder/api").stdout;
    assert!(page.contains("for a new base image, checked every 10s, at most every 5m"), "{page}");
    assert!(page.contains("for what is new: minInterval holds it back"), "{page}");
}

#[test]
fn a_history_of_builds_has_causes_and_reasons() {
    insta::assert_snapshot!(cluster().program.run("history imagebuilder/api -o wide"), @"
    exit code: 0
    ----- stdout -----
    BUILD                  RESULT      NUMBER   CAUSE            CHANGES                  DURATION   DIGEST                                                                    REASON       MESSAGE
    2026-01-02T00:00:00Z   Succeeded   2        BaseImageMoved   busybox:latest ab → cd   <none>     sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef   <none>       <none>
    2026-01-01T00:00:00Z   Failed      1        Created          <none>                   71s        <none>                                                                    StepFailed   RUN true: exit code 3
    ");
}

#[test]
fn a_build_that_failed_says_why_in_the_history_though_others_followed() {
    let cluster = FakeCluster::with_builders(|_| {
        let mut builder = builder("api", "True", "Succeeded", "there");
        let first = &mut builder["status"]["history"][0];
        first["failure"] = json!("StepFailed");
        first["message"] = json!("linux/arm64: line 2: `RUN true` exited with 3");
        first["changes"] = json!("source, target (generation 1 → 2)");
        (200, builder)
    });
    let table = cluster.program.run("history imagebuilder/api --no-headers").stdout;
    let first = table.lines().last().unwrap();
    assert!(first.ends_with("StepFailed   linux/arm64: line 2: `RUN true` exited with 3"), "{table}");
    assert!(first.contains("source, target (generation 1 → 2)"), "{table}");
}

#[test]
fn a_build_that_runs_is_cancelled_by_an_annotation_and_one_that_does_not_is_an_error() {
    let cluster = FakeCluster::with_builders(|_| {
        let mut running = builder("api", "Unknown", "Progressing", "build 3 runs");
        running["status"]["build"] =
            json!({ "number": 3, "reason": "Requested", "startedAt": "2026-01-03T00:00:00Z" });
        (200, running)
    });
    insta::assert_snapshot!(cluster.program.run("cancel api"), @"
    exit code: 0
    ----- stdout -----
    imagebuilder.buildah.io/api build 3 is asked to end
    ");
    let bodies = cluster.bodies();
    assert!(bodies.len() == 1 && bodies[0].contains("imgop.skopeo.io/cancel-requested-at"), "{bodies:?}");
    insta::assert_snapshot!(self::cluster().program.run("cancel imagebuilder/api"), @"
    exit code: 1
    ----- stderr -----
    error: no build of imagebuilder/api runs

    hint: to start no more: kubectl imgop suspend imagebuilder/api -n ci
    ");
    insta::assert_snapshot!(self::cluster().program.run("cancel image/api"), @"
    exit code: 2
    ----- stderr -----
    error: invalid value 'image/api' for '<NAME>...': Images have no builds; only those of ImageBuilders are cancelled

    For more information, try '--help'.
    ");
}

/// A Job of a build.
pub fn job(name: &str, number: u64, platform: &str) -> Value {
    let part = json!({ "number": number, "platform": platform }).to_string();
    json!({ "metadata": { "name": name, "annotations": { "imgop.skopeo.io/build": part } }, "status": { "active": 1 } })
}

#[test]
fn the_logs_of_a_build_are_those_of_all_platforms_container_by_container() {
    let cluster = FakeCluster::with_builders(|request| match request {
        request if request.contains("/log?") && request.contains("container=push") => (
            400,
            json!({ "kind": "Status", "code": 400, "message": "container \"push\" is waiting to start" }),
        ),
        request if request.contains("/log?") => (200, json!(request.split('?').next())),
        request if request.contains("/jobs") => {
            let jobs = [job("a", 2, "linux/amd64"), job("b", 2, "linux/arm64"), job("c", 1, "linux/amd64")];
            list("JobList", "batch/v1", &jobs)
        }
        request if request.contains("/pods?") => {
            let of = |job: &str| request.contains(&format!("job-name%3D{job}"));
            let name = ["a", "b", "c"].into_iter().find(|job| of(job)).unwrap_or("?");
            let pod = json!({ "metadata": { "name": format!("pod-{name}") } });
            list("PodList", "v1", &[pod])
        }
        request if request.contains("/pods/") => {
            (200, json!({ "metadata": { "name": "p" }, "status": { "phase": "Failed" } }))
        }
        _ => (200, builder("api", "Unknown", "Progressing", "build 2 runs")),
    });
    insta::assert_snapshot!(cluster.program.run("logs imgb/api"), @r#"
    exit code: 0
    ----- stdout -----
    ==> linux/amd64 (pod pod-a, container prepare) <==
    "GET /api/v1/namespaces/ci/pods/pod-a/log"
    ==> linux/amd64 (pod pod-a, container build) <==
    "GET /api/v1/namespaces/ci/pods/pod-a/log"
    ==> linux/arm64 (pod pod-b, container prepare) <==
    "GET /api/v1/namespaces/ci/pods/pod-b/log"
    ==> linux/arm64 (pod pod-b, container build) <==
    "GET /api/v1/namespaces/ci/pods/pod-b/log"
    ----- stderr -----
    container "push" is waiting to start
    container "push" is waiting to start
    "#);
    insta::assert_snapshot!(cluster.program.run("logs imgb/api --build 1 -f"), @r#"
    exit code: 0
    ----- stdout -----
    [linux/amd64] "GET /api/v1/namespaces/ci/pods/pod-c/log"
    [linux/amd64] "GET /api/v1/namespaces/ci/pods/pod-c/log"
    "#);
    insta::assert_snapshot!(cluster.program.run("logs imgb/api --build 2 --platform linux/s390x"), @"
    exit code: 1
    ----- stderr -----
    error: imagebuilder/api has no Job that works on linux/s390x of build 2

    hint: kubectl imgop describe imagebuilder/api -n ci shows what became of it
    ");
}

#[test]
fn a_platform_that_gets_no_pod_keeps_the_logs_of_the_others_from_nobody() {
    let asked = AtomicUsize::new(0);
    let cluster = FakeCluster::with_builders(move |request| match request {
        request if request.contains("/log?") => (200, json!(request.split('?').next())),
        request if request.contains("/jobs") => {
            let mut refused = job("b", 2, "linux/arm64");
            if asked.fetch_add(1, Ordering::Relaxed) > 0 {
                refused["status"] = json!({ "conditions": [{ "type": "Failed", "status": "True" }] });
            }
            list("JobList", "batch/v1", &[job("a", 2, "linux/amd64"), refused])
        }
        request if request.contains("/pods?") && request.contains("job-name%3Da") => {
            list("PodList", "v1", &[json!({ "metadata": { "name": "pod-a" } })])
        }
        request if request.contains("/pods?") => list("PodList", "v1", &[]),
        _ => (200, builder("api", "Unknown", "Progressing", "build 2 runs")),
    });
    insta::assert_snapshot!(cluster.program.run("logs imgb/api -f"), @r#"
    exit code: 0
    ----- stdout -----
    [linux/amd64] "GET /api/v1/namespaces/ci/pods/pod-a/log"
    [linux/amd64] "GET /api/v1/namespaces/ci/pods/pod-a/log"
    [linux/amd64] "GET /api/v1/namespaces/ci/pods/pod-a/log"
    ----- stderr -----
    waiting for a pod of Job b
    warning: linux/arm64: Job b has ended and has no pod

    hint: kubectl imgop describe imagebuilder/api -n ci shows what became of it
    "#);
    let printed = cluster.program.run("logs imgb/api");
    assert!(printed.code == 0 && printed.stdout.contains("==> linux/amd64 (pod pod-a"), "{printed}");
    assert!(printed.stderr.contains("warning: linux/arm64: the pods of Job b are gone"), "{printed}");
}

#[test]
fn a_build_whose_jobs_are_gone_differs_from_one_that_never_was() {
    let cluster = FakeCluster::with_builders(|request| match request {
        request if request.contains("/jobs") => list("JobList", "batch/v1", &[]),
        _ => (200, builder("api", "True", "Succeeded", "there")),
    });
    let error = |build: u64| {
        let run = cluster.program.run(&format!("logs imgb/api --build {build}"));
        assert_eq!(run.code, 1);
        run.stderr.lines().next().unwrap().to_owned()
    };
    assert_eq!(error(9), "error: imagebuilder/api has had no build 9; the newest is 2");
    let gone = |build: u64, field: &str| {
        format!(
            "error: the Jobs of build {build} of imagebuilder/api are gone, and their logs with them: spec.{field} says \
             how many builds keep theirs"
        )
    };
    assert_eq!(error(2), gone(2, "successfulBuildsHistoryLimit"));
    assert_eq!(error(1), gone(1, "failedBuildsHistoryLimit"));
}

#[test]
fn a_builder_of_the_cluster_is_checked_by_a_preview() {
    let cluster = FakeCluster::with_builders(|_| {
        let mut plain = builder("api", "True", "Succeeded", "there");
        plain["spec"]["source"] = json!("FROM scratch\nCOPPY a /\n");
        (200, plain)
    });
    let run = cluster.program.run("preview imagebuilder/api");
    assert!(run.code == 1 && run.stdout.starts_with("api:2:1: error: "), "{run}");
    assert!(run.stderr.contains("error: api cannot be built: 1 mistake"), "{run}");
    assert!(!run.stdout.contains("Would push"), "{run}");
}
