//! The API server's audit log: every request that anybody made.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Seek as _, SeekFrom};
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

/// A right that was used: API group, resource (with its subresource behind a slash) and verb.
pub type Right = (String, String, String);

/// Every right that a user has used with success, by the API server's own record.
pub fn used_rights(log: &Path, user: &str) -> anyhow::Result<BTreeSet<Right>> {
    used(log, user, |_| true)
}

/// The same for one namespace.
pub fn used_rights_in(log: &Path, user: &str, namespace: &str) -> anyhow::Result<BTreeSet<Right>> {
    used(log, user, |event| event["objectRef"]["namespace"].as_str().unwrap_or_default() == namespace)
}

fn used(log: &Path, user: &str, counts: impl Fn(&Value) -> bool) -> anyhow::Result<BTreeSet<Right>> {
    let text = std::fs::read_to_string(log).with_context(|| format!("no audit log {}", log.display()))?;
    Ok(text
        .lines()
        .filter(|line| line.contains(user))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["user"]["username"] == user && event["objectRef"]["resource"].is_string())
        // Of a request under way nothing is known yet; a refused one needed no right.
        .filter(|event| event["responseStatus"]["code"].as_u64().is_some_and(|code| code < 400))
        .filter(counts)
        .filter_map(|event| {
            let object = &event["objectRef"];
            let resource = object["resource"].as_str()?;
            let resource = match object["subresource"].as_str() {
                Some(subresource) => format!("{resource}/{subresource}"),
                None => resource.to_owned(),
            };
            let group = object["apiGroup"].as_str().unwrap_or_default().to_owned();
            Some((group, resource, event["verb"].as_str()?.to_owned()))
        })
        .collect())
}

/// Returns how long the log is now, to read from there on later.
pub fn mark(log: &Path) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(log).with_context(|| format!("no audit log {}", log.display()))?.len())
}

/// How often a user has sent what changes something, by verb and resource, from a mark on. Questions of what one may
/// do are none of it.
pub fn writes(log: &Path, user: &str, from: u64) -> anyhow::Result<BTreeMap<(String, String), usize>> {
    let mut file = std::fs::File::open(log).with_context(|| format!("no audit log {}", log.display()))?;
    file.seek(SeekFrom::Start(from))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut writes = BTreeMap::new();
    for event in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let (verb, object) = (event["verb"].as_str().unwrap_or_default(), &event["objectRef"]);
        let is_write = ["create", "update", "patch", "delete", "deletecollection"].contains(&verb)
            && object["apiGroup"] != "authorization.k8s.io";
        if is_write && event["user"]["username"] == user && event["stage"] == "ResponseComplete" {
            let resource = object["resource"].as_str().unwrap_or_default().to_owned();
            *writes.entry((verb.to_owned(), resource)).or_default() += 1;
        }
    }
    Ok(writes)
}

/// How often a user has written or deleted an object of a resource itself, not its status, from a mark on.
pub fn writes_of(log: &Path, user: &str, resource: &str, from: u64) -> anyhow::Result<usize> {
    let mut file = std::fs::File::open(log).with_context(|| format!("no audit log {}", log.display()))?;
    file.seek(SeekFrom::Start(from))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_write = |event: &Value| {
        let (verb, object) = (event["verb"].as_str().unwrap_or_default(), &event["objectRef"]);
        ["create", "update", "patch", "delete"].contains(&verb)
            && object["resource"] == resource
            && object["subresource"].is_null()
            && event["user"]["username"] == user
            && event["stage"] == "ResponseComplete"
    };
    Ok(events.filter(is_write).count())
}
