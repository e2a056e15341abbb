//! How Kubernetes shows Jobs of builds that have ended, with their pods, and what these pushed.

use imgop_core::build::step::StepReport;
use imgop_fakes::WritableRegistry;
use imgop_registry::reference::Digest;
use jiff::Timestamp;
use serde_json::{Value, json};

/// A manifest of this platform is in this repository, as `push` would have put it. Returns its digest.
pub fn push(registry: &WritableRegistry, repository: &str, platform: &str, content: &str) -> Digest {
    let (os, architecture) = platform.split_once('/').unwrap();
    let config = json!({ "os": os, "architecture": architecture, "x": content }).to_string();
    let config_digest = Digest::of(config.as_bytes());
    registry.hold(&format!("/v2/{repository}/blobs/{config_digest}"), &config);
    let media_type = "application/vnd.docker.container.image.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": { "mediaType": media_type, "digest": config_digest, "size": config.len() }, "layers": [] });
    registry.hold_content(repository, &manifest.to_string())
}

/// Returns the status of a Job that has ended so. Without `how` it goes on, as something else runs in its pod.
pub fn job_status(how: Option<&str>, now: Timestamp) -> Value {
    let condition = |how| json!({ "type": how, "status": "True", "lastTransitionTime": now });
    let conditions: Vec<Value> = how.map(condition).into_iter().collect();
    json!({ "startTime": now, "active": 1, "conditions": conditions })
}

/// Returns the pod of this name of a Job with this name and UID, whose `prepare`, `build` and `push` have ended so.
pub fn ended(
    (name, job, uid): (&str, &str, &str),
    how: Option<&str>,
    containers: [(i32, &StepReport); 3],
    now: Timestamp,
) -> Value {
    let phase = match how {
        Some("Complete") => "Succeeded",
        Some(_) => "Failed",
        None => "Running",
    };
    let state = |(code, report): (i32, &StepReport)| json!({ "terminated": { "exitCode": code, "message": report.to_message(), "finishedAt": now } });
    let [prepare, build, push] = containers.map(state);
    let owner =
        json!({ "apiVersion": "batch/v1", "kind": "Job", "controller": true, "uid": uid, "name": job });
    json!({
        "metadata": { "name": name, "namespace": "team-a", "creationTimestamp": now, "ownerReferences": [owner] },
        "status": { "phase": phase,
            "initContainerStatuses": [{ "name": "prepare", "state": prepare }, { "name": "build", "state": build }],
            "containerStatuses": [{ "name": "push", "state": push }] },
    })
}
