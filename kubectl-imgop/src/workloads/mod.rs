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

use imgop_core::api::{Image, MAX_NAMED_IN_STATUS, MirrorFailure, WorkloadMirror, WorkloadMode};
use imgop_core::build::ImageReference;
use imgop_core::copy::MAX_TAGS_PER_IMAGE;
use imgop_core::workloads::{Plan, Situation, WorkloadRequest, plan};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::cli_error::CliError;
use crate::cluster::registry_accesses::RegistryAccesses;
use crate::cluster::{AnsweringCluster, Cluster};
use crate::output::text::first_few;
use seen::{MAX_NAMED, Seen};

/// They are the agent's to read. Where an image goes that has an Image, that Image says.
static UNKNOWN_ARCHITECTURES: BTreeMap<ImageReference, String> = BTreeMap::new();

/// The Images that a mirror becomes, as far as the user sees what workloads use.
pub struct SeenImages {
    /// The Images.
    pub images: Vec<Image>,
    /// Whether the user may see all that the mirror sees.
    pub is_whole: bool,
    /// What is to be known of what the user does not see.
    pub warnings: Vec<String>,
}

/// Returns the Images that a mirror becomes.
pub async fn images(
    mirror: &WorkloadMirror,
    cluster: Result<&Cluster, String>,
) -> Result<SeenImages, CliError> {
    let cluster = cluster.map_err(|why| {
        let name = mirror.name_any();
        CliError::failed(format!("WorkloadMirror {name}: what workloads use is in the cluster: {why}"))
    })?;
    let mirrored = Mirrored::read(mirror, cluster).await?;
    let (images, warnings) = (mirrored.images(), mirrored.warnings());
    Ok(SeenImages { images, is_whole: mirrored.seen.unseen.is_empty(), warnings })
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

    /// Returns what is to be known of what the user does not see.
    pub fn warnings(&self) -> Vec<String> {
        let Seen { unseen, notes, .. } = &self.seen;
        let unseen = (!unseen.is_empty())
            .then(|| format!("you may not list {}; the agent may see more", first_few(unseen, MAX_NAMED, 0)));
        unseen.iter().chain(notes).map(|text| format!("{}: {text}", self.name)).collect()
    }

    /// Returns that there may be failures of which the rows say nothing, if so: the agent's status names only the first.
    pub fn unnamed_failures(&self) -> Option<String> {
        let is_full =
            self.request.spec().mode == WorkloadMode::Observe && self.failing.len() >= MAX_NAMED_IN_STATUS;
        is_full.then(|| {
            format!(
                "{}: the agent's status names {MAX_NAMED_IN_STATUS} tags at most that a source does not have or that could \
                 not be looked at; others like them are listed as planned",
                self.name
            )
        })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workloads::testing::mirrored;

    #[test]
    fn of_many_lists_that_are_hidden_a_warning_names_a_few() {
        let mut blind = mirrored(json!({}));
        blind.seen.unseen = (0..300).map(|number| format!("pods in n{number}")).collect();
        insta::assert_snapshot!(blind.warnings().join("\n"), @"cluster: you may not list pods in n0,pods in n1,pods in n2,pods in n3,pods in n4,+295; the agent may see more");
    }

    #[test]
    fn where_the_status_is_full_of_failures_those_that_it_does_not_name_are_spoken_of() {
        let with = |mode: &str, number: usize| {
            let failure = |tag: usize| MirrorFailure {
                image: "web".to_owned(),
                reason: "RegistryUnauthorized".to_owned(),
                tag: Some(tag.to_string()),
            };
            let failing = (0..number).map(failure).collect();
            Mirrored { failing, ..mirrored(json!({ "mode": mode })) }.unnamed_failures()
        };
        assert_eq!(with("Observe", 19), None);
        assert!(
            with("Observe", 20)
                .is_some_and(|why| why.starts_with("cluster: the agent's status names 20 tags"))
        );
        assert_eq!(with("Active", 20), None, "there each Image says what became of its tags");
    }
}
