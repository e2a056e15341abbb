//! Which step of the Dockerfile runs. A RUN prints what it likes, also lines that look like Buildah's.

use imgop_core::build::dockerfile::Dockerfile;
use imgop_core::build::step::FailedStep;

use super::secret_values::SecretValues;

/// The steps of a Dockerfile, and the last of which Buildah printed that it began.
#[derive(Debug)]
pub struct Progress {
    steps: Vec<Step>,
    /// Behind the last one that began.
    next: usize,
}

#[derive(Debug)]
struct Step {
    text: String,
    line: u32,
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
    /// Returns the steps of a file, of which none began. Values of secrets are replaced in them, as in the output.
    pub fn of(file: &Dockerfile, secrets: &SecretValues) -> Self {
        let instructions = file.stages().iter().flat_map(|stage| file.instructions(stage));
        let steps = instructions.map(|instruction| {
            let text = secrets.replaced(&instruction.text);
            Step { bare: bare(&text), line: instruction.position.line, text }
        });
        Self { steps: steps.collect(), next: 0 }
    }

    /// Takes a line of output in. Returns whether a step began.
    pub fn take(&mut self, line: &str) -> bool {
        let Some(text) = step_in(line) else { return false };
        let found = self.steps.iter().skip(self.next).position(|step| step.text.trim() == text);
        self.next += found.map_or(0, |ahead| ahead + 1);
        found.is_some()
    }

    /// Returns the step that began last.
    pub fn current(&self) -> Option<FailedStep> {
        self.steps.get(self.next.checked_sub(1)?).map(Step::shown)
    }

    /// Reads the error with which Buildah ended: the last one, since it is written when every RUN is over.
    pub fn cause(&self, errors: &[String]) -> Option<Cause> {
        let error = errors.iter().rev().find_map(|line| {
            let line = line.strip_prefix("Error: ").or_else(|| line.strip_prefix("error "))?;
            Some(line.strip_prefix("error ").unwrap_or(line))
        })?;
        let Some(rest) = error.strip_prefix("building at STEP \"") else {
            return Some(Cause { step: None, text: error.to_owned() });
        };
        let ends = rest.match_indices("\": ");
        let parts: Vec<(&str, &str)> = ends.map(|(at, end)| (&rest[..at], &rest[at + end.len()..])).collect();
        let known = parts.iter().find_map(|(step, text)| Some((self.named(step)?, *text)));
        let (step, text) = known.or_else(|| {
            let (step, text) = parts.last()?;
            let unknown = || FailedStep { text: (*step).to_owned(), line: None };
            Some((self.current().unwrap_or_else(unknown), *text))
        })?;
        Some(Cause { step: Some(step), text: text.to_owned() })
    }

    /// Returns the step that Buildah names so: of several the nearest to the one that began last.
    fn named(&self, text: &str) -> Option<FailedStep> {
        let bare = bare(text);
        let current = self.next.saturating_sub(1);
        let same = self.steps.iter().enumerate().filter(|(_, step)| step.bare == bare);
        same.min_by_key(|(at, _)| (at.abs_diff(current), *at)).map(|(_, step)| step.shown())
    }
}

impl Step {
    fn shown(&self) -> FailedStep {
        FailedStep { text: self.text.clone(), line: Some(self.line) }
    }
}

fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Returns the step of `STEP 2/4: RUN x` or `[1/2] STEP 2/4: RUN x`.
fn step_in(line: &str) -> Option<&str> {
    let line = match line.strip_prefix('[') {
        Some(rest) => rest.split_once("] ")?.1,
        None => line,
    };
    let (numbers, text) = line.strip_prefix("STEP ")?.split_once(": ")?;
    let (at, of) = numbers.split_once('/')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (is_number(at) && is_number(of)).then(|| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use imgop_core::build::dockerfile::BuildahVersion;

    const FILE: &str =
        "FROM a AS one\nRUN x\nFROM b\nRUN x\nCOPY --from=one /a \\\n  /b\nRUN x\nRUN [\"y\", \"z\"]\n";

    fn progress(lines: &[&str]) -> Progress {
        let file = Dockerfile::parse(FILE.as_bytes(), BuildahVersion { major: 1, minor: 28 });
        let mut progress = Progress::of(&file, &SecretValues::default());
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
    fn an_error_outside_a_step_has_none() {
        let cause = progress(&[]).cause(&["Error: committing: copying layers: x".to_owned()]).unwrap();
        assert_eq!((cause.step, cause.text.as_str()), (None, "committing: copying layers: x"));
        assert_eq!(progress(&[]).cause(&["nothing".to_owned()]), None);
    }
}
