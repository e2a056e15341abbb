//! What version sources announce, and what of that an inventory receives.
//!
//! What was added once stays: the Image that has the tag says so, so that a restart, a source that is down and one that
//! announces less lose nothing.

mod chart_looks;
mod charts;
mod outside;
mod report;

use std::collections::HashMap;
use std::time::Duration;

use imgop_core::api::{FailedUpdate, MirrorProposals};
use imgop_core::inventory::{Inventory, KeptTags, MirrorUpdateRequest};
use imgop_core::sources::github::{GithubError, GithubLimits, GithubMemory};
use imgop_core::sources::{FindError, Found, Note, VersionSource};
use imgop_core::time::saturating_add;
use imgop_registry::reference::Tag;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::desired::found;
use super::halt::Halt;
use super::{Memory, Pass};
use crate::children::Mirrored;
use crate::jobs::report::JobReport;
use chart_looks::ChartLooks;
use charts::Rendered;

/// Sources that one pass looks at: each takes its time, and a pass holds one of few turns.
const LOOKS_PER_PASS: usize = 2;
/// How long one look may take.
const LOOK_TIMEOUT: Duration = Duration::from_mins(1);
/// When the next pass looks at the sources that are left.
const NEXT_LOOKS: Duration = Duration::from_secs(1);
/// When a source is looked at for which there was no room.
const PUT_OFF_INTERVAL: Duration = Duration::from_secs(10);
/// When a source is asked again that was of no use.
const RETRY_INTERVAL: Duration = Duration::from_mins(5);
/// The same where that takes a Job.
const CHART_RETRY_INTERVAL: Duration = Duration::from_hours(1);
/// When it is looked at again what Jobs wait for; their end wakes the mirror.
const JOB_INTERVAL: Duration = Duration::from_secs(30);
/// Tags that a source may announce.
const MAX_FOUND: usize = 20_000;
/// Images without an entry that are remembered.
const MAX_NOTES: usize = 200;

/// What all mirrors share of version sources.
#[derive(Debug)]
pub(super) struct SharedSources {
    chart_looks: ChartLooks,
    /// GitHub counts by credential, whichever mirror asks.
    github: GithubLimits,
    /// Charts take memory while they are read, though no time: one at a time. Servers are not waited for with it.
    reading: Semaphore,
}

impl Default for SharedSources {
    fn default() -> Self {
        let (chart_looks, github) = (ChartLooks::default(), GithubLimits::default());
        Self { chart_looks, github, reading: Semaphore::new(1) }
    }
}

/// What is remembered of version sources. All of it may be lost.
#[derive(Debug, Default)]
pub(super) struct VersionMemory {
    looks: HashMap<String, Look>,
    /// By the Secret with the token, whose account may see what others may not.
    github: HashMap<Option<String>, GithubMemory>,
    rendered: Rendered,
}

/// The last look at a version source.
#[derive(Debug)]
struct Look {
    request: MirrorUpdateRequest,
    next: Timestamp,
    found: Found,
    failed: Option<String>,
    /// The Jobs that render its charts.
    jobs: Vec<String>,
    /// Whether it goes on when these have ended.
    is_waiting: bool,
}

/// Why it is not known what a source announces.
#[derive(Debug)]
struct Unknown {
    why: String,
    /// When it can be known again, if that is said.
    until: Option<Timestamp>,
}

/// What is reported of version sources.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Versions {
    pub proposals: Option<MirrorProposals>,
    pub failed: Vec<FailedUpdate>,
    /// When the next source is looked at.
    pub wait: Option<Duration>,
}

impl Pass<'_> {
    /// Adds to an inventory what was added to it before and what version sources have announced since, as far as they
    /// are to be applied, and returns the rest as proposals.
    pub(super) async fn add_versions(
        &self,
        inventory: &mut Inventory,
        mirrored: &[Mirrored],
        is_asked_for: bool,
        memory: &mut Memory,
    ) -> Result<Versions, Halt> {
        let requests = MirrorUpdateRequest::read_all(&self.mirror.spec.updates).map_err(Halt::Spec)?;
        let memory = &mut memory.versions;
        memory.looks.retain(|name, _| requests.iter().any(|request| request.update.name == *name));
        memory.github.retain(|secret, _| requests.iter().any(|request| request.token_secret == *secret));
        let found: Vec<(&Mirrored, Vec<Tag>)> = mirrored.iter().map(|image| (image, found(image))).collect();
        let kept = found.iter().filter(|(_, tags)| !tags.is_empty()).map(|(image, tags)| KeptTags {
            source: &image.spec.source.name,
            destination: &image.spec.destination.name,
            tags,
        });
        let without_room = inventory.restore(&kept.collect::<Vec<_>>(), &requests);
        if is_asked_for {
            memory.looks.values_mut().for_each(|look| look.next = look.next.min(self.now));
        }
        let jobs = self.chart_jobs(&mut memory.rendered).await;
        let due = memory.due(&requests, self.now);
        let (mut looks, mut put_off) = (0, 0);
        for request in &due {
            if looks == LOOKS_PER_PASS {
                break;
            }
            if self.look(request, &jobs, memory).await {
                looks += 1;
            } else {
                put_off += 1;
            }
        }
        let is_more_due = due.len() > looks + put_off;
        let looks = &memory.looks;
        memory.rendered.retain(|job| looks.values().any(|look| look.jobs.iter().any(|name| name == job)));
        let mut versions = self.report_versions(&requests, &without_room, inventory, memory);
        let soon = [(is_more_due, NEXT_LOOKS), (put_off > 0, PUT_OFF_INTERVAL)];
        let soon = soon.into_iter().filter_map(|(is_due, wait)| is_due.then_some(wait));
        versions.wait = versions.wait.into_iter().chain(soon).min();
        Ok(versions)
    }

    /// Looks at a source, and returns whether there was room for it.
    async fn look(
        &self,
        request: &MirrorUpdateRequest,
        jobs: &[JobReport],
        memory: &mut VersionMemory,
    ) -> bool {
        let name = &request.update.name;
        let is_of_charts = matches!(request.update.source, VersionSource::HelmChart(_));
        let begun = is_of_charts.then(|| self.mirrors.sources.chart_looks.begin(self.namespace()));
        if begun.as_ref().is_some_and(Option::is_none) {
            return false;
        }
        let VersionMemory { looks, github, rendered } = memory;
        let before = looks.remove(name).filter(|look| look.request.update == request.update);
        if let Some(look) = before.as_ref().filter(|look| !look.is_waiting) {
            self.forget_failed(&look.jobs, jobs, rendered).await;
        }
        let charts = self.charts(rendered);
        let github = github.entry(request.token_secret.clone()).or_default();
        let found = timeout(LOOK_TIMEOUT, self.find(request, github, &charts)).await;
        let found =
            found.unwrap_or_else(|_| Err(Unknown::because("it takes longer than a minute; narrow it")));
        let (used, wanted) = charts.into_jobs();
        let looked = match found {
            Ok(_) if !wanted.is_empty() => self.create_jobs(wanted, jobs).await.map(|()| None),
            found => found.and_then(bounded).map(Some),
        };
        let is_waiting = matches!(looked, Ok(None));
        let wait = match &looked {
            Ok(None) => JOB_INTERVAL,
            Ok(Some(_)) => request.period,
            Err(_) if used.is_empty() => request.period.min(RETRY_INTERVAL),
            Err(_) => request.period.min(CHART_RETRY_INTERVAL),
        };
        let (known, known_failure) = before.map(|look| (look.found, look.failed)).unwrap_or_default();
        let (found, failed, until) = match looked {
            Ok(Some(found)) => (found, None, None),
            // What was known stays.
            Ok(None) => (known, known_failure, None),
            Err(Unknown { why, until }) => (known, Some(why), until),
        };
        let next = saturating_add(self.now, wait).max(until.unwrap_or(self.now));
        let look = Look { request: request.clone(), next, found, failed, jobs: used, is_waiting };
        looks.insert(name.clone(), look);
        true
    }
}

impl VersionMemory {
    /// Returns what is to be looked at now, what has waited longest first.
    fn due<'r>(&self, requests: &'r [MirrorUpdateRequest], now: Timestamp) -> Vec<&'r MirrorUpdateRequest> {
        let has_news = |look: &Look| look.is_waiting && look.jobs.iter().all(|job| self.rendered.knows(job));
        let mut due: Vec<_> = requests
            .iter()
            .filter_map(|request| {
                let look = self.looks.get(&request.update.name).filter(|look| look.request == *request);
                let is_due = look.is_none_or(|look| look.next <= now || has_news(look));
                is_due.then(|| (look.map(|look| look.next), request))
            })
            .collect();
        due.sort_by_key(|(next, _)| *next);
        due.into_iter().map(|(_, request)| request).collect()
    }
}

impl Unknown {
    #[expect(clippy::needless_pass_by_value, reason = "as map_err hands it on")]
    fn because(why: impl ToString) -> Self {
        Self { why: why.to_string(), until: None }
    }
}

impl From<FindError> for Unknown {
    fn from(error: FindError) -> Self {
        let until = match &error {
            FindError::Github(GithubError::RateLimited { until }) => Some(*until),
            _ => None,
        };
        Self { why: error.to_string(), until }
    }
}

/// Returns what is remembered of what was found.
fn bounded(mut found: Found) -> Result<Found, Unknown> {
    let tags: usize = found.images.iter().map(|image| image.tags.len()).sum();
    if tags > MAX_FOUND {
        let why = format!("it announces {tags} tags, and {MAX_FOUND} is the most; narrow it");
        return Err(Unknown::because(why));
    }
    found.notes.retain(Note::is_problem);
    found.notes.truncate(MAX_NOTES);
    Ok(found)
}
