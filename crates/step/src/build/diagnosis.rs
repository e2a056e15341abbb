//! Why a build failed, from everything that is known of it. Pure.

use imgop_core::build::BuildFailure;
use imgop_core::build::step::FailedStep;

use super::log_lines::LastLines;
use super::progress::{Cause, Progress};
use crate::Failed;
use crate::bases::MORE_IDS;

/// What programs print where a volume is full.
const FULL: &str = "no space left on device";

/// The signal with which the kernel ends processes.
const KILL: i32 = 9;
/// What Buildah says where it cannot push a layer for later builds.
const FAILED_CACHE: &str = "failed pushing cache to ";

/// Whether a line says that a volume is full.
pub fn says_full(line: &str) -> bool {
    line.to_lowercase().contains(FULL)
}

/// What is known of a build that ended.
#[derive(Debug)]
pub struct Ended<'a> {
    /// Buildah's exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Whether Kubernetes asked the container to end.
    pub was_asked_to_end: bool,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// How many processes the kernel ended for want of memory.
    pub killed_in_build: u64,
    /// How many of them since the last step began.
    pub killed_in_step: u64,
    /// Whether the volume was full at any time.
    pub disk_was_full: bool,
    /// Whether the container has fewer user ids than there are.
    pub has_few_ids: bool,
    /// The steps.
    pub progress: &'a Progress,
    /// The last lines of both outputs.
    pub last_lines: &'a LastLines,
    /// The last lines of errors.
    pub errors: &'a [String],
    /// The folder of the context, which messages of Buildah name.
    pub context: &'a str,
    /// The ignore file.
    pub ignore_file: Option<&'a str>,
}

impl Ended<'_> {
    /// Returns why it failed; none if it succeeded.
    pub fn failed(&self) -> Option<Failed> {
        if self.code == Some(0) {
            return None;
        }
        let cause = self.progress.cause(self.errors);
        let step = cause.as_ref().and_then(|cause| cause.step.clone()).or_else(|| self.progress.current());
        let mut failed = self.reason(cause.as_ref(), step.as_ref());
        failed.last_lines = self.last_lines.to_vec();
        failed.step = step;
        Some(failed)
    }

    fn reason(&self, cause: Option<&Cause>, step: Option<&FailedStep>) -> Failed {
        let place = step.map_or_else(|| "the build".to_owned(), shown);
        if self.was_asked_to_end {
            return Failed::new(BuildFailure::Interrupted, format!("the pod was ended during {place}"));
        }
        let text = cause.map(|cause| self.readable(&cause.text)).unwrap_or_default();
        if self.is_out_of_memory(&text) {
            let message = format!("{place} had too little memory; raise resources.limits.memory");
            return Failed::new(BuildFailure::OutOfMemory, message);
        }
        if self.is_out_of_disk(&text) {
            return Failed::out_of_disk(place);
        }
        if self.has_few_ids && self.is_out_of_ids(&text) {
            let message =
                format!("{place} gives a file a user or group id that the pod does not have; {MORE_IDS}");
            return Failed::new(BuildFailure::IdRangeTooSmall, message);
        }
        if let Some((_, why)) = text.split_once(FAILED_CACHE) {
            let message = format!("{place} is done and cannot be kept in cache.repository: {why}");
            return Failed::new(BuildFailure::RegistryUnreachable, message);
        }
        if let Some(code) = exit_status(&text) {
            let message = format!("{place} ended with exit code {code}");
            return Failed { exit_code: Some(code), ..Failed::new(BuildFailure::StepFailed, message) };
        }
        let text = match (self.code, self.signal) {
            _ if !text.is_empty() => text,
            (_, Some(signal)) => format!("Buildah was ended by signal {signal}"),
            (code, None) => format!("Buildah ended with exit code {}", code.unwrap_or_default()),
        };
        Failed::new(BuildFailure::StepFailed, format!("{place}: {text}{}", self.hint(cause)))
    }

    /// A RUN may live on without what the kernel ended, and a later one fail for another reason.
    fn is_out_of_memory(&self, text: &str) -> bool {
        let is_killed = self.signal == Some(KILL) || exit_status(text) == Some(128 + KILL);
        self.killed_in_step > 0 || self.signal == Some(KILL) || self.killed_in_build > 0 && is_killed
    }

    /// A RUN may print that there is no space: it counts where there was none, or where Buildah itself says it, as
    /// its error or in its log while it cleans up.
    fn is_out_of_disk(&self, text: &str) -> bool {
        let is_logged = self.errors.iter().any(|line| line.starts_with("time=\"") && says_full(line));
        says_full(text) || is_logged || self.disk_was_full && self.last_lines.say(FULL)
    }

    /// The kernel knows no ids outside the pod's own.
    fn is_out_of_ids(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let of_buildah = text.contains("chown") && text.contains("invalid argument");
        let of_run = self.last_lines.say("chown: ") && self.last_lines.say("invalid argument");
        of_buildah || of_run || text.contains("potentially insufficient uids or gids")
    }

    /// Returns Buildah's text with paths as the context knows them.
    fn readable(&self, text: &str) -> String {
        text.replace(&format!("under \"{}\"", self.context), "in the context")
            .replace(&format!("{}/", self.context), "")
            .replace(self.context, "the context")
    }

    /// Returns what may be the cause where files are missing.
    fn hint(&self, cause: Option<&Cause>) -> String {
        let is_missing = cause.is_some_and(|cause| {
            ["no such file or directory", "no items matching"].iter().any(|text| cause.text.contains(text))
        });
        let is_copy = cause.and_then(|cause| cause.step.as_ref()).is_some_and(|step| {
            let word = step.text.split_whitespace().next().unwrap_or_default();
            word.eq_ignore_ascii_case("COPY") || word.eq_ignore_ascii_case("ADD")
        });
        match self.ignore_file {
            Some(name) if is_missing && is_copy => format!("; if the file is there, {name} leaves it out"),
            _ => String::new(),
        }
    }
}

/// Returns a step with its line.
fn shown(step: &FailedStep) -> String {
    let text: String = step.text.chars().take(120).collect();
    match step.line {
        Some(line) => format!("line {line} ({text})"),
        None => text,
    }
}

/// Returns the exit code of a RUN.
fn exit_status(text: &str) -> Option<i32> {
    let (_, status) = text.rsplit_once("exit status ")?;
    status.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::secret_values::SecretValues;
    use super::*;
    use imgop_core::build::dockerfile::{BuildahVersion, Dockerfile};

    fn failed(change: impl FnOnce(&mut Ended<'_>), lines: &[&str], error: &str) -> Failed {
        let file = "FROM a\nRUN make\nCOPY none /x\n";
        let file = Dockerfile::parse(file.as_bytes(), BuildahVersion { major: 1, minor: 28 });
        let mut progress = Progress::of(&file, &SecretValues::default());
        progress.take("STEP 2/3: RUN make");
        let mut last_lines = LastLines::new(5);
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
            disk_was_full: false,
            has_few_ids: true,
            progress: &progress,
            last_lines: &last_lines,
            errors: &errors,
            context: "/work/context",
            ignore_file: Some(".dockerignore"),
        };
        change(&mut ended);
        ended.failed().unwrap()
    }

    const MAKE: &str = "Error: building at STEP \"RUN make\": while running runtime: exit status 2";

    #[test]
    fn a_run_that_fails_is_named_with_line_exit_code_and_what_it_printed() {
        let failed = failed(|_| {}, &["cc: error"], MAKE);
        assert_eq!((failed.reason, failed.exit_code), (BuildFailure::StepFailed, Some(2)));
        assert_eq!(failed.message, "line 2 (RUN make) ended with exit code 2");
        assert_eq!(failed.last_lines, ["cc: error"]);
    }

    #[test]
    fn what_the_kernel_ended_had_too_little_memory_whatever_the_exit_code() {
        let killed = |ended: &mut Ended<'_>| (ended.killed_in_build, ended.killed_in_step) = (1, 1);
        let out_of_memory = failed(killed, &[], MAKE);
        assert_eq!(out_of_memory.reason, BuildFailure::OutOfMemory);
        assert!(
            out_of_memory.message.starts_with("line 2 (RUN make)")
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
        assert_eq!(by(11).message, "line 2 (RUN make): Buildah was ended by signal 11");
    }

    #[test]
    fn a_full_volume_is_one_that_was_full_and_not_one_that_a_run_speaks_of() {
        let printed = ["dd: error writing '/big': No space left on device"];
        assert_eq!(failed(|_| {}, &printed, MAKE).reason, BuildFailure::StepFailed);
        let full = failed(|ended| ended.disk_was_full = true, &printed, MAKE);
        assert_eq!(full.reason, BuildFailure::OutOfDisk);
        assert!(full.message.contains("storage.sizeLimit") && full.message.contains("RUN make"), "{full}");
        assert_eq!(
            failed(|ended| ended.disk_was_full = true, &["cc: error"], MAKE).reason,
            BuildFailure::StepFailed
        );
        let commit = "Error: committing: writing blob: write /work/out/x: no space left on device";
        assert_eq!(failed(|_| {}, &[], commit).reason, BuildFailure::OutOfDisk);
        let cleaning = "time=\"2026-11-28T19:54:40Z\" level=error msg=\"error unmounting: write /work/x: no space left on device\"";
        assert_eq!(failed(|_| {}, &printed, cleaning).reason, BuildFailure::OutOfDisk);
    }

    #[test]
    fn a_build_that_is_ended_names_the_step_that_ran_and_no_fault_of_its_own() {
        let ended = failed(|ended| (ended.code, ended.was_asked_to_end) = (None, true), &["cc x.c"], "");
        assert_eq!(
            (ended.reason, ended.message.as_str()),
            (BuildFailure::Interrupted, "the pod was ended during line 2 (RUN make)")
        );
        assert_eq!((ended.step.unwrap().line, ended.last_lines), (Some(2), vec!["cc x.c".to_owned()]));
    }

    #[test]
    fn an_id_that_the_pod_does_not_have_is_said() {
        let printed = ["chown: /x: Invalid argument"];
        assert_eq!(failed(|_| {}, &printed, MAKE).reason, BuildFailure::IdRangeTooSmall);
        assert_eq!(
            failed(|ended| ended.has_few_ids = false, &printed, MAKE).reason,
            BuildFailure::StepFailed
        );
        let copy = "Error: building at STEP \"COPY none /x\": storing: lchown /x: invalid argument";
        assert!(failed(|_| {}, &[], copy).message.contains("userNamespaces.idsPerPod"));
    }

    #[test]
    fn a_cache_that_breaks_off_is_no_fault_of_the_step() {
        let error = "Error: building at STEP \"RUN make\": failed pushing cache to \"docker://r/c:1\": 503";
        let failed = failed(|ended| ended.code = Some(125), &[], error);
        assert!(failed.is_of_cache());
        assert!(failed.message.starts_with("line 2 (RUN make) is done and cannot be kept"), "{failed}");
    }

    #[test]
    fn a_missing_file_is_named_as_the_context_knows_it() {
        let error = "Error: building at STEP \"COPY none /x\": checking on sources under \"/work/context\": copier: stat: \"/none\": no such file or directory";
        let failed = failed(|ended| ended.code = Some(125), &[], error);
        assert_eq!(failed.reason, BuildFailure::StepFailed);
        assert_eq!(
            failed.message,
            "line 3 (COPY none /x): checking on sources in the context: copier: stat: \"/none\": no such file or directory; if the file is there, .dockerignore leaves it out"
        );
    }
}
