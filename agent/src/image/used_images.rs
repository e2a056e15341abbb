//! What the pods and workloads of the whole cluster use: listed right before tags are deleted, because whoever pulls from a
//! destination need not have an object of imgop.
//!
//! Only a complete list counts. A right that lacks, a page that does not come and an object that cannot be read are errors.

use std::collections::HashSet;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt as _;
use imgop_core::copy::UsedImage;
use imgop_core::workloads::{ObservedImage, ObservedPod, ObservedWorkload};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::Event;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::agent::Agent;
use crate::cluster::Freshness;
use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::rights::{Right, Role};
use crate::cluster::view::View;
use crate::cluster::watch::{Keep, Watch, watch};

/// Bytes of a pod or a workload while it is read.
const MAX_BYTES: usize = 512 * 1024;
/// Pods that have ended use no image.
const UNFINISHED: &str = "status.phase!=Succeeded,status.phase!=Failed";
/// What is listed: pods, and what makes pods. One that is scaled to zero, that waits for its hour or that is kept to go back
/// to has none now.
const RIGHTS: [Right; 7] = [
    of("", "pods"),
    of("apps", "deployments"),
    of("apps", "statefulsets"),
    of("apps", "daemonsets"),
    of("apps", "replicasets"),
    of("batch", "jobs"),
    of("batch", "cronjobs"),
];

const fn of(group: &'static str, resource: &'static str) -> Right {
    Right { verb: "list", group, resource, done_to: None, role: Role::WORKLOADS }
}

/// Why it is not known what is used.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotKnown {
    /// No administrator has given the agent a right, and what does.
    #[error("the agent may not {0} of the cluster; {1}")]
    MissingRight(Right, String),
    /// The API server did not say what the agent may do.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A list broke off.
    #[error("cannot list the {what}s of the cluster: {cause}")]
    Incomplete {
        /// The kind.
        what: String,
        /// Why.
        cause: ApiCause,
    },
    /// A list ended before it was complete.
    #[error("cannot list the {0}s of the cluster: the list broke off")]
    BrokenOff(String),
    /// An object is too large, or nothing that this version knows.
    #[error("cannot read {what} \"{namespace}/{name}\"")]
    Unreadable {
        /// The kind.
        what: String,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// The images that a cluster uses: a cluster has many pods, and one list serves all Images for a minute. Before tags are
/// deleted it is listed anew; those that waited meanwhile share that list.
#[derive(Debug, Default)]
pub(crate) struct UsedImages {
    listed: Mutex<Option<(Instant, Arc<HashSet<UsedImage>>)>>,
}

impl UsedImages {
    /// Returns all images that the cluster uses. `Now` takes no list that was begun before.
    pub(super) async fn all(
        &self,
        agent: &Agent,
        freshness: Freshness,
    ) -> Result<Arc<HashSet<UsedImage>>, NotKnown> {
        let asked = Instant::now();
        let mut listed = self.listed.lock().await;
        if let Some((begun, all)) = &*listed
            && (*begun >= asked || freshness != Freshness::Now && begun.elapsed() < freshness.max_age())
        {
            return Ok(all.clone());
        }
        let begun = Instant::now();
        *listed = None;
        let whole = "";
        if let Some(right) = agent.rights.missing(&RIGHTS, whole, Freshness::Rechecked).await? {
            return Err(NotKnown::MissingRight(right, agent.rights.how_to_grant(right, whole)));
        }
        let all = Arc::new(list_all(&agent.client).await?);
        *listed = Some((begun, all.clone()));
        Ok(all)
    }
}

async fn list_all(client: &Client) -> Result<HashSet<UsedImage>, NotKnown> {
    let mut all = HashSet::new();
    let pods = Kind { fields: &["spec", "status"], selector: Some(UNFINISHED) };
    list::<Pod, ObservedPod>(client, pods, |pod| all.extend(pod.images().filter_map(used))).await?;
    let mut of_template = |workload: &ObservedWorkload| all.extend(workload.images().filter_map(used));
    let workloads = Kind { fields: &["spec"], selector: None };
    list::<Deployment, _>(client, workloads, &mut of_template).await?;
    list::<StatefulSet, _>(client, workloads, &mut of_template).await?;
    list::<DaemonSet, _>(client, workloads, &mut of_template).await?;
    list::<ReplicaSet, _>(client, workloads, &mut of_template).await?;
    list::<Job, _>(client, workloads, &mut of_template).await?;
    list::<CronJob, _>(client, workloads, &mut of_template).await?;
    Ok(all)
}

/// Returns what is used; nothing of what is no reference, which no node can pull.
fn used(image: ObservedImage<'_>) -> Option<UsedImage> {
    Some(UsedImage { reference: image.image.parse().ok()?, running: image.digest })
}

/// What is read of the objects of a kind.
#[derive(Debug, Clone, Copy)]
struct Kind {
    fields: &'static [&'static str],
    selector: Option<&'static str>,
}

/// Lists all objects of a kind, page by page.
async fn list<K, T>(client: &Client, of: Kind, mut read: impl FnMut(&T)) -> Result<(), NotKnown>
where
    K: Resource<DynamicType = ()> + Debug + 'static,
    T: DeserializeOwned + Clone + Debug + Send + 'static,
{
    let keep = Keep { fields: of.fields, labels: &[], annotations: &[], max_bytes: MAX_BYTES };
    let what = Watch { namespace: None, label_selector: None, field_selector: of.selector, keep };
    let kind = || K::kind(&()).into_owned();
    let mut events = pin!(watch::<View<K, T>>(client.clone(), what));
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| {
            let cause = ApiCause::of_watch(&error);
            NotKnown::Incomplete { what: kind(), cause }
        })?;
        match event {
            Event::Init => {}
            Event::InitApply(object) => match object.0 {
                Ok(view) => read(&view.object),
                Err(error) => {
                    let (namespace, name) = (error.metadata.namespace, error.metadata.name);
                    let [namespace, name] = [namespace, name].map(Option::unwrap_or_default);
                    return Err(NotKnown::Unreadable { what: kind(), namespace, name });
                }
            },
            // What comes after the whole list is a watch's.
            Event::InitDone | Event::Apply(_) | Event::Delete(_) => return Ok(()),
        }
    }
    Err(NotKnown::BrokenOff(kind()))
}
