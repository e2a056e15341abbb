//! What the Jobs of an Image copy, as their annotation records it.

use imgop_core::api::{COPIES_ANNOTATION, NATIVE_CONTAINER, container_name};
use imgop_core::copy::CopyRecord;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;

use crate::kinds::JobContainer;

/// Returns the containers in the order of the pod: each tag has one, or one for each part of it where
/// platforms or referrers are selected. With the engine Native one container stands there for each of its tags.
pub fn containers(job: &Job) -> Option<Vec<JobContainer>> {
    let annotation = job.annotations().get(COPIES_ANNOTATION)?;
    let records: Vec<CopyRecord> = serde_json::from_str(annotation).ok()?;
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let is_native = pod.is_some_and(|pod| pod.containers.iter().any(|it| it.name == NATIVE_CONTAINER));
    let containers = records.into_iter().enumerate().flat_map(|(index, record)| {
        // A copy that cannot be read back has one container.
        let parts = if is_native { 1 } else { record.read().map_or(1, |copy| copy.parts().len()) };
        (0..parts).map(move |part| JobContainer {
            name: if is_native { NATIVE_CONTAINER.to_owned() } else { container_name(index, part) },
            works_on: record.source.clone(),
            writes: record.destination.to_string(),
        })
    });
    Some(containers.collect())
}
