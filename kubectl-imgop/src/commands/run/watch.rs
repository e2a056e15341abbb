//! `kubectl imgop run --watch`: rounds by the schedules of the Images, until a signal ends them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use imgop_core::time::remaining;
use imgop_registry::Registries;
use jiff::Timestamp;
use kube::ResourceExt as _;
use tokio::time::sleep;

use super::files::{Build, Fingerprint, Item, NotRun, items};
use super::{Machine, RunArgs};
use crate::cli_error::{CliError, Kind, Outcome};
use crate::interrupts::{Uninterrupted, asked_to_end};
use crate::local_copy::{Events, Kept, round};
use crate::output::Ui;
use crate::output::documents::RunFormat;
use crate::preview::targets::Target;
use crate::registry::registries;

/// How often it is looked whether the files have changed, and whether an Image is due: a clock may be set.
const INTERVAL: Duration = Duration::from_secs(2);

/// The shortest wait between two rounds.
const MIN_WAIT: Duration = Duration::from_secs(1);

/// Tells the time.
type Clock = dyn Fn() -> Timestamp + Sync;

/// Keeps the Images of files as they say, until a signal ends that.
pub async fn run(ui: Ui, args: &RunArgs, clock: &Clock) -> Result<Outcome, CliError> {
    if args.files.iter().any(|file| file == Path::new("-")) {
        return Err(CliError::usage("--watch reads files again when they change; give a file in place of -"));
    }
    if args.output == Some(RunFormat::Yaml) {
        return Err(CliError::usage("--watch prints events as lines: -o json or -o name"));
    }
    let ended_here = Uninterrupted::begin();
    let watch =
        Watch { ui, args, clock, events: Events::new(ui, args.output), registries: registries(false)? };
    let mut rounds = Box::pin(watch.rounds());
    let ended = tokio::select! {
        signal = asked_to_end() => tokio::select! {
            // Copies end by themselves, and soon. What else is under way is dropped.
            () = ended_here.is_alone() => Err(signal),
            ended = &mut rounds => ended,
        },
        ended = &mut rounds => ended,
    };
    match ended {
        Err(error) if matches!(error.kind, Kind::Cancelled | Kind::Terminated) => {
            ui.note("ended");
            Ok(Outcome::Done)
        }
        ended => ended,
    }
}

struct Watch<'a> {
    ui: Ui,
    args: &'a RunArgs,
    clock: &'a Clock,
    events: Events,
    registries: Registries,
}

/// What of the files holds.
struct Loaded {
    images: Vec<Kept>,
    seen: Fingerprint,
    /// Whether warnings were printed that a round repeats.
    has_warned: bool,
}

/// What files say.
struct Read {
    targets: Vec<Target>,
    /// Tags that two sources would become.
    conflicts: Vec<CliError>,
}

impl Watch<'_> {
    async fn rounds(&self) -> Result<Outcome, CliError> {
        let mut loaded = self.load().await?;
        loop {
            let now = (self.clock)();
            let of_done = loaded.images.iter().filter(|image| image.is_done());
            let done = of_done.map(|image| image.name().to_owned()).collect();
            let mut due: Vec<&mut Kept> = Vec::new();
            for image in &mut loaded.images {
                image.note_done(&done);
                if image.is_due(now) {
                    due.push(image);
                }
            }
            if !due.is_empty() {
                self.round(&mut due, loaded.has_warned).await?;
                loaded.has_warned = true;
            }
            self.wait(&loaded.images).await;
            self.reload(&mut loaded).await?;
        }
    }

    /// Looks at what is due. The logins of this machine are read each time: they may have changed.
    async fn round(&self, due: &mut [&mut Kept], has_warned: bool) -> Result<(), CliError> {
        let machine = match Machine::new(self.args, self.registries.clone()) {
            Ok(machine) => machine,
            Err(error) => {
                for kept in due {
                    kept.failed((self.clock)());
                    self.events.look_failed(kept, &error, (self.clock)())?;
                }
                return Ok(());
            }
        };
        let sources = machine.sources(if has_warned { self.ui.silent() } else { self.ui });
        let local = machine.local_copy(self.ui, self.args, &sources);
        Box::pin(round(&local, due, self.events, self.clock)).await
    }

    /// Waits until an Image may be due, or it is time to look at the files.
    async fn wait(&self, images: &[Kept]) {
        let next = images.iter().filter_map(Kept::next).min();
        let next = next.map_or(INTERVAL, |next| remaining(next, (self.clock)()));
        sleep(next.clamp(MIN_WAIT, INTERVAL)).await;
    }

    /// Reads the files for the first time: what is wrong then is an error.
    async fn load(&self) -> Result<Loaded, CliError> {
        let seen = Fingerprint::of(&self.args.files);
        let Read { targets, conflicts } = match self.read().await {
            Ok(read) => read,
            Err(mut errors) => {
                let last = errors.pop().unwrap_or_else(|| CliError::failed("the files have no Image"));
                for error in &errors {
                    self.ui.error(error);
                }
                return Err(last);
            }
        };
        let now = (self.clock)();
        self.events.files_read(targets.len(), &conflicts, now)?;
        let images = targets.into_iter().map(|target| Kept::new(target, now)).collect();
        Ok(Loaded { images, seen, has_warned: false })
    }

    /// Reads files again that have changed. What they said before holds if they are broken. What says the same as before
    /// goes on as it was.
    async fn reload(&self, loaded: &mut Loaded) -> Result<(), CliError> {
        let seen = Fingerprint::of(&self.args.files);
        if seen == loaded.seen {
            return Ok(());
        }
        loaded.seen = seen;
        let now = (self.clock)();
        let Read { targets, conflicts } = match self.read().await {
            Ok(read) => read,
            Err(errors) => return self.events.files_unusable(&errors, now),
        };
        self.events.files_read(targets.len(), &conflicts, now)?;
        let mut before = std::mem::take(&mut loaded.images);
        let kept = targets.into_iter().map(|target| {
            let same = before.iter().position(|kept| kept.is_same(&target));
            same.map_or_else(|| Kept::new(target, now), |place| before.swap_remove(place))
        });
        loaded.images = kept.collect();
        loaded.has_warned = false;
        Ok(())
    }

    /// Returns the Images of the files, or all that is wrong with them. What is for a cluster is named and left out, and so
    /// is a tag that two sources would become.
    async fn read(&self) -> Result<Read, Vec<CliError>> {
        let files: &[PathBuf] = &self.args.files;
        let (mut targets, mut conflicts, mut broken) = (Vec::new(), Vec::new(), Vec::new());
        for item in items(self.ui, files, (self.clock)()).await.map_err(|error| vec![error])? {
            match item {
                Ok(Item::Copy(target)) => targets.push(*target),
                Ok(Item::Build(Build { builder, .. })) => self.ui.warning(&format!(
                    "ImageBuilder {} is not built: --watch keeps Images; kubectl imgop run without it builds once",
                    builder.name_any()
                )),
                Err(NotRun::Broken(error)) => broken.push(error),
                Err(NotRun::Conflict(error)) => conflicts.push(error),
                Err(NotRun::Elsewhere(error)) => self.ui.warned(&error),
            }
        }
        if broken.is_empty() { Ok(Read { targets, conflicts }) } else { Err(broken) }
    }
}
