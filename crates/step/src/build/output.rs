//! What a build prints: passed on, and read for what a report needs.

use std::io::{self, Read, Write};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::diagnosis::{says_full, unwritten};
use super::leftovers::Leftovers;
use super::log_bound::LogBound;
use super::log_lines::{LastLines, LineCutter, LineFilter};
use super::pressure::{FreeSpace, Killed};
use super::progress::{Progress, is_commit};
use super::secret_values::{ReplacedStream, SecretValues};
use crate::EndRequest;
/// Lines of output in a report.
const LAST_LINES: usize = 20;
/// Lines of errors in which Buildah's own is looked for.
const LAST_ERRORS: usize = 50;
/// How often it is checked whether Buildah has ended, or the container is asked to end.
const PERIOD: Duration = Duration::from_millis(200);
/// How long after Buildah ended output is awaited of which none comes: what a RUN left running may hold its pipes open
/// for ever, and a node that is overloaded may let what reads them wait.
const QUIET: Duration = Duration::from_secs(2);
/// For how long output is read at most after Buildah ended, and how many bytes of it: pipes and what waits hold less.
const MAX_REST: Duration = Duration::from_secs(5);
const MAX_REST_BYTES: usize = 8 << 20;
/// How many pieces of output wait to be read, and their bytes. What prints faster than the log takes it waits too.
const MAX_WAITING: usize = 64;
const PIECE: usize = 64 << 10;
/// Buildah prints it in every build: it gives arguments of platforms to stages that do not ask for them.
const NOISE: &str = "[Warning] one or more build args were not consumed:";

/// Which of the two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Errors,
}

/// What was printed, as far as a report needs it. Values of secrets are replaced in all of it.
#[derive(Debug)]
pub struct Output {
    /// The steps.
    pub progress: Progress,
    /// The last lines of both outputs.
    pub last_lines: LastLines,
    /// The last lines of errors.
    pub errors: LastLines,
    /// The free space of the volume.
    pub space: FreeSpace,
    /// What the kernel ended.
    pub killed: Killed,
    /// The first file that Buildah could not put into a layer as it was, and why.
    pub unwritten: Option<String>,
    /// What RUNs leave running; none before Buildah has started.
    leftovers: Option<Leftovers>,
    secrets: SecretValues,
    /// Whether a step begins in what is being read.
    has_new_step: bool,
    streams: [StreamState; 2],
}

/// How far one of the outputs is read.
#[derive(Debug)]
struct StreamState {
    replaced: ReplacedStream,
    cutter: LineCutter,
    filter: LineFilter,
    log: LogBound,
}

impl Output {
    /// Nothing is printed yet. At most `log_bytes` of each output go into the log.
    pub fn new(
        progress: Progress,
        secrets: SecretValues,
        space: FreeSpace,
        killed: Killed,
        log_bytes: usize,
    ) -> Self {
        let stream = || StreamState {
            replaced: ReplacedStream::default(),
            cutter: LineCutter::default(),
            filter: LineFilter::new(NOISE),
            log: LogBound::new(log_bytes),
        };
        Self {
            progress,
            last_lines: LastLines::new(LAST_LINES),
            errors: LastLines::new(LAST_ERRORS),
            space,
            killed,
            unwritten: None,
            leftovers: None,
            secrets,
            has_new_step: false,
            streams: [stream(), stream()],
        }
    }

    /// Reads both outputs until the child has ended, and what it had written until then. The child is ended when the
    /// container is asked to end.
    pub fn follow(&mut self, child: &mut Child, ends: &EndRequest) -> io::Result<ExitStatus> {
        let (sender, receiver) = mpsc::sync_channel(MAX_WAITING);
        self.leftovers = Some(Leftovers::of(child.id()));
        let streams: [(Stream, Option<Box<dyn Read + Send>>); 2] = [
            (Stream::Output, child.stdout.take().map(|out| Box::new(out) as _)),
            (Stream::Errors, child.stderr.take().map(|out| Box::new(out) as _)),
        ];
        for (stream, reader) in streams {
            let (Some(mut reader), sender) = (reader, sender.clone()) else { continue };
            thread::spawn(move || {
                let mut buffer = vec![0; PIECE];
                while let Ok(count @ 1..) = reader.read(&mut buffer) {
                    let bytes = buffer.get(..count).unwrap_or_default().to_vec();
                    if sender.send((stream, bytes)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let status = self.read_until_end(&receiver, child, ends)?;
        for stream in [Stream::Output, Stream::Errors] {
            self.end(stream);
        }
        Ok(status)
    }

    fn read_until_end(
        &mut self,
        receiver: &Receiver<(Stream, Vec<u8>)>,
        child: &mut Child,
        ends: &EndRequest,
    ) -> io::Result<ExitStatus> {
        // The status, and when it was seen.
        let mut ended: Option<(ExitStatus, Instant)> = None;
        let mut rest = 0;
        loop {
            match (receiver.recv_timeout(PERIOD), ended) {
                (Ok((stream, bytes)), ended) => {
                    rest += ended.map_or(0, |_| bytes.len());
                    self.take(stream, bytes);
                }
                (Err(RecvTimeoutError::Timeout), Some((status, at))) if at.elapsed() >= QUIET => {
                    return Ok(status);
                }
                (Err(RecvTimeoutError::Timeout), _) => {}
                (Err(RecvTimeoutError::Disconnected), _) => break,
            }
            self.leftovers.iter_mut().for_each(Leftovers::end_due);
            match &ended {
                Some((status, at)) if at.elapsed() >= MAX_REST || rest > MAX_REST_BYTES => {
                    return Ok(*status);
                }
                Some(_) => {}
                None if ends.is_set() => {
                    child.kill()?;
                    ended = Some((child.wait()?, Instant::now()));
                }
                None => ended = child.try_wait()?.map(|status| (status, Instant::now())),
            }
        }
        child.wait()
    }

    fn take(&mut self, stream: Stream, bytes: Vec<u8>) {
        let bytes = self.streams[stream as usize].replaced.pass(bytes, &self.secrets);
        self.read(stream, &bytes);
    }

    fn end(&mut self, stream: Stream) {
        let rest = self.streams[stream as usize].replaced.rest(&self.secrets);
        self.read(stream, &rest);
        std::mem::take(&mut self.streams[stream as usize].cutter).end(|line| self.line(stream, line));
        let StreamState { filter, log, .. } = &mut self.streams[stream as usize];
        pass_on(stream, log.pass(&filter.rest()));
        pass_on(stream, &log.rest());
    }

    /// Reads what has no value of a secret in it any more.
    fn read(&mut self, stream: Stream, bytes: &[u8]) {
        let mut cutter = std::mem::take(&mut self.streams[stream as usize].cutter);
        cutter.take(bytes, |line| self.line(stream, line));
        self.streams[stream as usize].cutter = cutter;
        if std::mem::take(&mut self.has_new_step) {
            for stream in [Stream::Output, Stream::Errors] {
                pass_on(stream, &self.streams[stream as usize].log.begin_step());
            }
        }
        let StreamState { filter, log, .. } = &mut self.streams[stream as usize];
        pass_on(stream, log.pass(&filter.pass(bytes)));
    }

    fn line(&mut self, stream: Stream, line: &str) {
        if line.starts_with(NOISE) {
            return;
        }
        let unwritten = unwritten(line);
        if says_full(line) || unwritten.is_some() {
            self.space.look();
        }
        if stream == Stream::Output && self.progress.take(line) {
            self.has_new_step = true;
            self.last_lines.begin_step();
            self.killed.begin_step();
            self.leftovers.iter_mut().for_each(Leftovers::end);
            return;
        }
        self.last_lines.push(line);
        match stream {
            Stream::Output if is_commit(line) => self.leftovers.iter_mut().for_each(Leftovers::end_soon),
            Stream::Output => {}
            Stream::Errors => {
                self.unwritten = self.unwritten.take().or(unwritten);
                self.errors.push(line);
            }
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
