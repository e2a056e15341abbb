//! Where the Jobs of an object are: in its namespace, or in one of the agent's where they use what an administrator lends.

use std::collections::BTreeSet;

use imgop_core::api::{Image, MIRROR_LABEL, WORKLOAD_MIRROR_LABEL, WorkloadMirror};
use imgop_core::inventory::mirror_label;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;

use super::attempts::{Wanted, working_on};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::cluster::agent::agents;
use crate::cluster::lease::lent_namespace;
use crate::cluster::objects::FoundObject;
use crate::kinds::{Erased, KindRef};

/// The Jobs of an object.
pub struct JobPlace {
    /// The cluster, with their namespace.
    pub cluster: Cluster,
    /// The Jobs, the newest first.
    pub jobs: Vec<Job>,
    /// Where there may be others that the user may not see, in words.
    pub unseen: Option<String>,
}

impl JobPlace {
    /// Looks for the Jobs of an object where they may be: in its namespace, and those of an Image in the agents' as well. Of
    /// these places it is the one that has the newest Job of those that are wanted.
    pub async fn of(cluster: &Cluster, found: &FoundObject, wanted: &Wanted) -> Result<Self, CliError> {
        let uid = found.object.uid().unwrap_or_default();
        let own = Self { cluster: cluster.clone(), jobs: cluster.jobs(&uid).await?, unseen: None };
        // Nothing is lent to builds.
        if found.kind != Erased::<Image>::REF {
            return Ok(own);
        }
        let Ok(agents) = agents(cluster).await else {
            return Ok(Self { unseen: Some(unseen_anywhere()), ..own });
        };
        let lent: BTreeSet<String> = agents.iter().map(lent_namespace).collect();
        let (mut places, mut unseen) = (vec![own], None);
        for namespace in lent.into_iter().filter(|namespace| *namespace != cluster.namespace) {
            let cluster = cluster.in_namespace(Some(&namespace));
            match cluster.jobs(&uid).await {
                Ok(jobs) => places.push(Self { cluster, jobs, unseen: None }),
                Err(_) => unseen = Some(unseen_in(&namespace)),
            }
        }
        let jobs: Vec<&[Job]> = places.iter().map(|place| place.jobs.as_slice()).collect();
        let place = newest(found.kind, &jobs, wanted);
        Ok(Self { unseen, ..places.swap_remove(place) })
    }

    /// Returns that the Jobs are elsewhere than their object, if they are.
    pub fn elsewhere(&self, of_object: &Cluster) -> Option<String> {
        let namespace = &self.cluster.namespace;
        (*namespace != of_object.namespace).then(|| {
            format!("the Job is in namespace {namespace}, since it uses what an administrator lends")
        })
    }
}

/// Returns which of these places has the newest Job of those that are wanted; the first where none has any. The Jobs of each
/// come newest first.
fn newest(kind: KindRef, places: &[&[Job]], wanted: &Wanted) -> usize {
    let (mut found, mut newest) = (0, None);
    for (place, jobs) in places.iter().enumerate() {
        let jobs = working_on(kind, jobs, wanted);
        let created = jobs.first().map(|(job, _)| job.creation_timestamp());
        if created > newest {
            (found, newest) = (place, created);
        }
    }
    found
}

/// Returns that Jobs may be where the user may not look, as it is not known which namespaces these are.
fn unseen_anywhere() -> String {
    format!("{}, and list Deployments in all namespaces, can print them", unseen("a namespace of the agent"))
}

fn unseen_in(namespace: &str) -> String {
    format!("{} can print them", unseen(&format!("namespace {namespace}")))
}

fn unseen(place: &str) -> String {
    format!(
        "Jobs that use what an administrator lends (RegistryAccess) are in {place}: whoever may list Jobs and pods and read \
         the logs of pods there"
    )
}

/// Returns the error of an object that has no Jobs because the objects that it makes have them.
pub fn of_children(cluster: &Cluster, found: &FoundObject) -> Option<CliError> {
    let children = found.kind.children()?;
    let is_of_workloads = found.kind == Erased::<WorkloadMirror>::REF;
    let key = if is_of_workloads { WORKLOAD_MIRROR_LABEL } else { MIRROR_LABEL };
    let (object, place) = (found.reference(), cluster.place());
    let label = mirror_label(&object.name);
    let error = CliError::failed(format!("{object} has no Jobs of its own: its {children} have them"));
    let to_list = format!("to list them: kubectl imgop list -l {key}={label}{place}");
    Some(error.hinted(to_list).hinted(format!("then: kubectl imgop logs NAME{place}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::DEFAULT_KIND;

    fn job(created: &str, tag: &str) -> Job {
        let digest = format!("sha256:{}", "0".repeat(64));
        let copies =
            json!([{ "source": tag, "destination": tag, "attempt": 1, "digest": digest }]).to_string();
        serde_json::from_value(json!({ "metadata": { "name": "j", "creationTimestamp": created,
            "annotations": { "imgop.skopeo.io/copies": copies } } }))
        .unwrap()
    }

    #[test]
    fn the_place_is_that_of_the_newest_job_or_of_the_newest_that_copies_the_tag() {
        let own = [job("2026-01-02T00:00:00Z", "1.1"), job("2026-01-01T00:00:00Z", "1.0")];
        let lent = [job("2026-01-03T00:00:00Z", "1.2"), job("2026-01-01T00:00:00Z", "1.1")];
        let places: [&[Job]; 3] = [&own, &[], &lent];
        for (tag, expected) in
            [(None, 2), (Some("1.2"), 2), (Some("1.1"), 0), (Some("1.0"), 0), (Some("0.9"), 0)]
        {
            let wanted = Wanted { works_on: tag.map(str::to_owned), ..Wanted::default() };
            assert_eq!(newest(DEFAULT_KIND, &places, &wanted), expected, "{tag:?}");
        }
    }
}
