//! What was done for an object: Jobs and events.

use std::cmp::Reverse;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use crate::kinds::KindRef;
use crate::output::age::since;
use crate::output::table::Table;
use crate::output::text::first_few;

const MAX_TAGS: usize = 4;
const MAX_EVENTS: usize = 20;

/// Returns the Jobs, the newest first. Once the sync is complete no container runs any more, although
/// Kubernetes takes a moment to count the pods that have ended.
pub fn jobs(
    kind: KindRef,
    jobs: &Result<Vec<Job>, String>,
    is_complete: bool,
    now: Timestamp,
) -> Option<Table> {
    let mut table = Table::new(["JOB", "STATE", "AGE", kind.job_words().column]);
    match jobs {
        Ok(jobs) if jobs.is_empty() => return None,
        Ok(jobs) => {
            let mut jobs: Vec<&Job> = jobs.iter().collect();
            jobs.sort_by_key(|job| Reverse(job.creation_timestamp()));
            for job in jobs {
                table.row([
                    job.name_any(),
                    state(job, is_complete),
                    since(job.creation_timestamp().as_ref(), now),
                    tags(kind, job),
                ]);
            }
        }
        Err(why) => table.row(unreadable(why)),
    }
    Some(table)
}

fn state(job: &Job, is_complete: bool) -> String {
    let status = job.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let holds = |type_: &str| conditions.iter().find(|c| c.type_ == type_ && c.status == "True");
    if let Some(failed) = holds("Failed").or_else(|| holds("FailureTarget")) {
        let reason = failed.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("Failed{reason}")
    } else if holds("Complete").is_some() {
        "Complete".to_owned()
    } else if holds("Suspended").is_some() {
        "Suspended".to_owned()
    } else if holds("SuccessCriteriaMet").is_some() || (is_complete && status.active.unwrap_or_default() > 0)
    {
        "Ending".to_owned()
    } else if status.active.unwrap_or_default() > 0 {
        "Running".to_owned()
    } else {
        "Pending".to_owned()
    }
}

/// Returns what a Job writes.
fn tags(kind: KindRef, job: &Job) -> String {
    let Some(containers) = kind.containers(job) else { return "<unknown>".to_owned() };
    let mut tags: Vec<String> = containers.into_iter().map(|container| container.writes).collect();
    // A tag that is copied in parts has several containers.
    tags.dedup();
    first_few(&tags, MAX_TAGS, 0)
}

/// Returns the last events, the newest first.
pub fn events(events: &Result<Vec<Event>, String>, now: Timestamp) -> Option<Table> {
    let mut table = Table::new(["EVENT", "TYPE", "AGE", "MESSAGE"]);
    match events {
        Ok(events) if events.is_empty() => return None,
        Ok(events) => {
            let mut events: Vec<(Option<Time>, &Event)> = events.iter().map(|e| (last_seen(e), e)).collect();
            events.sort_by(|a, b| b.0.cmp(&a.0));
            for (time, event) in events.into_iter().take(MAX_EVENTS) {
                table.row([
                    event.reason.clone().unwrap_or_default(),
                    event.type_.clone().unwrap_or_default(),
                    since(time.as_ref(), now),
                    event.message.clone().unwrap_or_default(),
                ]);
            }
        }
        Err(why) => table.row(unreadable(why)),
    }
    Some(table)
}

/// Returns the time of an event. Which field holds it depends on who wrote the event, and on how often it
/// was repeated.
fn last_seen(event: &Event) -> Option<Time> {
    let repeated = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    let precise = repeated.or(event.event_time.as_ref()).map(|time| Time(time.0));
    event.last_timestamp.clone().or(precise).or_else(|| event.metadata.creation_timestamp.clone())
}

fn unreadable(why: &str) -> [String; 4] {
    ["<unknown>".to_owned(), "<unknown>".to_owned(), "<unknown>".to_owned(), why.to_owned()]
}
