//! Watches the pods of Jobs, in each namespace for as long as it has Jobs: the agent has the right to see pods
//! only where it works, and elsewhere there are none of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::runtime::WatchStreamExt as _;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::view::PodView;
use super::{Jobs, own};
use crate::cluster::Freshness;
use crate::cluster::api_error::ApiCause;
use crate::cluster::rights::Right;
use crate::cluster::watch::{Keep, Watch, watch};

/// How often it is checked which namespaces have Jobs.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How long the pods of a namespace are watched after its last Job is gone: the next one mostly comes soon.
const IDLE_TTL: Duration = Duration::from_mins(5);
/// Bytes of a pod's status. Most of it are the messages of its containers that have ended: up to 4 KiB each.
const MAX_POD_BYTES: usize = 256 * 1024;

/// How often it is asked again whether pods may be watched.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Of how many namespaces the rights are asked for at once.
const MAX_CONCURRENT_REVIEWS: usize = 8;

/// Watches pods until it is dropped, or until one of its watches ends, which none does by itself.
pub async fn run(jobs: Jobs) {
    let mut watches = JoinSet::new();
    let mut running: HashMap<String, (AbortHandle, Instant)> = HashMap::new();
    let reviews = Arc::new(Semaphore::new(MAX_CONCURRENT_REVIEWS));
    loop {
        for namespace in jobs.0.store.namespaces() {
            let (_, used) = running.entry(namespace).or_insert_with_key(|namespace| {
                let watch = watch_if_allowed(jobs.clone(), namespace.clone(), reviews.clone());
                (watches.spawn(watch), Instant::now())
            });
            *used = Instant::now();
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

/// Watches the pods of a namespace once the agent has the right. Whoever may create Jobs can make some that look
/// like the agent's, also where it has no rights.
async fn watch_if_allowed(jobs: Jobs, namespace: String, reviews: Arc<Semaphore>) {
    let rights = [Right::LIST_PODS, Right::WATCH_PODS];
    loop {
        // The semaphore is never closed.
        let review = reviews.acquire().await.ok();
        if let Ok(None) = jobs.0.rights.missing(&rights, &namespace, Freshness::Cached).await {
            break;
        }
        drop(review);
        sleep(RETRY_INTERVAL).await;
    }
    watch_pods(jobs, namespace).await;
}

async fn watch_pods(jobs: Jobs, namespace: String) {
    let what = Watch {
        namespace: Some(namespace.clone()),
        label_selector: Some(own()),
        field_selector: None,
        keep: Keep { fields: &["status"], labels: &[], annotations: &[], max_bytes: MAX_POD_BYTES },
    };
    let events = watch::<PodView>(jobs.0.client.clone(), what).default_backoff();
    events
        .for_each(|event| {
            match event {
                Ok(event) => jobs.0.store.apply_pod(&namespace, event),
                Err(error) => {
                    jobs.0.store.pods_have_failed(&namespace, Timestamp::now());
                    let error = ApiCause::of_watch(&error);
                    tracing::warn!(namespace, %error, "cannot watch the pods; trying again");
                }
            }
            std::future::ready(())
        })
        .await;
}
