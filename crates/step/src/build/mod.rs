//! The second container: runs the Dockerfile. It has no credential but the secrets of the build, and nothing that it
//! leaves behind is trusted.

mod arguments;
mod diagnosis;
mod log_lines;
mod pressure;
mod progress;

use std::fs;
use std::io::{self, Read, Write};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use imgop_core::build::BuildFailure;
use imgop_core::build::dockerfile::Dockerfile;
use imgop_core::build::step::{StepInput, StepReport};
use imgop_registry::reference::ReferenceError;

use crate::access::RegistryAccess;
use crate::buildah::{self, not_started};
use crate::dockerfile::context_folder;
use crate::prepare::seconds;
use crate::refusal::Refusal;
use crate::{BuildHandover, Failed, Places, Program, handover};
use diagnosis::{Ended, says_full};
use log_lines::{LastLines, LineCutter, LineFilter};
use pressure::{FreeSpace, killed_for_memory};
use progress::Progress;

/// Lines of output in a report.
const LAST_LINES: usize = 20;
/// Lines of errors in which Buildah's own is looked for.
const LAST_ERRORS: usize = 50;
/// The user ids of this container.
const ID_MAP: &str = "/proc/self/uid_map";
/// User ids that Linux has.
const ALL_IDS: u64 = u32::MAX as u64;
/// How long output is awaited after Buildah ended: what a RUN left running may hold its pipes open for ever.
const REST: Duration = Duration::from_millis(200);
/// Buildah prints it in every build: it gives arguments of platforms to stages that do not ask for them.
const NOISE: &str = "[Warning] one or more build args were not consumed:";

/// Builds the image.
pub fn build(input: &StepInput, places: &Places, report: &mut StepReport) -> Result<(), Failed> {
    let began = Instant::now();
    let handover: BuildHandover = handover::read(&places.build_handover())?;
    report.storage_driver = Some(handover.storage_driver.as_str().to_owned());
    let cache = cache_options(input, places)?;
    let file =
        fs::read(places.dockerfile()).map_err(|error| Failed::at("read", &places.dockerfile(), &error))?;
    let file = Dockerfile::parse(&file, buildah::version(places)?);
    let arguments = arguments::arguments(input, &handover, &cache, places);
    let ended = run(
        Program::new("buildah", places).temporary_files(&places.temporary()).args(arguments),
        &file,
        &handover,
        places,
    );
    let ended = ended.and_then(|()| {
        if arguments::uses_layers(input, &handover) { export(input, &handover, places) } else { Ok(()) }
    });
    report.seconds.build = seconds(began);
    ended
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

/// Returns how the registry of the cache is reached, with a credential that is for this cache alone.
fn cache_options(input: &StepInput, places: &Places) -> Result<Vec<String>, Failed> {
    let Some(cache) = &input.cache else { return Ok(Vec::new()) };
    let access = RegistryAccess::read(input, &places.cache_auth_file(), places)?;
    Ok(access.options(cache.repository.host(), ""))
}

fn run(program: Program, file: &Dockerfile, handover: &BuildHandover, places: &Places) -> Result<(), Failed> {
    let killed_before = killed_for_memory(&places.cgroups());
    let mut output = Output::new(file, FreeSpace::watch(places.volume()));
    let mut child = program.start().map_err(|error| not_started(&error))?;
    let status = output.follow(&mut child).map_err(|error| not_started(&error))?;
    let errors = output.errors.to_vec();
    let ended = Ended {
        code: status.code(),
        killed_for_memory: killed_for_memory(&places.cgroups()).saturating_sub(killed_before),
        disk_was_full: output.space.was_full(),
        has_few_ids: has_few_ids(),
        progress: &output.progress,
        last_lines: &output.last_lines,
        errors: &errors,
        context: &context_folder(handover.sub_path.as_deref(), places).display().to_string(),
        ignore_file: handover.ignore_file.as_deref(),
    };
    ended.failed().map_or(Ok(()), Err)
}

/// Whether this container has only a part of all user ids.
fn has_few_ids() -> bool {
    let counts = fs::read_to_string(ID_MAP).unwrap_or_default();
    let counts = counts.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    counts.sum::<u64>() < ALL_IDS
}

/// Which of the two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Errors,
}

/// What a build prints: passed on, and read for what a report needs.
#[derive(Debug)]
struct Output {
    progress: Progress,
    last_lines: LastLines,
    errors: LastLines,
    cutters: [LineCutter; 2],
    filters: [LineFilter; 2],
    space: FreeSpace,
}

impl Output {
    fn new(file: &Dockerfile, space: FreeSpace) -> Self {
        Self {
            progress: Progress::of(file),
            last_lines: LastLines::new(LAST_LINES),
            errors: LastLines::new(LAST_ERRORS),
            cutters: Default::default(),
            filters: [LineFilter::new(NOISE), LineFilter::new(NOISE)],
            space,
        }
    }

    /// Reads both outputs until the child has ended, and what it had written until then.
    fn follow(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
        let (sender, receiver) = mpsc::sync_channel(64);
        let streams: [(Stream, Option<Box<dyn Read + Send>>); 2] = [
            (Stream::Output, child.stdout.take().map(|out| Box::new(out) as _)),
            (Stream::Errors, child.stderr.take().map(|out| Box::new(out) as _)),
        ];
        for (stream, reader) in streams {
            let (Some(mut reader), sender) = (reader, sender.clone()) else { continue };
            thread::spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(count @ 1..) = reader.read(&mut buffer) {
                    let bytes = buffer.get(..count).unwrap_or_default().to_vec();
                    if sender.send((stream, bytes)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let status = self.read_until_end(&receiver, child)?;
        for stream in [Stream::Output, Stream::Errors] {
            std::mem::take(&mut self.cutters[stream as usize]).end(|line| self.line(stream, line));
            pass_on(stream, &self.filters[stream as usize].rest());
        }
        Ok(status)
    }

    fn read_until_end(
        &mut self,
        receiver: &Receiver<(Stream, Vec<u8>)>,
        child: &mut Child,
    ) -> io::Result<ExitStatus> {
        // The status, and when it was seen.
        let mut ended: Option<(ExitStatus, Instant)> = None;
        loop {
            match receiver.recv_timeout(REST) {
                Ok((stream, bytes)) => self.take(stream, &bytes),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            match &ended {
                Some((status, at)) if at.elapsed() >= REST => return Ok(*status),
                Some(_) => {}
                None => ended = child.try_wait()?.map(|status| (status, Instant::now())),
            }
        }
        child.wait()
    }

    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let mut cutter = std::mem::take(&mut self.cutters[stream as usize]);
        cutter.take(bytes, |line| self.line(stream, line));
        self.cutters[stream as usize] = cutter;
        pass_on(stream, &self.filters[stream as usize].pass(bytes));
    }

    fn line(&mut self, stream: Stream, line: &str) {
        if line.starts_with(NOISE) {
            return;
        }
        if says_full(line) {
            self.space.look();
        }
        self.last_lines.push(line);
        match stream {
            Stream::Output => self.progress.take(line),
            Stream::Errors => self.errors.push(line),
        }
    }
}

/// Writes to the container's own log. Who no longer reads it does not end the build.
fn pass_on(stream: Stream, bytes: &[u8]) {
    let _ = match stream {
        Stream::Output => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
        Stream::Errors => io::stderr().write_all(bytes),
    };
}
