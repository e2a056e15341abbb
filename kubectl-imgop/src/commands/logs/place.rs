//! Where the Jobs of an object are: in its namespace, or in one of the agent's where they use what an administrator lends.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use imgop_core::api::{Image, ImageStatus, MIRROR_LABEL, Phase, WORKLOAD_MIRROR_LABEL, WorkloadMirror};
use imgop_core::inventory::mirror_label;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use kube::core::DynamicObject;

use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::cluster::agent::agents;
use crate::cluster::lease::lent_namespace;
use crate::cluster::objects::FoundObject;
use crate::cluster::pod_logs::end;
use crate::kinds::Erased;

/// How much later than the last of its Jobs a sync may end.
const AFTER_JOBS: SignedDuration = SignedDuration::from_secs(60);

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

    /// Returns where there may be a newer Job that the user may not see: an Image has been at work since all of these ended.
    pub fn newer_unseen(&self, image: &DynamicObject, now: Timestamp) -> Option<&String> {
        self.unseen.as_ref().filter(|_| worked_since(&self.newest_first, image, now))
    }
}

/// Returns whether an Image has been at work since all of these Jobs ended. A sync that finds nothing to do leaves no trace.
fn worked_since(jobs: &[Job], image: &DynamicObject, now: Timestamp) -> bool {
    let ended = |job: &Job| Some(end(job)?.last_transition_time.as_ref()?.0);
    let ends: Option<Vec<Timestamp>> = jobs.iter().map(ended).collect();
    let Some(last) = ends.and_then(|ends| ends.into_iter().max()) else { return false };
    let Ok(status) = serde_json::from_value::<ImageStatus>(image.data["status"].clone()) else {
        return false;
    };
    let is_at_work = status.phase == Some(Phase::Running);
    let worked = if is_at_work { Some(now) } else { status.last_sync_time.map(|time| time.0) };
    worked.is_some_and(|worked| worked.duration_since(last) > AFTER_JOBS)
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

/// Returns that Jobs may be in a namespace where the user may not look.
pub fn unseen_in(namespace: &str) -> String {
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

    /// A Job that ended at a minute; none has not.
    fn job(minute: Option<u8>) -> Job {
        let ended = minute.map(|minute| {
            json!([{ "type": "Failed", "status": "True", "lastTransitionTime": format!("2026-01-01T00:{minute:02}:00Z") }])
        });
        serde_json::from_value(json!({ "status": { "conditions": ended } })).unwrap()
    }

    #[test]
    fn an_image_that_was_at_work_after_all_of_its_jobs_had_others() {
        let now: Timestamp = "2026-01-01T00:30:00Z".parse().unwrap();
        let is_behind = |jobs: &[Job], status: serde_json::Value| {
            let image = json!({ "metadata": {}, "status": status });
            let image: DynamicObject = serde_json::from_value(image).unwrap();
            let unseen = Some("elsewhere".to_owned());
            let jobs = ObjectJobs { newest_first: jobs.to_vec(), unseen };
            jobs.newer_unseen(&image, now).is_some()
        };
        let synced =
            |time: &str| json!({ "phase": "COMPLETED", "lastSyncTime": format!("2026-01-01T00:{time}Z") });
        let running = || json!({ "phase": "RUNNING", "lastSyncTime": "2026-01-01T00:01:00Z" });
        assert!(is_behind(&[job(Some(10)), job(Some(5))], synced("20:00")));
        assert!(is_behind(&[job(Some(10))], running()));
        for (jobs, status, why) in [
            (&[job(Some(10))][..], synced("10:30"), "the sync ended with it"),
            (&[job(Some(10))], synced("05:00"), "it ended before"),
            (&[job(None), job(Some(5))], synced("20:00"), "one runs"),
            (&[job(Some(30))], running(), "it ended just now"),
            (&[], synced("20:00"), "there is none"),
            (&[job(Some(10))], json!({}), "it is not known"),
            (&[job(Some(10))], serde_json::Value::Null, "it has no status"),
        ] {
            assert!(!is_behind(jobs, status), "{why}");
        }
        let seen = ObjectJobs { newest_first: vec![job(Some(10))], unseen: None };
        let image = serde_json::from_value(json!({ "metadata": {}, "status": running() })).unwrap();
        assert_eq!(seen.newer_unseen(&image, now), None, "the user sees all");
    }
}
