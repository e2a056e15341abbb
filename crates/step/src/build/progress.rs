//! Which step of the Dockerfile runs. A RUN prints what it likes, also lines that look like Buildah's.

use imgop_core::build::dockerfile::Dockerfile;
use imgop_core::build::step::{FailedStep, StepNumber};

use super::cache_hits::{CacheHits, makes_layer};
use super::secret_values::SecretValues;
use crate::Trigger;

/// The steps of a Dockerfile, and the last of which Buildah printed that it began.
#[derive(Debug)]
pub struct Progress {
    steps: Vec<Step>,
    /// Behind the last one that began.
    next: usize,
    /// What ONBUILD of the bases adds.
    triggers: Vec<Step>,
    /// The trigger that began since then.
    trigger: Option<usize>,
    hits: CacheHits,
}

#[derive(Debug)]
struct Step {
    /// The number of its stage; none for what ONBUILD adds.
    stage: Option<usize>,
    makes_layer: bool,
    text: String,
    shown: FailedStep,
    /// Letters and digits alone: Buildah writes words of a step in other brackets and quotes.
    bare: String,
}

/// Why Buildah says that it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The step; none where it failed elsewhere.
    pub step: Option<FailedStep>,
    /// What it says of it.
    pub text: String,
}

impl Progress {
    /// Returns the steps of a file and of its bases, of which none began. Values of secrets are replaced in them, as in
    /// the output.
    pub fn of(file: &Dockerfile, triggers: &[Trigger], secrets: &SecretValues) -> Self {
        let of_stage = |stage| file.instructions(stage).iter().map(move |instruction| (stage, instruction));
        let steps = file.stages().iter().flat_map(of_stage).map(|(stage, instruction)| {
            let text = secrets.replaced(&instruction.text);
            let line = Some(instruction.position.line);
            let shown = FailedStep { text: text.clone(), line, number: None };
            let (stage, makes_layer) = (Some(stage.number), makes_layer(instruction));
            Step { stage, makes_layer, bare: bare(&text), shown, text }
        });
        let triggers = triggers.iter().map(|trigger| {
            let text = secrets.replaced(&trigger.text);
            let shown = format!("ONBUILD of {} ({text})", trigger.base);
            let shown = FailedStep { text: shown, line: None, number: None };
            Step { stage: None, makes_layer: false, bare: bare(&text), shown, text }
        });
        let hits = CacheHits::of(file);
        Self { steps: steps.collect(), next: 0, triggers: triggers.collect(), trigger: None, hits }
    }

    /// Takes a line of output in. Returns whether a step began.
    pub fn take(&mut self, line: &str) -> bool {
        let Some((number, text)) = step_in(line) else {
            self.hits.take(line);
            return false;
        };
        let begun = if let Some(trigger) = self.triggers.iter().position(|step| step.is(text)) {
            self.trigger = Some(trigger);
            self.triggers.get_mut(trigger)
        } else if let Some(ahead) = self.steps.iter().skip(self.next).position(|step| step.is(text)) {
            (self.next, self.trigger) = (self.next + ahead + 1, None);
            self.steps.get_mut(self.next - 1)
        } else {
            None
        };
        let Some(step) = begun else { return false };
        step.shown.number = Some(number);
        self.hits.begin(step.stage, step.makes_layer);
        true
    }

    /// Returns how many layers of the image the cache had.
    pub fn cached_layers(&self) -> u32 {
        self.hits.layers()
    }

    /// Returns the step that began last.
    pub fn current(&self) -> Option<FailedStep> {
        let trigger = self.trigger.and_then(|at| self.triggers.get(at));
        trigger.or_else(|| self.steps.get(self.next.checked_sub(1)?)).map(Step::shown)
    }

    /// Reads the error with which Buildah ended: the last one, since it is written when every RUN is over.
    pub fn cause(&self, errors: &[String]) -> Option<Cause> {
        let error = errors.iter().rev().find_map(|line| {
            let line = line.strip_prefix("Error: ").or_else(|| line.strip_prefix("error "))?;
            Some(line.strip_prefix("error ").unwrap_or(line))
        })?;
        if let Some(cause) = self.cause_of_commit(error) {
            return Some(cause);
        }
        let Some(rest) = error.strip_prefix("building at STEP \"") else {
            return Some(Cause { step: None, text: error.to_owned() });
        };
        let ends = rest.match_indices("\": ");
        let parts: Vec<(&str, &str)> = ends.map(|(at, end)| (&rest[..at], &rest[at + end.len()..])).collect();
        let known = parts.iter().find_map(|(step, text)| Some((self.named(step)?, *text)));
        let (step, text) = known.or_else(|| {
            let (step, text) = parts.last()?;
            let unknown = || FailedStep { text: (*step).to_owned(), line: None, number: None };
            Some((self.current().unwrap_or_else(unknown), *text))
        })?;
        Some(Cause { step: Some(step), text: text.to_owned() })
    }

    /// Reads why the layer of a step could not be written. The step stands there as Go prints its parts.
    fn cause_of_commit(&self, error: &str) -> Option<Cause> {
        let parts = error.strip_prefix("committing container for step {")?;
        let (step, text) = parts.split_once(" Original:")?.1.split_once("}: ")?;
        let step = self.named(step).or_else(|| self.current());
        Some(Cause { step, text: text.to_owned() })
    }

    /// Returns the step that Buildah names so: of several the nearest to the one that began last.
    fn named(&self, text: &str) -> Option<FailedStep> {
        let bare = bare(text);
        let current = self.next.saturating_sub(1);
        let same = self.steps.iter().enumerate().filter(|(_, step)| step.bare == bare);
        let nearest = same.min_by_key(|(at, _)| (at.abs_diff(current), *at)).map(|(_, step)| step);
        let trigger = || self.triggers.iter().find(|step| step.bare == bare);
        let running = self.trigger.and_then(|at| self.triggers.get(at)).filter(|step| step.bare == bare);
        running.or(nearest).or_else(trigger).map(Step::shown)
    }
}

impl Step {
    /// Whether Buildah prints this step so. From 1.33 on it adds the beginning of a here-document in brackets.
    fn is(&self, printed: &str) -> bool {
        match printed.strip_prefix(self.text.trim()) {
            Some("") => true,
            Some(rest) => self.text.contains("<<") && rest.starts_with(" ("),
            None => false,
        }
    }

    fn shown(&self) -> FailedStep {
        self.shown.clone()
    }
}

fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Whether a line says that Buildah begins to write the image: `COMMIT dir:/x`, `[2/2] COMMIT`. A RUN may print it too,
/// as psql does.
pub fn is_commit(line: &str) -> bool {
    let line = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(line, |(_, rest)| rest);
    line.split(' ').next() == Some("COMMIT")
}

/// Returns the step of `STEP 2/4: RUN x` or `[1/2] STEP 2/4: RUN x`.
fn step_in(line: &str) -> Option<(StepNumber, &str)> {
    let (stage, line) = match line.strip_prefix('[') {
        Some(rest) => {
            let (stage, line) = rest.split_once("] ")?;
            (Some(pair(stage)?), line)
        }
        None => (None, line),
    };
    let (numbers, text) = line.strip_prefix("STEP ")?.split_once(": ")?;
    let (step, of) = pair(numbers)?;
    Some((StepNumber { step, of, stage }, text.trim()))
}

/// Reads `2/4`.
fn pair(text: &str) -> Option<(u32, u32)> {
    let (at, of) = text.split_once('/')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(at) || !is_number(of) {
        return None;
    }
    at.parse().ok().zip(of.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use imgop_core::build::dockerfile::BuildahVersion;

    const FILE: &str =
        "FROM a AS one\nRUN x\nFROM b\nRUN x\nCOPY --from=one /a \\\n  /b\nRUN x\nRUN [\"y\", \"z\"]\n";

    fn progress(lines: &[&str]) -> Progress {
        let file = Dockerfile::parse(FILE.as_bytes(), BuildahVersion { major: 1, minor: 28 });
        let trigger = Trigger { text: "COPY app.txt /app.txt".to_owned(), base: "quay.io/a/b:1".to_owned() };
        let mut progress = Progress::of(&file, &[trigger], &SecretValues::default());
        for line in lines {
            progress.take(line);
        }
        progress
    }

    fn failed_line(lines: &[&str], error: &str) -> Option<u32> {
        progress(lines).cause(&[error.to_owned()])?.step?.line
    }

    const BEGUN: [&str; 4] = [
        "[1/2] STEP 1/2: FROM a AS one",
        "[1/2] STEP 2/2: RUN x",
        "[2/2] STEP 1/5: FROM b",
        "[2/2] STEP 2/5: RUN x",
    ];

    #[test]
    fn of_equal_steps_the_one_that_began_last_is_named() {
        let error = "Error: building at STEP \"RUN x\": while running runtime: exit status 3";
        assert_eq!(failed_line(&BEGUN[..2], error), Some(2));
        assert_eq!(failed_line(&BEGUN, error), Some(4));
        assert_eq!(failed_line(&[&BEGUN[..], &["[2/2] STEP 4/5: RUN x"]].concat(), error), Some(7));
        let cause = progress(&BEGUN).cause(&[error.to_owned()]).unwrap();
        assert_eq!(cause.text, "while running runtime: exit status 3");
    }

    #[test]
    fn a_step_that_has_begun_has_the_number_that_the_log_gives_it() {
        let shown = |lines: &[&str]| progress(lines).current().unwrap().to_string();
        assert_eq!(shown(&BEGUN), "stage 2 of 2, step 2 of 5, line 4: `RUN x`");
        assert_eq!(shown(&["STEP 1/5: FROM a AS one", "STEP 2/5: RUN x"]), "step 2 of 5, line 2: `RUN x`");
        let error = "Error: building at STEP \"RUN [y z]\": exit status 1";
        let cause = progress(&BEGUN).cause(&[error.to_owned()]).unwrap();
        assert_eq!(cause.step.unwrap().to_string(), "line 8: `RUN [\"y\", \"z\"]`", "it has not begun");
        assert_eq!(step_in("STEP 99999999999/1: RUN x"), None);
    }

    #[test]
    fn steps_are_found_however_buildah_writes_their_words() {
        assert_eq!(
            failed_line(&BEGUN, "error building at STEP \"COPY --from=one /a /b\": no such file"),
            Some(5)
        );
        assert_eq!(failed_line(&BEGUN, "Error: building at STEP \"RUN [y z]\": exit status 1"), Some(8));
    }

    #[test]
    fn lines_that_a_run_prints_do_not_hide_what_failed() {
        let error = "Error: building at STEP \"RUN x\": exit status 3";
        let printed = [&BEGUN[..2], &["STEP 9/9: RUN rm -rf /", "STEP 5/5: RUN [\"y\", \"z\"]"]].concat();
        let cause = progress(&printed)
            .cause(&["Error: building at STEP \"RUN a lie\": exit status 0".into(), error.into()]);
        assert_eq!(cause.unwrap().step.unwrap().text, "RUN x");
        assert_eq!(progress(&["STEP 9/9: RUN rm -rf /"]).current(), None);
    }

    #[test]
    fn a_trigger_of_a_base_is_named_with_the_base() {
        let begun = [&BEGUN[..1], &["[1/2] STEP 2/3: COPY app.txt /app.txt"]].concat();
        let error = "Error: building at STEP \"COPY app.txt /app.txt\": no such file";
        let step = progress(&begun).cause(&[error.to_owned()]).unwrap().step.unwrap();
        assert_eq!(
            (step.text.as_str(), step.line),
            ("ONBUILD of quay.io/a/b:1 (COPY app.txt /app.txt)", None)
        );
        assert_eq!(progress(&begun).current(), Some(step));
        let after = [&begun[..], &BEGUN[1..2]].concat();
        assert_eq!(progress(&after).current().unwrap().line, Some(2));
    }

    #[test]
    fn a_here_document_is_printed_with_its_beginning() {
        let text = "FROM a\nRUN <<STEP\necho one\nSTEP\nCOPY <<'NOTE' /note\ncosts $5\nNOTE\n";
        let file = Dockerfile::parse(text.as_bytes(), BuildahVersion { major: 1, minor: 44 });
        let mut progress = Progress::of(&file, &[], &SecretValues::default());
        assert!(progress.take("STEP 2/3: RUN <<STEP (echo one...)"));
        assert_eq!(progress.current().unwrap().line, Some(2));
        assert!(progress.take("STEP 3/3: COPY <<'NOTE' /note (costs $5)"));
        assert_eq!(progress.current().unwrap().line, Some(5));
    }

    #[test]
    fn the_image_is_written_when_buildah_says_so() {
        assert!(["COMMIT", "COMMIT dir:/work/out", "[2/2] COMMIT dir:/x"].into_iter().all(is_commit));
        assert!(!["COMMITTED", "[2/2] STEP 1/1: RUN COMMIT", ""].into_iter().any(is_commit));
    }

    #[test]
    fn layers_of_a_cache_are_those_of_the_built_stage_and_of_those_below() {
        let text =
            "FROM a AS one\nRUN x\nFROM b\nRUN y\nFROM --platform=linux/amd64 ONE\nENV A=b\nCOPY x /\n";
        let file = Dockerfile::parse(text.as_bytes(), BuildahVersion { major: 1, minor: 28 });
        let mut progress = Progress::of(&file, &[], &SecretValues::default());
        for line in text.lines() {
            progress.take(&format!("[1/3] STEP 1/2: {line}"));
            progress.take("--> Cache pulled from remote r/c:1");
            progress.take("--> Using cache 0123");
            // As a RUN may print it.
            progress.take("--> Using cache 0123");
        }
        assert_eq!(progress.cached_layers(), 2, "not that of the second stage, nor ENV");
    }

    #[test]
    fn an_error_outside_a_step_has_none() {
        let cause = progress(&[]).cause(&["Error: committing: copying layers: x".to_owned()]).unwrap();
        assert_eq!((cause.step, cause.text.as_str()), (None, "committing: copying layers: x"));
        assert_eq!(progress(&[]).cause(&["nothing".to_owned()]), None);
    }
}
