//! One container of a build as a process: what it is to do stands in its arguments, and how that ended in a file.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use imgop_core::build::BuildFailure;
use imgop_core::build::step::{StepInput, StepReport};

use crate::{EndRequest, Failed, Places, build, prepare, push};

/// How long a process that is asked to end has for its report. After 5 s Kubernetes ends it.
const TIME_TO_REPORT: Duration = Duration::from_secs(2);
/// The exit code of a program that SIGTERM ended.
const TERMINATED: u8 = 128 + 15;

/// Does what the arguments say: `prepare`, `build` or `push`, and a document. The report is written to a file.
pub fn process(arguments: &[String], places: &Places, report_file: &Path) -> ExitCode {
    let (ends, reporter) = (EndRequest::default(), Arc::new(Reporter::new(report_file)));
    let of_signal = (ends.clone(), reporter.clone(), arguments.first().cloned().unwrap_or_default());
    thread::spawn(move || end_when_asked(&of_signal.0, &of_signal.1, &of_signal.2));
    let mut report = StepReport::default();
    let code = match run(arguments, places, &ends, &mut report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            // Who reads the log sees it at the end, as in the resource. With which code a RUN exited, Buildah says.
            if failed.exit_code.is_none() {
                let _ = writeln!(std::io::stderr(), "{}: {failed}", failed.reason.as_str());
            }
            report.failure = Some(failed.into());
            if ends.is_set() { ExitCode::from(TERMINATED) } else { ExitCode::FAILURE }
        }
    };
    reporter.write(&report);
    code
}

fn run(
    arguments: &[String],
    places: &Places,
    ends: &EndRequest,
    report: &mut StepReport,
) -> Result<(), Failed> {
    let unusable = |message: String| Failed::new(BuildFailure::PodNotStarted, message);
    let Some((command, parts)) = arguments.split_first() else {
        return Err(unusable("usage: imgop-step prepare|build|push PART…".to_owned()));
    };
    let input = StepInput::from_arguments(parts).map_err(|error| unusable(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| unusable(error.to_string()))?;
    match command.as_str() {
        "prepare" => runtime.block_on(prepare(&input, places, report)),
        "build" => {
            build::adopt_leftovers();
            build::build(&input, places, ends, report)
        }
        "push" => runtime.block_on(push::push(&input, places, report)),
        other => Err(unusable(format!("{other:?} is neither prepare nor build nor push"))),
    }
}

/// Ends when the pod is to end. The first process of a container ignores what it does not handle, and the kernel ends
/// all others with it.
#[expect(clippy::exit, reason = "nothing is left to be done: what was not pushed is built again")]
fn end_when_asked(ends: &EndRequest, reporter: &Reporter, command: &str) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let asked = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        if let Ok(mut asked) = asked {
            asked.recv().await;
            ends.set();
            // A build reports its step by itself.
            thread::sleep(TIME_TO_REPORT);
            let message = format!("the pod was ended while {command} ran");
            let failed = Failed::new(BuildFailure::Interrupted, message);
            reporter.write(&StepReport { failure: Some(failed.into()), ..StepReport::default() });
            std::process::exit(TERMINATED.into());
        }
    });
}

/// Writes the report of this process. Of several reports the first counts.
#[derive(Debug)]
struct Reporter {
    file: PathBuf,
    is_written: Mutex<bool>,
}

impl Reporter {
    fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), is_written: Mutex::default() }
    }

    /// Writes a report, unless there is one. What another thread writes is written when this returns.
    fn write(&self, report: &StepReport) {
        let mut is_written = self.is_written.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *is_written, true) {
            return;
        }
        if let Err(error) = fs::write(&self.file, report.to_message()) {
            let _ = writeln!(std::io::stderr(), "cannot write {}: {error}", self.file.display());
        }
    }
}
