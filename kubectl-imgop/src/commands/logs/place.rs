//! Where the Jobs of an object are: in its namespace, or in one of the agent's where they use what an administrator lends.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use imgop_core::api::{Image, MIRROR_LABEL, WORKLOAD_MIRROR_LABEL, WorkloadMirror};
use imgop_core::inventory::mirror_label;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;

use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::cluster::agent::agents;
use crate::cluster::lease::lent_namespace;
use crate::cluster::objects::FoundObject;
use crate::kinds::Erased;

/// The Jobs of an object.
pub struct ObjectJobs {
    /// The Jobs of all places, the newest first.
    pub newest_first: Vec<Job>,
    /// Where there may be others that the user may not see, in words.
    pub unseen: Option<String>,
}

impl ObjectJobs {
    /// Looks for the Jobs of an object where they may be: in its namespace, and those of an Image in the agents' as well.
    pub async fn of(cluster: &Cluster, found: &FoundObject) -> Result<Self, CliError> {
        let uid = found.object.uid().unwrap_or_default();
        let own = cluster.jobs(&uid).await?;
        // Nothing is lent to builds.
        if found.kind != Erased::<Image>::REF {
            return Ok(Self { newest_first: own, unseen: None });
        }
        let Ok(agents) = agents(cluster).await else {
            return Ok(Self { newest_first: own, unseen: Some(unseen_anywhere()) });
        };
        let lent: BTreeSet<String> = agents.iter().map(lent_namespace).collect();
        let (mut places, mut unseen) = (vec![own], None);
        for namespace in lent.into_iter().filter(|namespace| *namespace != cluster.namespace) {
            match cluster.in_namespace(Some(&namespace)).jobs(&uid).await {
                Ok(jobs) => places.push(jobs),
                Err(_) => unseen = Some(unseen_in(&namespace)),
            }
        }
        Ok(Self { newest_first: newest_first(places), unseen })
    }
}

/// Returns the Jobs of several places, the newest first.
fn newest_first(places: Vec<Vec<Job>>) -> Vec<Job> {
    let mut jobs: Vec<Job> = places.into_iter().flatten().collect();
    jobs.sort_by_key(|job| Reverse(job.creation_timestamp()));
    jobs
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

    #[test]
    fn jobs_of_several_places_are_in_one_order() {
        let job = |name: &str, day: u8| -> Job {
            let created = format!("2026-01-{day:02}T00:00:00Z");
            serde_json::from_value(json!({ "metadata": { "name": name, "creationTimestamp": created } }))
                .unwrap()
        };
        let places = vec![vec![job("d", 4), job("b", 2)], Vec::new(), vec![job("c", 3), job("a", 1)]];
        let names: Vec<String> = newest_first(places).iter().map(kube::ResourceExt::name_any).collect();
        assert_eq!(names, ["d", "c", "b", "a"]);
    }
}
