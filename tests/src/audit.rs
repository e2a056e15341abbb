//! The API server's audit log: every request that anybody made.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

/// How often each Job of a namespace was created, by the API server's own record. A Job that was
/// deleted since counts, and one that was refused does not.
pub fn created_jobs(log: &Path, namespace: &str) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(log).with_context(|| format!("no audit log {}", log.display()))?;
    Ok(text
        .lines()
        // Parsing each line of a log of megabytes would take seconds.
        .filter(|line| line.contains(namespace) && line.contains(r#""verb":"create""#))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| {
            event["verb"] == "create"
                && event["stage"] == "ResponseComplete"
                && event["responseStatus"]["code"] == 201
                && event["objectRef"]["resource"] == "jobs"
                && event["objectRef"]["namespace"] == namespace
        })
        .filter_map(|event| Some(event["objectRef"]["name"].as_str()?.to_owned()))
        .collect())
}
