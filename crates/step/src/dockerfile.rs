//! The Dockerfile of a build: found, read, and checked before anything runs.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use imgop_core::build::dockerfile::{BuildInputs, BuildahVersion, Dockerfile, Problem, Resolved, Severity};
use imgop_core::build::step::{StepContext, StepInput};
use imgop_core::build::{BuildFailure, DockerfilePlace, IgnoreFile, own_platform};

use crate::context::below::{PathError, open_file};
use crate::{Failed, Places};

/// Bytes that are read; core refuses longer files.
const MAX_BYTES: u64 = (4 << 20) + 1;
/// Mistakes that are shown.
const MAX_SHOWN: usize = 5;

/// A Dockerfile and its ignore file.
#[derive(Debug)]
pub struct Found {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The ignore file, below the folder of the context.
    pub ignore_file: Option<String>,
}

/// Returns the folder of the context that COPY sees.
pub fn context_folder(sub_path: Option<&str>, places: &Places) -> PathBuf {
    sub_path.map_or_else(|| places.context(), |path| places.context().join(path))
}

/// Finds the Dockerfile and its ignore file. No link is passed on the way.
pub fn find(input: &StepInput, places: &Places) -> Result<Found, Failed> {
    let folder = context_folder(input.sub_path.as_deref(), places);
    let (bytes, path) = match &input.dockerfile {
        DockerfilePlace::Inline(text) => (text.clone().into_bytes(), None),
        DockerfilePlace::Path(path) => {
            let bytes = read(&folder, path).map_err(|error| invalid(format!("dockerfile: {error}")))?;
            (bytes, Some(path.as_str()))
        }
        DockerfilePlace::Default => find_default(&folder)?,
    };
    let ignore_file = if input.context == StepContext::Empty { None } else { ignore_file(&folder, path)? };
    Ok(Found { bytes, ignore_file })
}

fn find_default(folder: &Path) -> Result<(Vec<u8>, Option<&'static str>), Failed> {
    for name in DockerfilePlace::DEFAULT_NAMES {
        match read(folder, name) {
            Ok(bytes) => return Ok((bytes, Some(name))),
            Err(PathError::Missing(_)) => {}
            Err(error) => return Err(invalid(format!("the Dockerfile of the context: {error}"))),
        }
    }
    Err(invalid(
        "the context has neither Dockerfile nor Containerfile; give its path in dockerfile".to_owned(),
    ))
}

/// Returns the ignore file: that of this Dockerfile before that of all.
fn ignore_file(folder: &Path, dockerfile: Option<&str>) -> Result<Option<String>, Failed> {
    for name in IgnoreFile::names(dockerfile) {
        match open_file(folder, &name) {
            Ok(_) => return Ok(Some(name)),
            Err(PathError::Missing(_)) => {}
            Err(error) => return Err(invalid(format!("the ignore file of the context: {error}"))),
        }
    }
    Ok(None)
}

fn read(folder: &Path, path: &str) -> Result<Vec<u8>, PathError> {
    let mut bytes = Vec::new();
    let read = open_file(folder, path)?.take(MAX_BYTES).read_to_end(&mut bytes);
    read.map_err(|error| PathError::Unreadable(path.to_owned(), error))?;
    Ok(bytes)
}

fn invalid(message: String) -> Failed {
    Failed::new(BuildFailure::ContextInvalid, message)
}

/// A Dockerfile that can be built.
#[derive(Debug)]
pub struct Checked {
    /// The file.
    pub file: Dockerfile,
    /// What a build of it needs.
    pub resolved: Resolved,
    /// What is other than it looks.
    pub warnings: Vec<String>,
}

/// Reads and resolves a Dockerfile. Fails if there is anything in it that cannot be built, before anything is pulled.
pub fn check(bytes: &[u8], input: &StepInput, buildah: BuildahVersion) -> Result<Checked, Failed> {
    check_file(Dockerfile::parse(bytes, buildah), input, "Dockerfile")
}

/// Fails if there is anything in a pinned Dockerfile that the Buildah which is to run it cannot do. `prepare` knows its
/// version from the agent's configuration, which may be wrong.
pub fn check_pinned(file: &Dockerfile) -> Result<(), Failed> {
    let errors: Vec<&Problem> = file.problems().iter().filter(|problem| problem.is_error()).collect();
    failed(&errors, "Dockerfile").map_or(Ok(()), Err)
}

/// Reads and resolves the ONBUILD triggers of a base image.
pub fn check_triggers(
    triggers: &[String],
    base: &str,
    input: &StepInput,
    buildah: BuildahVersion,
) -> Result<Checked, Failed> {
    let file = Dockerfile::of_triggers(triggers, buildah);
    // Arguments are declared, and a target is named, by the Dockerfile that builds on the image.
    let plain = StepInput { target: None, arguments: std::collections::BTreeMap::new(), ..input.clone() };
    check_file(file, &plain, &format!("ONBUILD triggers of {base}"))
}

fn check_file(file: Dockerfile, input: &StepInput, name: &str) -> Result<Checked, Failed> {
    let build_platform = own_platform().ok_or_else(|| {
        let architecture = std::env::consts::ARCH;
        Failed::new(BuildFailure::PlatformUnavailable, format!("no image is for {architecture}"))
    })?;
    let resolved = file.resolve(&BuildInputs {
        arguments: &input.arguments,
        target: input.target.as_deref(),
        platform: &input.platform,
        build_platform: &build_platform,
        format: input.format,
        secrets: &input.secrets,
    });
    let mut problems: Vec<&Problem> = file.problems().iter().chain(&resolved.problems).collect();
    problems.sort_by_key(|problem| problem.position);
    let (errors, warnings): (Vec<&Problem>, Vec<&Problem>) =
        problems.into_iter().partition(|problem| problem.is_error());
    if let Some(failed) = failed(&errors, name) {
        return Err(failed);
    }
    let warnings = warnings.into_iter().map(|problem| format!("{name} {problem}")).collect();
    Ok(Checked { file, resolved, warnings })
}

/// Returns all mistakes in one failure. A mistake counts before what only this Buildah cannot do.
fn failed(errors: &[&Problem], name: &str) -> Option<Failed> {
    let is_invalid = |problem: &&&Problem| problem.severity == Severity::Invalid;
    let reason = match errors {
        [] => return None,
        errors if errors.iter().any(|problem| is_invalid(&problem)) => BuildFailure::DockerfileInvalid,
        _ => BuildFailure::DockerfileUnsupported,
    };
    let mut shown: Vec<String> =
        errors.iter().take(MAX_SHOWN).map(|problem| format!("{name} {problem}")).collect();
    if errors.len() > MAX_SHOWN {
        shown.push(format!("and {} more", errors.len() - MAX_SHOWN));
    }
    Some(Failed::new(reason, shown.join(" | ")))
}
