//! `kubectl imgop logs`.

use clap::Args;
use imgop_core::api::JOB_NAME_LABEL;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt};

use crate::cli_error::{CliError, Outcome};
use crate::cluster::{Cluster, ConnectionArgs};
use crate::kinds::{JobContainer, KindRef, ObjectRef};
use crate::output::Ui;

/// Print the logs of the newest Job of an Image
///
/// Each tag is copied by a container of its own, or by one for each part of it where --platforms or
/// --referrers select parts. Jobs and their logs are deleted an hour after they ended, by default;
/// kubectl imgop describe shows for longer what became of the tags.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Name of the Image
    #[arg(value_parser = ObjectRef::parse)]
    name: ObjectRef,

    /// Print only the newest copy of this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

/// Prints logs.
pub async fn run(ui: Ui, args: &LogsArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let cluster = connection.connect().await?;
    let found = cluster.get(&args.name).await?;
    let jobs = cluster.jobs(found.kind, &found.object.uid().unwrap_or_default()).await?;
    let Some((job, containers)) = newest(found.kind, &jobs, args.tag.as_deref()) else {
        let what = args.tag.as_ref().map_or(String::new(), |tag| format!(" that copies {tag}"));
        return Err(CliError::failed(format!("{} has no Job{what}", args.name)).hinted(format!(
            "kubectl imgop describe {}{} shows what became of the tags",
            args.name,
            cluster.place()
        )));
    };
    let Some(pod) = pod(&cluster, &job).await? else {
        return Err(CliError::failed(format!("Job {job} has no pod yet")));
    };
    for container in &containers {
        ui.note(&format!("==> {} (pod {pod}, container {}) <==", container.source_tag, container.name));
        print(ui, &cluster, &pod, &container.name).await?;
    }
    Ok(Outcome::Done)
}

/// Returns the newest Job and its containers, or the newest one that works on this tag and those that do.
/// The Jobs come newest first.
fn newest(kind: KindRef, jobs: &[Job], tag: Option<&str>) -> Option<(String, Vec<JobContainer>)> {
    let is_selected = |container: &JobContainer| {
        tag.is_none_or(|tag| container.source_tag == tag || container.destination_tag == tag)
    };
    jobs.iter().find_map(|job| {
        let mut containers = kind.containers(job)?;
        containers.retain(is_selected);
        (!containers.is_empty()).then(|| (job.name_any(), containers))
    })
}

/// Returns the newest pod of a Job.
async fn pod(cluster: &Cluster, job: &str) -> Result<Option<String>, CliError> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let list = pods.list(&ListParams::default().labels(&format!("{JOB_NAME_LABEL}={job}"))).await;
    let list = list.map_err(|error| cluster.explain_in_namespace("list", "pods", &error))?;
    Ok(list.items.iter().max_by_key(|pod| pod.creation_timestamp()).map(ResourceExt::name_any))
}

/// Prints the log of a container; one that has not started has none.
async fn print(ui: Ui, cluster: &Cluster, pod: &str, container: &str) -> Result<(), CliError> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let of = LogParams { container: Some(container.to_owned()), ..LogParams::default() };
    match pods.logs(pod, &of).await {
        Ok(text) => ui.data(&text),
        Err(kube::Error::Api(status)) if status.code == 400 => {
            ui.note(&status.message);
            Ok(())
        }
        Err(error) => Err(cluster.explain_in_namespace("get", "pods/log", &error)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::DEFAULT_KIND;

    fn job(name: &str, tags: &[&str]) -> Job {
        let copies: Vec<_> = tags
            .iter()
            .map(|tag| {
                json!({ "source": tag, "destination": format!("mirror-{tag}"), "attempt": 1,
                               "digest": format!("sha256:{}", "0".repeat(64)) })
            })
            .collect();
        serde_json::from_value(json!({ "metadata": { "name": name,
            "annotations": { "imgop.skopeo.io/copies": serde_json::to_string(&copies).unwrap() } } }))
        .unwrap()
    }

    #[test]
    fn the_newest_job_that_copies_the_tag_is_selected() {
        let jobs = [job("new", &["1.2", "1.1"]), job("old", &["1.1", "1.0"])];
        let of = |tag: Option<&str>| {
            let (job, containers) = newest(DEFAULT_KIND, &jobs, tag).unwrap_or_default();
            containers.iter().map(|c| format!("{job}/{} {}", c.name, c.source_tag)).collect::<Vec<_>>()
        };
        assert_eq!(of(None), ["new/copy-0 1.2", "new/copy-1 1.1"]);
        assert_eq!(of(Some("1.1")), ["new/copy-1 1.1"]);
        assert_eq!(of(Some("mirror-1.0")), ["old/copy-1 1.0"]);
        assert!(of(Some("0.9")).is_empty());
    }

    #[test]
    fn each_part_of_a_copy_has_a_log() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let copies = json!([
            { "source": "1.0", "destination": "1.0", "attempt": 1, "digest": digest("0"),
              "madeOf": { "origin": { "platformsOf": digest("1") }, "parts": [digest("2"), digest("3")] } },
            { "source": "1.1", "destination": "1.1", "attempt": 1, "digest": digest("4") },
        ]);
        let mut job = job("j", &[]);
        job.annotations_mut().insert("imgop.skopeo.io/copies".to_owned(), copies.to_string());
        let of = |tag: Option<&str>| {
            let (_, containers) = newest(DEFAULT_KIND, std::slice::from_ref(&job), tag).unwrap_or_default();
            containers.into_iter().map(|c| format!("{} {}", c.name, c.source_tag)).collect::<Vec<_>>()
        };
        assert_eq!(of(None), ["copy-0 1.0", "copy-0-1 1.0", "copy-1 1.1"]);
        assert_eq!(of(Some("1.0")), ["copy-0 1.0", "copy-0-1 1.0"]);
    }
}
