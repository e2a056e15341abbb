//! What the Jobs of an Image copy, as their annotation records it.

use imgop_core::api::COPIES_ANNOTATION;
use imgop_core::api::container_name;
use imgop_core::copy::CopyRecord;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;

use crate::kinds::JobContainer;

/// Returns the containers in the order of the pod: each tag has one, or one for each part of it where
/// platforms or referrers are selected.
pub fn containers(job: &Job) -> Option<Vec<JobContainer>> {
    let annotation = job.annotations().get(COPIES_ANNOTATION)?;
    let records: Vec<CopyRecord> = serde_json::from_str(annotation).ok()?;
    let containers = records.into_iter().enumerate().flat_map(|(index, record)| {
        // A copy that cannot be read back has one container.
        let parts = record.read().map_or(1, |copy| copy.parts().len());
        (0..parts).map(move |part| JobContainer {
            name: container_name(index, part),
            works_on: record.source.clone(),
            writes: record.destination.to_string(),
        })
    });
    Some(containers.collect())
}
