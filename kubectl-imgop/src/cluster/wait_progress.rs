//! What a wait shows of itself: how long it lasts and what is being copied, and on Ctrl-C that the agent goes on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use imgop_core::api::NATIVE_CONTAINER;
use imgop_core::commands::says_how_far;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use tokio::time::{Instant, Interval, interval_at};

use super::awaited::UnderWay;
use super::connection::Cluster;
use crate::kinds::{KindRef, ObjectRef};
use crate::output::age::human;
use crate::output::{Redrawn, Ui};

/// Of how many objects the Jobs are looked up.
const MAX_OBJECTS: usize = 3;
/// How many tags are named.
const MAX_TAGS: usize = 3;
/// How often a terminal shows how long the wait has lasted.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);
/// How often Jobs are looked up for a terminal.
const JOBS_INTERVAL: Duration = Duration::from_secs(5);
/// How often a line is printed elsewhere, such as into a log.
const LINE_INTERVAL: Duration = Duration::from_mins(1);

/// What is being copied of an object whose Jobs were looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copying {
    object: ObjectRef,
    /// The tags, in words; empty if none.
    tags: String,
    /// How far the agent's own program is, where it is what copies.
    native: Option<NativeProgress>,
}

/// How far a Job of the agent's own program is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NativeProgress {
    job: String,
    /// The newest line that says so; none if the end of its log has none.
    so_far: Option<String>,
}

impl Copying {
    /// Returns `1.1, 1.0 (3 of 10 images copied; …)`; nothing where nothing is copied.
    fn words(&self) -> Option<String> {
        let so_far = self.native.as_ref().and_then(|native| native.so_far.as_ref());
        let words = so_far.map_or_else(|| self.tags.clone(), |so_far| format!("{} ({so_far})", self.tags));
        (!words.is_empty()).then_some(words)
    }
}

/// What each part of what is waited for does just now. It changes faster than a status.
#[derive(Debug, Clone, Default)]
pub struct CurrentSteps(Rc<RefCell<BTreeMap<String, String>>>);

impl CurrentSteps {
    /// A part does something else from now on.
    pub fn set(&self, part: &str, step: String) {
        self.0.borrow_mut().insert(part.to_owned(), step);
    }

    /// A part does nothing more.
    pub fn remove(&self, part: &str) {
        self.0.borrow_mut().remove(part);
    }

    fn lines(&self) -> Vec<String> {
        self.0.borrow().iter().map(|(part, step)| format!("  {part}: {step}")).collect()
    }
}

/// What stands beside a wait.
#[derive(Debug, Clone)]
pub enum Beside {
    /// Lines that are printed as they come: nothing is drawn again below them.
    Lines,
    /// Steps that a terminal shows.
    Steps(CurrentSteps),
}

/// What is shown of a wait: on a terminal lines that are drawn again and again, elsewhere a line now and then.
pub struct WaitProgress {
    ui: Ui,
    redrawn: Option<Redrawn>,
    steps: CurrentSteps,
    began: Instant,
    next_jobs: Instant,
    copying: Vec<Copying>,
}

impl WaitProgress {
    /// The wait begins.
    pub fn begin(ui: Ui, beside: &Beside) -> Self {
        let (redrawn, steps) = match beside {
            Beside::Lines => (None, CurrentSteps::default()),
            Beside::Steps(steps) => (Redrawn::begin(), steps.clone()),
        };
        let began = Instant::now();
        Self { ui, redrawn, steps, began, next_jobs: began, copying: Vec::new() }
    }

    /// Returns when something may be due to be shown.
    pub fn ticks(&self) -> Interval {
        let interval = if self.redrawn.is_some() { REDRAW_INTERVAL } else { LINE_INTERVAL };
        interval_at(self.began + interval, interval)
    }

    /// Returns whether messages of the agent are shown as they change, so that they need no line each.
    pub fn shows_messages(&self) -> bool {
        self.redrawn.is_some()
    }

    /// Returns whether Jobs are to be looked up now.
    pub fn needs_jobs(&mut self) -> bool {
        let is_due = self.next_jobs <= Instant::now();
        if is_due {
            self.next_jobs = Instant::now() + JOBS_INTERVAL;
        }
        is_due
    }

    /// Takes note of what is being copied.
    pub fn found_jobs(&mut self, copying: Vec<Copying>, under_way: &[UnderWay]) {
        self.copying = continued(copying, &self.copying);
        if self.redrawn.is_none() {
            self.lines(under_way).iter().for_each(|line| self.ui.note(line));
        }
    }

    /// Draws what is under way now, on a terminal.
    pub fn draw(&mut self, under_way: &[UnderWay]) {
        let mut lines = self.lines(under_way);
        lines.extend(self.steps.lines());
        if let Some(redrawn) = &mut self.redrawn {
            redrawn.draw(&lines);
        }
    }

    /// Makes room for something else to be printed.
    pub fn clear(&mut self) {
        if let Some(redrawn) = &mut self.redrawn {
            redrawn.clear();
        }
    }

    fn lines(&self, under_way: &[UnderWay]) -> Vec<String> {
        lines(under_way, &self.copying, self.began.elapsed())
    }
}

/// Returns what the Jobs of the first objects work on. Without the right to list Jobs that is nothing.
pub async fn copying(cluster: &Cluster, under_way: Vec<UnderWay>) -> Vec<Copying> {
    let mut copying = Vec::new();
    for UnderWay { object, uid, .. } in under_way.into_iter().take(MAX_OBJECTS) {
        let Some(uid) = uid else { continue };
        let jobs = cluster.jobs(&uid).await.unwrap_or_default();
        let tags = copied_by(object.kind, &jobs);
        let native = native_progress(cluster, object.kind, &jobs).await;
        copying.push(Copying { object, tags, native });
    }
    copying
}

/// Returns how far the newest Job of the agent's own program is, by its log; nothing of it without the right to read it.
async fn native_progress(cluster: &Cluster, kind: KindRef, jobs: &[Job]) -> Option<NativeProgress> {
    let is_native = |job: &&Job| {
        let containers = kind.containers(job).unwrap_or_default();
        containers.iter().any(|container| container.name == NATIVE_CONTAINER)
    };
    let job = jobs.iter().filter(|job| is_active(job)).find(is_native)?.name_any();
    let pod = cluster.pods_of(&job).await.ok()?.into_iter().next()?;
    let so_far = cluster.newest_line(&pod, NATIVE_CONTAINER, says_how_far).await;
    Some(NativeProgress { job, so_far })
}

/// Returns what is being copied now. Of a Job that logs a line for each of many small tags the end of the log may not say
/// how far it is: then what it said last still holds.
fn continued(mut now: Vec<Copying>, before: &[Copying]) -> Vec<Copying> {
    let known: Vec<&NativeProgress> = before.iter().filter_map(|copying| copying.native.as_ref()).collect();
    for native in now.iter_mut().filter_map(|copying| copying.native.as_mut()) {
        let said = known.iter().find(|known| known.job == native.job);
        native.so_far = native.so_far.take().or_else(|| said?.so_far.clone());
    }
    now
}

fn is_active(job: &Job) -> bool {
    job.status.as_ref().is_some_and(|status| status.active.unwrap_or(0) > 0)
}

/// Returns a line for each of the first objects that are waited for: how long that lasts, the tags that are being
/// copied, and the agent's message, which is cut off first where there is little room.
fn lines(under_way: &[UnderWay], copying: &[Copying], elapsed: Duration) -> Vec<String> {
    let elapsed = human(i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX));
    let mut lines = Vec::new();
    for UnderWay { object, message, .. } in under_way.iter().take(MAX_OBJECTS) {
        let copied = copying.iter().find(|copying| copying.object == *object).and_then(Copying::words);
        let doing = object.kind.job_words().doing;
        let copied = copied.map(|words| format!("{doing} {words}; ")).unwrap_or_default();
        let state = message.as_deref().unwrap_or("not reconciled yet");
        lines.push(format!("{object} ({elapsed}): {copied}{state}"));
    }
    let others = under_way.len().saturating_sub(MAX_OBJECTS);
    lines.extend((others > 0).then(|| format!("and {others} more ({elapsed})")));
    lines
}

/// Returns `1.1, 1.0`: what the Jobs that run work on.
fn copied_by(kind: KindRef, jobs: &[Job]) -> String {
    let mut tags: Vec<String> = Vec::new();
    for container in jobs.iter().filter(|job| is_active(job)).filter_map(|job| kind.containers(job)).flatten()
    {
        if !tags.contains(&container.works_on) {
            tags.push(container.works_on);
        }
    }
    let others = tags.len().saturating_sub(MAX_TAGS);
    tags.truncate(MAX_TAGS);
    let named = tags.join(", ");
    if others > 0 { format!("{named} and {others} more") } else { named }
}

/// Says that the agent goes on, where the wait is dropped before its end: that is what Ctrl-C does.
pub struct GoesOn {
    ui: Ui,
    command: String,
    is_over: bool,
}

impl GoesOn {
    /// Begins a wait that `command` continues.
    pub fn new(ui: Ui, command: String) -> Self {
        Self { ui, command, is_over: false }
    }

    /// The wait is over.
    pub fn end(mut self) {
        self.is_over = true;
    }
}

impl Drop for GoesOn {
    fn drop(&mut self) {
        if !self.is_over {
            self.ui.note(&format!("\nThe agent goes on by itself. To wait again: {}", self.command));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::DEFAULT_KIND;

    #[test]
    fn what_runs_is_named_and_what_ended_is_not() {
        let job = |active: i32, tags: &[&str]| -> Job {
            let digest = format!("sha256:{}", "0".repeat(64));
            let copy =
                |tag: &&str| json!({ "source": tag, "destination": tag, "attempt": 1, "digest": digest });
            let copies = json!(tags.iter().map(copy).collect::<Vec<_>>()).to_string();
            let job = json!({ "metadata": { "name": "j", "annotations": { "imgop.skopeo.io/copies": copies } },
                "status": { "active": active } });
            serde_json::from_value(job).unwrap()
        };
        let of = |jobs: &[Job]| copied_by(DEFAULT_KIND, jobs);
        assert_eq!(of(&[job(1, &["1.1", "1.0"]), job(0, &["0.9"])]), "1.1, 1.0");
        assert_eq!(of(&[job(1, &["1", "2", "3"]), job(1, &["3", "4", "5"])]), "1, 2, 3 and 2 more");
        assert_eq!(of(&[job(0, &["1"])]), "");
    }

    #[test]
    fn a_line_has_the_time_and_the_tags_before_the_message() {
        let object = |name: &str| ObjectRef::parse(name).unwrap();
        let waits = |name: &str, message: Option<&str>| UnderWay {
            object: object(name),
            uid: None,
            message: message.map(str::to_owned),
        };
        let under_way = [waits("a", Some("1 of 2")), waits("b", None), waits("c", None), waits("d", None)];
        let copying =
            |name: &str, tags: &str| Copying { object: object(name), tags: tags.to_owned(), native: None };
        let copying = [copying("a", "1.1, 1.0"), copying("b", "")];
        insta::assert_snapshot!(lines(&under_way, &copying, Duration::from_secs(65)).join("\n"), @"
        a (65s): copying 1.1, 1.0; 1 of 2
        b (65s): not reconciled yet
        c (65s): not reconciled yet
        and 1 more (65s)
        ");
    }

    #[test]
    fn how_far_a_job_was_last_holds_until_it_says_so_anew() {
        let copying = |job: &str, so_far: Option<&str>| {
            let native = NativeProgress { job: job.to_owned(), so_far: so_far.map(str::to_owned) };
            vec![Copying {
                object: ObjectRef::parse("a").unwrap(),
                tags: "1.0".to_owned(),
                native: Some(native),
            }]
        };
        let before = copying("j", Some("3 of 10"));
        let words = |now: Vec<Copying>| continued(now, &before)[0].words().unwrap();
        assert_eq!(words(copying("j", Some("5 of 10"))), "1.0 (5 of 10)");
        assert_eq!(words(copying("j", None)), "1.0 (3 of 10)");
        assert_eq!(words(copying("next", None)), "1.0");
    }
}
