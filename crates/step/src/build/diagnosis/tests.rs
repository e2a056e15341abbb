//! What follows from the ends of builds.

use imgop_core::build::dockerfile::{BuildahVersion, Dockerfile};

use super::super::pressure::LeastFree;
use super::super::secret_values::SecretValues;
use super::*;

fn failed(change: impl FnOnce(&mut Ended<'_>), lines: &[&str], error: &str) -> Failed {
    let file = "FROM a\nRUN make\nCOPY none /x\n";
    let file = Dockerfile::parse(file.as_bytes(), BuildahVersion { major: 1, minor: 28 });
    let mut progress = Progress::of(&file, &[], &SecretValues::default());
    progress.take("STEP 2/3: RUN make");
    let mut last_lines = LastLines::new(9);
    for line in ["installing", "subprocess exited with status 9"] {
        last_lines.push(line);
    }
    last_lines.begin_step();
    for line in lines {
        last_lines.push(line);
    }
    let errors = [error.to_owned()];
    let mut ended = Ended {
        code: Some(1),
        was_asked_to_end: false,
        signal: None,
        killed_in_build: 0,
        killed_in_step: 0,
        least_free: LeastFree::of(1000),
        has_few_ids: true,
        unwritten: None,
        progress: &progress,
        last_lines: &last_lines,
        errors: &errors,
        context: "/work/context",
        ignore_file: Some(".dockerignore"),
    };
    change(&mut ended);
    ended.failed().unwrap()
}

fn of_copy(lines: &[&str], error: &str) -> Failed {
    failed(|ended| ended.code = Some(125), lines, error)
}

const MAKE: &str = "Error: building at STEP \"RUN make\": while running runtime: exit status 2";

#[test]
fn a_run_that_fails_is_named_with_line_exit_code_and_what_it_printed() {
    let failed = failed(|_| {}, &["cc: error"], MAKE);
    assert_eq!((failed.reason, failed.exit_code), (BuildFailure::StepFailed, Some(2)));
    assert_eq!(failed.message, "step 2 of 3, line 2: `RUN make` exited with 2");
    assert_eq!(failed.last_lines, ["cc: error"]);
}

#[test]
fn of_what_was_printed_the_step_s_own_lines_are_kept_and_nothing_twice() {
    let printed = [
        "before",
        "cannot find libfoo",
        "subprocess exited with status 2",
        "subprocess exited with status 2",
        "exit status 2",
        MAKE,
        "Error: of make itself",
        "subprocess exited with status unknown",
    ];
    let failed = failed(|_| {}, &printed, MAKE);
    assert_eq!(
        failed.last_lines,
        ["before", "cannot find libfoo", "Error: of make itself", "subprocess exited with status unknown"]
    );
    let copy = "Error: building at STEP \"COPY none /x\": storing: no";
    let failed = of_copy(&[copy], copy);
    assert_eq!(
        (failed.message.as_str(), failed.last_lines.len()),
        ("line 3: `COPY none /x`: storing: no", 0)
    );
}

#[test]
fn what_the_kernel_ended_had_too_little_memory_whatever_the_exit_code() {
    let killed = |ended: &mut Ended<'_>| (ended.killed_in_build, ended.killed_in_step) = (1, 1);
    let out_of_memory = failed(killed, &[], MAKE);
    assert_eq!(out_of_memory.reason, BuildFailure::OutOfMemory);
    assert!(
        out_of_memory.message.starts_with("step 2 of 3, line 2: `RUN make`")
            && out_of_memory.message.contains("resources.limits.memory")
    );
    let earlier = |ended: &mut Ended<'_>| ended.killed_in_build = 1;
    assert_eq!(failed(earlier, &[], MAKE).reason, BuildFailure::StepFailed, "another step lived on");
    let killed = MAKE.replace("status 2", "status 137");
    assert_eq!(failed(earlier, &[], &killed).reason, BuildFailure::OutOfMemory);
    assert_eq!(failed(|_| {}, &[], &killed).reason, BuildFailure::StepFailed, "a timeout of its own");
}

#[test]
fn only_the_signal_of_the_kernel_is_for_want_of_memory() {
    let by = |signal| failed(|ended| (ended.code, ended.signal) = (None, Some(signal)), &[], "");
    assert_eq!(by(9).reason, BuildFailure::OutOfMemory);
    assert_eq!(by(11).message, "step 2 of 3, line 2: `RUN make`: Buildah was ended by signal 11");
}

#[test]
fn a_full_volume_is_one_that_was_full_and_not_one_that_a_run_speaks_of() {
    let printed = ["dd: error writing '/big': No space left on device"];
    assert_eq!(failed(|_| {}, &printed, MAKE).reason, BuildFailure::StepFailed);
    let full = failed(|ended| ended.least_free = LeastFree::of(0), &printed, MAKE);
    assert_eq!(full.reason, BuildFailure::OutOfDisk);
    assert!(full.message.contains("storage.sizeLimit") && full.message.contains("RUN make"), "{full}");
    assert_eq!(
        failed(|ended| ended.least_free = LeastFree::of(0), &["cc: error"], MAKE).reason,
        BuildFailure::StepFailed
    );
    let commit = "Error: committing: writing blob: write /work/out/x: no space left on device";
    assert_eq!(failed(|_| {}, &[], commit).reason, BuildFailure::OutOfDisk);
    let layer = "Error: committing container for step {Env:[A=b] Command:run Args:[make] Original:RUN make}: copying layers: storing layer \"1b\" to file: io: read/write on closed pipe";
    // It was seen with as much free as its files need, and not full.
    let full = failed(|ended| ended.least_free = LeastFree::of(370), &[], layer);
    assert_eq!((full.reason, full.step.as_ref().unwrap().line), (BuildFailure::OutOfDisk, Some(2)), "{full}");
    let broken = failed(|_| {}, &[], layer);
    assert_eq!(broken.reason, BuildFailure::StepFailed);
    assert!(
        broken.message.starts_with("step 2 of 3, line 2: `RUN make`: copying layers: storing layer"),
        "{broken}"
    );
    let cleaning = "time=\"2026-11-28T19:54:40Z\" level=error msg=\"error unmounting: write /work/x: no space left on device\"";
    assert_eq!(failed(|_| {}, &printed, cleaning).reason, BuildFailure::OutOfDisk);
}

#[test]
fn a_build_that_is_ended_names_the_step_that_ran_and_no_fault_of_its_own() {
    let ended = failed(|ended| (ended.code, ended.was_asked_to_end) = (None, true), &["cc x.c"], "");
    assert_eq!(
        (ended.reason, ended.message.as_str()),
        (BuildFailure::Interrupted, "the pod was ended during step 2 of 3, line 2: `RUN make`")
    );
    assert_eq!((ended.step.unwrap().line, ended.last_lines), (Some(2), vec!["cc x.c".to_owned()]));
}

#[test]
fn a_full_volume_is_recognised_wherever_a_line_says_so_and_in_capitals_too() {
    for line in [
        "no space left on device",
        "v: write /x: No space left on device (28)",
        "NO SPACE LEFT ON DEVICE\u{e9}",
    ] {
        assert!(says_full(line), "{line}");
    }
    for line in ["", "v", "no space left on devic", "o space left on device", "\u{e9} space left on device"] {
        assert!(!says_full(line), "{line}");
    }
}

#[test]
fn an_id_that_the_pod_does_not_have_is_id_range_too_small() {
    let printed = ["chown: /x: Invalid argument"];
    assert_eq!(failed(|_| {}, &printed, MAKE).reason, BuildFailure::IdRangeTooSmall);
    assert_eq!(failed(|ended| ended.has_few_ids = false, &printed, MAKE).reason, BuildFailure::StepFailed);
    let copy = "Error: building at STEP \"COPY none /x\": storing: lchown /x: invalid argument";
    assert!(failed(|_| {}, &[], copy).message.contains("userNamespaces.idsPerPod"));
}

#[test]
fn a_file_that_buildah_leaves_out_fails_the_build_though_buildah_succeeds() {
    let log = "time=\"2026-11-28T23:26:56Z\" level=error msg=\"Can't add file /work/storage/overlay/d6/diff/var/log/x to tar: archive/tar: write too long\"";
    let what = "/var/log/x to tar: archive/tar: write too long";
    assert_eq!(unwritten(log).as_deref(), Some(what));
    assert_eq!(unwritten("Can't add file /x to tar: no"), None, "a RUN prints what it likes");
    let failed = failed(|ended| (ended.code, ended.unwritten) = (Some(0), Some(what)), &[], "");
    assert_eq!(failed.reason, BuildFailure::StepFailed);
    assert!(failed.message.contains("/var/log/x to tar: archive/tar: write too long; a process"), "{failed}");
}

#[test]
fn a_cache_that_breaks_off_is_no_fault_of_the_step() {
    let error = "Error: building at STEP \"RUN make\": failed pushing cache to \"docker://r/c:1\": 503";
    let failed = failed(|ended| ended.code = Some(125), &[], error);
    assert!(failed.is_of_cache());
    assert!(
        failed.message.starts_with("step 2 of 3, line 2: `RUN make` is done and cannot be kept"),
        "{failed}"
    );
}

#[test]
fn the_settings_of_the_program_that_copies_are_left_out() {
    let error = "Error: building at STEP \"COPY none /x\": storing \"/work/context/b.tar\": error during bulk transfer for copier.request{Request:\"PUT\", Root:\"/\", GetOptions:copier.GetOptions{UIDMap:[]}, All:false}}: copier: put: error creating \"/out/x\": no";
    let failed = failed(|ended| ended.code = Some(125), &[], error);
    assert_eq!(
        failed.message,
        "line 3: `COPY none /x`: storing \"b.tar\": error during bulk transfer: copier: put: error creating \"/out/x\": no"
    );
}

#[test]
fn a_missing_file_is_named_as_the_context_knows_it() {
    let error = "Error: building at STEP \"COPY none /x\": checking on sources under \"/work/context\": copier: stat: \"/none\": no such file or directory";
    let failed = failed(|ended| ended.code = Some(125), &[], error);
    assert_eq!(failed.reason, BuildFailure::StepFailed);
    assert_eq!(
        failed.message,
        "line 3: `COPY none /x`: checking on sources in the context: copier: stat: \"/none\": no such file or directory; if the file is there, .dockerignore leaves it out"
    );
}

#[test]
fn a_copy_of_the_context_is_named_as_the_context() {
    let text = "checking on sources under \"/work/tmp/buildah-context-25/overlay/32/merge\": copier: stat: \"/none\": no such file";
    assert_eq!(
        without_copy(text),
        "checking on sources in the context: copier: stat: \"/none\": no such file"
    );
    let stage = "checking on sources under \"/work/storage/overlay/1/merged\": no such file";
    assert_eq!(without_copy(stage), stage);
}
