//! Waits until objects are ready.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Fuse, FusedFuture as _};
use futures::stream::{BoxStream, select_all};
use futures::{FutureExt as _, StreamExt as _};
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::time::{Instant, sleep_until, timeout};

use super::agent::why_no_reaction;
use super::awaited::{Awaited, News};
use super::connection::Cluster;
use super::objects::FoundObject;
use super::time_limit::TimeLimit;
use super::wait_progress::{Beside, CurrentSteps, GoesOn, WaitProgress, copying};
use super::waiting::{Waiting, describe, quoted_failure};
use super::watch_faults::{WatchFaults, Watched};
use crate::cli_error::{CliError, Outcome};
use crate::kinds::progress::Goal;
use crate::kinds::{KindRef, ObjectRef};
use crate::output::Ui;
use crate::output::age::human;

/// How long the agent may take before its Deployments are checked.
const REACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the agent may take to notice that what an object was blocked by is done: it checks every 30 s.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(45);

type Change = (KindRef, Result<Event<DynamicObject>, watcher::Error>);

/// Waits for objects, each with its goal, by one watch a kind. Returns done if all became ready. What is
/// wrong is printed already, except where there is one object only.
pub async fn wait_for_all(
    ui: Ui,
    cluster: &Cluster,
    goals: &[(ObjectRef, Goal)],
    limit: TimeLimit,
) -> Result<Outcome, CliError> {
    let waiting = Waiting::new(ui, cluster, goals, &[]);
    wait_beside(&waiting, limit, &Beside::Steps(CurrentSteps::default())).await
}

/// Waits beside something else that is shown.
pub async fn wait_beside(
    waiting: &Waiting<'_>,
    limit: TimeLimit,
    beside: &Beside,
) -> Result<Outcome, CliError> {
    let goes_on = GoesOn::new(waiting.ui, command(waiting.cluster, waiting.goals));
    let result = wait_within(waiting, limit, beside).await;
    goes_on.end();
    result
}

/// Returns the command that waits for the same.
fn command(cluster: &Cluster, goals: &[(ObjectRef, Goal)]) -> String {
    let names: Vec<String> = goals.iter().map(|(object, _)| object.to_string()).collect();
    format!("kubectl imgop wait {}{}", names.join(" "), cluster.place())
}

async fn wait_within(waiting: &Waiting<'_>, limit: TimeLimit, beside: &Beside) -> Result<Outcome, CliError> {
    let Waiting { ui, cluster, goals, .. } = *waiting;
    let (mut awaited, mut faults) = (Awaited::new(goals), WatchFaults::default());
    let following = follow(waiting, (&mut awaited, &mut faults), beside);
    let Some(allowed) = limit.limit() else { return following.await };
    if let Ok(result) = timeout(allowed, following).await {
        return result;
    }
    let after = human(i64::try_from(allowed.as_secs()).unwrap_or(i64::MAX));
    let error = |(object, message): (ObjectRef, Option<String>)| {
        let so_far = message.unwrap_or_else(|| match faults.of(object.kind) {
            Some(fault) => format!("its state is not known: {fault}"),
            None => "it is not reconciled yet".to_owned(),
        });
        let message = format!("{} after {after}: {so_far}", waiting.unmet(&object));
        CliError::failed(message).hinted(describe(cluster, &object))
    };
    not_ready_at_the_end(ui, cluster, awaited.left().map(error).collect(), goals.len())
}

/// Checks objects once, as they are. Returns done if all are ready. What is wrong is printed already, except
/// where there is one object only.
pub fn check_all(
    ui: Ui,
    cluster: &Cluster,
    objects: &[FoundObject],
    goals: &[(ObjectRef, Goal)],
) -> Result<Outcome, CliError> {
    let waiting = Waiting::new(ui, cluster, goals, &[]);
    let mut awaited = Awaited::new(goals);
    awaited.end_blocks();
    let mut errors: Vec<CliError> = Vec::new();
    for object in objects {
        match awaited.seen(&object.reference(), &object.object) {
            Some(News::Ready(message)) => waiting.note_met(&object.reference(), &message),
            Some(News::NotReady(message)) => errors.push(waiting.not_ready(object, &message)),
            Some(News::Unreadable(why)) => errors.push(cluster.unreadable(&object.reference(), &why)),
            // What is under way is left, with its message.
            Some(News::Message(_) | News::CheckedAgain(_)) | None => {}
        }
    }
    errors.extend(awaited.left().map(|(object, message)| {
        let so_far = message.unwrap_or_else(|| "it is not reconciled yet".to_owned());
        CliError::failed(format!("{}: {so_far}", waiting.unmet(&object))).hinted(describe(cluster, &object))
    }));
    if errors.is_empty() {
        return Ok(Outcome::Done);
    }
    let outcome = not_ready_at_the_end(ui, cluster, errors, goals.len())?;
    objects.iter().filter_map(|object| waiting.hint_to_enable(object)).for_each(|hint| ui.hint(&hint));
    Ok(outcome)
}

/// Ends with errors: of one object as the error, of several as a line each with common hints.
fn not_ready_at_the_end(
    ui: Ui,
    cluster: &Cluster,
    mut errors: Vec<CliError>,
    number: usize,
) -> Result<Outcome, CliError> {
    match errors.pop() {
        Some(only) if number == 1 => Err(only),
        last => {
            errors.iter().chain(&last).for_each(|error| ui.error_of_several(error));
            hint_at_several(ui, cluster);
            Ok(Outcome::NotReady)
        }
    }
}

/// Prints the hints that hold for each of several objects that are not ready, once.
fn hint_at_several(ui: Ui, cluster: &Cluster) {
    let place = cluster.place();
    ui.note("");
    ui.hint(&format!("kubectl imgop describe NAME{place}"));
    ui.hint(&format!("once it is fixed: kubectl imgop sync NAME --retry{place}"));
}

async fn follow(
    waiting: &Waiting<'_>,
    (awaited, faults): (&mut Awaited, &mut WatchFaults),
    beside: &Beside,
) -> Result<Outcome, CliError> {
    let Waiting { ui, cluster, goals, .. } = *waiting;
    let (mut changes, began) = (changes(cluster, goals), Instant::now());
    let mut reaction = pin!(sleep_until(began + REACTION_TIMEOUT).fuse());
    let mut notice = pin!(sleep_until(began + NOTICE_TIMEOUT).fuse());
    let mut progress = WaitProgress::begin(ui, beside);
    let (mut ticks, mut looking_up) = (progress.ticks(), pin!(Fuse::terminated()));
    let mut outcome = Outcome::Done;
    while !awaited.is_over() {
        progress.draw(&awaited.under_way());
        let ended = tokio::select! {
            change = changes.next() => {
                progress.clear();
                changed(waiting, (awaited, faults), change, progress.shows_messages())?
            }
            () = reaction.as_mut() => {
                if let unseen @ [_, ..] = awaited.unseen().as_slice() {
                    let why = why_no_reaction(cluster, &several(unseen)).await;
                    progress.clear();
                    ui.warning(&why);
                }
                Outcome::Done
            }
            () = notice.as_mut() => {
                progress.clear();
                let blocked = awaited.end_blocks();
                all(blocked.iter().map(|(object, message)| waiting.end(object, message)))
            }
            copying = looking_up.as_mut() => {
                progress.found_jobs(copying, &awaited.under_way());
                Outcome::Done
            }
            _ = ticks.tick() => {
                if looking_up.is_terminated() && progress.needs_jobs() {
                    looking_up.set(copying(cluster, awaited.under_way()).fuse());
                }
                Outcome::Done
            }
        };
        outcome = outcome.and(ended);
    }
    progress.clear();
    if goals.len() > 1 && outcome == Outcome::NotReady {
        hint_at_several(ui, cluster);
    }
    Ok(outcome)
}

/// Returns done if all are.
fn all(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    outcomes.fold(Outcome::Done, Outcome::and)
}

/// Takes note of a change, or of a watch that fails; returns done unless something ended badly, which is printed.
fn changed(
    waiting: &Waiting<'_>,
    (awaited, faults): (&mut Awaited, &mut WatchFaults),
    change: Option<Change>,
    shows_messages: bool,
) -> Result<Outcome, CliError> {
    let Waiting { ui, cluster, goals, .. } = *waiting;
    match change {
        Some((kind, Ok(event))) => {
            faults.end(kind, &event);
            Ok(note(waiting, awaited, kind, event, shows_messages))
        }
        Some((kind, Err(error))) => {
            let object = goals.iter().map(|(object, _)| object).find(|object| object.kind == kind);
            faults.add(ui, cluster, Watched { kind, object, all_namespaces: false }, &error)?;
            Ok(Outcome::Done)
        }
        None => Err(CliError::failed("the API server ended the watch")),
    }
}

/// Returns the changes of the kinds that are waited for; of an only object, its changes alone.
fn changes(cluster: &Cluster, goals: &[(ObjectRef, Goal)]) -> impl futures::Stream<Item = Change> + Unpin {
    let mut kinds: Vec<KindRef> = Vec::new();
    for (object, _) in goals {
        if !kinds.contains(&object.kind) {
            kinds.push(object.kind);
        }
    }
    let which = match goals {
        [(only, _)] => watcher::Config::default().fields(&format!("metadata.name={}", only.name)),
        _ => watcher::Config::default(),
    };
    select_all(kinds.into_iter().map(|kind| -> BoxStream<'static, Change> {
        let changes = watcher(cluster.objects(kind, false), which.clone()).default_backoff();
        changes.map(move |change| (kind, change)).boxed()
    }))
}

/// Prints what is new, unless it is a message of the agent that is shown anyway; returns done unless something ended badly.
fn note(
    waiting: &Waiting<'_>,
    awaited: &mut Awaited,
    kind: KindRef,
    event: Event<DynamicObject>,
    shows_messages: bool,
) -> Outcome {
    let was_deleted = |object: &ObjectRef| waiting.print(&CliError::failed(format!("{object} was deleted")));
    match event {
        Event::Init => awaited.begin_list(kind),
        Event::InitDone => return all(awaited.end_list(kind).iter().map(was_deleted)),
        Event::Delete(object) => {
            let object = ObjectRef { kind, name: object.name_any() };
            if awaited.remove(&object) {
                return was_deleted(&object);
            }
        }
        Event::Apply(object) | Event::InitApply(object) => {
            let object = FoundObject { kind, object };
            return seen(waiting, awaited, &object, shows_messages);
        }
    }
    Outcome::Done
}

fn seen(waiting: &Waiting<'_>, awaited: &mut Awaited, object: &FoundObject, shows_messages: bool) -> Outcome {
    let Waiting { ui, cluster, .. } = *waiting;
    let name = object.reference();
    let Some(news) = awaited.seen(&name, &object.object) else { return Outcome::Done };
    match news {
        News::Message(_) if shows_messages => {}
        News::Message(message) => {
            let message = quoted_failure(object).map_or(message, |failure| failure.why);
            ui.note(&format!("{name}: {message}"));
        }
        News::CheckedAgain(message) => {
            if !shows_messages {
                ui.note(&format!("{name}: not ready so far; the agent checks it again: {message}"));
            }
            if let Some(hint) = waiting.hint_to_enable(object) {
                ui.hint(&hint);
            }
        }
        News::Ready(message) => waiting.note_met(&name, &message),
        News::NotReady(message) => return waiting.end(object, &message),
        News::Unreadable(why) => return waiting.print(&cluster.unreadable(&name, &why)),
    }
    Outcome::Done
}

/// Returns `a`, or `a and 3 others`.
fn several(objects: &[ObjectRef]) -> String {
    match objects {
        [] => String::new(),
        [only] => only.to_string(),
        [first, others @ ..] => format!("{first} and {} others", others.len()),
    }
}
