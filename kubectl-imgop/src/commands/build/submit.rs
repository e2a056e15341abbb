//! Submits an ImageBuilder with what belongs to it, and follows its build.

use std::io::{self, IsTerminal as _};

use imgop_core::api::{ImageBuilder, ImageBuilderSpec, REQUESTED_AT_ANNOTATION};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use super::draft::Draft;
use super::{BuildArgs, Progress, outcome, steps};
use crate::args::DryRun;
use crate::build_check::{lint, print_problems};
use crate::cli_error::{CliError, Outcome};
use crate::cluster::agent::warn_without_agent;
use crate::cluster::apply::{ApplyOptions, done};
use crate::cluster::changes::{changes, stays};
use crate::cluster::wait_until_ready::wait_for_all;
use crate::cluster::{Cluster, ConnectionArgs};
use crate::kinds::progress::Goal;
use crate::kinds::{ObjectRef, read};
use crate::output::Ui;
use crate::output::documents::{ObjectFormat, document, json as as_json, yaml};
use crate::output::text::count;

/// How many nodes are looked at for their architecture.
const MAX_NODES: u32 = 500;

/// Submits, and follows unless that is not wanted.
pub async fn run(
    ui: Ui,
    args: &BuildArgs,
    mut draft: Draft,
    connection: &ConnectionArgs,
) -> Result<Outcome, CliError> {
    let quiet = if args.is_quiet() { ui.silent() } else { ui };
    check_dockerfile(quiet, args, &draft)?;
    if args.submit.dry_run == Some(DryRun::Client) {
        let manifest = draft.manifest(&args.builder, connection.namespace.as_deref())?;
        print(ui, args, &draft, "created", &manifest, connection.namespace.as_deref())?;
        return Ok(Outcome::Done);
    }
    let cluster = connection.connect().await?;
    if args.builder.platforms.is_empty() {
        draft.set_platforms(vec![node_platform(quiet, &cluster).await])?;
    }
    let before = existing(&cluster, args, &draft).await?;
    let after = apply(args, &cluster, &draft, before.is_some()).await?;
    report(ui, quiet, args, &cluster, &draft, before.as_ref(), &after)?;
    if args.submit.dry_run == Some(DryRun::Server) {
        return Ok(Outcome::Done);
    }
    let goal = goal(args, &cluster, &draft.object, before.as_ref(), &after).await?;
    if args.detach || args.output.is_some() {
        warn_without_agent(quiet, &cluster, "built").await;
        quiet.note(&format!("to follow it: kubectl imgop wait {}{}", draft.object, cluster.place()));
        return Ok(Outcome::Done);
    }
    match follow(quiet, args, &cluster, &draft.object, goal).await? {
        Outcome::Done => {
            cluster.delete_older_contexts(&draft.object.name, draft.config_map.as_ref()).await;
            outcome::succeeded(ui, args, &cluster, &draft).await
        }
        ended => {
            outcome::failed(ui, args, &cluster, &draft).await;
            Ok(ended)
        }
    }
}

/// Fails for mistakes in the Dockerfile. What only another version of Buildah can do is left to the cluster, which
/// knows its own.
fn check_dockerfile(ui: Ui, args: &BuildArgs, draft: &Draft) -> Result<(), CliError> {
    use imgop_core::build::dockerfile::Severity;
    let Some(dockerfile) = &draft.dockerfile else { return Ok(()) };
    let found = lint(&dockerfile.text, &draft.request, args.buildah_version);
    if !args.is_quiet() {
        print_problems(ui.aside(), &dockerfile.name, &found)?;
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

/// Returns the platform of the nodes; where they have several, or are not to be seen, the commonest.
async fn node_platform(ui: Ui, cluster: &Cluster) -> String {
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let listed = nodes.list_metadata(&ListParams::default().limit(MAX_NODES)).await;
    let mut architectures: Vec<String> = listed
        .map(|list| list.items)
        .unwrap_or_default()
        .iter()
        .filter_map(|node| node.labels().get("kubernetes.io/arch").cloned())
        .collect();
    architectures.sort();
    architectures.dedup();
    match architectures.as_slice() {
        [only] => format!("linux/{only}"),
        [] => "linux/amd64".to_owned(),
        several => {
            let all: Vec<String> = several.iter().map(|name| format!("linux/{name}")).collect();
            ui.note(&format!("building for linux/amd64 alone; for all nodes: --platform {}", all.join(",")));
            "linux/amd64".to_owned()
        }
    }
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

/// Applies everything: what the ImageBuilder names before it, for it begins at once.
async fn apply(
    args: &BuildArgs,
    cluster: &Cluster,
    draft: &Draft,
    exists: bool,
) -> Result<DynamicObject, CliError> {
    let dry_run = args.submit.dry_run == Some(DryRun::Server);
    let options = ApplyOptions { dry_run, force: args.submit.force_conflicts, exists };
    let manifest = draft.manifest(&args.builder, Some(&cluster.namespace))?;
    inputs(cluster, draft, None, dry_run).await?;
    let after = cluster.apply(&draft.object, &manifest, options).await?;
    if !dry_run {
        inputs(cluster, draft, owner(draft, &after), false).await?;
    }
    Ok(after)
}

async fn inputs(
    cluster: &Cluster,
    draft: &Draft,
    owner: Option<OwnerReference>,
    dry_run: bool,
) -> Result<(), CliError> {
    if let Some(config_map) = &draft.config_map {
        cluster.apply_input(config_map.clone(), owner.clone(), dry_run).await?;
    }
    if let Some(secret) = &draft.secret {
        cluster.apply_input(secret.clone(), owner, dry_run).await?;
    }
    Ok(())
}

/// Returns the ImageBuilder as the owner of what goes with it.
fn owner(draft: &Draft, after: &DynamicObject) -> Option<OwnerReference> {
    after.meta().uid.clone().map(|uid| {
        let types = draft.object.kind.resource();
        let name = draft.object.name.clone();
        OwnerReference {
            api_version: types.api_version,
            kind: types.kind,
            name,
            uid,
            ..OwnerReference::default()
        }
    })
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

/// Returns what is waited for. A build is requested where one is wanted though nothing has changed.
async fn goal(
    args: &BuildArgs,
    cluster: &Cluster,
    object: &ObjectRef,
    before: Option<&ImageBuilder>,
    after: &DynamicObject,
) -> Result<Goal, CliError> {
    let generation = after.metadata.generation.unwrap_or_default();
    if before.is_none_or(|before| before.metadata.generation != Some(generation)) {
        return Ok(Goal::NewGeneration(generation));
    }
    if !args.no_cache && !args.pull {
        return Ok(Goal::Generation(generation));
    }
    let token = Timestamp::now().to_string();
    cluster
        .merge(object, &json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: token } } }))
        .await?;
    Ok(Goal::Token(token))
}

/// Waits, and prints each step unless a terminal shows one line that is kept up to date.
async fn follow(
    ui: Ui,
    args: &BuildArgs,
    cluster: &Cluster,
    object: &ObjectRef,
    goal: Goal,
) -> Result<Outcome, CliError> {
    let cancel = CancelHint {
        ui,
        command: format!("kubectl imgop cancel {}{}", object.name, cluster.place()),
        is_over: false,
    };
    let goals = [(object.clone(), goal)];
    let waiting = wait_for_all(ui, cluster, &goals, args.timeout);
    let prints_steps =
        args.progress == Progress::Plain || (!io::stderr().is_terminal() && args.progress == Progress::Auto);
    let result = if prints_steps {
        tokio::select! {
            result = waiting => result,
            () = steps::print(ui, cluster, object) => Ok(Outcome::NotReady),
        }
    } else {
        waiting.await
    };
    cancel.end();
    result
}

/// Says how the build is ended, where following it is given up: that is what Ctrl-C does.
struct CancelHint {
    ui: Ui,
    command: String,
    is_over: bool,
}

impl CancelHint {
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
