//! `imgop-step prepare|build|push PART…`: what a container of a build's pod runs. See the library.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use imgop_core::build::BuildFailure;
use imgop_core::build::step::{StepInput, StepReport, place};
use imgop_step::{Failed, Places, build, prepare, push};

/// For files that only this container needs.
const SCRATCH: &str = "/tmp";

fn main() -> ExitCode {
    thread::spawn(end_when_asked);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut report = StepReport::default();
    let ended = run(&arguments, &mut report);
    let code = if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if let Err(failed) = ended {
        // Who reads the log sees it at the end, as in the resource.
        let _ = writeln!(std::io::stderr(), "{}: {failed}", failed.reason.as_str());
        report.failure = Some(failed.into());
    }
    if let Err(error) = fs::write(Path::new(place::TERMINATION_MESSAGE), report.to_message()) {
        let _ = writeln!(std::io::stderr(), "cannot write {}: {error}", place::TERMINATION_MESSAGE);
    }
    code
}

fn run(arguments: &[String], report: &mut StepReport) -> Result<(), Failed> {
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
        "build" => build::build(&input, &places, report),
        "push" => runtime.block_on(push::push(&input, &places, report)),
        other => Err(unusable(format!("{other:?} is neither prepare nor build nor push"))),
    }
}

/// Ends at once when the pod is to end. The first process of a container ignores what it does not handle, and the
/// kernel ends all others with it.
#[expect(clippy::exit, reason = "nothing is left to be done: what was not pushed is built again")]
fn end_when_asked() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let asked = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        if let Ok(mut asked) = asked {
            asked.recv().await;
            std::process::exit(143);
        }
    });
}
