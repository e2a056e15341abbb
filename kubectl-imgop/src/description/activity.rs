//! What was done for the Image: Jobs and events.

use std::cmp::Reverse;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use crate::age::since;
use crate::job_tags::records;
use crate::table::Table;

/// So many tags of a Job, and so many events, are shown.
const MOST_TAGS: usize = 4;
const MOST_EVENTS: usize = 20;

/// The Jobs, the newest first. Of a sync that is over no copy runs any more, although Kubernetes takes
/// a moment to count the pods that have ended.
pub fn jobs(jobs: &Result<Vec<Job>, String>, is_over: bool, now: Timestamp) -> Option<Table> {
    let mut table = Table::new(["JOB", "STATE", "AGE", "TAGS"]);
    match jobs {
        Ok(jobs) if jobs.is_empty() => return None,
        Ok(jobs) => {
            let mut jobs: Vec<&Job> = jobs.iter().collect();
            jobs.sort_by_key(|job| Reverse(job.creation_timestamp()));
            for job in jobs {
                table.row([
                    job.name_any(),
                    state(job, is_over),
                    since(job.creation_timestamp().as_ref(), now),
                    tags(job),
                ]);
            }
        }
        Err(why) => table.row(unreadable(why)),
    }
    Some(table)
}

fn state(job: &Job, is_over: bool) -> String {
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
    } else if holds("SuccessCriteriaMet").is_some() || (is_over && status.active.unwrap_or_default() > 0) {
        "Ending".to_owned()
    } else if status.active.unwrap_or_default() > 0 {
        "Running".to_owned()
    } else {
        "Pending".to_owned()
    }
}

/// The tags that a Job copies.
fn tags(job: &Job) -> String {
    let records = records(job);
    let Some(records) = records else { return "<unknown>".to_owned() };
    let mut tags: Vec<String> = records.iter().take(MOST_TAGS).map(|r| r.destination.to_string()).collect();
    if records.len() > MOST_TAGS {
        tags.push(format!("+{}", records.len() - MOST_TAGS));
    }
    tags.join(",")
}

/// The last events, the newest first.
pub fn events(events: &Result<Vec<Event>, String>, now: Timestamp) -> Option<Table> {
    let mut table = Table::new(["EVENT", "TYPE", "AGE", "MESSAGE"]);
    match events {
        Ok(events) if events.is_empty() => return None,
        Ok(events) => {
            let mut events: Vec<(Option<Time>, &Event)> = events.iter().map(|e| (last_seen(e), e)).collect();
            events.sort_by(|a, b| b.0.cmp(&a.0));
            for (time, event) in events.into_iter().take(MOST_EVENTS) {
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

/// Which field holds the time depends on who wrote the event, and on how often it was repeated.
fn last_seen(event: &Event) -> Option<Time> {
    let repeated = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    let precise = repeated.or(event.event_time.as_ref()).map(|time| Time(time.0));
    event.last_timestamp.clone().or(precise).or_else(|| event.metadata.creation_timestamp.clone())
}

fn unreadable(why: &str) -> [String; 4] {
    ["<unknown>".to_owned(), "<unknown>".to_owned(), "<unknown>".to_owned(), why.to_owned()]
}
