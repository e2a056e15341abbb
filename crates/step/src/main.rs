//! `imgop-step prepare|build|push PART…`: what a container of a build's pod runs. `imgop-step images-of FOLDER`: what the
//! container after Helm's runs. See the library.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use imgop_core::build::step::place;
use imgop_core::sources::charts::report::IMAGES_OF;
use imgop_step::images_of::images_of;
use imgop_step::{Places, process};

/// For files that only this container needs.
const SCRATCH: &str = "/tmp";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, folder] = &arguments[..]
        && command == IMAGES_OF
    {
        return report_images(Path::new(folder));
    }
    process(&arguments, &Places::of_container(SCRATCH), Path::new(place::TERMINATION_MESSAGE))
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
