//! Images: watched, looked at, and their status written.

mod access;
mod act;
mod aws;
pub mod budget;
mod conclude;
mod ended;
mod job;
pub mod jobs;
pub mod lister;
pub mod memory;
pub mod mounts;
pub mod outcome;
mod pod;
mod publish;
mod pulls;
mod reconcile;
mod refusal;
pub mod rivals;
mod schedule;
pub mod secrets;
mod settle;
mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use futures::{FutureExt as _, Stream, StreamExt as _};
use imgop_core::api::conditions::{READY, find, is_true, reasons};
use imgop_core::api::{Image, ImageStatus, MANAGED_BY, MANAGED_BY_LABEL, REQUESTED_AT_ANNOTATION};
use imgop_core::copy::Readiness;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource as _, ResourceExt as _};
use tokio_util::sync::CancellationToken;

use crate::config::Namespaces;
use crate::context::Context;
use crate::metrics::Reason;
use memory::Unsaid;
use reconcile::{ApiError, KNOWN_BY, Look};
use status::{Findings, next_status};

/// The name under which the agent writes statuses.
const FIELD_MANAGER: &str = "imgop-agent";
/// Seconds after which a watch is renewed: one whose connection died unseen is back within this
/// and a little more (reliability.md F12).
const WATCH_SECONDS: u32 = 60;
/// Jobs of a page of the first list of their watch. Its metadata is read whole, and of a Job that
/// somebody filled with labels or finalizers that may take 25 MiB. Mostly there are few Jobs.
const JOBS: u32 = 2;
/// How long an Image on which the agent failed is left alone.
const AFTER_PANIC: Duration = Duration::from_mins(10);
/// When an Image is looked at after a status that was late.
const SOON: Duration = Duration::from_secs(1);
/// How often a late start is looked at: some namespace may be known by now.
const LATE: Duration = Duration::from_secs(5);
/// How often what is remembered of deleted Images is forgotten.
const FORGET: Duration = Duration::from_mins(5);

/// An Image, or one that this version cannot read: that must not stop the watch of all others.
pub(crate) type Guarded = DeserializeGuard<Image>;

/// Handles all Images in the namespaces of the settings until `stop`.
pub async fn run(context: Arc<Context>, ready: Arc<AtomicBool>, stop: CancellationToken) {
    let client = &context.client;
    let apis: Vec<(Api<Guarded>, Api<Job>)> = match &context.config.watch_namespaces {
        Namespaces::All => vec![(Api::all(client.clone()), Api::all(client.clone()))],
        Namespaces::Named(names) => names
            .iter()
            .map(|name| (Api::namespaced(client.clone(), name), Api::namespaced(client.clone(), name)))
            .collect(),
    };
    let (total, unknown) = (apis.len(), Arc::new(AtomicUsize::new(apis.len())));
    let (controllers, stores): (Vec<_>, Vec<_>) = apis
        .into_iter()
        .map(|(images, jobs)| {
            // Not `any_semantic`: from its cache the API server sends all at once, whatever the page size.
            let watch = watcher::Config::default().timeout(WATCH_SECONDS);
            let (store, writer) = reflector::store();
            let images =
                known_images(images, watch.clone().page_size(50), writer, unknown.clone(), ready.clone());
            let gone = context.clone();
            let images = images.inspect(move |event| free_places(event, &gone)).applied_objects();
            let settings =
                controller::Config::default().concurrency(context.config.max_concurrent_reconciles);
            let controller = Controller::for_stream(images, store.clone())
                .owns(jobs, watch.page_size(JOBS).labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}")))
                .with_config(settings)
                .graceful_shutdown_on(stop.clone().cancelled_owned());
            (controller, store)
        })
        .unzip();
    context.rivals.watch(stores.clone());
    let beside = tokio::spawn(forget(stores, context.clone()));
    let late = tokio::spawn(ready_without_some(KNOWN_BY, total, unknown, ready));
    join_all(controllers.into_iter().map(|controller| {
        controller.run(reconcile, error_policy, context.clone()).for_each(|result| async move {
            if let Err(error) = result {
                tracing::debug!(%error, "controller");
            }
        })
    }))
    .await;
    beside.abort();
    late.abort();
}

/// The Images as they change, without what nobody here reads, once the store has them. The agent is
/// ready once each watch has said that its first list is complete, or enough of them after a while.
fn known_images(
    api: Api<Guarded>,
    watch: watcher::Config,
    writer: Writer<Guarded>,
    unknown: Arc<AtomicUsize>,
    ready: Arc<AtomicBool>,
) -> impl Stream<Item = Result<watcher::Event<Guarded>, watcher::Error>> {
    let mut is_known = false;
    watcher(api, watch)
        .default_backoff()
        .inspect(move |event| match event {
            Ok(watcher::Event::InitDone) if !is_known => {
                is_known = true;
                if unknown.fetch_sub(1, Ordering::AcqRel) == 1 {
                    ready.store(true, Ordering::Release);
                    tracing::info!("ready");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot watch the Images; trying again"),
        })
        .modify(|image| {
            image.meta_mut().managed_fields = None;
            image.annotations_mut().retain(|name, _| name == REQUESTED_AT_ANNOTATION);
        })
        .reflect(writer)
}

/// A namespace that cannot be watched must not keep the agent from being ready for all others.
async fn ready_without_some(wait: Duration, total: usize, unknown: Arc<AtomicUsize>, ready: Arc<AtomicBool>) {
    tokio::time::sleep(wait).await;
    while !ready.load(Ordering::Acquire) {
        let unknown = unknown.load(Ordering::Acquire);
        if unknown < total {
            tracing::warn!("ready, though {unknown} of {total} namespaces cannot be watched");
            ready.store(true, Ordering::Release);
        } else {
            tokio::time::sleep(LATE).await;
        }
    }
}

/// The Jobs of a deleted Image go with it, so their places are free. A deletion that no watch saw is
/// noticed later, by `forget`.
fn free_places(event: &Result<watcher::Event<Guarded>, watcher::Error>, context: &Context) {
    if let Ok(watcher::Event::Delete(image)) = event {
        context.gone(&image.uid().unwrap_or_default());
    }
}

/// Forgets what is remembered of Images that are gone.
async fn forget(stores: Vec<Store<Guarded>>, context: Arc<Context>) {
    loop {
        tokio::time::sleep(FORGET).await;
        let uids: std::collections::HashSet<String> =
            stores.iter().flat_map(Store::state).filter_map(|image| image.uid()).collect();
        context.retain(|uid| uids.contains(uid));
    }
}

async fn reconcile(image: Arc<Guarded>, context: Arc<Context>) -> Result<Action, ApiError> {
    context.metrics.reconciliations.inc();
    let image = match &image.0 {
        Ok(image) => image,
        Err(invalid) => {
            // The schema lets no such object in; one from a newer version may be here all the same.
            tracing::error!(
                image = invalid.metadata.name,
                namespace = invalid.metadata.namespace,
                error = invalid.error,
                "this version of the agent cannot read the Image; it is left alone"
            );
            return Ok(Action::await_change());
        }
    };
    if image.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    // One controller a namespace has places of its own. The semaphore is never closed.
    let _turn = context.turns.acquire().await.ok();
    let uid = image.uid().unwrap_or_default();
    let mut memory = context.memory.take(&uid);
    // Kubernetes keeps whole seconds: with more, what is read back would never equal what was written.
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH);
    let result = guarded(&context, image, &mut memory, now).await;
    memory.api_failures = if result.is_ok() { 0 } else { memory.api_failures.saturating_add(1) };
    context.memory.put(&uid, memory);
    // It was deleted while this look took places.
    if !context.rivals.know(image) {
        context.gone(&uid);
    }
    result
}

/// One Image must not end the agent for all others, whatever is in it.
async fn guarded(
    context: &Context,
    image: &Image,
    memory: &mut memory::Remembered,
    now: Timestamp,
) -> Result<Action, ApiError> {
    let looking = std::panic::AssertUnwindSafe(look(context, image, memory, now));
    if let Ok(result) = looking.catch_unwind().await {
        return result;
    }
    *memory = memory::Remembered::default();
    let message = "the agent failed on this Image; its log says more, please report it";
    let readiness = Readiness::stalled(reasons::INTERNAL_ERROR, message);
    let findings = Findings::of(readiness, None);
    let (status, ended) = (status_of(context, image, memory, findings.clone(), now), findings.ended);
    write(context, image, &status, ended, now).await?;
    Ok(Action::requeue(AFTER_PANIC))
}

async fn look(
    context: &Context,
    image: &Image,
    memory: &mut memory::Remembered,
    now: Timestamp,
) -> Result<Action, ApiError> {
    if let Some(unsaid) = memory.unsaid.take()
        && say(context, image, memory, unsaid, now).await?
    {
        // What is due is seen by the status that is there now.
        return Ok(Action::requeue(SOON));
    }
    let looked = Look { context, image, memory, now }.run().await?;
    let Some(findings) = looked.findings else { return Ok(looked.again) };
    let status = status_of(context, image, memory, findings.clone(), now);
    if let Err(error) = write(context, image, &status, findings.ended, now).await {
        // The registries were asked, and nobody is asked again for it.
        memory.published = memory.published.max(findings.ended.unwrap_or_default());
        let generation = findings.generation.or(image.metadata.generation);
        memory.unsaid = Some(Unsaid { findings: Findings { generation, ..findings }, status });
        return Err(error.into());
    }
    Ok(looked.again)
}

/// Writes what could not be written before, unless it is there, or the Image asks for something else by now.
/// Whether it was written.
async fn say(
    context: &Context,
    image: &Image,
    memory: &mut memory::Remembered,
    unsaid: Unsaid,
    now: Timestamp,
) -> Result<bool, ApiError> {
    let Unsaid { findings, status } = &unsaid;
    let copied = findings.ended;
    let is_there = image.status.as_ref() == Some(status);
    let asked = schedule::open_request(image);
    let is_meant = findings.generation == image.metadata.generation
        && (asked.is_none() || asked == findings.handled_request.as_deref());
    if !is_there && is_meant {
        let status = status_of(context, image, memory, findings.clone(), now);
        if let Err(error) = write(context, image, &status, copied, now).await {
            memory.unsaid = Some(Unsaid { findings: unsaid.findings, status });
            return Err(error.into());
        }
    } else if is_there {
        // Only the answer was lost.
        count(context, status, copied, now);
    }
    if is_there || is_meant {
        memory.published = memory.published.saturating_sub(copied.unwrap_or_default());
    }
    Ok(!is_there && is_meant)
}

fn status_of(
    context: &Context,
    image: &Image,
    memory: &memory::Remembered,
    mut findings: Findings,
    now: Timestamp,
) -> ImageStatus {
    let look_again = memory.next_look.filter(|_| schedule::still_grows(memory.look_agains));
    findings.written_to = context.rivals.written_to(image.metadata.uid.as_deref().unwrap_or_default());
    next_status(image, findings, look_again, now)
}

/// Writes the status if it says anything new, and counts what was done once that is known.
async fn write(
    context: &Context,
    image: &Image,
    new: &ImageStatus,
    copied: Option<u32>,
    now: Timestamp,
) -> Result<(), kube::Error> {
    if image.status.as_ref() != Some(new) {
        patch(context, image, new).await?;
    }
    count(context, new, copied, now);
    Ok(())
}

async fn patch(context: &Context, image: &Image, new: &ImageStatus) -> Result<(), kube::Error> {
    let name = image.name_any();
    let api: Api<Image> =
        Api::namespaced(context.client.clone(), image.metadata.namespace.as_deref().unwrap_or_default());
    let patch = serde_json::json!({
        "apiVersion": <Image as kube::Resource>::api_version(&()),
        "kind": <Image as kube::Resource>::kind(&()),
        // A status must not be put onto another Image that has got the name meanwhile.
        "metadata": { "uid": image.metadata.uid },
        "status": new,
    });
    let written =
        api.patch_status(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&patch)).await;
    match written {
        Ok(_) => {}
        // It was deleted meanwhile, or another one has its name: there is nobody to tell.
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => return Ok(()),
        Err(error) => return Err(error),
    }
    context.metrics.status_writes.inc();
    context.events.transition(image, new).await;
    if let Some(ready) = find(&new.conditions, READY) {
        tracing::info!(
            image = name,
            namespace = image.metadata.namespace,
            reason = ready.reason,
            message = ready.message,
            "status"
        );
    }
    Ok(())
}

fn count(context: &Context, new: &ImageStatus, ended: Option<u32>, now: Timestamp) {
    let Some(copied) = ended else { return };
    context.metrics.tags_copied.inc_by(copied.into());
    if let Some(ready) = find(&new.conditions, READY) {
        context.metrics.syncs.get_or_create(&Reason { reason: ready.reason.clone() }).inc();
    }
    if is_true(&new.conditions, READY) {
        context.metrics.last_success.set(now.as_second());
    }
}

/// The API server did not do what we asked: a growing pause for this Image alone.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the controller's")]
fn error_policy(image: Arc<Guarded>, error: &ApiError, context: Arc<Context>) -> Action {
    context.metrics.api_failures.inc();
    let uid = image.uid().unwrap_or_default();
    let memory = context.memory.take(&uid);
    let wait = Duration::from_secs(1_u64 << memory.api_failures.min(6));
    context.memory.put(&uid, memory);
    tracing::warn!(image = image.name_any(), namespace = image.namespace(), %error, "trying again in {wait:?}");
    Action::requeue(wait)
}

#[cfg(test)]
pub mod tests;
