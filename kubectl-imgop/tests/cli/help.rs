//! Every help page.

use crate::program::Program;

#[test]
fn every_help_page_is_as_it_was_written() {
    let program = Program::new();
    let page = |verb: &str| program.run(&format!("{verb} --help")).stdout;
    insta::assert_snapshot!("help", page(""));
    let verbs = [
        "copy",
        "build",
        "preview",
        "list",
        "describe",
        "history",
        "sync",
        "wait",
        "logs",
        "cancel",
        "suspend",
        "resume",
        "delete",
        "doctor",
        "install",
        "upgrade",
        "uninstall",
        "enable",
        "disable",
    ];
    for verb in verbs.into_iter().chain([
        "verify",
        "run",
        "mirror",
        "search",
        "tags",
        "quota",
        "completion",
        "version",
    ]) {
        insta::assert_snapshot!(format!("help-{verb}"), page(verb));
    }
}

#[test]
fn a_verb_without_a_cluster_lists_no_flag_for_one_and_accepts_all() {
    let program = Program::new();
    for verb in ["mirror", "run", "search", "tags", "completion"] {
        let run = program.run(&format!("{verb} --help"));
        assert!(!run.stdout.contains("Connection") && !run.stdout.contains("--no-input"), "{run}");
    }
    for flags in ["-n ci --context prod --no-input completion bash", "completion bash -n ci --no-input"] {
        let run = program.run(flags);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run}");
    }
}

#[test]
fn a_flag_without_effect_on_a_comparison_is_not_listed_there() {
    let program = Program::new();
    for (verb, flags) in [
        (
            "verify",
            "--min-age --immutable-tags --overwrite --mode --frequency --schedule --time-zone --suspend --publish",
        ),
        ("preview", "--mode --frequency --schedule --time-zone --suspend --publish"),
    ] {
        let page = program.run(&format!("{verb} --help")).stdout;
        for flag in flags.split(' ') {
            assert!(!page.contains(&format!("      {flag}")), "{verb} {flag}:\n{page}");
        }
    }
}

#[test]
fn help_speaks_of_kubectl_imgop_and_ends_well() {
    let run = Program::new().run("list -h");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.contains("Usage: kubectl imgop list"), "{}", run.stdout);
}

#[test]
fn no_arguments_and_wrong_ones_are_a_matter_of_usage() {
    let program = Program::new();
    let bare = program.run("");
    assert_eq!(bare.code, 2);
    assert!(bare.stderr.contains("Usage: kubectl imgop"), "{bare}");
    insta::assert_snapshot!(program.run("copy quay.io/a/b:1"), @"
    exit code: 2
    ----- stderr -----
    error: missing: DESTINATION

    hint: without DESTINATION it goes to the default destination of the namespace, if an administrator has set one that you may read
    hint: for example: kubectl imgop copy quay.io/argoproj/argocd:v2.13.x registry.example.com/argoproj/argocd
    hint: on a terminal, kubectl imgop copy asks for what is missing
    ");
    insta::assert_snapshot!(program.run("lst"), @"
    exit code: 2
    ----- stderr -----
    error: unrecognized subcommand 'lst'

      tip: some similar subcommands exist: 'ls', 'list'

    Usage: kubectl imgop [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(program.run("sync"), @"
    exit code: 2
    ----- stderr -----
    error: missing: NAME, --selector or --all

    hint: on a terminal, you can pick from those that exist
    ");
}

#[test]
fn the_version_needs_no_cluster() {
    let program = Program::new();
    insta::assert_snapshot!(program.run("version --client"), @"
    exit code: 0
    ----- stdout -----
    Client: v0.1.0
    ");
    insta::assert_snapshot!(program.run("version --client -o json"), @r#"
    exit code: 0
    ----- stdout -----
    {
        "clientVersion": "v0.1.0"
    }
    "#);
    insta::assert_snapshot!(program.run("version"), @"
    exit code: 0
    ----- stdout -----
    Client: v0.1.0
    ----- stderr -----
    warning: the agent's version is unknown: cannot read [HOME]/kubeconfig: No such file or directory (os error 2)
    ");
}

#[test]
fn words_of_other_programs_lead_to_the_right_verb_and_never_to_one_that_is_spelled_alike() {
    let program = Program::new();
    for (word, tip) in [
        ("edit", "use 'kubectl edit images.skopeo.io NAME'"),
        ("status", "use 'kubectl imgop describe'"),
        ("diff", "use 'kubectl imgop preview'"),
        ("reconcile", "use 'kubectl imgop sync'"),
        ("pause", "use 'kubectl imgop suspend'"),
        ("compare", "use 'kubectl imgop verify'"),
        ("ratelimit", "use 'kubectl imgop quota'"),
        ("versions", "use 'kubectl imgop tags'"),
        ("apply", "use 'kubectl imgop copy'"),
        ("diagnose", "use 'kubectl imgop doctor'"),
        ("setup", "use 'kubectl imgop install'"),
        ("revoke", "use 'kubectl imgop disable'"),
        ("timeline", "use 'kubectl imgop history'"),
    ] {
        let run = program.run(word);
        assert!(run.code == 2 && run.stderr.contains(tip), "{run}");
        assert_eq!(run.stderr.matches("tip:").count(), 1, "{run}");
    }
    let wrong_flag = program.run("list --dry-run");
    assert!(wrong_flag.code == 2 && !wrong_flag.stderr.contains("-- --dry-run"), "{wrong_flag}");
}
