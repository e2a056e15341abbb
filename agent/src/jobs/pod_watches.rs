//! Watches the pods of Jobs, in each namespace for as long as it has Jobs: the agent has the right to see pods
//! only where it works, and elsewhere there are none of its own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use kube::runtime::WatchStreamExt as _;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::view::PodView;
use super::{Jobs, own};
use crate::cluster::Freshness;
use crate::cluster::rights::Right;
use crate::cluster::watch::{Keep, Watch, watch};

/// How often it is checked which namespaces have Jobs.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How long the pods of a namespace are watched after its last Job is gone: the next one mostly comes soon.
const IDLE_TTL: Duration = Duration::from_mins(5);
/// Bytes of a pod's status. Most of it are the messages of its containers that have ended: up to 4 KiB each.
const MAX_POD_BYTES: usize = 256 * 1024;

/// How many rights are asked for at once.
const MAX_CONCURRENT_REVIEWS: usize = 8;

/// Watches pods until it is dropped, or until one of its watches ends, which none does by itself.
pub async fn run(jobs: Jobs) {
    let mut watches = JoinSet::new();
    let mut running: HashMap<String, (AbortHandle, Instant)> = HashMap::new();
    loop {
        let namespaces = jobs.0.store.namespaces();
        for namespace in &namespaces {
            if let Some((_, used)) = running.get_mut(namespace) {
                *used = Instant::now();
            }
        }
        let new = namespaces.into_iter().filter(|namespace| !running.contains_key(namespace));
        let new: Vec<String> = new.collect();
        let mut allowed = stream::iter(new)
            .map(|namespace| async { may_watch(&jobs, &namespace).await.then_some(namespace) })
            .buffer_unordered(MAX_CONCURRENT_REVIEWS);
        while let Some(namespace) = allowed.next().await {
            if let Some(namespace) = namespace {
                let handle = watches.spawn(watch_pods(jobs.clone(), namespace.clone()));
                running.insert(namespace, (handle, Instant::now()));
            }
        }
        running.retain(|namespace, (handle, used)| {
            let is_used = used.elapsed() < IDLE_TTL;
            if !is_used {
                handle.abort();
                jobs.0.store.forget_pods(namespace);
            }
            is_used
        });
        while let Some(ended) = watches.try_join_next() {
            if !ended.is_err_and(|error| error.is_cancelled()) {
                return;
            }
        }
        sleep(CHECK_INTERVAL).await;
    }
}

/// Returns whether the pods of a namespace may be watched. Whoever may create Jobs can make some that look like
/// the agent's, also where it has no rights.
async fn may_watch(jobs: &Jobs, namespace: &str) -> bool {
    let rights = [Right::LIST_PODS, Right::WATCH_PODS];
    matches!(jobs.0.rights.missing(&rights, namespace, Freshness::Cached).await, Ok(None))
}

async fn watch_pods(jobs: Jobs, namespace: String) {
    let what = Watch {
        namespace: Some(namespace.clone()),
        label_selector: Some(own()),
        keep: Keep { fields: &["status"], labels: &[], annotations: &[], max_bytes: MAX_POD_BYTES },
    };
    let events = watch::<PodView>(jobs.0.client.clone(), what).default_backoff();
    events
        .for_each(|event| {
            match event {
                Ok(event) => jobs.0.store.apply_pod(&namespace, event),
                Err(error) => {
                    jobs.0.store.pods_have_failed(&namespace, Timestamp::now());
                    tracing::warn!(namespace, %error, "cannot watch the pods; trying again");
                }
            }
            std::future::ready(())
        })
        .await;
}
