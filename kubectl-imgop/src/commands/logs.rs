//! `kubectl imgop logs`.

use clap::Args;
use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use imgop_core::api::JOB_NAME_LABEL;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt};

use crate::args::pick::OneArgs;
use crate::cli_error::{CliError, Outcome};
use crate::cluster::objects::FoundObject;
use crate::cluster::{Cluster, ConnectionArgs, TimeLimit};
use crate::kinds::{JobContainer, KindRef};
use crate::output::Ui;

/// Print the logs of the newest Job of an Image
///
/// Each tag is copied by a container of its own, or by one for each part of it where --platforms or
/// --referrers select parts. Jobs and their logs are deleted an hour after they ended, by default;
/// kubectl imgop describe shows for longer what became of the tags. Exit code 1 means that nothing was
/// logged.
#[derive(Debug, Args)]
pub struct LogsArgs {
    #[command(flatten)]
    one: OneArgs,

    /// Print only the newest copy of this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,

    /// Print what is logged from now on too, until the copies end; each line begins with its tag
    #[arg(short, long)]
    follow: bool,

    /// Print the logs of the pod before the newest one: of an earlier try, or of the Job before
    #[arg(short, long, conflicts_with = "follow")]
    previous: bool,

    /// How many lines to print of each container, from the end
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u32))]
    tail: Option<u32>,

    /// Print only what was logged within this time, such as 5m
    #[arg(long, value_name = "DURATION")]
    since: Option<TimeLimit>,
}

/// A pod, and its containers that are printed.
struct Attempt {
    pod: String,
    containers: Vec<JobContainer>,
}

/// Prints logs.
pub async fn run(ui: Ui, args: &LogsArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    let (cluster, found) = args.one.find(ui, connection).await?;
    let attempt = attempt(args, &cluster, &found).await?;
    let is_printed = if args.follow {
        follow(ui, args, &cluster, &attempt).await?
    } else {
        print(ui, args, &cluster, &attempt).await?
    };
    // Scripts must not mistake a container that has not started for one that had nothing to say.
    Ok(if is_printed { Outcome::Done } else { Outcome::NotReady })
}

/// Returns the pod whose logs are printed.
async fn attempt(args: &LogsArgs, cluster: &Cluster, found: &FoundObject) -> Result<Attempt, CliError> {
    let object = found.reference();
    let jobs = cluster.jobs(found.kind, &found.object.uid().unwrap_or_default()).await?;
    let jobs = working_on(found.kind, &jobs, args.tag.as_deref());
    let to_see = format!("kubectl imgop describe {object}{} shows what became of the tags", cluster.place());
    let Some((newest, _)) = jobs.first().cloned() else {
        let what = args.tag.as_ref().map_or(String::new(), |tag| format!(" that copies {tag}"));
        return Err(CliError::failed(format!("{object} has no Job{what}")).hinted(to_see));
    };
    let mut later = usize::from(args.previous);
    for (job, containers) in jobs {
        let pods = pods(cluster, &job.name_any()).await?;
        if let Some(pod) = pods.into_iter().nth(later) {
            return Ok(Attempt { pod, containers });
        }
        if !args.previous {
            break;
        }
        later = 0;
    }
    let name = newest.name_any();
    Err(match has_ended(&newest) {
        _ if args.previous => CliError::failed(format!("{object} has no earlier pod")).hinted(to_see),
        true => CliError::failed(format!("the pods of Job {name} are gone, and their logs with them"))
            .hinted(to_see),
        false => CliError::failed(format!("Job {name} has no pod yet")),
    })
}

/// Returns the Jobs that work on this tag, each with the containers that do; without a tag all. The Jobs come newest
/// first.
fn working_on(kind: KindRef, jobs: &[Job], tag: Option<&str>) -> Vec<(Job, Vec<JobContainer>)> {
    let is_selected = |container: &JobContainer| {
        tag.is_none_or(|tag| container.source_tag == tag || container.destination_tag == tag)
    };
    let selected = jobs.iter().filter_map(|job| {
        let mut containers = kind.containers(job)?;
        containers.retain(is_selected);
        (!containers.is_empty()).then(|| (job.clone(), containers))
    });
    selected.collect()
}

fn has_ended(job: &Job) -> bool {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|c| matches!(c.type_.as_str(), "Complete" | "Failed") && c.status == "True")
}

/// Returns the pods of a Job, the newest first.
async fn pods(cluster: &Cluster, job: &str) -> Result<Vec<String>, CliError> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let list = pods.list(&ListParams::default().labels(&format!("{JOB_NAME_LABEL}={job}"))).await;
    let mut pods = list.map_err(|error| cluster.explain_in_namespace("list", "pods", &error))?.items;
    pods.sort_by_key(|pod| std::cmp::Reverse(pod.creation_timestamp()));
    Ok(pods.iter().map(ResourceExt::name_any).collect())
}

/// Prints one container after the other, each under a heading. Returns whether any has a log.
async fn print(ui: Ui, args: &LogsArgs, cluster: &Cluster, attempt: &Attempt) -> Result<bool, CliError> {
    let mut is_printed = false;
    for container in &attempt.containers {
        let JobContainer { name, source_tag, .. } = container;
        let mut heading = Some(format!("==> {source_tag} (pod {}, container {name}) <==", attempt.pod));
        let printed = stream(ui, args, cluster, &attempt.pod, container, |line| {
            heading.take().map_or(Ok(()), |heading| ui.data(&heading))?;
            ui.data(&format!("{line}\n"))
        });
        is_printed |= printed.await?;
    }
    Ok(is_printed)
}

/// Prints all containers at once, each line with its tag, until they end. Returns whether any has a log.
async fn follow(ui: Ui, args: &LogsArgs, cluster: &Cluster, attempt: &Attempt) -> Result<bool, CliError> {
    let print = async |container: &JobContainer| {
        let line = |line: &str| ui.data(&format!("[{}] {line}\n", container.source_tag));
        stream(ui, args, cluster, &attempt.pod, container, line).await
    };
    let printed = futures::future::try_join_all(attempt.containers.iter().map(print)).await?;
    Ok(printed.contains(&true))
}

/// Reads the log of a container line by line. Returns whether it has one: one that has not started has none.
async fn stream(
    ui: Ui,
    args: &LogsArgs,
    cluster: &Cluster,
    pod: &str,
    container: &JobContainer,
    mut show: impl FnMut(&str) -> Result<(), CliError>,
) -> Result<bool, CliError> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let since = args.since.and_then(TimeLimit::limit);
    let which = LogParams {
        container: Some(container.name.clone()),
        follow: args.follow,
        tail_lines: args.tail.map(i64::from),
        since_seconds: since.map(|since| i64::try_from(since.as_secs().max(1)).unwrap_or(i64::MAX)),
        ..LogParams::default()
    };
    let mut lines = match pods.log_stream(pod, &which).await {
        Ok(stream) => stream.lines(),
        Err(kube::Error::Api(status)) if status.code == 400 => {
            ui.note(&status.message);
            return Ok(false);
        }
        Err(error) => return Err(cluster.explain_in_namespace("get", "pods/log", &error)),
    };
    let broken = |error| CliError::failed(format!("the log of {} breaks off: {error}", container.source_tag));
    while let Some(line) = lines.try_next().await.map_err(broken)? {
        show(&line)?;
    }
    Ok(true)
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
            let (job, containers) =
                working_on(DEFAULT_KIND, &jobs, tag).into_iter().next().unwrap_or_default();
            let job = job.name_any();
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
            let jobs = working_on(DEFAULT_KIND, std::slice::from_ref(&job), tag);
            let (_, containers) = jobs.into_iter().next().unwrap_or_default();
            containers.into_iter().map(|c| format!("{} {}", c.name, c.source_tag)).collect::<Vec<_>>()
        };
        assert_eq!(of(None), ["copy-0 1.0", "copy-0-1 1.0", "copy-1 1.1"]);
        assert_eq!(of(Some("1.0")), ["copy-0 1.0", "copy-0-1 1.0"]);
    }
}
