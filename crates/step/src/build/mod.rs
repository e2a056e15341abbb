//! The second container: runs the Dockerfile. It has no credential but the secrets of the build, and nothing that it
//! leaves behind is trusted.

mod arguments;
mod cache;
mod cache_hits;
mod diagnosis;
mod leftovers;
mod log_bound;
mod log_lines;
mod output;
mod pressure;
mod progress;
mod secret_values;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Instant;

use imgop_core::build::BuildFailure;
use imgop_core::build::dockerfile::Dockerfile;
use imgop_core::build::step::{StepInput, StepReport};
use imgop_registry::reference::ReferenceError;

use crate::buildah::{self, not_started};
use crate::dockerfile::{check_pinned, context_folder};
use crate::prepare::seconds;
use crate::refusal::Refusal;
use crate::{BuildHandover, EndRequest, Failed, Places, Program, handover};
use cache::UsableCache;
use diagnosis::Ended;
pub use leftovers::adopt_leftovers;
use output::Output;
use pressure::{FreeSpace, Killed};
use progress::Progress;
use secret_values::SecretValues;

/// The user ids of this container.
const ID_MAP: &str = "/proc/self/uid_map";
/// User ids that Linux has.
const ALL_IDS: u64 = u32::MAX as u64;

/// Builds the image.
pub fn build(
    input: &StepInput,
    places: &Places,
    ends: &EndRequest,
    report: &mut StepReport,
) -> Result<(), Failed> {
    let began = Instant::now();
    let handover: BuildHandover = handover::read(&places.build_handover())?;
    let file =
        fs::read(places.dockerfile()).map_err(|error| Failed::at("read", &places.dockerfile(), &error))?;
    let buildah = buildah::version(places)?;
    let file = Dockerfile::parse(&file, buildah);
    check_pinned(&file)?;
    let cache = cache::usable(input, &handover, buildah, places, report)?;
    let build = |cache: Option<&UsableCache>| -> Result<u32, Failed> {
        let arguments = arguments::arguments(input, &handover, cache, places);
        let secrets = SecretValues::read(input, places)?;
        let (space, killed) = (FreeSpace::watch(places.volume()), Killed::count(places.cgroups()));
        let progress = Progress::of(&file, &handover.triggers, &secrets);
        let log_bytes = usize::try_from(input.log_bytes).unwrap_or(usize::MAX);
        let output = Output::new(progress, secrets, space, killed, log_bytes);
        let program = Program::new("buildah", places).temporary_files(&places.temporary()).args(arguments);
        let cached = run(program, output, &handover, ends, places)?;
        if cache.is_some() {
            export(input, &handover, places)?;
        }
        Ok(cached)
    };
    let mut ended = build(cache.as_ref());
    if let (Some(cache), Err(failed)) = (&cache, &ended)
        && failed.is_of_cache()
    {
        cache::warn_unused(&cache.layers, failed, report);
        ended = build(None);
    }
    report.seconds.build = seconds(began);
    report.layers.cached = ended?;
    Ok(())
}

/// Takes the image out of the storage.
fn export(input: &StepInput, handover: &BuildHandover, places: &Places) -> Result<(), Failed> {
    let path = places.image_id();
    let id = fs::read_to_string(&path).map_err(|error| Failed::at("read", &path, &error))?;
    let failed =
        |text: String| Failed::new(BuildFailure::StepFailed, format!("the image is not written: {text}"));
    let id = id.trim().parse().map_err(|error: ReferenceError| failed(error.to_string()))?;
    let program = Program::new("buildah", places).temporary_files(&places.temporary());
    let finished = program.args(arguments::export(&id, input, handover, places)).run();
    let finished = finished.map_err(|error| not_started(&error))?;
    if finished.is_success() {
        return Ok(());
    }
    let refusal = Refusal::read(&finished.errors, BuildFailure::StepFailed);
    Err(match refusal.reason {
        BuildFailure::OutOfDisk => Failed::out_of_disk(refusal.text),
        _ => failed(refusal.text),
    })
}

/// Runs Buildah. Returns how many layers of the image the cache had.
fn run(
    program: Program,
    mut output: Output,
    handover: &BuildHandover,
    ends: &EndRequest,
    places: &Places,
) -> Result<u32, Failed> {
    let mut child = program.start().map_err(|error| not_started(&error))?;
    let status = output.follow(&mut child, ends).map_err(|error| not_started(&error))?;
    let errors = output.errors.to_vec();
    let [killed_in_build, killed_in_step] = output.killed.in_build_and_step();
    let ended = Ended {
        code: status.code(),
        was_asked_to_end: ends.is_set(),
        signal: status.signal(),
        killed_in_build,
        killed_in_step,
        least_free: output.space.least(),
        has_few_ids: has_few_ids(),
        unwritten: output.unwritten.as_deref(),
        progress: &output.progress,
        last_lines: &output.last_lines,
        errors: &errors,
        context: &context_folder(handover.sub_path.as_deref(), places).display().to_string(),
        ignore_file: handover.ignore_file.as_deref(),
    };
    ended.failed().map_or_else(|| Ok(output.progress.cached_layers()), Err)
}

/// Whether this container has only a part of all user ids.
fn has_few_ids() -> bool {
    let counts = fs::read_to_string(ID_MAP).unwrap_or_default();
    let counts = counts.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    counts.sum::<u64>() < ALL_IDS
}
