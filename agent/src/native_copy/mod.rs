//! `imgop-agent copy`: copies many tags in one container of a Job, with neither settings nor the API server.
//!
//! ```text
//! agent ── CopyInput, in arguments ──▶ imgop-agent copy ── CopyReport, as termination message ──▶ agent
//! ```
//!
//! Credentials and certificates are files that are mounted. Each layer is read once, whatever names it.

mod access;
mod input;
mod numbers;
mod report;
mod reporter;

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use imgop_copier::{
    Copied, Copier, CopyError, DestinationId, Item, Journal, Options, Root, SourceId, Target,
};
use imgop_core::commands::copied_so_far;
use imgop_core::commands::document::{DocumentError, from_arguments};
use imgop_core::text::bytes;
use imgop_registry::printable;
use jiff::Timestamp;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use access::FileError;
pub use input::{CopyEndpoint, CopyInput, CopyItem};
pub use report::CopyReport;
use reporter::Reporter;

/// The first argument of a process that copies.
pub const COPY: &str = "copy";
/// How often the log says how far it is.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long what is under way may go on once it is to end: a chunk of a large layer, or a small layer.
const LAST_CHUNK: Duration = Duration::from_secs(20);

/// Where a container leaves what outlives its process.
#[derive(Debug, Clone)]
pub struct Places {
    /// Its report.
    pub report: PathBuf,
    /// The uploads that are under way.
    pub journal: PathBuf,
}

impl Places {
    /// Those of a container.
    pub fn of_container() -> Self {
        Self { report: crate::jobs::template::TERMINATION_LOG.into(), journal: "/tmp/uploads.json".into() }
    }
}

/// The exit code of a copy that SIGTERM ended.
pub const TERMINATED: u8 = 128 + 15;
/// Why items have failed that were under way when the time was over.
const TIME_OVER: &str =
    "the time was over: spec.jobTemplate.activeDeadlineSeconds, or JOB_DEADLINE_SECONDS of the agent";

/// Why nothing could be copied.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What is to be copied cannot be read.
    #[error(transparent)]
    Input(#[from] DocumentError),
    /// A file that is mounted is of no use.
    #[error(transparent)]
    File(#[from] FileError),
}

/// How a container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All is at the destination.
    Copied,
    /// Some has failed.
    Failed,
    /// It was asked to end before all was copied.
    Interrupted,
}

/// Returns the arguments of a copy, if that is what the process is to do.
pub fn arguments(all: impl IntoIterator<Item = OsString>) -> Option<Vec<String>> {
    let mut arguments = all.into_iter().skip(1);
    arguments.next().filter(|first| first == COPY)?;
    Some(arguments.map(|argument| argument.to_string_lossy().into_owned()).collect())
}

/// Copies what the arguments say, until `stop`. `log` is called with each line of the log.
pub async fn run(
    arguments: &[String],
    places: &Places,
    stop: CancellationToken,
    log: &(dyn Fn(&str) + Sync),
) -> Result<Ended, StartError> {
    let input: CopyInput = from_arguments(arguments)?;
    let time_over = sleep(Duration::from_secs(input.seconds.into()));
    run_until(&input, places, stop, time_over, log).await
}

/// The same, until the time is over.
async fn run_until(
    input: &CopyInput,
    places: &Places,
    stop: CancellationToken,
    time_over: impl Future<Output = ()>,
    log: &(dyn Fn(&str) + Sync),
) -> Result<Ended, StartError> {
    let registries = access::registries(input);
    let (from, to) = (access::access(&input.source)?, access::access(&input.destination)?);
    let (source, destination) = (&input.source.repository, &input.destination.repository);
    let reporter = Arc::new(Reporter::new(places.report.clone()));
    let (now, watching) = (Timestamp::now(), reporter.clone());
    let journal = Journal::of_file(&places.journal, now).resuming(destination, &input.uploads, now);
    let journal = journal.watched(move |uploads| watching.uploads(uploads));
    let options = Options::default();
    let at_once = options.items;
    let mut copier = Copier::new(options, journal);
    let origin = copier.add_source(registries.repository(source, &from));
    let target = copier.add_destination(registries.push_target(destination, &to), input.is_new);
    let work = Work { input, copier, at_once, reporter, log };
    log(&format!("copies {} from {source} to {destination}", items(input.items.len())));
    Ok(work.run(origin, target, stop, time_over).await)
}

/// What one container does.
struct Work<'a> {
    input: &'a CopyInput,
    copier: Copier,
    /// How many contents it copies at once.
    at_once: usize,
    reporter: Arc<Reporter>,
    log: &'a (dyn Fn(&str) + Sync),
}

impl Work<'_> {
    async fn run(
        &self,
        source: SourceId,
        destination: DestinationId,
        stop: CancellationToken,
        time_over: impl Future<Output = ()>,
    ) -> Ended {
        let items: Vec<Item> =
            self.input.items.iter().map(|item| to_copy(item, source, destination)).collect();
        let mut on_end = |item: usize, _target: usize, outcome| self.ended(item, outcome);
        let mut copying = pin!(self.copier.run(&items, &mut on_end));
        let is_stopped = tokio::select! {
            () = &mut copying => return self.end(),
            () = self.say() => false,
            () = stop.cancelled() => true,
            () = time_over => false,
        };
        let begun = self.under_way();
        (self.log)("ends: what is under way is finished as far as its chunk goes");
        self.copier.end();
        let _ = timeout(LAST_CHUNK, &mut copying).await;
        if is_stopped {
            return Ended::Interrupted;
        }
        let items = u32::try_from(self.input.items.len()).unwrap_or(u32::MAX);
        self.reporter.time_is_over(items, &begun, TIME_OVER);
        self.end()
    }

    /// Returns the items that are under way: contents are begun in their order, a few at once.
    fn under_way(&self) -> HashSet<u32> {
        let open = || (0..).zip(&self.input.items).filter(|(item, _)| self.reporter.is_open(*item));
        let mut begun = HashSet::new();
        for (_, item) in open() {
            if begun.len() < self.at_once {
                begun.insert(&item.digest);
            }
        }
        open().filter(|(_, item)| begun.contains(&item.digest)).map(|(item, _)| item).collect()
    }

    fn ended(&self, item: usize, outcome: Result<Copied, CopyError>) {
        let Ok(number) = u32::try_from(item) else { return };
        let name = self.input.items.get(item).map(|item| item.name.as_str()).unwrap_or_default();
        match outcome {
            Ok(_) => {
                self.reporter.done(number);
                (self.log)(&format!("{name}: copied"));
            }
            // It is begun anew by the next try.
            Err(CopyError::Ended) => {}
            Err(error) => {
                let why = printable(&error.to_string());
                self.reporter.failed(number, &why);
                (self.log)(&format!("{name}: failed: {why}"));
            }
        }
    }

    fn end(&self) -> Ended {
        (self.log)(&self.progress());
        let (done, _) = self.reporter.counts();
        if done == self.input.items.len() { Ended::Copied } else { Ended::Failed }
    }

    /// Says again and again how far it is, where something has changed.
    async fn say(&self) {
        let mut said = String::new();
        loop {
            sleep(INTERVAL).await;
            let progress = self.progress();
            if progress != said {
                (self.log)(&progress);
                said = progress;
            }
        }
    }

    fn progress(&self) -> String {
        let ((done, failed), progress) = (self.reporter.counts(), self.copier.progress());
        let all = items(self.input.items.len());
        let mut text = copied_so_far(done, &all, progress.read_bytes(), progress.sent_bytes());
        if progress.resumed_bytes() > 0 {
            text.extend([", ", &bytes(progress.resumed_bytes()), " resumed"]);
        }
        if progress.mounted_blobs() > 0 {
            text.extend([", ", &progress.mounted_blobs().to_string(), " layers mounted"]);
        }
        if failed > 0 {
            text.extend(["; ", &failed.to_string(), " failed"]);
        }
        text
    }
}

fn to_copy(item: &CopyItem, source: SourceId, destination: DestinationId) -> Item {
    // The agent has compared before: what the tag shows is replaced.
    let target = Target { destination, tag: item.tag.clone(), keeps_existing: false };
    Item { source, root: Root::Digest(item.digest.clone()), targets: vec![target] }
}

fn items(number: usize) -> String {
    if number == 1 { "1 image".to_owned() } else { format!("{number} images") }
}

#[cfg(test)]
mod tests;
