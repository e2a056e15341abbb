//! What WorkloadMirrors see and make of it, read with the user's own rights, and planned by the code that the agent runs.
//!
//! ```text
//! allowing  which namespaces let themselves be seen
//! seen      pods, templates, nodes and Images of the cluster
//! pulled    what became of images that pods pull from the destination
//! rows      what becomes of each image, for people and programs
//! planned   which Images are made, changed and deleted
//! ```

mod allowing;
mod forbidden;
pub mod planned;
mod pulled;
pub mod rows;
pub mod seen;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;

use imgop_core::api::{Image, MirrorFailure, WorkloadMirror};
use imgop_core::build::ImageReference;
use imgop_core::copy::MAX_TAGS_PER_IMAGE;
use imgop_core::workloads::{Plan, Situation, WorkloadRequest, plan};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::cli_error::CliError;
use crate::cluster::registry_accesses::RegistryAccesses;
use crate::cluster::{AnsweringCluster, Cluster};
use seen::Seen;

/// They are the agent's to read. Where an image goes that has an Image, that Image says.
static UNKNOWN_ARCHITECTURES: BTreeMap<ImageReference, String> = BTreeMap::new();

/// Returns the Images that a mirror becomes.
pub async fn images(
    mirror: &WorkloadMirror,
    cluster: Result<&Cluster, String>,
) -> Result<Vec<Image>, CliError> {
    let cluster = cluster.map_err(|why| {
        let name = mirror.name_any();
        CliError::failed(format!("WorkloadMirror {name}: what workloads use is in the cluster: {why}"))
    })?;
    Mirrored::read(mirror, cluster).await.map(|mirrored| mirrored.images())
}

/// A WorkloadMirror with what it sees.
pub struct Mirrored {
    /// Its name.
    pub name: String,
    /// ` -n ci --context x`: what a command needs that is about it.
    place: String,
    /// Its spec, read.
    pub request: WorkloadRequest,
    /// What it sees, as far as the user may see it.
    pub seen: Seen,
    /// What the agent says of Images that it would make, or cannot make.
    failing: Vec<MirrorFailure>,
    /// Whether the agent has looked in vain for each image that pods cannot pull.
    has_looked_in_vain: bool,
}

impl Mirrored {
    /// Reads what a mirror sees.
    pub async fn read(mirror: &WorkloadMirror, cluster: &Cluster) -> Result<Self, CliError> {
        let name = mirror.name_any();
        let namespace = mirror.namespace().unwrap_or_else(|| cluster.namespace.clone());
        let request = WorkloadRequest::parse(&mirror.spec, &namespace)
            .map_err(|error| CliError::failed(format!("WorkloadMirror {name}: {error}")))?;
        // Other names of registries, where the user may read what administrators granted.
        let answering = AnsweringCluster::new(Ok(cluster.clone()));
        let accesses = RegistryAccesses::new(&answering);
        let request = match accesses.policy().await {
            Some(policy) => request.known_by(policy),
            None => request,
        };
        let seen = Seen::read(cluster, mirror, &namespace, &request).await?;
        // What the agent reports of another spec says nothing of this one.
        let status = mirror.status.as_ref();
        let status = status.filter(|status| status.observed_generation == mirror.metadata.generation);
        let not_found = status.and_then(|status| status.counts).map(|counts| counts.origin_not_found);
        let failing = status.map(|status| status.failing.clone()).unwrap_or_default();
        let place = cluster.in_namespace(Some(&namespace)).place();
        let mut mirrored = Self { name, place, request, seen, failing, has_looked_in_vain: false };
        mirrored.has_looked_in_vain = not_found.is_some_and(|number| mirrored.looked_in_vain(number));
        Ok(mirrored)
    }

    /// Returns what is to be done.
    pub fn plan(&self) -> Plan<'_> {
        let situation = Situation {
            mirror: &self.name,
            used: &self.seen.used,
            is_complete: self.seen.is_complete,
            children: &self.seen.children,
            found: &[],
            targets: &self.seen.targets,
            max_tags: MAX_TAGS_PER_IMAGE.into(),
            node_platforms: &self.seen.node_platforms,
            architectures: &UNKNOWN_ARCHITECTURES,
            now: Timestamp::now(),
        };
        plan(&self.request, &situation)
    }

    /// Returns the Images that it is to become.
    pub fn images(&self) -> Vec<Image> {
        let image = |child: &imgop_core::workloads::PlannedChild| {
            let mut image = Image::new(&child.name, self.request.image_spec(child));
            image.metadata.namespace = Some(self.seen.namespace.clone());
            image
        };
        self.plan().children.iter().map(image).collect()
    }
}
