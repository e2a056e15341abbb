//! `build` against a scripted API server: the ConfigMap and the Secret that go with an ImageBuilder.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::{Value, json};

use crate::build::{CONTEXT, TAG, files, is_input};
use crate::fake_cluster::{FakeCluster, builder, list, refused};

/// The metadata of an object.
fn metadata(fields: &Value) -> (u16, Value) {
    (200, json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": fields }))
}

/// A cluster that has an ImageBuilder and nothing of what belongs to it, unless `answer` says something else.
fn cluster(answer: impl Fn(&str) -> Option<(u16, Value)> + Send + Sync + 'static) -> FakeCluster {
    let mut built = builder("api", "True", "Succeeded", "build 2 is pushed");
    built["spec"]["image"]["name"] = json!("registry.example.com/team/api");
    let cluster = FakeCluster::with_builders(move |request| {
        if let Some(answer) = answer(request) {
            return answer;
        }
        match request {
            request if is_input(request) => refused(404, "NotFound", "not found"),
            request if request.contains("/nodes") => list("NodeList", "v1", &[]),
            request if request.starts_with("PATCH") && !request.contains("/imagebuilders/") => {
                let kind = if request.contains("/secrets/") { "Secret" } else { "ConfigMap" };
                (200, json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": "x" } }))
            }
            _ => (200, built.clone()),
        }
    });
    files(&cluster.program);
    cluster
}

/// Returns what was applied in earnest: the kind, and the UID of the owner.
fn applied(cluster: &FakeCluster) -> Vec<(String, Value)> {
    let lines = cluster.requests().into_iter().filter(|line| !line.starts_with("GET"));
    let sent = lines.zip(cluster.bodies()).filter(|(line, _)| !line.contains("dryRun"));
    sent.map(|(_, body)| {
        let object: Value = serde_json::from_str(&body).unwrap();
        let owner = object.pointer("/metadata/ownerReferences/0/uid").cloned().unwrap_or_default();
        (object["kind"].as_str().unwrap_or_default().to_owned(), owner)
    })
    .collect()
}

#[test]
fn what_goes_with_a_builder_that_is_there_has_its_owner_all_along() {
    let cluster = cluster(|_| None);
    let run = cluster.program.run(&format!("build app {TAG} --secret id=token,src=app/.env --detach"));
    assert_eq!(run.code, 0, "{run}");
    let kinds = [("ConfigMap", json!("b")), ("Secret", json!("b")), ("ImageBuilder", Value::Null)];
    assert_eq!(applied(&cluster), kinds.map(|(kind, owner)| (kind.to_owned(), owner)));
}

#[test]
fn secrets_need_not_be_readable_to_be_sent_and_those_of_the_user_are_kept_all_the_same() {
    let with_secret = |found: Value| {
        cluster(move |request| match request {
            request if request.contains("/secrets/") && request.starts_with("GET") => Some(refused(
                403,
                "Forbidden",
                "secrets is forbidden: User \"eve\" cannot get resource \"secrets\"",
            )),
            request if request.contains("/secrets/") && request.contains("dryRun") => Some(metadata(&found)),
            _ => None,
        })
    };
    let build = format!("build app {TAG} --secret id=token,src=app/.env --detach");
    let absent = with_secret(json!({ "name": "api-build-secrets", "uid": "new" }));
    assert_eq!(absent.program.run(&build).code, 0);
    assert_eq!(applied(&absent).len(), 3);
    let of_user = with_secret(json!({ "name": "api-build-secrets", "uid": "old", "resourceVersion": "7" }));
    let run = of_user.program.run(&build);
    assert!(run.code == 1 && run.stderr.contains("was not made for imagebuilder/api"), "{run}");
    assert_eq!(applied(&of_user), []);
}

#[cfg(unix)]
#[test]
fn ctrl_c_while_files_are_sent_leaves_none_without_an_owner() {
    let (arrives, reached): (Sender<()>, Receiver<()>) = channel();
    let (goes_on, may_go_on): (Sender<()>, Receiver<()>) = channel();
    let (arrives, may_go_on) = (Mutex::new(arrives), Mutex::new(may_go_on));
    let cluster = cluster(move |request| {
        let is_builder = request.contains("/imagebuilders/");
        if is_builder && request.starts_with("PATCH") && !request.contains("dryRun") {
            arrives.lock().unwrap().send(()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
        }
        (is_builder && request.starts_with("GET")).then(|| refused(404, "NotFound", "not found"))
    });
    let child = Command::new(env!("CARGO_BIN_EXE_kubectl-imgop"))
        .args(format!("build app {TAG}").split_whitespace())
        .env_clear()
        .envs(cluster.program.environment())
        .current_dir(cluster.program.home())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    reached.recv().unwrap();
    let interrupt = Command::new("/bin/sh").args(["-c", &format!("kill -INT {}", child.id())]).status();
    assert!(interrupt.unwrap().success());
    goes_on.send(()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let printed = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{printed}");
    assert!(printed.contains("To end the build: kubectl imgop cancel api"), "{printed}");
    let last = applied(&cluster).pop();
    assert_eq!(last, Some(("ConfigMap".to_owned(), json!("b"))), "{CONTEXT} belongs to the ImageBuilder");
}
