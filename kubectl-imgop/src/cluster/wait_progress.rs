//! What a wait shows of itself: how long it lasts and what is being copied, and on Ctrl-C that the agent goes on.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;

use super::awaited::UnderWay;
use super::connection::Cluster;
use crate::kinds::KindRef;
use crate::output::Ui;
use crate::output::age::human;

/// Of how many objects the Jobs are looked up.
const MAX_OBJECTS: usize = 3;
/// How many tags are named.
const MAX_TAGS: usize = 3;

/// Returns a line for each of the first objects that are waited for: how long that lasts, the agent's message and
/// the tags that are being copied.
pub async fn lines(cluster: &Cluster, under_way: &[UnderWay], elapsed: Duration) -> Vec<String> {
    let elapsed = human(i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX));
    let mut lines = Vec::new();
    for UnderWay { object, uid, message } in under_way.iter().take(MAX_OBJECTS) {
        // Without the right to list Jobs the message is enough.
        let jobs = match uid {
            Some(uid) => cluster.jobs(object.kind, uid).await.unwrap_or_default(),
            None => Vec::new(),
        };
        let state = message.as_deref().unwrap_or("not reconciled yet");
        lines.push(format!("{object}: {state}{} ({elapsed})", copying(object.kind, &jobs)));
    }
    let others = under_way.len().saturating_sub(MAX_OBJECTS);
    lines.extend((others > 0).then(|| format!("and {others} more ({elapsed})")));
    lines
}

/// Returns `; copying 1.1, 1.0`: what the Jobs that run work on.
fn copying(kind: KindRef, jobs: &[Job]) -> String {
    let is_active = |job: &&Job| job.status.as_ref().is_some_and(|status| status.active.unwrap_or(0) > 0);
    let mut tags: Vec<String> = Vec::new();
    for container in jobs.iter().filter(is_active).filter_map(|job| kind.containers(job)).flatten() {
        if !tags.contains(&container.source_tag) {
            tags.push(container.source_tag);
        }
    }
    let others = tags.len().saturating_sub(MAX_TAGS);
    tags.truncate(MAX_TAGS);
    match (tags.is_empty(), others) {
        (true, _) => String::new(),
        (false, 0) => format!("; copying {}", tags.join(", ")),
        (false, others) => format!("; copying {} and {others} more", tags.join(", ")),
    }
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
        let of = |jobs: &[Job]| copying(DEFAULT_KIND, jobs);
        assert_eq!(of(&[job(1, &["1.1", "1.0"]), job(0, &["0.9"])]), "; copying 1.1, 1.0");
        assert_eq!(of(&[job(1, &["1", "2", "3"]), job(1, &["3", "4", "5"])]), "; copying 1, 2, 3 and 2 more");
        assert_eq!(of(&[job(0, &["1"])]), "");
    }
}
