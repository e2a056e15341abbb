//! `kubectl imgop logs`.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use imgop_core::api::container_name;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt};

use crate::completion::image_names;
use crate::connection::{Cluster, ConnectionArgs};
use crate::errors::{CliError, Outcome};
use crate::job_tags::{jobs, records};
use crate::names::parse_image_name;
use crate::ui::Ui;

/// The label by which Kubernetes marks the pods of a Job.
const JOB_LABEL: &str = "batch.kubernetes.io/job-name";

/// Print what Skopeo said in the newest Job of an Image
///
/// Each tag is copied by a container of its own, or by one for each part of it where --platforms or
/// --referrers choose. The Jobs, and their logs with them, are gone some
/// minutes after they ended; kubectl imgop describe shows for longer what became of the tags.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Name of the Image
    #[arg(value_parser = parse_image_name,
        add = ArgValueCompleter::new(image_names))]
    name: String,

    /// Only the newest copy of this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// One copy or a part of one: the tag, and the container that makes it.
#[derive(Debug, PartialEq, Eq)]
struct Copying {
    job: String,
    tag: String,
    container: String,
}

/// Prints logs.
pub async fn run(ui: Ui, args: &LogsArgs) -> Result<Outcome, CliError> {
    let cluster = args.connection.connect().await?;
    let image = cluster.image(&args.name).await?;
    let jobs = jobs(&cluster, &image.uid().unwrap_or_default()).await?;
    let copies = newest(&jobs, args.tag.as_deref());
    let Some(first) = copies.first() else {
        let what = args.tag.as_ref().map_or(String::new(), |tag| format!(" that copies {tag}"));
        return Err(CliError::failed(format!("{} has no Job{what}", args.name)).hinted(format!(
            "kubectl imgop describe {}{} shows what became of the tags",
            args.name,
            cluster.place()
        )));
    };
    let Some(pod) = pod(&cluster, &first.job).await? else {
        return Err(CliError::failed(format!("Job {} has no pod yet", first.job)));
    };
    for copying in &copies {
        ui.note(&format!("==> {} (pod {pod}, container {}) <==", copying.tag, copying.container));
        print(ui, &cluster, &pod, copying).await?;
    }
    Ok(Outcome::Done)
}

/// The copies of the newest Job, or of the newest one that copies this tag. The Jobs come newest first.
fn newest(jobs: &[Job], tag: Option<&str>) -> Vec<Copying> {
    let copies = |job: &Job| -> Vec<Copying> {
        let records = records(job).unwrap_or_default().into_iter().enumerate();
        records
            .filter(|(_, record)| {
                tag.is_none_or(|tag| record.source == tag || record.destination.as_str() == tag)
            })
            .flat_map(|(index, record)| {
                // One that cannot be read back has a container too, if the Job is ours at all.
                let parts = record.read().map_or(1, |copy| copy.parts().len());
                (0..parts).map(move |part| Copying {
                    job: job.name_any(),
                    tag: record.source.clone(),
                    container: container_name(index, part),
                })
            })
            .collect()
    };
    jobs.iter().map(copies).find(|copies| !copies.is_empty()).unwrap_or_default()
}

/// The newest pod of a Job.
async fn pod(cluster: &Cluster, job: &str) -> Result<Option<String>, CliError> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let list = pods.list(&ListParams::default().labels(&format!("{JOB_LABEL}={job}"))).await;
    let list = list.map_err(|error| cluster.explain_in_namespace("list", "pods", &error))?;
    Ok(list.items.iter().max_by_key(|pod| pod.creation_timestamp()).map(ResourceExt::name_any))
}

/// A container that has not begun has no log; the others do.
async fn print(ui: Ui, cluster: &Cluster, pod: &str, copying: &Copying) -> Result<(), CliError> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let of = LogParams { container: Some(copying.container.clone()), ..LogParams::default() };
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
    fn the_newest_job_that_copies_the_tag_is_meant() {
        let jobs = [job("new", &["1.2", "1.1"]), job("old", &["1.1", "1.0"])];
        let of = |tag: Option<&str>| {
            let copies = newest(&jobs, tag);
            copies.iter().map(|c| format!("{}/{} {}", c.job, c.container, c.tag)).collect::<Vec<_>>()
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
            let copies = newest(std::slice::from_ref(&job), tag);
            copies.into_iter().map(|c| format!("{} {}", c.container, c.tag)).collect::<Vec<_>>()
        };
        assert_eq!(of(None), ["copy-0 1.0", "copy-0-1 1.0", "copy-1 1.1"]);
        assert_eq!(of(Some("1.0")), ["copy-0 1.0", "copy-0-1 1.0"]);
    }
}
