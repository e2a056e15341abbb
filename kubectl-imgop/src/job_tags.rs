//! What the Jobs of an Image copy, as they say themselves.

use std::cmp::Reverse;

use imgop_core::api::{COPIES_ANNOTATION, IMAGE_UID_LABEL, MANAGED_BY, MANAGED_BY_LABEL};
use imgop_core::copy::CopyRecord;
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use crate::connection::Cluster;
use crate::errors::CliError;

/// The Jobs that the agent made for the Image with this UID, the newest first.
pub async fn jobs(cluster: &Cluster, uid: &str) -> Result<Vec<Job>, CliError> {
    let api: Api<Job> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let ours = format!("{MANAGED_BY_LABEL}={MANAGED_BY},{IMAGE_UID_LABEL}={uid}");
    let list = api.list(&ListParams::default().labels(&ours)).await;
    let mut jobs = list.map_err(|error| cluster.explain_in_namespace("list", "jobs.batch", &error))?.items;
    jobs.sort_by_key(|job| Reverse(job.creation_timestamp()));
    Ok(jobs)
}

/// The copies of a Job, in the order of its containers; none when it does not say. Each has a container
/// for each of its parts.
pub fn records(job: &Job) -> Option<Vec<CopyRecord>> {
    job.annotations().get(COPIES_ANNOTATION).and_then(|text| serde_json::from_str(text).ok())
}
