//! What a shell is offered.

use imgop_fakes::{Background, Catalog, ConnectProxy, ScriptedRegistry, Seen};
use serde_json::json;

use crate::fake_cluster::{FakeCluster, image, kubeconfig, list, names};
use crate::preview::source;
use crate::program::Program;

#[test]
fn verbs_flags_and_values_are_completed() {
    let program = Program::new();
    insta::assert_snapshot!(program.run_with(&["__complete", "s"]), @"
    exit code: 0
    ----- stdout -----
    search	Search Docker Hub, Quay and ECR Public for repositories
    sync	Sync Images and mirrors or rebuild ImageBuilders now, and wait for the outcome
    suspend	Suspend Images and ImageBuilders: start no more syncs and builds until they are resumed
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
    --output	Print the object itself, as kubectl get does
    :4
    ");
}

#[test]
fn platforms_and_causes_of_builds_are_offered_one_after_the_other() {
    let program = Program::new();
    let build = ["build", ".", "-t", "r.example.com/a:1"];
    let offered = |typed: [&str; 2]| words(&program, &[&build[..], &typed].concat());
    assert_eq!(offered(["--rebuild-on", ""]), ["Source", "BaseImage", ":4"]);
    let begun = "linux/amd64,linux/ar";
    assert_eq!(offered(["--platform", begun]), ["linux/amd64,linux/arm64", "linux/amd64,linux/arm/v7", ":4"]);
    let copy = words(&program, &["copy", "a:1", "b/c", "--platforms", "linux/am"]);
    assert_eq!(copy, ["linux/amd64", ":4"]);
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
        [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete --"), ("powershell", "Register")]
    {
        let run = program.run(&format!("completion {shell}"));
        let asks = run.stdout.contains("KUBECTL_IMGOP_COMPLETE");
        assert!(run.code == 0 && run.stdout.contains(word) && asks, "{shell}: {run}");
    }
    insta::assert_snapshot!(program.run("completion kubectl"), @r#"
    exit code: 0
    ----- stdout -----
    #!/bin/sh
    exec kubectl-imgop __complete "$@"
    "#);
}

fn completed(cluster: &FakeCluster, typed: &[&str]) -> Vec<String> {
    words(&cluster.program, typed)
}

/// Returns what is offered. Nothing else is shown.
fn words(program: &Program, typed: &[&str]) -> Vec<String> {
    let run = program.run_with(&[&["__complete"], typed].concat());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run}");
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
fn what_administrators_lend_is_offered_to_verbs_that_only_read() {
    let cluster = FakeCluster::with_builders(|request| match request {
        request if request.contains("/registryaccesses") => names(&["corp"]),
        _ => names(&["argocd"]),
    });
    assert_eq!(completed(&cluster, &["describe", "registryaccess/"]), ["registryaccess/corp", ":4"]);
    assert_eq!(completed(&cluster, &["list", "reg"]), ["registryaccess/corp", ":4"]);
    assert_eq!(completed(&cluster, &["delete", "reg"]), [":4"]);
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

#[test]
fn the_script_of_a_shell_is_offered_the_same() {
    let mut cluster = FakeCluster::start(|_| names(&["argocd", "nginx"]));
    let offered = |program: &Program, words: &[&str]| {
        let run = program.run_with(&[&["--", "kubectl-imgop"], words].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run}");
        run.stdout.split('\u{b}').map(str::to_owned).collect::<Vec<_>>()
    };
    let in_bash = |program: Program, index: &str| {
        let program = program.variable("KUBECTL_IMGOP_COMPLETE", "bash").variable("_CLAP_IFS", "\u{b}");
        program.variable("_CLAP_COMPLETE_INDEX", index)
    };
    let program = in_bash(Program::new(), "1");
    assert_eq!(offered(&program, &["su"]), ["suspend"]);
    let verbs = offered(&program, &[""]);
    assert!(verbs.contains(&"list".to_owned()) && !verbs.iter().any(|verb| verb == "get"), "{verbs:?}");
    assert!(!verbs.iter().any(|verb| verb.starts_with('-')), "{verbs:?}");
    cluster.program = in_bash(std::mem::replace(&mut cluster.program, Program::new()), "3");
    assert_eq!(offered(&cluster.program, &["sync", "argocd", ""]), ["nginx"]);
}

#[test]
fn the_tags_of_a_typed_repository_are_offered_the_newest_first() {
    let source = source();
    let repository = format!("{}/argoproj/argocd", source.address);
    let (program, tags) = (Program::new(), |tags: &[&str]| {
        let tags = tags.iter().map(|tag| format!("{repository}:{tag}"));
        tags.chain([":4".to_owned()]).collect::<Vec<_>>()
    });
    for verb in ["copy", "preview", "verify", "tags"] {
        let offered = words(&program, &[verb, &format!("{repository}:v2.13.1")]);
        assert_eq!(offered, tags(&["v2.13.11-rc1", "v2.13.10", "v2.13.1", "v2.13.1-alpine"]), "{verb}");
    }
    let destination = words(&program, &["copy", "nginx:1", &format!("{repository}:l")]);
    assert_eq!(destination, tags(&["latest"]));
    let absent = format!("{}/no/such:", source.address);
    assert_eq!(words(&program, &["copy", &absent]), [":4"]);
    assert_eq!(words(&program, &["copy", "127.0.0.1:1/nothing/there:"]), [":4"]);
}

#[test]
fn repositories_that_images_use_are_offered_on_their_side() {
    let mut used = image("argocd", "True", "there");
    used["spec"]["source"]["name"] = json!("quay.io/argoproj/argocd");
    used["spec"]["destination"]["name"] = json!("r.example.com/argocd");
    let mut again = used.clone();
    again["metadata"]["name"] = json!("quick");
    let images = [used, again];
    let cluster = FakeCluster::start(move |_| list("ImageList", "skopeo.io/v1alpha1", &images));
    assert_eq!(completed(&cluster, &["copy", ""]), ["quay.io/argoproj/argocd", ":4"]);
    assert_eq!(completed(&cluster, &["copy", "nginx:1", ""]), ["r.example.com/argocd", ":4"]);
    assert_eq!(completed(&cluster, &["preview", ""]), ["argocd", "quick", "quay.io/argoproj/argocd", ":4"]);
    for verb in ["preview", "verify"] {
        assert_eq!(completed(&cluster, &[verb, "q"]), ["quick", "quay.io/argoproj/argocd", ":4"]);
        assert_eq!(completed(&cluster, &[verb, "quay"]), ["quay.io/argoproj/argocd", ":4"]);
    }
    assert_eq!(completed(&cluster, &["quota", "q"]), ["quay.io/argoproj/argocd", ":4"]);
}

#[test]
fn a_registry_whose_port_is_begun_is_asked_of_no_other_registry() {
    let mut used = image("app", "True", "there");
    used["spec"]["source"]["name"] = json!("registry.corp:5000/team/app");
    let mut cluster = FakeCluster::start(move |_| list("ImageList", "skopeo.io/v1alpha1", &[used.clone()]));
    // Whatever leaves this machine goes there.
    let proxy = Background::of(ConnectProxy::start(([127, 0, 0, 1], 1).into()));
    let program = std::mem::replace(&mut cluster.program, Program::new());
    cluster.program = program.variable("HTTPS_PROXY", &format!("http://{}", proxy.address));
    for verb in ["copy", "preview", "verify", "tags"] {
        let offered = completed(&cluster, &[verb, "registry.corp:50"]);
        assert_eq!(offered, ["registry.corp:5000/team/app", ":4"], "{verb}");
    }
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[test]
fn tags_are_read_with_the_credentials_and_the_ca_that_are_typed() {
    let (authorization, secret) = ("Basic dTpw", "dTpw");
    let registry = Catalog::default().with("app", &[("1.0", "one")]).only_for(authorization);
    let registry = registry.start_in_background();
    let repository = format!("{}/app", registry.address);
    let program = Program::new().variable("REGISTRY_PASSWORD", "p");
    let auths = json!({ "auths": { registry.address.clone(): { "auth": secret } } });
    let file = program.file("auth.json", &auths.to_string()).display().to_string();
    let begun = format!("{repository}:1");
    let offered = [format!("{repository}:1.0"), ":4".to_owned()];
    assert_eq!(words(&program, &["tags", &begun]), [":4"]);
    assert_eq!(words(&program, &["tags", "--authfile", &file, &begun]), offered);
    let entries =
        format!("- registry: '{}'\n  username: u\n  passwordEnv: REGISTRY_PASSWORD\n", registry.address);
    let file = program.file("registries.yaml", &entries).display().to_string();
    assert_eq!(words(&program, &["copy", &format!("--registry-credentials={file}"), &begun]), offered);

    let tags = |_: &Seen| imgop_fakes::json(200, json!({ "name": "app", "tags": ["1.0"] }).to_string());
    let (registry, pem) = Background::of_pair(ScriptedRegistry::start_tls(&["registry.corp"], tags));
    let proxy = Background::of(ConnectProxy::start(registry.address));
    let program = program.variable("HTTPS_PROXY", &format!("http://{}", proxy.address));
    let file = program.file("ca.crt", &String::from_utf8(pem).unwrap()).display().to_string();
    let (begun, offered) = ("registry.corp:5000/app:1", ["registry.corp:5000/app:1.0", ":4"]);
    assert_eq!(words(&program, &["preview", begun]), [":4"]);
    assert_eq!(words(&program, &["preview", "--source-ca-file", &file, begun]), offered);
    assert_eq!(words(&program, &["tags", "--ca-file", &file, begun]), offered);
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
