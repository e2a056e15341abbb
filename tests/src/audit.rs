//! The API server's audit log: every request that anybody made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;
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
    let mut rights = UsedRights::new(log, user, None);
    rights.until_now()?;
    Ok(rights.rights)
}

/// The same while the log grows: what was read once is not read again.
#[derive(Debug)]
pub struct UsedRights {
    log: PathBuf,
    user: String,
    namespace: Option<String>,
    /// Up to where the log was read.
    read: u64,
    rights: BTreeSet<Right>,
}

impl UsedRights {
    /// Those that a user has used in this namespace, or anywhere.
    pub fn new(log: &Path, user: &str, namespace: Option<&str>) -> Self {
        let (user, namespace) = (user.to_owned(), namespace.map(str::to_owned));
        Self { log: log.to_owned(), user, namespace, read: 0, rights: BTreeSet::new() }
    }

    /// Reads what was logged since the last time, and returns all rights that were used by now.
    pub fn until_now(&mut self) -> anyhow::Result<&BTreeSet<Right>> {
        let mut text = Vec::new();
        opened_at(&self.log, self.read)?.read_to_end(&mut text)?;
        // The last line may be half written.
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        self.read += text.len() as u64;
        let text = String::from_utf8(text)?;
        let lines = text.lines().filter(|line| line.contains(&self.user));
        let events = lines.filter_map(|line| serde_json::from_str::<Event>(line).ok());
        let used = events.filter_map(|event| event.right(&self.user, self.namespace.as_deref()));
        self.rights.extend(used);
        Ok(&self.rights)
    }
}

/// A request, without the objects that it was about: these are most of the log.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    object_ref: ObjectReference,
    response_status: ResponseStatus,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectReference {
    api_group: Option<String>,
    resource: String,
    subresource: Option<String>,
    namespace: Option<String>,
}

#[derive(Deserialize)]
struct ResponseStatus {
    code: u64,
}

impl Event {
    /// Returns the right that it took, if this user was granted it.
    fn right(self, user: &str, namespace: Option<&str>) -> Option<Right> {
        let Self { verb, object_ref: object, .. } = self;
        // A refused request needed no right.
        let is_granted = self.user.username == user && self.response_status.code < 400;
        let is_there = namespace.is_none_or(|name| object.namespace.as_deref().unwrap_or_default() == name);
        let resource = match object.subresource {
            Some(subresource) => format!("{}/{subresource}", object.resource),
            None => object.resource,
        };
        (is_granted && is_there).then_some((object.api_group.unwrap_or_default(), resource, verb))
    }
}

fn opened_at(log: &Path, from: u64) -> anyhow::Result<File> {
    let mut file = File::open(log).with_context(|| format!("no audit log {}", log.display()))?;
    file.seek(SeekFrom::Start(from))?;
    Ok(file)
}

/// Returns how long the log is now, to read from there on later.
pub fn mark(log: &Path) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(log).with_context(|| format!("no audit log {}", log.display()))?.len())
}

/// How often a user has sent what changes something, by verb and resource, from a mark on. Questions of what one may
/// do are none of it.
pub fn writes(log: &Path, user: &str, from: u64) -> anyhow::Result<BTreeMap<(String, String), usize>> {
    let mut text = String::new();
    opened_at(log, from)?.read_to_string(&mut text)?;
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
    let mut text = String::new();
    opened_at(log, from)?.read_to_string(&mut text)?;
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    const AGENT: &str = "system:serviceaccount:imgop-system:imgop-agent";

    /// A line as the API server writes it.
    fn line(user: &str, object: &Value, status: &Value) -> String {
        let event = json!({ "kind": "Event", "stage": "ResponseComplete", "verb": "patch",
            "user": { "username": user, "groups": ["system:authenticated"] }, "objectRef": object,
            "responseStatus": status, "responseObject": { "spec": { "user": AGENT } } });
        format!("{event}\n")
    }

    #[test]
    fn rights_are_read_on_from_where_the_log_ended_and_half_a_line_waits_for_its_end() -> anyhow::Result<()> {
        let mut log = tempfile::NamedTempFile::new()?;
        let image = json!({ "apiGroup": "skopeo.io", "resource": "images", "subresource": "status",
            "namespace": "team", "name": "app" });
        let pods = json!({ "resource": "pods", "namespace": "other" });
        let ok = json!({ "code": 200 });
        let mut everywhere = UsedRights::new(log.path(), AGENT, None);
        let mut in_team = UsedRights::new(log.path(), AGENT, Some("team"));
        // A request of another user, a refused one, one that has not ended, and one about no object.
        log.write_all(line("admin", &pods, &ok).as_bytes())?;
        log.write_all(line(AGENT, &pods, &json!({ "code": 403 })).as_bytes())?;
        log.write_all(line(AGENT, &pods, &Value::Null).as_bytes())?;
        log.write_all(line(AGENT, &Value::Null, &ok).as_bytes())?;
        let whole = line(AGENT, &image, &ok);
        let (half, rest) = whole.split_at(whole.len() / 2);
        log.write_all(half.as_bytes())?;
        assert_eq!(*everywhere.until_now()?, BTreeSet::new());
        log.write_all(rest.as_bytes())?;
        let patched =
            |group: &str, resource: &str| (group.to_owned(), resource.to_owned(), "patch".to_owned());
        let status = patched("skopeo.io", "images/status");
        assert_eq!(*everywhere.until_now()?, BTreeSet::from([status.clone()]));
        log.write_all(line(AGENT, &pods, &ok).as_bytes())?;
        let both = BTreeSet::from([status.clone(), patched("", "pods")]);
        assert_eq!((everywhere.until_now()?, used_rights(log.path(), AGENT)?), (&both, both.clone()));
        assert_eq!(*in_team.until_now()?, BTreeSet::from([status]));
        Ok(())
    }
}
