//! What a shell is told.

use crate::program::Program;

#[test]
fn kubectl_is_told_verbs_flags_and_values() {
    let program = Program::new();
    insta::assert_snapshot!(program.run_with(&["__complete", "s"]), @"
    exit code: 0
    ----- stdout -----
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
fn without_a_cluster_no_names_are_offered_and_nothing_is_said() {
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
