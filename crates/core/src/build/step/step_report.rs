//! What a container of a build reports, small enough for a termination message.

use std::fmt;

use imgop_registry::printable;
use imgop_registry::reference::Digest;
use serde::{Deserialize, Serialize};

use crate::build::{BuildFailure, ImageReference};
use crate::text::shorten;

/// Bytes of a report. Kubernetes keeps 4 KiB of a container's message and 12 KiB of all messages of a pod.
pub const MAX_REPORT_BYTES: usize = 3 << 10;

/// Bytes of a message that is shown in a condition.
const MAX_MESSAGE: usize = 1 << 10;
/// Bytes of a step, a warning, a line of output.
const MAX_TEXT: usize = 240;
/// Bytes of a step within a message.
const MAX_SHOWN_STEP: usize = 120;
/// Bytes of a commit: 64 digits where git uses SHA-256.
const MAX_COMMIT: usize = 64;
/// Bytes of the name of a storage driver.
const MAX_DRIVER: usize = 16;

/// What a container did. Each reports its own part: `prepare` source and bases, `push` the image. All texts are one
/// line, printable and short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StepReport {
    /// Why it failed; none if it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<StepFailure>,
    /// What is built; also where it failed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceReport>,
    /// What the images showed that the Dockerfile names, triggers of a base included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<BaseReport>,
    /// What is at the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<PushedImage>,
    /// What its layers are.
    #[serde(skip_serializing_if = "PushedLayers::is_none")]
    pub layers: PushedLayers,
    /// What is other than it looks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How many bases, warnings and lines are not here for want of room.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: u32,
    /// How long it took.
    pub seconds: PhaseSeconds,
    /// The storage driver of Buildah: `overlay` or `vfs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_driver: Option<String>,
}

/// Why a container failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepFailure {
    /// The reason.
    pub reason: BuildFailure,
    /// What failed and what to do.
    pub message: String,
    /// The step of the Dockerfile that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<FailedStep>,
    /// The exit code of a RUN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The last lines of output, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
}

/// A step of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedStep {
    /// The instruction: `RUN make`.
    pub text: String,
    /// The line of the Dockerfile where it begins, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Which of the steps it is, if it has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<StepNumber>,
}

/// Which of the steps one is, as Buildah counts: `STEP 2/4`, with `[1/2]` before it where there are several stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepNumber {
    /// Its number in its stage, from 1.
    pub step: u32,
    /// How many steps the stage has.
    pub of: u32,
    /// The number of the stage, from 1, and how many there are; none if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<(u32, u32)>,
}

/// Writes ``step 2 of 4, line 7: `RUN make` ``, as far as that is known.
impl fmt::Display for FailedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = shorten(&self.text, MAX_SHOWN_STEP);
        match (self.number, self.line) {
            (None, None) => write!(f, "`{text}`"),
            (Some(number), None) => write!(f, "{number}: `{text}`"),
            (None, Some(line)) => write!(f, "line {line}: `{text}`"),
            (Some(number), Some(line)) => write!(f, "{number}, line {line}: `{text}`"),
        }
    }
}

impl fmt::Display for StepNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, of, stage } = self;
        match stage {
            Some((stage, stages)) => write!(f, "stage {stage} of {stages}, step {step} of {of}"),
            None => write!(f, "step {step} of {of}"),
        }
    }
}

/// What is built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceReport {
    /// The commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// When it was committed, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<i64>,
    /// The digest of the Dockerfile's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<Digest>,
}

/// What an image showed: index or manifest, whatever its tag points to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseReport {
    /// The image.
    pub image: ImageReference,
    /// What it showed.
    pub digest: Digest,
}

/// An image that is at the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedImage {
    /// The digest of its manifest.
    pub digest: Digest,
    /// Bytes of its layers, compressed.
    pub size: u64,
}

/// The layers of an image that was pushed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PushedLayers {
    /// Those of the base that the registry had, or mounted.
    #[serde(skip_serializing_if = "is_zero")]
    pub mounted: u32,
    /// Those of the base that were sent.
    #[serde(skip_serializing_if = "is_zero")]
    pub base: u32,
    /// Those that the build made, or the cache had.
    #[serde(skip_serializing_if = "is_zero")]
    pub built: u32,
    /// Those of them that the cache had, as `build` says.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached: u32,
    /// Bytes of what was sent: of all but those that were mounted.
    pub bytes: u64,
}

impl PushedLayers {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How long the phases of a container took, in seconds; 0 for those of other containers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "as in the status of an ImageBuilder")]
pub struct PhaseSeconds {
    #[serde(skip_serializing_if = "is_zero")]
    pub source: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub bases: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub build: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pub push: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields in by reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl StepReport {
    /// Returns it as a termination message of at most [`MAX_REPORT_BYTES`]: texts cleaned and shortened, then the
    /// oldest lines, the last warnings and the last bases left out until it fits.
    pub fn to_message(&self) -> String {
        let mut report = self.shortened();
        loop {
            // Plain data with texts for keys is always written.
            let text = serde_json::to_string(&report).unwrap_or_default();
            if text.len() <= MAX_REPORT_BYTES || !report.leave_one_out() {
                return text;
            }
        }
    }

    /// Reads a termination message; none if it is no report. What it says is a claim of the container.
    pub fn from_message(text: &str) -> Option<Self> {
        // A list of fields in their order would be read too.
        let report: Self = text.starts_with('{').then(|| serde_json::from_str(text).ok())??;
        Some(report.shortened())
    }

    fn shortened(&self) -> Self {
        let mut report = self.clone();
        if let Some(failure) = &mut report.failure {
            failure.message = cleaned(&failure.message, MAX_MESSAGE);
            failure.last_lines = failure.last_lines.iter().map(|line| cleaned(line, MAX_TEXT)).collect();
            if let Some(step) = &mut failure.step {
                step.text = cleaned(&step.text, MAX_TEXT);
            }
        }
        if let Some(commit) = report.source.as_mut().and_then(|source| source.commit.as_mut()) {
            *commit = cleaned(commit, MAX_COMMIT);
        }
        report.warnings = report.warnings.iter().map(|warning| cleaned(warning, MAX_TEXT)).collect();
        report.storage_driver = report.storage_driver.as_ref().map(|driver| cleaned(driver, MAX_DRIVER));
        report
    }

    /// Leaves out what is missed least. Returns whether there was anything.
    fn leave_one_out(&mut self) -> bool {
        let lines = self.failure.as_mut().map(|failure| &mut failure.last_lines);
        let is_left_out = match lines {
            Some(lines) if !lines.is_empty() => {
                lines.remove(0);
                true
            }
            _ => self.warnings.pop().is_some() || self.bases.pop().is_some(),
        };
        self.omitted = self.omitted.saturating_add(u32::from(is_left_out));
        is_left_out
    }
}

/// Returns one printable line of at most `max` bytes.
fn cleaned(text: &str, max: usize) -> String {
    // Cleaning takes its time with what is much too long.
    shorten(&printable(&shorten(text, 8 * max)), max).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failed(message: &str, last_lines: Vec<String>) -> StepReport {
        let failure = StepFailure {
            reason: BuildFailure::StepFailed,
            message: message.into(),
            step: Some(FailedStep { text: "RUN make".into(), line: Some(7), number: None }),
            exit_code: Some(2),
            last_lines,
        };
        StepReport { failure: Some(failure), ..StepReport::default() }
    }

    #[test]
    fn a_report_is_small_json_and_is_read_again() {
        let report = StepReport {
            source: Some(SourceReport { commit: Some("0a1b".into()), ..SourceReport::default() }),
            bases: vec![BaseReport { image: "quay.io/a/b:1".parse().unwrap(), digest: Digest::of(b"x") }],
            seconds: PhaseSeconds { source: 1, bases: 2, ..PhaseSeconds::default() },
            ..StepReport::default()
        };
        insta::assert_snapshot!(report.to_message(), @r#"{"source":{"commit":"0a1b"},"bases":[{"image":"quay.io/a/b:1","digest":"sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}],"seconds":{"source":1,"bases":2}}"#);
        assert_eq!(StepReport::from_message(&report.to_message()), Some(report));
        let failed = failed("it failed", vec!["a".into()]);
        insta::assert_snapshot!(failed.to_message(), @r#"{"failure":{"reason":"StepFailed","message":"it failed","step":{"text":"RUN make","line":7},"exitCode":2,"lastLines":["a"]},"seconds":{}}"#);
        assert_eq!(StepReport::from_message(&failed.to_message()), Some(failed));
    }

    #[test]
    fn a_step_says_where_it_stands_as_far_as_that_is_known() {
        let shown = |line, number| FailedStep { text: "RUN make".into(), line, number }.to_string();
        let number = StepNumber { step: 2, of: 4, stage: None };
        assert_eq!(shown(Some(7), Some(number)), "step 2 of 4, line 7: `RUN make`");
        let in_stage = StepNumber { stage: Some((1, 3)), ..number };
        assert_eq!(shown(Some(7), Some(in_stage)), "stage 1 of 3, step 2 of 4, line 7: `RUN make`");
        assert_eq!(shown(Some(7), None), "line 7: `RUN make`");
        assert_eq!(shown(None, Some(number)), "step 2 of 4: `RUN make`");
        assert_eq!(shown(None, None), "`RUN make`");
    }

    #[test]
    fn what_is_no_report_is_none() {
        for text in [
            "",
            "x",
            "[]",
            r#"{"failure":{"reason":"Fine","message":""}}"#,
            r#"{"image":{"digest":"sha256:../x","size":1}}"#,
        ] {
            assert_eq!(StepReport::from_message(text), None, "{text}");
        }
    }

    #[test]
    fn a_report_of_another_program_is_cleaned_when_it_is_read() {
        let text =
            r#"{"failure":{"reason":"StepFailed","message":"a\u001b[31mb\nc"},"warnings":["\u202ex"]}"#;
        let report = StepReport::from_message(text).unwrap();
        assert_eq!(
            (report.failure.unwrap().message, report.warnings),
            ("a [31mb c".into(), vec!["x".to_owned()])
        );
    }

    #[test]
    fn of_many_lines_the_newest_are_kept() {
        let report = failed("it failed", (0..200).map(|i| format!("line {i} {}", "x ".repeat(40))).collect());
        let read = StepReport::from_message(&report.to_message()).unwrap();
        let lines = read.failure.unwrap().last_lines;
        assert!(lines.len() > 10 && lines.last().unwrap().starts_with("line 199 "), "{lines:?}");
        assert_eq!(read.omitted as usize, 200 - lines.len());
    }

    proptest! {
        // Long texts: a few are enough.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_message_is_never_too_long_and_keeps_the_reason(
            text in "\\PC{0,80}|[\"\\\\ \u{1b}\né]{0,400}", times in 1usize..40, lines in 0usize..25, bases in 0u8..40,
        ) {
            let long = text.repeat(times);
            let mut report = failed(&long, vec![long.clone(); lines]);
            let number = Some(StepNumber { step: u32::MAX, of: u32::MAX, stage: Some((u32::MAX, u32::MAX)) });
            report.failure.as_mut().unwrap().step = Some(FailedStep { text: long.clone(), line: Some(u32::MAX), number });
            report.warnings = vec![long.clone(); lines];
            report.storage_driver = Some(long.clone());
            report.source = Some(SourceReport { commit: Some(long), committed_at: Some(i64::MIN), dockerfile: Some(Digest::of(b"x")) });
            report.image = Some(PushedImage { digest: Digest::of(b"y"), size: u64::MAX });
            let image: ImageReference = format!("quay.io/a/{}:1", "b".repeat(200)).parse().unwrap();
            report.bases = (0..bases).map(|i| BaseReport { image: image.clone(), digest: Digest::of(&[i]) }).collect();
            let message = report.to_message();
            prop_assert!(message.len() <= MAX_REPORT_BYTES, "{}", message.len());
            let read = StepReport::from_message(&message).unwrap();
            prop_assert_eq!(read.failure.unwrap().reason, BuildFailure::StepFailed);
        }
    }
}
