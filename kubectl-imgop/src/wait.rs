//! Waits for the agent, and says what to check when it does not react.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use imgop_core::api::Image;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use tokio::time::{Instant, sleep_until, timeout};

use crate::cluster_errors::install_command;
use crate::connection::{Cluster, GuardedImage};
use crate::duration::TimeLimit;
use crate::errors::{CliError, Outcome};
use crate::progress::Goal;
use crate::text::count;
use crate::ui::Ui;
use crate::waiting::{News, Waiting};

/// The label by which the agent's Deployment is found.
pub const AGENT_SELECTOR: &str = "app.kubernetes.io/name=imgop-agent";

/// How long the agent may take before we look whether there is one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for Images, each with its goal, by one watch. Done if all became ready. What is wrong is printed
/// already, but for the last word on the only one.
pub async fn wait_for_all(
    ui: Ui,
    cluster: &Cluster,
    goals: &[(String, Goal)],
    limit: TimeLimit,
) -> Result<Outcome, CliError> {
    let mut waiting = Waiting::new(goals);
    let following = follow(ui, cluster, goals, &mut waiting);
    let Some(allowed) = limit.limit() else { return following.await };
    if let Ok(result) = timeout(allowed, following).await {
        return result;
    }
    let mut errors: Vec<CliError> = Vec::new();
    for (name, said) in waiting.left() {
        let so_far = said.unwrap_or_else(|| "the agent has not looked at it".to_owned());
        let message = format!("{name} is not ready after {}: {so_far}", seconds(allowed));
        errors.push(CliError::failed(message).hinted(describe(cluster, &name)));
    }
    match errors.pop() {
        Some(only) if goals.len() == 1 => Err(only),
        last => {
            errors.iter().chain(&last).for_each(|error| ui.error(error));
            Ok(Outcome::NotReady)
        }
    }
}

async fn follow(
    ui: Ui,
    cluster: &Cluster,
    goals: &[(String, Goal)],
    waiting: &mut Waiting,
) -> Result<Outcome, CliError> {
    let which = match goals {
        [(only, _)] => watcher::Config::default().fields(&format!("metadata.name={only}")),
        _ => watcher::Config::default(),
    };
    let mut changes = pin!(watcher(cluster.guarded_images(), which).default_backoff());
    let mut patience = pin!(sleep_until(Instant::now() + PATIENCE));
    let mut is_patient = true;
    let mut outcome = Outcome::Done;
    while !waiting.is_over() {
        let change = tokio::select! {
            change = changes.next() => change,
            () = patience.as_mut(), if is_patient => {
                is_patient = false;
                let unseen = waiting.unseen();
                if !unseen.is_empty() {
                    ui.warning(&why_no_reaction(cluster, &several(&unseen)).await);
                }
                continue;
            }
        };
        let ended = match change {
            Some(Ok(event)) => note(ui, cluster, waiting, event),
            Some(Err(error)) => {
                stop_if_refused(cluster, goals.first().map(|(name, _)| name.as_str()), &error)?;
                continue;
            }
            None => return Err(CliError::failed("the API server ended the watch")),
        };
        for error in &ended {
            ui.error(error);
            outcome = Outcome::NotReady;
        }
    }
    Ok(outcome)
}

/// Says what is new; what ended badly is returned.
fn note(ui: Ui, cluster: &Cluster, waiting: &mut Waiting, event: Event<GuardedImage>) -> Vec<CliError> {
    match event {
        Event::Init => waiting.begins_anew(),
        Event::InitDone => {
            let was_deleted = |name: String| CliError::failed(format!("{name} was deleted"));
            return waiting.missing().into_iter().map(was_deleted).collect();
        }
        Event::Delete(image) => {
            let name = image.name_any();
            if waiting.gone(&name) {
                return vec![CliError::failed(format!("{name} was deleted"))];
            }
        }
        Event::Apply(image) | Event::InitApply(image) => return seen(ui, cluster, waiting, &image),
    }
    Vec::new()
}

fn seen(ui: Ui, cluster: &Cluster, waiting: &mut Waiting, image: &GuardedImage) -> Vec<CliError> {
    let name = image.name_any();
    let image = match &image.0 {
        Ok(image) => image,
        Err(_) if !waiting.gone(&name) => return Vec::new(),
        Err(unreadable) => return vec![cluster.unreadable(&name, &unreadable.error)],
    };
    match waiting.seen(&name, image) {
        None => {}
        Some(News::Says(message)) => ui.note(&format!("{name}: {message}")),
        Some(News::Ready(message)) => ui.note(&format!("{name} is ready: {message}")),
        Some(News::NotReady(message)) => {
            return vec![not_ready(cluster, &name, image, &message)];
        }
    }
    Vec::new()
}

/// What there is to do about one that is not ready, and will not be by itself soon.
fn not_ready(cluster: &Cluster, name: &str, image: &Image, message: &str) -> CliError {
    let place = cluster.place();
    if image.spec.suspend {
        return CliError::failed(format!("{name} is suspended"))
            .hinted(format!("resume it with: kubectl imgop resume {name}{place}"));
    }
    CliError::failed(format!("{name} is not ready: {message}"))
        .hinted(describe(cluster, name))
        .hinted(format!("when it is mended: kubectl imgop sync {name}{place}"))
}

fn describe(cluster: &Cluster, name: &str) -> String {
    format!("kubectl imgop describe {name}{}", cluster.place())
}

/// `a`, or `a and 3 others`.
fn several(names: &[String]) -> String {
    match names {
        [first, others @ ..] if !others.is_empty() => format!("{first} and {} others", others.len()),
        _ => names.concat(),
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
             agent with: {}",
            install_command(flags)
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
