//! Verbs that ask a cluster, against a scripted API server.

use serde_json::{Value, json};

use crate::fake_cluster::{FakeCluster, image, list, not_found};

const DENIED: &str = "registry.example.com denies access to team/app: the account of Secret pull may not pull there (HTTP 403)";

#[test]
fn flags_of_the_connection_may_stand_before_the_verb() {
    let cluster =
        FakeCluster::start(|_| list("ImageList", "skopeo.io/v1alpha1", &[image("a", "True", "there")]));
    let before = cluster.program.run("-n team --as eve list -o name");
    assert_eq!((before.code, before.stdout.as_str()), (0, "image.skopeo.io/a\n"), "{before}");
    assert!(cluster.requests()[0].contains("/namespaces/team/images"), "{:?}", cluster.requests());
}

#[test]
fn all_namespaces_win_over_one() {
    let cluster =
        FakeCluster::start(|_| list("ImageList", "skopeo.io/v1alpha1", &[image("a", "True", "there")]));
    let run = cluster.program.run("list -A -n team --no-headers");
    assert!(run.code == 0 && run.stdout.starts_with("ci   a"), "{run}");
    assert!(
        cluster.requests()[0].starts_with("GET /apis/skopeo.io/v1alpha1/images"),
        "{:?}",
        cluster.requests()
    );
}

#[test]
fn a_kind_is_listed_of_all_namespaces_or_by_labels_and_an_object_is_not() {
    let cluster = FakeCluster::start(|request| match request {
        request if request.split('?').next().is_some_and(|path| path.ends_with("/images")) => {
            list("ImageList", "skopeo.io/v1alpha1", &[image("a", "True", "there")])
        }
        _ => not_found("deployments"),
    });
    for (arguments, asked) in [
        ("list images -A -o name", "GET /apis/skopeo.io/v1alpha1/images"),
        ("get image -l team=web -o name", "labelSelector=team%3Dweb"),
    ] {
        let run = cluster.program.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (0, "image.skopeo.io/a\n"), "{run}");
        let requests = cluster.requests();
        assert!(requests.iter().any(|request| request.contains(asked)), "{requests:?}");
    }
    for arguments in ["list a -A", "list image/images --selector team=web"] {
        let run = cluster.program.run(arguments);
        assert!(run.code == 2 && run.stderr.contains("goes with the name of a kind"), "{run}");
    }
    let run = cluster.program.run("list deployments");
    assert!(
        run.code == 1 && run.stderr.contains("deployments is no kind of imgop, which has images, "),
        "{run}"
    );
}

#[test]
fn a_copy_without_an_agent_says_that_nothing_is_copied_yet() {
    let copy = "copy quay.io/a/b:1.x r.example.com/a --name a";
    let answer = |agents: bool| {
        move |request: &str| match request.split('?').next().unwrap_or_default() {
            "GET /apis/apps/v1/deployments" if agents => {
                let agent = json!({ "metadata": { "name": "imgop-agent", "namespace": "imgop-system" } });
                list("DeploymentList", "apps/v1", &[agent])
            }
            "GET /apis/apps/v1/deployments" => list("DeploymentList", "apps/v1", &[]),
            request if request.starts_with("PATCH") => (201, image("a", "True", "there")),
            _ => not_found("a"),
        }
    };
    insta::assert_snapshot!(FakeCluster::start(answer(false)).program.run(copy), @"
    exit code: 0
    ----- stdout -----
    image.skopeo.io/a created
    ----- stderr -----
    warning: nothing is copied yet: no Deployment in this cluster has the label app.kubernetes.io/name=imgop-agent; to install it: kubectl imgop install
    to follow it: kubectl imgop wait a -n ci
    ");
    let with_agent = FakeCluster::start(answer(true)).program.run(copy);
    assert_eq!(with_agent.stderr, "to follow it: kubectl imgop wait a -n ci\n");
}

#[test]
fn a_copy_where_the_agent_may_not_work_says_so() {
    let message = "the agent may not work in namespace ci; enable it with: kubectl create rolebinding imgop-agent -n ci";
    let is_applied = std::sync::atomic::AtomicBool::new(false);
    let cluster = FakeCluster::start(move |request| match request.split('?').next().unwrap_or_default() {
        "GET /apis/apps/v1/deployments" => {
            let agent = json!({ "metadata": { "name": "imgop-agent", "namespace": "imgop-system" } });
            list("DeploymentList", "apps/v1", &[agent])
        }
        request if request.starts_with("PATCH") => {
            is_applied.store(true, std::sync::atomic::Ordering::Relaxed);
            (201, image("a", "False", message))
        }
        request
            if request.ends_with("/images/a") && is_applied.load(std::sync::atomic::Ordering::Relaxed) =>
        {
            let mut refused = image("a", "False", message);
            refused["status"]["conditions"][0]["reason"] = json!("NamespaceNotEnabled");
            (200, refused)
        }
        _ => not_found("a"),
    });
    let run = cluster.program.run("copy quay.io/a/b:1.x r.example.com/a --name a");
    assert!(run.code == 0 && run.stderr.contains(&format!("warning: {message}")), "{run}");
    assert!(run.stderr.contains("hint: an administrator's command: kubectl imgop enable ci; "), "{run}");
}

#[test]
fn a_field_that_another_manager_keeps_is_printed_with_its_manager() {
    let mut before = image("a", "True", "there");
    before["spec"] = json!({ "mode": "OnceByTag", "frequency": "1h",
        "source": { "name": "quay.io/a/b", "version": "1.x" }, "destination": { "name": "r.example.com/a" } });
    before["metadata"]["managedFields"] = json!([{ "manager": "argocd-controller", "operation": "Apply",
        "apiVersion": "skopeo.io/v1alpha1", "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": { "f:frequency": {} } } }]);
    let cluster = FakeCluster::start(move |request| match request {
        request if request.contains("/deployments") => (403, json!({ "code": 403, "message": "no" })),
        request if request.contains("/images/a") => (200, before.clone()),
        _ => not_found("x"),
    });
    let run = cluster.program.run("copy quay.io/a/b:1.x r.example.com/a --name a");
    assert_eq!(run.stderr, "warning: frequency stays 1h: owned by argocd-controller\n", "{run}");
}

#[test]
fn a_refused_apply_names_the_verb_that_is_missing() {
    let refusal = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "images.skopeo.io \"a\" is forbidden: User \"dev\" cannot patch resource \"images\" in API group \"skopeo.io\" in the namespace \"ci\"" });
    let cluster = FakeCluster::start(move |request| match request {
        request if request.starts_with("PATCH") => (403, refusal.clone()),
        _ => not_found("a"),
    });
    let run = cluster.program.run("copy quay.io/a/b:1.x r.example.com/a --name a");
    assert!(run.stderr.contains("kubectl auth can-i patch images.skopeo.io -n ci"), "{run}");
}

#[test]
fn several_failures_are_a_line_each_and_their_hints_stand_once() {
    let cluster = FakeCluster::start(|request| match request {
        request if request.contains("watch") => (200, Value::Null),
        _ => list(
            "ImageList",
            "skopeo.io/v1alpha1",
            &[image("a", "False", "why a"), image("b", "False", "why b"), image("c", "True", "there")],
        ),
    });
    insta::assert_snapshot!(cluster.program.run("wait --timeout 20s"), @"
    exit code: 1
    ----- stderr -----
    error: a is not ready: why a
    error: b is not ready: why b
    c is ready: there

    hint: kubectl imgop describe NAME -n ci
    hint: once it is fixed: kubectl imgop sync NAME --retry -n ci
    ");
}

#[test]
fn a_description_shows_a_long_message_once() {
    let cluster = FakeCluster::start(|request| match request {
        request if request.contains("/events") => {
            let event = json!({ "metadata": { "name": "e" }, "involvedObject": {}, "type": "Warning",
                "reason": "CopyFailed", "message": DENIED, "lastTimestamp": "2026-01-01T00:00:00Z" });
            list("EventList", "v1", &[event])
        }
        request if request.contains("/jobs") => list("JobList", "batch/v1", &[]),
        _ => (200, image("a", "False", DENIED)),
    });
    let run = cluster.program.run("describe a");
    assert!(run.stdout.lines().all(|line| line.len() <= 80), "{run}");
    let unwrapped = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!((unwrapped.matches(DENIED).count(), unwrapped.matches("(as above)").count()), (1, 2), "{run}");
}

#[test]
fn a_default_that_a_flag_asks_for_is_submitted() {
    let cluster = FakeCluster::start(|request| match request {
        request if request.starts_with("PATCH") => (201, image("a", "True", "there")),
        _ => not_found("a"),
    });
    let run = cluster.program.run(
        "copy quay.io/a/b:1.x r.example.com/a --name a --overwrite IfDifferent --suspend=false --force-conflicts",
    );
    assert_eq!(run.code, 0, "{run}");
    let applied = cluster.bodies().into_iter().find(|body| body.contains("destination")).unwrap();
    assert!(
        applied.contains(r#""overwrite":"IfDifferent""#) && applied.contains(r#""suspend":false"#),
        "{applied}"
    );
}

#[test]
fn a_condition_that_is_not_there_is_named_as_what_was_waited_for() {
    let cluster = FakeCluster::start(|_| (200, image("a", "True", "there")));
    let waited = |condition: &str| cluster.program.run(&format!("wait a --for {condition} --timeout 0"));
    let run = waited("condition=Stalled");
    assert!(run.code == 1 && run.stderr.contains("a is without condition Stalled=True: there"), "{run}");
    let run = waited("condition=Stalled=False");
    assert_eq!((run.code, run.stderr.as_str()), (0, "a: Stalled is False: there\n"), "{run}");
}

#[test]
fn zero_checks_once_whether_objects_are_ready() {
    let cluster = FakeCluster::start(|request| match request {
        request if request.contains("watch") => panic!("nothing is waited for: {request}"),
        request if request.contains("/images/a") => (200, image("a", "True", "there")),
        _ => (200, image("b", "False", "why b")),
    });
    let ready = cluster.program.run("wait a --timeout 0");
    assert_eq!((ready.code, ready.stderr.as_str()), (0, "a is ready: there\n"), "{ready}");
    insta::assert_snapshot!(cluster.program.run("wait b --timeout 0s"), @"
    exit code: 1
    ----- stderr -----
    error: b is not ready: why b

    hint: kubectl imgop describe b -n ci
    hint: once it is fixed: kubectl imgop sync b --retry -n ci
    ");
    let stalled = cluster.program.run("wait b --timeout 0 --for=condition=Stalled=True");
    assert_eq!(stalled.code, 0, "{stalled}");
}

#[test]
fn a_cause_that_the_user_has_ended_is_waited_for_until_the_agent_has_noticed() {
    let with = |ready: &'static str, message: &'static str, version: &str| {
        let mut image = image("a", ready, message);
        image["metadata"]["resourceVersion"] = json!(version);
        image["status"]["conditions"][0]["reason"] = json!("SecretUnusable");
        image
    };
    let run = |change: Value| {
        let before = with("False", "Secret push does not exist", "1");
        let cluster = FakeCluster::start(move |request| match request {
            request if request.contains("watch=") => {
                (200, json!({ "type": "MODIFIED", "object": change.clone() }))
            }
            request if request.contains("/images/a") => (200, before.clone()),
            _ => list("ImageList", "skopeo.io/v1alpha1", std::slice::from_ref(&before)),
        });
        cluster.program.run("copy quay.io/a/b:1 r.example.com/d --name a --wait --timeout 20s")
    };
    let repaired = run(with("True", "there", "2"));
    assert!(repaired.code == 0 && repaired.stderr.ends_with("a is ready: there\n"), "{repaired}");
    let confirmed = run(with("False", "Secret push has no password", "2"));
    assert!(confirmed.code == 1, "{confirmed}");
    assert!(confirmed.stderr.contains("a is not ready: Secret push has no password"), "{confirmed}");
}

#[test]
fn a_lost_api_server_is_reported_once_and_named_at_the_end() {
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let cluster = FakeCluster::start(move |_| {
        if is_first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return (200, image("a", "Unknown", "under way"));
        }
        (500, json!({ "kind": "Status", "code": 500, "message": "etcd has no leader" }))
    });
    let run = cluster.program.run("wait a --timeout 3s");
    insta::assert_snapshot!(run, @"
    exit code: 1
    ----- stderr -----
    warning: etcd has no leader; trying again
    error: a is not ready after 3s: its state is not known: etcd has no leader

    hint: kubectl imgop describe a -n ci
    ");
}

#[test]
fn a_refused_watch_of_all_namespaces_names_what_was_refused() {
    let cluster = FakeCluster::start(|request| match request {
        request if request.contains("watch") => {
            let message = "images.skopeo.io is forbidden: User \"dev\" cannot watch resource \"images\" in API group \"skopeo.io\" at the cluster scope";
            (403, json!({ "kind": "Status", "code": 403, "reason": "Forbidden", "message": message }))
        }
        _ => list("ImageList", "skopeo.io/v1alpha1", &[image("a", "True", "there")]),
    });
    let run = cluster.program.run("list -A --watch");
    assert!(run.stderr.ends_with("kubectl auth can-i watch images.skopeo.io -A\n"), "{run}");
}

#[test]
fn a_list_can_be_sorted_and_narrowed_to_what_is_not_ready() {
    let objects =
        || [image("c", "True", "there"), image("a", "False", "why a"), image("b", "Unknown", "under way")];
    let cluster = FakeCluster::start(move |_| list("ImageList", "skopeo.io/v1alpha1", &objects()));
    let names = |arguments: &str| {
        cluster.program.run(arguments).stdout.replace("image.skopeo.io/", "").replace('\n', "")
    };
    assert_eq!(names("list -o name"), "cab");
    assert_eq!(names("list -o name --sort-by .metadata.name"), "abc");
    assert_eq!(names("list -o name --not-ready"), "ab");
}
