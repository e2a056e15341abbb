//! Watches pods and workloads, of the kinds that a WorkloadMirror asks for, where the agent has the right, and for as long
//! as there is one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use imgop_core::api::{MANAGED_BY_LABEL, NOT_MIRRORED_ANNOTATION, OWNER_UID_LABEL, WorkloadKind};
use imgop_core::workloads::{ObservedPod, ObservedWorkload};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Workloads;
use super::store::{Scope, Store};
use crate::agent::Agent;
use crate::cluster::Freshness;
use crate::cluster::api_error::ApiCause;
use crate::cluster::rights::{Right, Role};
use crate::cluster::view::View;
use crate::cluster::watch::{Keep, Watch, watch};
use crate::config::Namespaces;
use crate::object_room::RoomLimits;

/// How often it is looked at what is to be watched, and whether anything has changed.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is asked again whether something may be watched.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// The same of something whose watch was refused: the API server may have said otherwise a moment ago.
const WITHDRAWN_INTERVAL: Duration = Duration::from_secs(30);
/// How long changes are gathered before the WorkloadMirrors are told.
const GATHER_TIME: Duration = Duration::from_secs(5);
/// Bytes of a pod or a workload while it is read.
const MAX_BYTES: usize = 512 * 1024;
/// Pods that have ended use no image.
const UNFINISHED: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// What WorkloadMirrors ask of the watches.
pub(crate) trait Asking: Send + Sync + 'static {
    /// Returns the kinds that are looked at by any of them; none if there is no WorkloadMirror.
    fn kinds(&self) -> HashSet<WorkloadKind>;

    /// Has all of them reconciled.
    fn wake(&self);
}

/// Watches what is asked for until `stop`.
pub(super) async fn run(
    workloads: Workloads,
    agent: Arc<Agent>,
    asking: impl Asking,
    stop: CancellationToken,
) {
    // What workloads take is bounded as objects are, beside them.
    workloads.0.store.lock().limit(RoomLimits::of(&agent.config));
    let mut watches = JoinSet::new();
    let mut running: HashMap<Scope, AbortHandle> = HashMap::new();
    let mut told = Told::default();
    loop {
        let wanted = scopes(&asking.kinds(), &agent.config.watch_namespaces);
        // What nothing asks for is not watched for a moment longer.
        running.retain(|scope, handle| {
            let is_used = wanted.contains(scope) && !handle.is_finished();
            if !is_used {
                handle.abort();
                workloads.0.store.lock().end(scope);
                workloads.lacks(scope, None);
                return false;
            }
            // What there was no room for is shown by a new list alone.
            let is_to_be_listed = workloads.0.store.lock().has_room_again(scope);
            if is_to_be_listed {
                handle.abort();
            }
            !is_to_be_listed
        });
        for scope in wanted {
            running.entry(scope).or_insert_with_key(|scope| {
                workloads.0.store.lock().begin(scope);
                watches.spawn(watch_where_allowed(workloads.clone(), agent.clone(), scope.clone()))
            });
        }
        while watches.try_join_next().is_some() {}
        if told.is_to_be_told(workloads.0.store.lock().revision()) {
            asking.wake();
        }
        tokio::select! {
            () = sleep(CHECK_INTERVAL) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Which changes WorkloadMirrors were told of.
#[derive(Debug, Default)]
struct Told {
    revision: u64,
    /// Since when there are others.
    since: Option<Instant>,
}

impl Told {
    /// Returns whether changes have been gathered for long enough.
    fn is_to_be_told(&mut self, revision: u64) -> bool {
        if self.revision == revision {
            return false;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let is_long_enough = since.elapsed() >= GATHER_TIME;
        if is_long_enough {
            *self = Self { revision, since: None };
        }
        is_long_enough
    }
}

/// Returns what is to be watched so that these kinds are seen, always in the same order: messages name the first that lacks.
pub(super) fn scopes(kinds: &HashSet<WorkloadKind>, namespaces: &Namespaces) -> Vec<Scope> {
    let namespaces: Vec<Option<String>> = match namespaces {
        Namespaces::All => vec![None],
        Namespaces::Named(names) => names.iter().cloned().map(Some).collect(),
    };
    // Pods say what really runs of every kind.
    let pods = (!kinds.is_empty()).then_some(WorkloadKind::Pod);
    let kinds: BTreeSet<WorkloadKind> = kinds.iter().copied().chain(pods).collect();
    let scope = |kind| namespaces.iter().map(move |namespace| Scope { kind, namespace: namespace.clone() });
    kinds.into_iter().flat_map(scope).collect()
}

/// Returns the rights that a watch needs.
pub(super) fn rights(kind: WorkloadKind) -> [Right; 2] {
    let (group, resource) = match kind {
        WorkloadKind::Deployment => ("apps", "deployments"),
        WorkloadKind::StatefulSet => ("apps", "statefulsets"),
        WorkloadKind::DaemonSet => ("apps", "daemonsets"),
        WorkloadKind::Job => ("batch", "jobs"),
        WorkloadKind::CronJob => ("batch", "cronjobs"),
        WorkloadKind::Pod => ("", "pods"),
    };
    ["list", "watch"].map(|verb| Right { verb, group, resource, done_to: None, role: Role::WORKLOADS })
}

/// Watches while the agent has the right. Without it nothing is asked for that would be refused.
async fn watch_where_allowed(workloads: Workloads, agent: Arc<Agent>, scope: Scope) {
    loop {
        until_allowed(&workloads, &agent, &scope).await;
        let (workloads, client) = (&workloads, agent.client.clone());
        let withdrawn = match scope.kind {
            WorkloadKind::Pod => watch_pods(workloads, client, &scope).await,
            WorkloadKind::Deployment => watch_kind::<Deployment>(workloads, client, &scope).await,
            WorkloadKind::StatefulSet => watch_kind::<StatefulSet>(workloads, client, &scope).await,
            WorkloadKind::DaemonSet => watch_kind::<DaemonSet>(workloads, client, &scope).await,
            WorkloadKind::Job => watch_kind::<Job>(workloads, client, &scope).await,
            WorkloadKind::CronJob => watch_kind::<CronJob>(workloads, client, &scope).await,
        };
        // Until it is listed again, what it has shown may be long gone, and what there is was not shown.
        workloads.0.store.lock().lose(&scope);
        workloads.lacks(&scope, withdrawn);
        sleep(WITHDRAWN_INTERVAL).await;
    }
}

async fn until_allowed(workloads: &Workloads, agent: &Agent, scope: &Scope) {
    let namespace = scope.namespace.clone().unwrap_or_default();
    loop {
        match agent.rights.missing(&rights(scope.kind), &namespace, Freshness::Rechecked).await {
            Ok(None) => break,
            Ok(Some(right)) => workloads.lacks(scope, Some(right)),
            Err(error) => tracing::warn!(%error, "cannot ask whether workloads may be watched"),
        }
        sleep(RETRY_INTERVAL).await;
    }
    workloads.lacks(scope, None);
}

fn what(scope: &Scope, fields: &'static [&'static str], field_selector: Option<&'static str>) -> Watch {
    // By the labels it leaves out what the agent has made.
    let labels = &[MANAGED_BY_LABEL, OWNER_UID_LABEL];
    let keep = Keep { fields, labels, annotations: &[NOT_MIRRORED_ANNOTATION], max_bytes: MAX_BYTES };
    Watch { namespace: scope.namespace.clone(), label_selector: None, field_selector, keep }
}

async fn watch_pods(workloads: &Workloads, client: kube::Client, scope: &Scope) -> Option<Right> {
    let what = what(scope, &["spec", "status"], Some(UNFINISHED));
    follow(workloads, scope, watch::<View<Pod, ObservedPod>>(client, what), Store::apply_pod).await
}

async fn watch_kind<K>(workloads: &Workloads, client: kube::Client, scope: &Scope) -> Option<Right>
where
    K: Resource<DynamicType = ()> + std::fmt::Debug + 'static,
{
    let what = what(scope, &["spec"], None);
    let events = watch::<View<K, ObservedWorkload>>(client, what);
    follow(workloads, scope, events, Store::apply_workload).await
}

/// Keeps what a watch shows, until the right to it is withdrawn, which is returned.
async fn follow<T>(
    workloads: &Workloads,
    scope: &Scope,
    events: impl Stream<Item = watcher::Result<Event<T>>>,
    apply: impl Fn(&mut Store, &Scope, Event<T>),
) -> Option<Right> {
    let mut events = pin!(events.default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => apply(&mut workloads.0.store.lock(), scope, event),
            Err(error) => {
                let cause = ApiCause::of_watch(&error);
                workloads.0.store.lock().has_failed(scope);
                let (kind, namespace) = (scope.kind, &scope.namespace);
                tracing::warn!(?kind, namespace, error = %cause, "cannot watch the workloads; trying again");
                if matches!(cause, ApiCause::MissingRight(_)) {
                    let [list, watch] = rights(scope.kind);
                    let is_list = matches!(error, watcher::Error::InitialListFailed(_));
                    return Some(if is_list { list } else { watch });
                }
            }
        }
    }
    None
}
