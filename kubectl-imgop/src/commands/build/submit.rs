//! Submits an ImageBuilder with what belongs to it, and follows its build.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::future::pending;
use std::io::{self, IsTerminal as _};
use std::pin::pin;
use std::time::Duration;

use imgop_core::api::conditions::{READY, is_true};
use imgop_core::api::{ImageBuilder, ImageBuilderSpec, REQUESTED_AT_ANNOTATION};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::draft::Draft;
use super::live::{Live, Seen, step_in};
use super::{BuildArgs, Progress, apply, outcome, pushed_context, steps};
use crate::args::DryRun;
use crate::build_check::{lint, print_problems};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::agent::warn_without_agent;
use crate::cluster::apply::done;
use crate::cluster::changes::{changes, stays};
use crate::cluster::registry_accesses::refuse_where_not_allowed;
use crate::cluster::wait_progress::{Beside, CurrentSteps};
use crate::cluster::wait_until_ready::wait_beside;
use crate::cluster::waiting::Waiting;
use crate::cluster::{AnsweringCluster, Cluster, ConnectionArgs};
use crate::interrupts::Uninterrupted;
use crate::kinds::progress::Goal;
use crate::kinds::{ObjectRef, read};
use crate::output::Ui;
use crate::output::documents::{ObjectFormat, document, json as as_json, yaml};
use crate::output::text::count;
use crate::output::wording::Wording;

/// How many nodes are looked at for their architecture.
const MAX_NODES: u32 = 500;
/// How long the end of a log is awaited.
const REST: Duration = Duration::from_millis(500);

/// Submits, and follows unless that is not wanted.
pub async fn run(
    ui: Ui,
    args: &BuildArgs,
    mut draft: Draft,
    connection: &ConnectionArgs,
) -> Result<Outcome, CliError> {
    let quiet = if args.is_quiet() { ui.silent() } else { ui };
    // What is not sent may be why a file is missing.
    let without_effect = draft.request.without_effect();
    draft.losses.iter().chain(&without_effect).for_each(|warning| quiet.warning(warning));
    check_dockerfile(quiet, args, &draft)?;
    if args.submit.dry_run == Some(DryRun::Client) {
        return shown(ui, quiet, args, &draft, connection.namespace.as_deref());
    }
    let cluster = connection.connect().await?;
    if args.builder.platforms.is_empty() {
        draft.set_platforms(vec![node_platform(quiet, &cluster).await])?;
    }
    let destinations = draft.request.destination.tags.iter().map(|(repository, _)| repository);
    refuse_where_not_allowed(quiet, &cluster, destinations).await?;
    let before = existing(&cluster, args, &draft).await?;
    let is_sent = push_folder(quiet, args, &cluster, &draft, before.as_ref()).await?;
    // What is sent first gets its owner last.
    let uninterrupted = Uninterrupted::begin();
    let after = apply::apply(args, &cluster, &draft, before.as_ref()).await?;
    report(ui, quiet, args, &cluster, &draft, before.as_ref(), &after)?;
    if args.submit.dry_run == Some(DryRun::Server) {
        return Ok(Outcome::Done);
    }
    let cancel = CancelHint::new(quiet, &cluster, &draft.object);
    drop(uninterrupted);
    let lacked_folder = is_sent && before.as_ref().is_some_and(|before| !is_ready(before));
    let is_wanted = args.no_cache || args.pull || lacked_folder;
    let goal = goal(&cluster, &draft.object, before.as_ref(), &after, is_wanted).await?;
    if args.detach || args.output.is_some() {
        warn_without_agent(quiet, &cluster, "built").await;
        quiet.note(&format!("to follow it: kubectl imgop wait {}{}", draft.object, cluster.place()));
        cancel.end();
        return Ok(Outcome::Done);
    }
    let uid = after.metadata.uid.clone().unwrap_or_default();
    let again = outcome::again(&draft, &cluster.place());
    let goals = [(draft.object.clone(), goal)];
    let waiting = Waiting::new(quiet, &cluster, &goals, &again);
    let followed = follow(&waiting, args, Live { cluster: &cluster, object: &draft.object, uid: &uid }).await;
    cancel.end();
    match followed? {
        Outcome::Done => {
            cluster.delete_older_contexts(&draft.object.name).await;
            outcome::succeeded(ui, args, &cluster, &draft, after.metadata.generation).await
        }
        ended => {
            outcome::failed(ui, args, &cluster, &draft).await;
            Ok(ended)
        }
    }
}

/// Pushes the folder that is sent as an image, once the API server would take the ImageBuilder. Returns whether anything
/// was sent.
async fn push_folder(
    ui: Ui,
    args: &BuildArgs,
    cluster: &Cluster,
    draft: &Draft,
    before: Option<&ImageBuilder>,
) -> Result<bool, CliError> {
    let Some(archive) = draft.archive.as_ref().filter(|_| args.submit.dry_run.is_none()) else {
        return Ok(false);
    };
    apply::check(args, cluster, draft, before).await?;
    let answering = AnsweringCluster::new(Ok(cluster.clone()));
    Box::pin(pushed_context::push(ui, args, &answering, draft, archive)).await
}

/// Prints what would be sent, and that the folder would be pushed if it would.
fn shown(
    ui: Ui,
    quiet: Ui,
    args: &BuildArgs,
    draft: &Draft,
    namespace: Option<&str>,
) -> Result<Outcome, CliError> {
    let manifest = draft.manifest(&args.builder, namespace)?;
    if let Some(archive) = &draft.archive {
        quiet.note(&format!("the folder would be pushed, since {}: {}", archive.why, archive.name()));
    }
    print(ui, args, draft, "created", &manifest, namespace)?;
    Ok(Outcome::Done)
}

/// Fails for mistakes in the Dockerfile. What only another version of Buildah can do is left to the cluster, which
/// knows its own.
fn check_dockerfile(ui: Ui, args: &BuildArgs, draft: &Draft) -> Result<(), CliError> {
    use imgop_core::build::dockerfile::Severity;
    let Some(dockerfile) = &draft.dockerfile else { return Ok(()) };
    let found = lint(&dockerfile.text, &draft.request, draft.files.as_ref(), args.buildah_version);
    if !args.is_quiet() {
        print_problems(ui.aside(), &dockerfile.name, &found, Wording::Flags)?;
    }
    let mistakes: Vec<_> =
        found.problems.iter().filter(|problem| problem.severity == Severity::Invalid).collect();
    match mistakes.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(CliError::failed(format!(
            "{} cannot be built: {} in it, the first in line {}",
            dockerfile.name,
            count(mistakes.len(), "mistake"),
            first.position.line
        ))),
    }
}

/// Returns the platform of the nodes; where they have several, the commonest, and where they are not to be seen, the
/// commonest of all.
async fn node_platform(ui: Ui, cluster: &Cluster) -> String {
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let listed = nodes.list_metadata(&ListParams::default().limit(MAX_NODES)).await;
    let listed = listed.map(|list| list.items).unwrap_or_default();
    let architectures = by_number(listed.iter().filter_map(|node| node.labels().get("kubernetes.io/arch")));
    let platforms: Vec<String> = architectures.iter().map(|name| format!("linux/{name}")).collect();
    match platforms.as_slice() {
        [] => "linux/amd64".to_owned(),
        [only] => only.clone(),
        [commonest, ..] => {
            ui.note(&format!(
                "building for {commonest} alone; for all nodes: --platform {}",
                platforms.join(",")
            ));
            commonest.clone()
        }
    }
}

/// Returns texts, the commonest first, each once.
fn by_number<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for text in texts {
        *counts.entry(text).or_default() += 1;
    }
    let mut counts: Vec<(&String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts.into_iter().map(|(text, _)| text.clone()).collect()
}

/// Returns the ImageBuilder as it is. One that builds another image is never changed unless it is named.
async fn existing(
    cluster: &Cluster,
    args: &BuildArgs,
    draft: &Draft,
) -> Result<Option<ImageBuilder>, CliError> {
    let object = &draft.object;
    let found = cluster.api::<ImageBuilder>().get_opt(&object.name).await;
    let found = found.map_err(|error| cluster.explain("get", object, &error))?;
    match &found {
        Some(other) if args.name.is_none() && other.spec.image.name != draft.spec.image.name => {
            let name = &other.spec.image.name;
            Err(CliError::failed(format!("{object} builds another image, {name}")).hinted(format!(
                "give this one another name: --name {}-2, or change that one: --name {}",
                object.name, object.name
            )))
        }
        _ => Ok(found),
    }
}

/// Prints what was done, which fields changed, and which ones another manager keeps.
fn report(
    ui: Ui,
    quiet: Ui,
    args: &BuildArgs,
    cluster: &Cluster,
    draft: &Draft,
    before: Option<&ImageBuilder>,
    after: &DynamicObject,
) -> Result<(), CliError> {
    let what = done(before.map(kube::Resource::meta), after);
    if let (Some(before), Ok(now)) = (before, read::<ImageBuilder>(after)) {
        let (old, new) = (brief(&before.spec), brief(&now.spec));
        if before.spec.source != now.spec.source {
            quiet.note("source: another Dockerfile");
        }
        for change in changes(&old, &new) {
            quiet.note(&change);
        }
        for stays in stays(&brief(&draft.spec), &new, after.managed_fields()) {
            quiet.warning(&stays);
        }
    }
    if args.detach || args.output.is_some() || args.submit.dry_run.is_some() {
        let object = document(after.clone(), &draft.object.kind.resource())?;
        return print(ui, args, draft, what, &object, Some(&cluster.namespace));
    }
    quiet.note(&format!("{} {what}", draft.object.qualified()));
    Ok(())
}

/// Returns a spec without what is too long to be shown.
fn brief(spec: &ImageBuilderSpec) -> ImageBuilderSpec {
    let mut brief = ImageBuilderSpec { source: None, ..spec.clone() };
    if let Some(config_map) = brief.context.as_mut().and_then(|context| context.config_map.as_mut()) {
        config_map.items.clear();
    }
    brief
}

fn is_ready(builder: &ImageBuilder) -> bool {
    builder.status.as_ref().is_some_and(|status| is_true(&status.conditions, READY))
}

/// Returns what is waited for. A build is requested where one `is_wanted` though nothing has changed.
async fn goal(
    cluster: &Cluster,
    object: &ObjectRef,
    before: Option<&ImageBuilder>,
    after: &DynamicObject,
    is_wanted: bool,
) -> Result<Goal, CliError> {
    let generation = after.metadata.generation.unwrap_or_default();
    if before.is_none_or(|before| before.metadata.generation != Some(generation)) {
        return Ok(Goal::NewGeneration(generation));
    }
    if !is_wanted {
        return Ok(Goal::Generation(generation));
    }
    let token = Timestamp::now().to_string();
    cluster
        .merge(object, &json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: token } } }))
        .await?;
    Ok(Goal::Token(token))
}

/// Waits, and shows what the containers log: the current step of each platform on a terminal, elsewhere every line.
async fn follow(waiting: &Waiting<'_>, args: &BuildArgs, live: Live<'_>) -> Result<Outcome, CliError> {
    let beside = match args.progress {
        Progress::Plain => Beside::Lines,
        Progress::Auto if !io::stderr().is_terminal() => Beside::Lines,
        _ => Beside::Steps(CurrentSteps::default()),
    };
    let ending = wait_beside(waiting, args.timeout, &beside);
    if args.is_quiet() {
        return ending.await;
    }
    let mut logged = pin!(show_log(waiting, live, &beside));
    let result = tokio::select! {
        result = ending => result,
        () = logged.as_mut() => Ok(Outcome::NotReady),
    };
    // What the last container logged comes a little later than its end.
    let _ = timeout(REST, logged).await;
    result
}

/// Shows what is logged until it is dropped. Without the right to read logs, what the status says of each platform.
async fn show_log(waiting: &Waiting<'_>, log: Live<'_>, beside: &Beside) {
    let (ui, cluster, object) = (waiting.ui, log.cluster, log.object);
    let error = log.follow(|platform, seen| match (beside, seen) {
        (Beside::Lines, Seen::Line(line)) => {
            waiting.shows_log.set(true);
            ui.note(&format!("[{platform}] {line}"));
        }
        (Beside::Lines, Seen::BreaksOff(why)) => {
            waiting.shows_log.set(false);
            ui.note(&format!("[{platform}] the rest of this log is not shown: {why}"));
        }
        (Beside::Lines, Seen::Container(_) | Seen::End) | (Beside::Steps(_), Seen::BreaksOff(_)) => {}
        (Beside::Steps(steps), Seen::Line(line)) => {
            if let Some(step) = step_in(line) {
                steps.set(platform, step.to_owned());
            }
        }
        (Beside::Steps(steps), Seen::Container(name)) => steps.set(platform, name.to_owned()),
        (Beside::Steps(steps), Seen::End) => steps.remove(platform),
    });
    let error = error.await;
    match beside {
        Beside::Lines => {
            ui.note(&format!("what the build logs is not shown: {}", error.message));
            steps::print(ui, cluster, object).await;
        }
        Beside::Steps(_) => pending().await,
    }
}

/// Says how the build is ended, where following it is given up: that is what Ctrl-C does.
struct CancelHint {
    ui: Ui,
    command: String,
    is_over: bool,
}

impl CancelHint {
    fn new(ui: Ui, cluster: &Cluster, object: &ObjectRef) -> Self {
        let command = format!("kubectl imgop cancel {}{}", object.name, cluster.place());
        Self { ui, command, is_over: false }
    }

    fn end(mut self) {
        self.is_over = true;
    }
}

impl Drop for CancelHint {
    fn drop(&mut self) {
        if !self.is_over {
            self.ui.note(&format!("To end the build: {}", self.command));
        }
    }
}

/// Prints the ImageBuilder, and in whole documents the ConfigMap that it names. Secrets are never printed.
fn print(
    ui: Ui,
    args: &BuildArgs,
    draft: &Draft,
    what: &str,
    object: &Value,
    namespace: Option<&str>,
) -> Result<(), CliError> {
    let name = draft.object.qualified();
    let config_map = draft.config_map_manifest(namespace)?;
    if let (Some(secret), Some(ObjectFormat::Json | ObjectFormat::Yaml)) = (&draft.secret, args.output) {
        ui.note(&format!("Secret {}, which holds what --secret names, is not printed", secret.name_any()));
    }
    ui.data(&match (args.output, config_map) {
        (None, _) => format!("{name} {what}{}", DryRun::remark(args.submit.dry_run)),
        (Some(ObjectFormat::Name), _) => name,
        (Some(ObjectFormat::Json), None) => as_json(object)?,
        (Some(ObjectFormat::Json), Some(config_map)) => {
            as_json(&json!({ "apiVersion": "v1", "kind": "List", "items": [config_map, object] }))?
        }
        (Some(ObjectFormat::Yaml), None) => yaml(object)?,
        (Some(ObjectFormat::Yaml), Some(config_map)) => {
            format!("{}---\n{}", yaml(&config_map)?, yaml(object)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_architectures_the_commonest_is_built_for() {
        let nodes = ["s390x", "arm64", "arm64", "amd64"].map(str::to_owned);
        assert_eq!(by_number(nodes.iter()), ["arm64", "amd64", "s390x"]);
    }
}
