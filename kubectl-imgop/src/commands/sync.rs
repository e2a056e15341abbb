//! `kubectl imgop sync`.

use clap::Args;
use imgop_core::api::{PRUNE_ANNOTATION, REQUESTED_AT_ANNOTATION, RESET_ANNOTATION, prune_release};
use imgop_core::reset::Reset;
use imgop_core::selection::SourceRef;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::sync_result::{Begun, SyncResult};
use crate::args::SelectedArgs;
use crate::cli_error::{CliError, Kind, Outcome};
use crate::cluster::objects::{Found, FoundObject, each, references};
use crate::cluster::wait_until_ready::wait_for_all;
use crate::cluster::{Cluster, ConnectionArgs, TimeLimit};
use crate::kinds::progress::Goal;
use crate::kinds::{FailedTags, ObjectRef};
use crate::output::Ui;
use crate::output::documents::json;

/// Sync Images and mirrors or rebuild ImageBuilders now, and wait for the outcome
///
/// For an Image the agent compares both registries again and copies what is missing, including what failed before and
/// would be retried later; a tag that has failed several times is left alone for the agent's cooldown, unless --retry asks
/// for it. For an ImageBuilder it starts a build, though nothing has changed; for an ImageMirror it reads the
/// inventory again and syncs all its Images, and for a WorkloadMirror it looks at all workloads again. Exit code 0 means that every tag is at its
/// destination, and 1 also that there is nothing to sync.
#[derive(Debug, Args)]
pub struct SyncArgs {
    #[command(flatten)]
    selected: SelectedArgs,

    /// Try again what failed, as if it had never failed: tags in the cooldown too, and builds whose next try is later;
    /// =TAG one tag of Images alone
    #[arg(long, value_name = "TAG", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = parse_reset)]
    retry: Option<Reset>,

    /// Also delete the Images of an ImageMirror whose deletion is held, as their entries are gone
    #[arg(long)]
    prune: bool,

    /// Request the sync without waiting for it
    #[arg(long)]
    no_wait: bool,

    /// Print how the sync of a WorkloadMirror ended as JSON: triggered, success, workloadsProcessed, imagesMirrored and
    /// message; with --retry also reset and clearedTargets
    #[arg(long)]
    json: bool,

    /// How long to wait; 0 means no limit
    #[arg(long, value_name = "DURATION", default_value = "10m", conflicts_with = "no_wait")]
    timeout: TimeLimit,
}

/// Reads what is tried again: nothing for all of it, or a tag.
fn parse_reset(text: &str) -> Result<Reset, String> {
    if text.is_empty() {
        return Ok(Reset::All);
    }
    let source_ref: SourceRef = text.parse().map_err(|error| format!("{error}"))?;
    Ok(Reset::Tag(source_ref.to_string()))
}

/// Syncs that the agent was asked for.
struct Requested {
    cluster: Cluster,
    /// The objects, each with the goal that ends the wait for it.
    goals: Vec<(ObjectRef, Goal)>,
    /// Done, unless something failed for one of several; that is printed already.
    outcome: Outcome,
    /// What is known of the WorkloadMirror whose sync a program asked for.
    begun: Option<Begun>,
}

/// Requests syncs and waits for them.
pub async fn run(ui: Ui, args: &SyncArgs, connection: &ConnectionArgs) -> Result<Outcome, CliError> {
    args.selected.check(ui)?;
    let requested = Box::pin(request(ui, args, connection)).await;
    let Requested { cluster, goals, outcome, begun } =
        requested.or_else(|error| not_begun(ui, args, error))?;
    if goals.is_empty() {
        if args.json {
            let has_reset = args.retry.is_some();
            ui.data(&json(&SyncResult::not_begun("there is nothing to sync", has_reset))?)?;
        }
        // Scripts that rely on a sync must not mistake none for a successful one.
        return Ok(Outcome::NotReady);
    }
    match begun {
        Some(begun) if args.no_wait => ui.data(&json(&begun.triggered())?).map(|()| outcome),
        None if args.no_wait => Ok(outcome),
        Some(begun) => {
            let waited = wait_for_all(ui.aside(), &cluster, &goals, args.timeout).await;
            let waited = waited.map(|waited| outcome.and(waited));
            answer(ui, &begun, &cluster, waited).await
        }
        None => Ok(outcome.and(wait_for_all(ui, &cluster, &goals, args.timeout).await?)),
    }
}

/// Asks the agent for syncs.
async fn request(ui: Ui, args: &SyncArgs, connection: &ConnectionArgs) -> Result<Requested, CliError> {
    let cluster = connection.connect().await?;
    let (objects, found) = objects(ui, args, &cluster).await?;
    if let Some(Reset::Tag(tag)) = &args.retry {
        objects.iter().try_for_each(|object| check_failed(object, tag, &cluster))?;
    }
    let mut begun = None;
    if args.json && !objects.is_empty() {
        begun = Some(Begun::of(&objects, args.retry.is_some(), &cluster).await?);
    }
    let token = Timestamp::now().to_string();
    let annotation = annotation(args, &token);
    if args.prune {
        objects.iter().try_for_each(check_prune)?;
    }
    let mut goals = Vec::new();
    let triggered = each(ui, &references(&objects), async |object| {
        let mut annotation = annotation.clone();
        let found = objects.iter().find(|found| args.prune && found.reference() == *object);
        if let Some(generation) = found.and_then(|found| found.object.metadata.generation) {
            annotation["metadata"]["annotations"][PRUNE_ANNOTATION] =
                prune_release(generation, &token).into();
        }
        cluster.merge(object, &annotation).await?;
        goals.push((object.clone(), Goal::Token(token.clone())));
        if args.json { Ok(()) } else { ui.data(&format!("{} triggered", object.qualified())) }
    })
    .await?;
    Ok(Requested { cluster, goals, outcome: found.and(triggered), begun })
}

/// Answers a program also where nothing was begun.
fn not_begun<T>(ui: Ui, args: &SyncArgs, error: CliError) -> Result<T, CliError> {
    if args.json && error.kind != Kind::Usage {
        ui.data(&json(&SyncResult::not_begun(&error.message, args.retry.is_some()))?)?;
    }
    Err(error)
}

/// Answers a program with how a sync ended, or with why that is not known.
async fn answer(
    ui: Ui,
    begun: &Begun,
    cluster: &Cluster,
    waited: Result<Outcome, CliError>,
) -> Result<Outcome, CliError> {
    let ended = match waited {
        Ok(outcome) => begun.ended(cluster, outcome == Outcome::Done).await.map(|ended| (ended, outcome)),
        Err(error) => Err(error),
    };
    match ended {
        Ok((ended, outcome)) => ui.data(&json(&ended)?).map(|()| outcome),
        Err(error) => {
            ui.data(&json(&begun.not_ended(&error.message))?)?;
            Err(error)
        }
    }
}

/// Returns what asks the agent for a sync, and for what is tried again by it.
fn annotation(args: &SyncArgs, token: &str) -> Value {
    let mut annotation = json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: token } } });
    if let Some(reset) = &args.retry {
        annotation["metadata"]["annotations"][RESET_ANNOTATION] = reset.value(token).into();
    }
    annotation
}

/// Fails unless an object deletes others.
fn check_prune(found: &FoundObject) -> Result<(), CliError> {
    match found.kind.children() {
        Some(_) => Ok(()),
        None => Err(CliError::usage(format!(
            "--prune: {} deletes nothing; it goes with ImageMirrors",
            found.reference()
        ))),
    }
}

/// Fails unless this tag of an object has failed, or may have: nothing would be tried again.
fn check_failed(object: &FoundObject, tag: &str, cluster: &Cluster) -> Result<(), CliError> {
    let name = object.reference();
    let failed = object.kind.failed_tags(&object.object).map_err(|why| cluster.unreadable(&name, &why))?;
    let Some(FailedTags { named: failed, others }) = failed else {
        let error = CliError::failed(format!("{name} has no tags that are tried again one by one"));
        return Err(error.hinted("to try all of it: --retry"));
    };
    if others > 0 || failed.iter().any(|known| known == tag) {
        return Ok(());
    }
    let error = CliError::failed(format!("the status of {name} names no failed tag {tag}"));
    Err(match failed.as_slice() {
        [] => error,
        failed => error.hinted(format!("failed: {}; to try all of them: --retry", failed.join(", "))),
    })
}

/// Returns the objects to sync. One that is suspended would never answer: it is refused where it is named,
/// and skipped where many are selected.
async fn objects(
    ui: Ui,
    args: &SyncArgs,
    cluster: &Cluster,
) -> Result<(Vec<FoundObject>, Outcome), CliError> {
    let Found { objects, outcome } = args.selected.find(ui, cluster).await?;
    let (suspended, objects): (Vec<_>, Vec<_>) = objects.into_iter().partition(FoundObject::is_suspended);
    if !args.selected.are_named() {
        for object in references(&suspended) {
            ui.note(&format!("{object} is suspended, skipping"));
        }
        return Ok((objects, outcome));
    }
    let mut errors: Vec<CliError> = Vec::new();
    for object in references(&suspended) {
        let resume = format!("resume it with: kubectl imgop resume {object}{}", cluster.place());
        errors.push(CliError::failed(format!("{object} is suspended")).hinted(resume));
    }
    match errors.pop() {
        None => Ok((objects, outcome)),
        Some(only) if objects.is_empty() && errors.is_empty() => Err(only),
        Some(last) => {
            errors.iter().chain([&last]).for_each(|error| ui.error(error));
            Ok((objects, Outcome::NotReady))
        }
    }
}
