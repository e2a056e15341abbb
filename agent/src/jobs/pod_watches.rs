//! Watches the pods of Jobs, in each namespace for as long as it has Jobs: the agent has the right to see pods
//! only where it works, and elsewhere there are none of its own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
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
/// How long the pods of a namespace are running after its last Job: the next one mostly comes soon.
const IDLE_TTL: Duration = Duration::from_mins(5);
/// Bytes of a pod's status that are read: the ends of its containers, of at most 4 KiB each.
const MAX_POD_BYTES: usize = 256 * 1024;

/// Watches pods until it is dropped.
pub async fn run(jobs: Jobs) {
    let mut watches = JoinSet::new();
    let mut running: HashMap<String, (AbortHandle, Instant)> = HashMap::new();
    loop {
        jobs.0.budget.expire(Timestamp::now());
        for namespace in jobs.0.store.namespaces() {
            if let Some((_, used)) = running.get_mut(&namespace) {
                *used = Instant::now();
            } else if may_watch(&jobs, &namespace).await {
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
        while watches.try_join_next().is_some() {}
        sleep(CHECK_INTERVAL).await;
    }
}

/// Whoever may create Jobs can make some that look like the agent's, also where it has no rights.
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
                Err(error) => tracing::warn!(namespace, %error, "cannot watch the pods; trying again"),
            }
            std::future::ready(())
        })
        .await;
}
