//! `copy` without a cluster.

use crate::program::Program;

const ARGOCD: &str = "copy quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd";

#[test]
fn a_dry_run_prints_the_manifest_and_nothing_that_was_not_asked_for() {
    let run = Program::new().run(&format!("{ARGOCD} --dry-run=client -o yaml"));
    insta::assert_snapshot!(run, @"
    exit code: 0
    ----- stdout -----
    apiVersion: skopeo.io/v1alpha1
    kind: Image
    metadata:
      name: argocd-v2-13-x-927697c7
    spec:
      destination:
        name: registry.example.com/argoproj/argocd
      mode: OnceByTag
      source:
        name: quay.io/argoproj/argocd
        version: v2.13.x
    ");
}

#[test]
fn flags_of_build_are_taken_by_the_names_that_they_have_there() {
    let printed = |flags: &str| {
        Program::new().run(&format!("copy nginx:1 r.example.com/a {flags} --dry-run=client -o yaml"))
    };
    let own = printed("--platforms linux/s390x --mode OneShot");
    assert_eq!(own.code, 0, "{own}");
    assert_eq!(printed("--platform linux/s390x --mode oneshot").stdout, own.stdout);
}

#[test]
fn a_mode_that_may_mean_two_is_refused_with_both() {
    let run = Program::new().run("copy nginx:1 r.example.com/a --mode Once --dry-run=client");
    assert_eq!(run.code, 2, "{run}");
    for words in ["invalid value 'Once'", "OneShot copies once", "OnceByTag each matching tag once"] {
        assert!(run.stderr.contains(words), "{words}: {run}");
    }
    assert!(!run.stderr.contains("similar value"), "{run}");
}

#[test]
fn where_there_is_no_cluster_it_is_said_how_to_copy_without_one() {
    insta::assert_snapshot!(Program::new().run("copy nginx:1 registry.example.com/nginx"), @"
    exit code: 1
    ----- stderr -----
    error: cannot read [HOME]/kubeconfig: No such file or directory (os error 2)

    hint: name the cluster with --kubeconfig, --context or $KUBECONFIG, as for kubectl
    hint: to copy from this machine, at once and without a cluster: --local
    ");
}

#[test]
fn every_flag_becomes_a_field() {
    let run = Program::new().run(
        "copy nginx registry.example.com/web/nginx:mirror-{tag} --versions 1.27.x-alpine --name web -n ci \
         --mode recurrent --frequency 1h30m --suspend --allow-candidate-release --overwrite IfMissing --publish Direct \
         --source-credentials pull --destination-credentials push --source-tls SkipVerify \
         --destination-ca-secret corp-ca --dry-run=client -o yaml",
    );
    insta::assert_snapshot!(run, @"
    exit code: 0
    ----- stdout -----
    apiVersion: skopeo.io/v1alpha1
    kind: Image
    metadata:
      name: web
      namespace: ci
    spec:
      allowCandidateRelease: true
      destination:
        credentials:
          secretName: push
        name: registry.example.com/web/nginx
        overwrite: IfMissing
        publish: Direct
        tls:
          caSecretName: corp-ca
        version: mirror-{tag}
      frequency: 1h30m
      mode: Recurrent
      source:
        credentials:
          secretName: pull
        name: docker.io/library/nginx
        tls:
          mode: SkipVerify
        version: 1.27.x-alpine
      suspend: true
    ");
}

#[test]
fn a_dry_run_prints_the_name() {
    let program = Program::new();
    insta::assert_snapshot!(program.run(&format!("{ARGOCD} --dry-run=client")), @"
    exit code: 0
    ----- stdout -----
    image.skopeo.io/argocd-v2-13-x-927697c7 created (dry run)
    ");
    insta::assert_snapshot!(program.run(&format!("{ARGOCD} --dry-run=client -o name")), @"
    exit code: 0
    ----- stdout -----
    image.skopeo.io/argocd-v2-13-x-927697c7
    ");
    let digest = imgop_registry::reference::Digest::of(b"x");
    let by_digest = format!("copy nginx@{digest} registry.example.com/nginx:stable --dry-run=client");
    insta::assert_snapshot!(program.run(&by_digest), @"
    exit code: 0
    ----- stdout -----
    image.skopeo.io/nginx-2d711642b726-5ce53e06 created (dry run)
    ");
}

#[test]
fn everything_that_is_wrong_is_reported_before_anything_is_sent() {
    let run = Program::new().run("copy docker://quay.io/a/b:2.x registry.example.com:5000 --frequency 1.5d");
    insta::assert_snapshot!(run, @r#"
    exit code: 2
    ----- stderr -----
    error: invalid arguments:
      SOURCE: "docker://quay.io/a/b" starts with a scheme; leave "docker://" out
      DESTINATION: "registry.example.com:5000" is a registry; write a repository in it, such as registry.example.com:5000/argoproj/argocd
      --frequency: "1.5d" is not a frequency; write whole numbers with s, m, h, d or w, such as 30s, 5m, 1h30m or 1d
    "#);
}

#[test]
fn a_fixed_tag_is_refused_for_a_pattern() {
    insta::assert_snapshot!(Program::new().run("copy quay.io/a/b:2.x registry.example.com/a:stable"), @r#"
    exit code: 2
    ----- stderr -----
    error: DESTINATION:VERSION: "stable" would put every tag that matches "2.x" onto one; leave it out, repeat the pattern, use {tag}, or give --latest 1
    "#);
}

#[test]
fn values_that_a_flag_does_not_know_come_with_those_that_it_knows() {
    insta::assert_snapshot!(Program::new().run(&format!("{ARGOCD} --mode Always")), @"
    exit code: 2
    ----- stderr -----
    error: invalid value 'Always' for '--mode <MODE>'
      [possible values: OneShot, OnceByTag, Recurrent]

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(Program::new().run(&format!("{ARGOCD} --name A/b")), @r#"
    exit code: 2
    ----- stderr -----
    error: invalid value 'A/b' for '--name <NAME>': "A/b" is not a valid name; names consist of lower-case letters, digits, '-' and '.'

    For more information, try '--help'.
    "#);
}

#[test]
fn mistakes_are_explained_by_flags() {
    let digest = imgop_registry::reference::Digest::of(b"x");
    let by_digest = format!("copy nginx@{digest} registry.example.com/nginx");
    insta::assert_snapshot!(Program::new().run(&by_digest), @"
    exit code: 2
    ----- stderr -----
    error: DESTINATION:VERSION: it is needed when the version of SOURCE is a digest; give the tag to write
    ");
    insta::assert_snapshot!(Program::new().run("copy quay.io/a/b:2.x registry.example.com/a:3.x"), @r#"
    exit code: 2
    ----- stderr -----
    error: DESTINATION:VERSION: "3.x" is a pattern, but the version of SOURCE is not the same one; leave it out to keep each tag
    "#);
}
