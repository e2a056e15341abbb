//! What the agent asked the API server, counted by verb and resource.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Deserialize;

use crate::report::Counts;

const AGENT: &str = "system:serviceaccount:imgop-system:imgop-agent";

/// The API server's audit log.
pub struct AuditLog {
    file: PathBuf,
}

/// A place in it.
#[derive(Clone, Copy)]
pub struct Mark(u64);

/// The agent's requests between two places.
#[derive(Default)]
pub struct Requests {
    /// All of them.
    pub all: Counts,
    /// How many of them were to change something.
    pub writes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    user: User,
    #[serde(rename = "requestURI")]
    request_uri: String,
    object_ref: Option<ObjectRef>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    api_group: String,
    #[serde(default)]
    subresource: String,
}

impl AuditLog {
    pub fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// The end of the log. (A request is written down before it is answered.)
    pub fn mark(&self) -> anyhow::Result<Mark> {
        Ok(Mark(std::fs::metadata(&self.file)?.len()))
    }

    /// Counts the agent's requests between two places.
    pub fn count(&self, from: Mark, to: Mark) -> anyhow::Result<Requests> {
        let mut file =
            File::open(&self.file).with_context(|| format!("no audit log {}", self.file.display()))?;
        file.seek(SeekFrom::Start(from.0))?;
        let mut requests = Requests::default();
        let mut lines = BufReader::new(file.take(to.0.saturating_sub(from.0)));
        let mut line = String::new();
        // The log may have ended within a line: of a request of ours, because the agent was at rest.
        while lines.read_line(&mut line)? > 0 && line.ends_with('\n') {
            requests.add(&line)?;
            line.clear();
        }
        Ok(requests)
    }
}

impl Requests {
    fn add(&mut self, line: &str) -> anyhow::Result<()> {
        let event: Event =
            serde_json::from_str(line).with_context(|| format!("not an audit event: {line}"))?;
        // A watch is logged when it begins and when it ends, everything else once.
        let counted = if event.verb == "watch" { "ResponseStarted" } else { "ResponseComplete" };
        if event.user.username != AGENT || event.stage != counted {
            return Ok(());
        }
        *self.all.entry(event.kind()).or_default() += 1;
        // To ask for one's rights is to create a review, which is not stored.
        let is_review = event.object_ref.as_ref().is_some_and(|o| o.api_group == "authorization.k8s.io");
        if !is_review && !matches!(event.verb.as_str(), "get" | "list" | "watch") {
            self.writes += 1;
        }
        Ok(())
    }
}

impl Event {
    /// Such as `patch images.skopeo.io/status`.
    fn kind(&self) -> String {
        let Some(object) = &self.object_ref else { return format!("{} {}", self.verb, self.request_uri) };
        let mut kind = format!("{} {}", self.verb, object.resource);
        for (separator, part) in [('.', &object.api_group), ('/', &object.subresource)] {
            if !part.is_empty() {
                kind.push(separator);
                kind.push_str(part);
            }
        }
        kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = r#"{"resource":"images","apiGroup":"skopeo.io","subresource":"status"}"#;
    const REVIEW: &str = r#"{"resource":"selfsubjectaccessreviews","apiGroup":"authorization.k8s.io"}"#;

    fn event(user: &str, stage: &str, verb: &str, object: &str) -> String {
        format!(
            r#"{{"stage":"{stage}","verb":"{verb}","user":{{"username":"{user}"}},"requestURI":"/","objectRef":{object}}}"#
        )
    }

    #[test]
    fn a_watch_counts_once_and_only_the_agents_requests_count() {
        let mut requests = Requests::default();
        for (user, stage, verb) in [
            (AGENT, "ResponseStarted", "watch"),
            (AGENT, "ResponseComplete", "watch"),
            (AGENT, "ResponseComplete", "patch"),
            ("admin", "ResponseComplete", "patch"),
        ] {
            requests.add(&event(user, stage, verb, STATUS)).unwrap();
        }
        assert_eq!(requests.writes, 1);
        let all: Vec<(&str, u64)> =
            requests.all.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        assert_eq!(all, [("patch images.skopeo.io/status", 1), ("watch images.skopeo.io/status", 1)]);
        requests.add(&event(AGENT, "ResponseComplete", "create", REVIEW)).unwrap();
        assert_eq!(requests.writes, 1, "a question is no write");
    }
}
