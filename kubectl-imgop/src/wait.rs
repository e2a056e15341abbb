//! Waits for the agent, and says what to check when it does not react.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use tokio::time::{Instant, sleep_until, timeout};

use crate::connection::Cluster;
use crate::duration::TimeLimit;
use crate::errors::{CliError, Outcome};
use crate::progress::{Goal, Progress, judge};
use crate::text::count;
use crate::ui::Ui;

/// The label by which the agent's Deployment is found.
pub const AGENT_SELECTOR: &str = "app.kubernetes.io/name=imgop-agent";

/// How long the agent may take before we look whether there is one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for several Images, each with its goal. True of all: done; what is wrong is printed already,
/// unless there is only one Image.
pub async fn wait_for_all(
    ui: Ui,
    cluster: &Cluster,
    goals: &[(String, Goal)],
    limit: TimeLimit,
) -> Result<Outcome, CliError> {
    let waits = goals.iter().map(|(name, goal)| wait(ui, cluster, name, goal, limit));
    let mut all_ready = true;
    for result in futures::future::join_all(waits).await {
        match result {
            Ok(ready) => all_ready &= ready,
            Err(error) if goals.len() == 1 => return Err(error),
            Err(error) => {
                ui.error(&error);
                all_ready = false;
            }
        }
    }
    Ok(if all_ready { Outcome::Done } else { Outcome::NotReady })
}

/// Waits until the goal is reached, for at most as long as allowed. True when the Image is ready;
/// otherwise the reason is printed already.
pub async fn wait(
    ui: Ui,
    cluster: &Cluster,
    name: &str,
    goal: &Goal,
    limit: TimeLimit,
) -> Result<bool, CliError> {
    let mut last = String::new();
    let waiting = follow(ui, cluster, name, goal, &mut last);
    let Some(allowed) = limit.limit() else { return waiting.await };
    if let Ok(result) = timeout(allowed, waiting).await {
        return result;
    }
    let so_far = if last.is_empty() { "the agent has not looked at it" } else { &last };
    Err(CliError::failed(format!("{name} is not ready after {}: {so_far}", seconds(allowed)))
        .hinted(format!("kubectl imgop describe {name}{}", cluster.place())))
}

async fn follow(
    ui: Ui,
    cluster: &Cluster,
    name: &str,
    goal: &Goal,
    last: &mut String,
) -> Result<bool, CliError> {
    let mut changes = pin!(watcher::watch_object(cluster.images(), name).default_backoff());
    let mut patience = pin!(sleep_until(Instant::now() + PATIENCE));
    let mut is_patient = true;
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            () = patience.as_mut(), if is_patient && last.is_empty() => {
                is_patient = false;
                ui.warning(&why_no_reaction(cluster, name).await);
                continue;
            }
        };
        let image = match change {
            Some(Ok(Some(image))) => image,
            Some(Ok(None)) => return Err(CliError::failed(format!("{name} was deleted"))),
            Some(Err(error)) => {
                stop_if_refused(cluster, Some(name), &error)?;
                continue;
            }
            None => return Err(CliError::failed("the API server ended the watch")),
        };
        match judge(&image, goal) {
            Progress::Unseen => {}
            Progress::Working(message) if message == *last => {}
            Progress::Working(message) => {
                ui.note(&format!("{name}: {message}"));
                *last = message;
            }
            Progress::Ready(message) => {
                ui.note(&format!("{name} is ready: {message}"));
                return Ok(true);
            }
            Progress::NotReady(message) => {
                ui.error(
                    &CliError::failed(format!("{name} is not ready: {message}"))
                        .hinted(format!("kubectl imgop describe {name}{}", cluster.place())),
                );
                return Ok(false);
            }
        }
    }
}

/// A watch survives lost connections, but no refusal.
pub fn stop_if_refused(
    cluster: &Cluster,
    name: Option<&str>,
    error: &watcher::Error,
) -> Result<(), CliError> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error)
            if matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403 | 404)) =>
        {
            Err(cluster.explain("watch", name, error))
        }
        _ => Ok(()),
    }
}

/// Looks for the agent.
async fn why_no_reaction(cluster: &Cluster, name: &str) -> String {
    let flags = &cluster.flags;
    let to_check = format!("check the agent with: kubectl get deployments -A -l {AGENT_SELECTOR}{flags}");
    match agents(cluster).await {
        Err(_) => format!("the agent has not looked at {name} yet; {to_check}"),
        Ok(agents) if agents.is_empty() => format!(
            "nothing looks at {name}: no Deployment in this cluster has the label {AGENT_SELECTOR}; install the \
             agent with: kubectl apply -f manifests/install.yaml"
        ),
        Ok(agents) => {
            let described: Vec<String> = agents.iter().map(describe_agent).collect();
            format!(
                "the agent has not looked at {name} yet; {}; see kubectl logs -n {} deployment/{}{flags}",
                described.join(", "),
                agents[0].namespace().unwrap_or_default(),
                agents[0].name_any(),
            )
        }
    }
}

/// The agent's Deployments.
pub async fn agents(cluster: &Cluster) -> Result<Vec<Deployment>, kube::Error> {
    let deployments: Api<Deployment> = Api::all(cluster.client.clone());
    Ok(deployments.list(&ListParams::default().labels(AGENT_SELECTOR)).await?.items)
}

/// `imgop-system/imgop-agent has 1 of 1 pods ready`.
pub fn describe_agent(agent: &Deployment) -> String {
    let wanted = agent.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let ready = agent.status.as_ref().and_then(|s| s.ready_replicas).unwrap_or(0);
    let namespace = agent.namespace().unwrap_or_default();
    let pods = count(usize::try_from(wanted).unwrap_or(0), "pod");
    format!("{namespace}/{} has {ready} of {pods} ready", agent.name_any())
}

fn seconds(limit: Duration) -> String {
    crate::age::human(i64::try_from(limit.as_secs()).unwrap_or(i64::MAX))
}
