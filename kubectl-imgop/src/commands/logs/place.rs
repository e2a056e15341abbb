//! Where the Jobs of an object are: in its namespace, or in one of the agent's where they use what an administrator lends.

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
pub struct JobPlace {
    /// The cluster, with their namespace.
    pub cluster: Cluster,
    /// The Jobs, the newest first.
    pub jobs: Vec<Job>,
    /// Where there may be others that the user may not see, in words.
    pub unseen: Option<String>,
}

impl JobPlace {
    /// Looks for the Jobs of an object; in the agents' namespaces only where its own has none.
    pub async fn of(cluster: &Cluster, found: &FoundObject) -> Result<Self, CliError> {
        let uid = found.object.uid().unwrap_or_default();
        let jobs = cluster.jobs(&uid).await?;
        let own = Self { cluster: cluster.clone(), jobs, unseen: None };
        // Nothing is lent to builds.
        if !own.jobs.is_empty() || found.kind != Erased::<Image>::REF {
            return Ok(own);
        }
        let Ok(agents) = agents(cluster).await else {
            return Ok(Self { unseen: Some(unseen("a namespace of the agent")), ..own });
        };
        let mut hidden = None;
        for agent in &agents {
            let cluster = cluster.in_namespace(Some(&lent_namespace(agent)));
            match cluster.jobs(&uid).await {
                Ok(jobs) if jobs.is_empty() => {}
                Ok(jobs) => return Ok(Self { cluster, jobs, unseen: None }),
                Err(_) => hidden = Some(unseen(&format!("namespace {}", cluster.namespace))),
            }
        }
        Ok(Self { unseen: hidden, ..own })
    }

    /// Returns that the Jobs are elsewhere than their object, if they are.
    pub fn elsewhere(&self, of_object: &Cluster) -> Option<String> {
        let namespace = &self.cluster.namespace;
        (*namespace != of_object.namespace).then(|| {
            format!("the Job is in namespace {namespace}, since it uses what an administrator lends")
        })
    }
}

fn unseen(place: &str) -> String {
    format!(
        "Jobs that use what an administrator lends (RegistryAccess) are in {place}: whoever may list Jobs and read the \
         logs of pods there can print them"
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
