//! `imgop-step prepare|build|push PART…`: what a container of a build's pod runs. `imgop-step images-of FOLDER`: what the
//! container after Helm's runs. See the library.

mod reporter;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use imgop_core::build::BuildFailure;
use imgop_core::build::step::{StepInput, StepReport, place};
use imgop_core::sources::charts::report::IMAGES_OF;
use imgop_step::images_of::images_of;
use imgop_step::{EndRequest, Failed, Places, build, prepare, push};
use reporter::Reporter;

/// For files that only this container needs.
const SCRATCH: &str = "/tmp";
/// How long a container that is asked to end has for its report. After 5 s Kubernetes ends it.
const TIME_TO_REPORT: Duration = Duration::from_secs(2);
/// The exit code of a program that SIGTERM ended.
const TERMINATED: u8 = 128 + 15;

fn main() -> ExitCode {
    let (ends, reporter) = (EndRequest::default(), Arc::new(Reporter::default()));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, folder] = &arguments[..]
        && command == IMAGES_OF
    {
        return report_images(Path::new(folder));
    }
    let of_signal = (ends.clone(), reporter.clone(), arguments.first().cloned().unwrap_or_default());
    thread::spawn(move || end_when_asked(&of_signal.0, &of_signal.1, &of_signal.2));
    let mut report = StepReport::default();
    let code = match run(&arguments, &ends, &mut report) {
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

/// Reports the images of what a chart was rendered to. An error is the last line of the log, which Kubernetes reports.
fn report_images(folder: &Path) -> ExitCode {
    let reported = images_of(folder).map_err(|error| error.to_string()).and_then(|report| {
        fs::write(place::TERMINATION_MESSAGE, report)
            .map_err(|error| format!("cannot write {}: {error}", place::TERMINATION_MESSAGE))
    });
    match reported {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{}", imgop_registry::printable(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String], ends: &EndRequest, report: &mut StepReport) -> Result<(), Failed> {
    let unusable = |message: String| Failed::new(BuildFailure::PodNotStarted, message);
    let Some((command, parts)) = arguments.split_first() else {
        return Err(unusable("usage: imgop-step prepare|build|push PART…".to_owned()));
    };
    let input = StepInput::from_arguments(parts).map_err(|error| unusable(error.to_string()))?;
    let places = Places::of_container(SCRATCH);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| unusable(error.to_string()))?;
    match command.as_str() {
        "prepare" => runtime.block_on(prepare(&input, &places, report)),
        "build" => {
            build::adopt_leftovers();
            build::build(&input, &places, ends, report)
        }
        "push" => runtime.block_on(push::push(&input, &places, report)),
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
