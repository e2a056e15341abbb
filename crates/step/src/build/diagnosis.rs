//! Why a build failed, from everything that is known of it. Pure.

use imgop_core::build::BuildFailure;
use imgop_core::build::step::FailedStep;
use memchr::memchr2_iter;

use super::log_lines::LastLines;
use super::pressure::LeastFree;
use super::progress::{Cause, Progress};
use crate::Failed;
use crate::bases::MORE_IDS;

/// What programs print where a volume is full.
const FULL: &str = "no space left on device";
/// Where in it a letter stands that is rare.
const RARE: usize = 19;
/// What Buildah says of a layer that it can no longer write, whatever the reason.
const BROKEN_OFF: &str = "read/write on closed pipe";

/// The signal with which the kernel ends processes.
const KILL: i32 = 9;
/// What Buildah says where it cannot push a layer for later builds.
const FAILED_CACHE: &str = "failed pushing cache to ";

/// With what, before a number, Buildah ends the output of a RUN that fails, each of its processes anew.
const ENDS: [&str; 2] = ["subprocess exited with status ", "exit status "];
/// How the line begins in which Buildah says why it failed.
const ERRORS: [&str; 2] = ["Error: ", "error "];

/// What Buildah logs where a file does not go into a layer as it was. It goes on without it, and succeeds.
const UNWRITTEN: &str = " level=error msg=\"Can't add file ";

/// Returns a text that names no copy of the context, which Buildah 1.44 makes below its temporary files.
fn without_copy(text: &str) -> String {
    let named = text.split_once("under \"").and_then(|(before, rest)| {
        let (path, after) = rest.split_once('"')?;
        path.contains("/buildah-context-").then(|| format!("{before}in the context{after}"))
    });
    named.unwrap_or_else(|| text.to_owned())
}

/// Returns which file a line says does not go into a layer as it was, and why.
pub fn unwritten(line: &str) -> Option<String> {
    let (_, text) = line.strip_prefix("time=\"")?.split_once(UNWRITTEN)?;
    let text = text.trim_end_matches('"');
    // The file stands below the storage.
    Some(text.split_once("/diff/").map_or_else(|| text.to_owned(), |(_, path)| format!("/{path}")))
}

/// Whether a line says that a volume is full.
pub fn says_full(line: &str) -> bool {
    // Every line that a build prints is looked at: none is copied, and of most few bytes are compared.
    memchr2_iter(b'v', b'V', line.as_bytes()).any(|at| {
        let part = at.checked_sub(RARE).and_then(|from| line.as_bytes().get(from..from + FULL.len()));
        part.is_some_and(|part| part.eq_ignore_ascii_case(FULL.as_bytes()))
    })
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
    /// How little of the volume was free at any time.
    pub least_free: LeastFree,
    /// Whether the container has fewer user ids than there are.
    pub has_few_ids: bool,
    /// The first file that does not go into a layer as it was, and why.
    pub unwritten: Option<&'a str>,
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
            return self.unwritten.map(incomplete);
        }
        let cause = self.progress.cause(self.errors);
        let step = cause.as_ref().and_then(|cause| cause.step.clone()).or_else(|| self.progress.current());
        let mut failed = self.reason(cause.as_ref(), step.as_ref());
        let printed = self.last_lines.of_step().filter(|line| !is_repetition(line, cause.as_ref()));
        failed.last_lines = printed.collect();
        failed.step = step;
        Some(failed)
    }

    fn reason(&self, cause: Option<&Cause>, step: Option<&FailedStep>) -> Failed {
        let place = step.map_or_else(|| "the build".to_owned(), ToString::to_string);
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
            let message = format!("{place} exited with {code}");
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
        // A layer that can no longer be written breaks off where it is read, and Buildah does not say why. It frees the
        // volume before anything may see it full; but a layer is written beside the files that it holds.
        let breaks_off = self.least_free.was_less_than_used() && text.contains(BROKEN_OFF);
        says_full(text) || is_logged || breaks_off || self.least_free.was_full() && self.last_lines.say(FULL)
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
        // It prints all settings of the program that copies.
        let text = match (text.find(" for copier.request{"), text.rfind("}: copier: ")) {
            (Some(start), Some(end)) if start < end => {
                format!(
                    "{}{}",
                    text.get(..start).unwrap_or_default(),
                    text.get(end + 1..).unwrap_or_default()
                )
            }
            _ => text.to_owned(),
        };
        without_copy(&text)
            .replace(&format!("under \"{}\"", self.context), "in the context")
            .replace(&format!("{}/", self.context), "")
            .replace(self.context, "the context")
    }

    /// Returns what may be the cause where files are missing.
    fn hint(&self, cause: Option<&Cause>) -> String {
        let is_missing = cause.is_some_and(|cause| {
            ["no such file or directory", "no items matching"].iter().any(|text| cause.text.contains(text))
        });
        let is_copy = cause.and_then(|cause| cause.step.as_ref()).is_some_and(|step| {
            // A trigger stands behind the name of its base.
            let text =
                if step.line.is_none() { step.text.split_once(" (").map(|(_, text)| text) } else { None };
            let text = text.unwrap_or(&step.text);
            let word = text.split_whitespace().next().unwrap_or_default();
            word.eq_ignore_ascii_case("COPY") || word.eq_ignore_ascii_case("ADD")
        });
        match self.ignore_file {
            Some(name) if is_missing && is_copy => format!("; if the file is there, {name} leaves it out"),
            _ => String::new(),
        }
    }
}

/// Returns that the image is not what the Dockerfile makes, though Buildah succeeded.
fn incomplete(unwritten: &str) -> Failed {
    let message = format!(
        "a file of the image is not whole: {unwritten}; a process that a RUN leaves running may write to it: end it in \
         that RUN"
    );
    Failed::new(BuildFailure::StepFailed, message)
}

/// Whether Buildah says in a line what the message says of it.
fn is_repetition(line: &str, cause: Option<&Cause>) -> bool {
    let ends = ENDS.iter().find_map(|end| line.strip_prefix(end));
    let is_end = ends.is_some_and(|code| code.parse::<i32>().is_ok());
    let is_error = ERRORS.iter().any(|start| line.starts_with(start));
    is_end || is_error && cause.is_some_and(|cause| line.ends_with(&cause.text))
}

/// Returns the exit code of a RUN.
fn exit_status(text: &str) -> Option<i32> {
    let (_, status) = text.rsplit_once("exit status ")?;
    status.trim().parse().ok()
}

#[cfg(test)]
mod tests;
