//! What the agent wrote, by the API server's audit log.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::Context as _;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

const AGENT: &str = "system:serviceaccount:imgop-system:imgop-agent";

/// What was written to Images, their statuses left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// All of it.
    pub of_images: usize,
    /// Images that were deleted.
    pub deleted: usize,
    /// The most within any second.
    pub most_in_a_second: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    user: User,
    object_ref: Option<ObjectRef>,
    request_received_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct ObjectRef {
    resource: String,
    subresource: String,
}

impl Writes {
    /// Counts those behind a place of the log.
    pub fn read(log: &Path, from: u64) -> anyhow::Result<Self> {
        let mut file = std::fs::File::open(log).with_context(|| format!("no {}", log.display()))?;
        file.seek(SeekFrom::Start(from))?;
        let mut events = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line?;
            // The last one may not be whole yet. It is of another moment, because the agent was at rest.
            if line.contains(AGENT)
                && let Ok(event) = serde_json::from_str::<Event>(&line)
            {
                events.push(event);
            }
        }
        Ok(Self::of(events))
    }

    fn of(mut events: Vec<Event>) -> Self {
        let is_write = |event: &Event| {
            let of = event.object_ref.as_ref();
            event.user.username == AGENT
                && event.stage == "ResponseComplete"
                && matches!(event.verb.as_str(), "create" | "update" | "patch" | "delete")
                && of.is_some_and(|of| of.resource == "images" && of.subresource.is_empty())
        };
        events.retain(is_write);
        events.sort_by_key(|event| event.request_received_timestamp);
        let (mut within, mut most) = (VecDeque::new(), 0);
        for event in &events {
            let at = event.request_received_timestamp;
            within.push_back(at);
            while within
                .front()
                .is_some_and(|first| at.duration_since(*first) >= SignedDuration::from_secs(1))
            {
                within.pop_front();
            }
            most = most.max(within.len());
        }
        let deleted = events.iter().filter(|event| event.verb == "delete").count();
        Self { of_images: events.len(), deleted, most_in_a_second: most }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_most_writes_within_a_second_are_those_of_any_second() {
        let event = |user: &str, verb: &str, subresource: &str, at: &str| -> Event {
            serde_json::from_value(json!({
                "stage": "ResponseComplete", "verb": verb, "user": { "username": user },
                "objectRef": { "resource": "images", "subresource": subresource },
                "requestReceivedTimestamp": format!("2026-01-01T00:00:{at}Z"),
            }))
            .unwrap()
        };
        let events = vec![
            event(AGENT, "patch", "", "00.900000"),
            event(AGENT, "patch", "", "01.000000"),
            event(AGENT, "delete", "", "01.800000"),
            event(AGENT, "patch", "status", "01.800000"),
            event("admin", "patch", "", "01.800000"),
            event(AGENT, "patch", "", "01.900000"),
        ];
        assert_eq!(Writes::of(events), Writes { of_images: 4, deleted: 1, most_in_a_second: 3 });
    }
}
