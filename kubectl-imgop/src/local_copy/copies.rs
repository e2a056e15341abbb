//! Carries out the copies of plans.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use imgop_copier::{
    Copied, Copier, CopyError, DestinationId, Item, Journal, Options, Progress, Root, SourceId, Target as To,
};
use imgop_core::api::Overwrite;
use imgop_core::copy::{Copy, Observed, Plan, Route, made_index};
use imgop_registry::reference::Repository;
use imgop_registry::{Account, RepositoryClient};
use jiff::Timestamp;
use tokio::time::{sleep, timeout};

use super::journal;
use crate::cli_error::CliError;
use crate::interrupts::{Uninterrupted, asked_to_end};
use crate::output::Ui;
use crate::output::text::{bytes, count};
use crate::preview::inspect::Looked;
use crate::preview::targets::Target;

/// How often it is said how far the copies are.
const INTERVAL: Duration = Duration::from_secs(3);
/// How long what is under way may go on after a signal: a chunk of a large blob, or a small one.
const LAST_CHUNK: Duration = Duration::from_secs(20);
/// Indexes that are made at a time.
const MADE_AT_ONCE: usize = 8;

/// What is to be copied of a target.
pub struct Planned {
    pub target: Target,
    pub looked: Looked,
    pub plan: Plan,
}

/// Receives what became of each copy: the place of its target among the planned ones, the copy, and why it failed if it
/// did.
pub type OnEnd<'a> = dyn FnMut(usize, &Copy, Result<Copied, String>) -> Result<(), CliError> + Send + 'a;

/// The repositories of a copier, each once.
#[derive(Default)]
struct Repositories {
    sources: HashMap<(Repository, Account), SourceId>,
    destinations: HashMap<(Repository, Account), DestinationId>,
}

/// A copy that has begun, and the place of its target among the planned ones.
type Begun<'a> = (usize, &'a Copy);

/// Copies what is planned. Each tag is reported as soon as it has ended. A signal lets it end behind the chunks that are
/// under way: many registries drop an upload of which a chunk breaks off.
pub async fn copy(ui: Ui, planned: &[Planned], on_end: &mut OnEnd<'_>) -> Result<Arc<Progress>, CliError> {
    let journal = match journal::file(|name| std::env::var_os(name)) {
        Some(file) => Journal::of_file(&file, Timestamp::now()),
        None => Journal::in_memory(),
    };
    let mut copier = Copier::new(Options::default(), journal);
    let progress = copier.progress();
    let (begun, items) = items(planned, &mut copier, on_end).await?;
    let (done, mut reported) = (AtomicUsize::new(0), Ok(()));
    let mut report = |number: usize, _target: usize, outcome: Result<Copied, CopyError>| {
        if matches!(outcome, Err(CopyError::Ended)) {
            return;
        }
        done.fetch_add(1, Ordering::Relaxed);
        let (place, copy) = begun[number];
        let result = on_end(place, copy, outcome.map_err(|error| error.to_string()));
        if reported.is_ok() {
            reported = result;
        }
    };
    let _ended_here = Uninterrupted::begin();
    let mut copying = Box::pin(copier.run(&items, &mut report));
    let signal = tokio::select! {
        () = &mut copying => None,
        () = say(ui, &progress, &done, items.len()) => None,
        signal = asked_to_end() => Some(signal),
    };
    if let Some(signal) = signal {
        ui.note("it ends behind the chunks that are under way; Ctrl-C again ends it at once");
        copier.end();
        let _ = timeout(LAST_CHUNK, copying).await;
        return Err(signal);
    }
    drop(copying);
    reported.map(|()| progress)
}

/// Returns the items of all copies. An index that cannot be made is reported as failed.
async fn items<'a>(
    planned: &'a [Planned],
    copier: &mut Copier,
    on_end: &mut OnEnd<'_>,
) -> Result<(Vec<Begun<'a>>, Vec<Item>), CliError> {
    let mut repositories = Repositories::default();
    let (mut begun, mut items) = (Vec::new(), Vec::new());
    for (place, Planned { target, looked, plan }) in planned.iter().enumerate() {
        let (Some(route), Some(pushed_to)) = (looked.sides.route(&target.request), &looked.sides.destination)
        else {
            continue;
        };
        let source = repositories.source(copier, &looked.sides.source);
        let destination = repositories.destination(copier, pushed_to, &looked.observed);
        let roots = futures::stream::iter(plan.copies())
            .map(|copy| async move { (copy, root(route, target, copy).await) })
            .buffered(MADE_AT_ONCE);
        let mut roots = pin!(roots);
        while let Some((copy, root)) = roots.next().await {
            match root {
                Ok(root) => {
                    begun.push((place, copy));
                    items.push(item(target, copy, root, (source, destination)));
                }
                Err(why) => on_end(place, copy, Err(why))?,
            }
        }
    }
    Ok((begun, items))
}

impl Repositories {
    fn source(&mut self, copier: &mut Copier, client: &RepositoryClient) -> SourceId {
        let key = (client.repository().clone(), client.account());
        *self.sources.entry(key).or_insert_with(|| copier.add_source(client.clone()))
    }

    fn destination(
        &mut self,
        copier: &mut Copier,
        client: &RepositoryClient,
        observed: &Observed,
    ) -> DestinationId {
        let key = (client.repository().clone(), client.account());
        *self.destinations.entry(key).or_insert_with(|| {
            let destination = copier.add_destination(client.clone(), observed.destination_is_new);
            if observed.destination_is_known {
                let shown = observed.tags.iter().filter_map(|tag| tag.destination.digest());
                copier.note_shown(destination, shown.cloned());
            }
            destination
        })
    }
}

/// Returns what is copied of a tag: what was read already, an index that is made here, or what the source has.
async fn root(route: Route<'_>, target: &Target, copy: &Copy) -> Result<Root, String> {
    let route = Route { read_ahead: target.known.read_ahead.as_ref(), ..route };
    let Some(made) = &copy.made_of else {
        let read = route.read_ahead.and_then(|read| read.get(&copy.digest));
        return Ok(read.map_or_else(|| Root::Digest(copy.digest.clone()), Root::Manifest));
    };
    match made_index(route, copy, made).await {
        Ok(index) => index.map(Root::Manifest),
        Err(error) => Err(error.to_string()),
    }
}

fn item(target: &Target, copy: &Copy, root: Root, (source, destination): (SourceId, DestinationId)) -> Item {
    let to = To {
        destination,
        tag: Some(copy.destination_tag.clone()),
        keeps_existing: target.request.overwrite == Overwrite::IfMissing,
    };
    Item { source, root, targets: vec![to] }
}

/// Says again and again how far it is, on a terminal.
async fn say(ui: Ui, progress: &Progress, done: &AtomicUsize, all: usize) {
    loop {
        sleep(INTERVAL).await;
        let done = done.load(Ordering::Relaxed);
        let (read, sent) = (bytes(progress.read_bytes()), bytes(progress.sent_bytes()));
        ui.progress(&format!("{done} of {} copied; {read} read, {sent} sent", count(all, "tag")));
    }
}
