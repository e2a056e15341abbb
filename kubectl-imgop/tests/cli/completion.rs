//! What a shell is offered.

use serde_json::json;

use crate::fake_cluster::{FakeCluster, image, kubeconfig, list, names};
use crate::program::Program;

#[test]
fn verbs_flags_and_values_are_completed() {
    let program = Program::new();
    insta::assert_snapshot!(program.run_with(&["__complete", "s"]), @"
    exit code: 0
    ----- stdout -----
    search	Search Docker Hub, Quay and ECR Public for repositories
    sync	Sync Images now, and wait for the outcome
    suspend	Suspend Images: start no more syncs until they are resumed
    :4
    ");
    insta::assert_snapshot!(program.run_with(&["__complete", "copy", "a:1", "b/c", "--mode", "O"]), @"
    exit code: 0
    ----- stdout -----
    OneShot	Once
    OnceByTag	Each matching tag once, including tags that appear later
    :4
    ");
    insta::assert_snapshot!(program.run_with(&["__complete", "describe", "--out"]), @"
    exit code: 0
    ----- stdout -----
    --output	Print the Image itself, as kubectl get does
    :4
    ");
}

#[test]
fn without_a_cluster_no_names_are_offered_and_no_error_is_printed() {
    insta::assert_snapshot!(Program::new().run_with(&["__complete", "describe", "-n", "ci", "arg"]), @"
    exit code: 0
    ----- stdout -----
    :4
    ");
}

#[test]
fn each_shell_has_a_script() {
    let program = Program::new();
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef"), ("fish", "complete -c"), ("powershell", "Register")]
    {
        let run = program.run(&format!("completion {shell}"));
        assert!(
            run.code == 0 && run.stdout.contains(word) && run.stdout.contains("suspend"),
            "{shell}: {run}"
        );
    }
    insta::assert_snapshot!(program.run("completion kubectl"), @r#"
    exit code: 0
    ----- stdout -----
    #!/bin/sh
    exec kubectl-imgop __complete "$@"
    "#);
}

fn completed(cluster: &FakeCluster, words: &[&str]) -> Vec<String> {
    let mut arguments = vec!["__complete"];
    arguments.extend(words);
    let run = cluster.program.run_with(&arguments);
    assert_eq!(run.code, 0, "{run}");
    run.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn verbs_are_offered_by_their_names_and_flags_only_after_a_dash() {
    let cluster = FakeCluster::start(|_| names(&[]));
    let verbs = completed(&cluster, &[""]);
    assert!(verbs.contains(&"list".to_owned()), "{verbs:?}");
    assert!(!verbs.iter().any(|verb| verb == "get" || verb.starts_with('-')), "{verbs:?}");
    assert_eq!(completed(&cluster, &["ge"]), ["get", ":4"], "an alias that is typed is completed");
    assert!(completed(&cluster, &["sync", "-"]).contains(&"--all".to_owned()));
}

#[test]
fn names_that_are_given_already_are_not_offered_again() {
    let cluster = FakeCluster::start(|_| names(&["argocd", "busybox", "nginx"]));
    assert_eq!(completed(&cluster, &["sync", "argocd", "image/nginx", ""]), ["busybox", ":4"]);
    assert_eq!(completed(&cluster, &["describe", "-n", "ci", "n"]), ["nginx", ":4"]);
    assert_eq!(completed(&cluster, &["describe", "image/n"]), ["image/nginx", ":4"]);
}

#[test]
fn namespaces_contexts_secrets_and_tags_are_offered() {
    let cluster = FakeCluster::start(|request| match request {
        request if request.starts_with("GET /api/v1/namespaces?") => names(&["ci", "default"]),
        request if request.contains("/secrets") && request.contains("dockerconfigjson") => names(&["push"]),
        request if request.contains("/secrets") => names(&["corp-ca", "push"]),
        request if request.contains("/jobs") => {
            let copies = json!([{ "source": "1.0", "destination": "1.0", "attempt": 1, "digest": format!("sha256:{}", "0".repeat(64)) }]);
            let job = json!({ "metadata": { "name": "j", "annotations": { "imgop.skopeo.io/copies": copies.to_string() } } });
            list("JobList", "batch/v1", &[job])
        }
        _ => (200, image("a", "True", "there")),
    });
    assert_eq!(completed(&cluster, &["list", "-n", ""]), ["ci", "default", ":4"]);
    assert_eq!(completed(&cluster, &["list", "--context", ""]), ["here", "there", ":4"]);
    let copy = ["copy", "a:1", "b/c", "--destination-credentials", ""];
    assert_eq!(completed(&cluster, &copy), ["push", ":4"]);
    let copy = ["copy", "a:1", "b/c", "--source-ca-secret", ""];
    assert_eq!(completed(&cluster, &copy), ["corp-ca", "push", ":4"]);
    assert_eq!(completed(&cluster, &["logs", "a", "--tag", ""]), ["1.0", ":4"]);
}

#[cfg(unix)]
#[test]
fn a_program_that_logs_in_and_waits_for_its_user_is_left_alone() {
    let program = Program::new();
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/sh, \
        args: ['-c', 'echo password: >&2; exec sleep 60'], interactiveMode: IfAvailable}";
    let kubeconfig = kubeconfig("http://127.0.0.1:1").replace("user: {}", &format!("user: {{{exec}}}"));
    program.file("kubeconfig", &kubeconfig);
    let run = program.variable("PATH", "/usr/bin:/bin").run_with(&["__complete", "describe", ""]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, ":4\n", ""), "{run}");
}
