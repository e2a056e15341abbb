//! Errors of the connection, and of arguments that lead nowhere.

use crate::fake_cluster::kubeconfig;
use crate::program::Program;

#[test]
fn an_absent_kubeconfig_is_reported_with_its_path() {
    insta::assert_snapshot!(Program::new().run("list"), @"
    exit code: 1
    ----- stderr -----
    error: cannot read [HOME]/kubeconfig: No such file or directory (os error 2)

    hint: name the cluster with --kubeconfig, --context or $KUBECONFIG, as for kubectl
    ");
}

#[test]
fn an_api_server_that_does_not_answer_is_reported_with_its_address() {
    let program = Program::new();
    // Only root may listen on port 1, and no program does.
    program.file("kubeconfig", &kubeconfig("http://127.0.0.1:1"));
    insta::assert_snapshot!(program.run("list"), @"
    exit code: 1
    ----- stderr -----
    error: cannot reach the API server at http://127.0.0.1:1/: Connection refused (os error 111)

    hint: check the cluster with kubectl cluster-info, or choose another one with --context
    ");
}

#[test]
fn an_unknown_context_comes_with_how_to_list_them() {
    let program = Program::new();
    program.file("kubeconfig", &kubeconfig("http://127.0.0.1:1"));
    insta::assert_snapshot!(program.run("list --context elsewhere"), @r#"
    exit code: 1
    ----- stderr -----
    error: the kubeconfig has no context "elsewhere"

    hint: kubectl config get-contexts lists the contexts; choose one with --context
    "#);
}

#[test]
fn names_and_namespaces_that_would_lead_elsewhere_are_refused() {
    let program = Program::new();
    insta::assert_snapshot!(program.run("describe ../../secrets/x"), @r#"
    exit code: 2
    ----- stderr -----
    error: invalid value '../../secrets/x' for '[NAME]': "../../secrets/x" is not a valid name; names consist of lower-case letters, digits, '-' and '.'

    For more information, try '--help'.
    "#);
    assert_eq!(program.run("list -n ../x").code, 2);
    assert_eq!(program.run("sync a/b/c").code, 2);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("kubectl-imgop"))
        .args(["copy", "nginx:1", "registry.example.com/nginx", "--dry-run=client", "-o", "yaml"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn nothing_is_deleted_without_a_word_of_consent() {
    insta::assert_snapshot!(Program::new().run("delete argocd"), @"
    exit code: 2
    ----- stderr -----
    error: cannot ask for confirmation without a terminal; add --yes to delete
    ");
    insta::assert_snapshot!(Program::new().run("delete"), @"
    exit code: 2
    ----- stderr -----
    error: missing: NAME, --selector or --all; and --yes

    hint: on a terminal, you can pick from those that exist
    ");
}

#[test]
fn a_watch_follows_one_image_or_all() {
    insta::assert_snapshot!(Program::new().run("list a b --watch"), @"
    exit code: 2
    ----- stderr -----
    error: --watch takes one name, a --selector, or all of the namespace
    ");
}
