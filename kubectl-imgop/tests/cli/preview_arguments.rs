//! `preview` with the arguments of a `copy`.

#[cfg(unix)]
use std::ffi::OsStr;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt as _;

use crate::preview::{destination, preview, source};
use crate::program::Program;

#[test]
fn the_arguments_of_a_copy_can_be_previewed_as_they_are() {
    let (source, destination) = (source(), destination());
    let spec = " --mode Recurrent --frequency 30s --publish Direct --suspend";
    let others = " --name argocd --wait --timeout 5m --dry-run=server --force-conflicts";
    let run = preview(&source, &destination, &format!("{spec}{others}"));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run}");
    assert!(run.stdout.contains("4 tags: 2 to copy"), "{run}");
    let wrong = preview(&source, &destination, " --frequency 1x");
    assert!(wrong.code == 2 && wrong.stderr.contains("--frequency: "), "{wrong}");
}

#[test]
fn every_flag_of_copy_is_one_of_preview() {
    let flags = |verb: &str| -> Vec<String> {
        let help = Program::new().run_with(&["__complete", verb, "--"]).stdout;
        help.lines().filter_map(|line| line.split('\t').next()).map(str::to_owned).collect()
    };
    // A preview copies nothing, from nowhere.
    let others = ["--help", "--local"];
    for flag in flags("copy").iter().filter(|flag| flag.starts_with("--") && !others.contains(&flag.as_str()))
    {
        let run = Program::new().run(&format!("preview {flag}"));
        assert!(!run.stderr.contains("unexpected argument"), "{flag}: {run}");
    }
}

#[test]
fn a_preview_of_a_suspended_image_says_that_nothing_is_copied() {
    let run = preview(&source(), &destination(), " --suspend");
    assert!(run.stdout.contains("The Image is suspended: nothing is copied until it is resumed."), "{run}");
    let document = preview(&source(), &destination(), " --suspend -o json");
    assert!(document.stdout.contains("\"suspended\": true"), "{document}");
}

#[test]
fn a_flag_that_is_one_of_each_side_is_named_by_both() {
    for verb in ["preview", "copy", "plan"] {
        let run = Program::new().run(&format!("{verb} a/b:1 registry.corp/b --tls PlainHTTP"));
        let tips: Vec<&str> = run.stderr.lines().filter(|line| line.contains("tip:")).collect();
        assert_eq!(tips, ["  tip: use '--source-tls' or '--destination-tls'"], "{run}");
    }
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_keeps_no_flag_from_being_named() {
    let mut arguments = vec![OsStr::new("--kubeconfig"), OsStr::from_bytes(b"/tmp/\xff")];
    arguments.extend(["copy", "--tls", "PlainHTTP", "a/b:1", "registry.corp/b"].map(OsStr::new));
    let run = Program::new().run_with(&arguments);
    assert!(run.code == 2 && run.stderr.contains("use '--source-tls' or '--destination-tls'"), "{run}");
}
