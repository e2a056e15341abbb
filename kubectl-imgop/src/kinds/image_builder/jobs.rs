//! Which part of which build the Jobs of an ImageBuilder are, as their annotation records it.

use imgop_core::api::BUILD_ANNOTATION;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use serde::Deserialize;

use crate::kinds::JobContainer;

/// The containers of a build's pod, in the order in which they run.
const CONTAINERS: [&str; 3] = ["prepare", "build", "push"];

/// A part of a build.
#[derive(Debug, Deserialize)]
pub struct BuildPart {
    /// The number of the build.
    pub number: u64,
    /// The platform.
    pub platform: String,
}

/// Returns which part a Job is; nothing where the Job does not record that.
pub fn part(job: &Job) -> Option<BuildPart> {
    serde_json::from_str(job.annotations().get(BUILD_ANNOTATION)?).ok()
}

/// Returns the containers of a part.
pub fn containers(job: &Job) -> Option<Vec<JobContainer>> {
    let BuildPart { platform, .. } = part(job)?;
    let container = |name: &str| JobContainer {
        name: name.to_owned(),
        works_on: platform.clone(),
        writes: platform.clone(),
    };
    Some(CONTAINERS.map(container).to_vec())
}
