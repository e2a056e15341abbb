//! Everything about one object on one page, the newest and the worst first.

mod activity;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use kube::core::DynamicObject;

use crate::kinds::KindRef;
use crate::output::age::since;
use crate::output::table::Table;

/// An object and what belongs to it. What may not be read is an error in words: the rest is shown all the
/// same.
#[derive(Debug)]
pub struct Described<'a> {
    /// Its kind.
    pub kind: KindRef,
    /// The object.
    pub object: &'a DynamicObject,
    /// Its Jobs.
    pub jobs: Result<Vec<Job>, String>,
    /// Its events.
    pub events: Result<Vec<Event>, String>,
}

/// Returns the sections of the page: first the facts, a table without header, then tables of what there is
/// more than one of. An object that this version cannot read is an error in words.
pub fn sections(described: &Described<'_>, now: Timestamp) -> Result<Vec<Table>, String> {
    let Described { kind, object, jobs, events } = described;
    let description = kind.describe(object, now)?;
    let mut sections = vec![facts(object, description.facts, now)];
    sections.push(conditions(&description.conditions, now));
    sections.extend(description.problems);
    sections.extend(activity::jobs(*kind, jobs, description.is_complete, now));
    sections.extend(description.history);
    sections.extend(activity::events(events, now));
    let mut shown = Vec::new();
    for section in &mut sections {
        section.shorten_repeats(&mut shown);
    }
    Ok(sections)
}

fn facts(object: &DynamicObject, of_kind: Vec<(&'static str, String)>, now: Timestamp) -> Table {
    let first = [("Name", object.name_any()), ("Namespace", object.namespace().unwrap_or_default())];
    let last = [("Age", since(object.metadata.creation_timestamp.as_ref(), now))];
    let mut table = Table::new([]);
    for (label, value) in first.into_iter().chain(of_kind).chain(last) {
        if !value.is_empty() {
            table.row([format!("{label}:"), value]);
        }
    }
    table
}

/// Without a condition the agent has not reconciled the object yet.
fn conditions(conditions: &[Condition], now: Timestamp) -> Table {
    let mut table = Table::new(["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"]);
    for condition in conditions {
        table.row([
            condition.type_.clone(),
            condition.status.clone(),
            condition.reason.clone(),
            since(Some(&condition.last_transition_time), now),
            condition.message.clone(),
        ]);
    }
    if conditions.is_empty() {
        let cells = ["Ready", "<unknown>", "<pending>", "<none>", "not reconciled yet"];
        table.row(cells.map(str::to_owned));
    }
    table
}

#[cfg(test)]
mod tests {
    use imgop_core::api::Image;
    use serde_json::json;

    use super::*;
    use crate::kinds::Erased;

    fn image() -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "skopeo.io/v1alpha1", "kind": "Image",
            "metadata": { "name": "argocd-v2-13-x", "namespace": "ci", "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": { "mode": "Recurrent", "frequency": "1h", "allowCandidateRelease": true,
                "source": { "name": "quay.io/argoproj/argocd", "version": ">=2.13 <2.15", "select": { "exclude": [".*-debug"], "latest": 3 } },
                "destination": { "name": "registry.example.com/argocd", "version": "mirror-{tag}", "overwrite": "IfMissing",
                    "credentials": { "secretName": "push" }, "tls": { "caSecretName": "ca" } } },
            "status": {
                "counts": { "matched": 5, "synced": 3, "copying": 1, "failed": 1, "kept": 0, "excluded": 2 },
                "lastSyncTime": "2026-01-08T00:00:00Z", "nextSyncTime": "2026-01-08T00:06:10Z",
                "conditions": [ { "type": "Ready", "status": "False", "reason": "CopyFailed", "message": "3 of 5 tags are there",
                    "lastTransitionTime": "2026-01-08T00:00:00Z" } ],
                "failures": [ { "tag": "v2.13.1", "reason": "CopyFailed", "message": "unauthorized:\u{1b}[2J access\nto it",
                    "attempts": 3, "nextAttempt": "2026-01-08T00:06:10Z" } ],
                "history": [ { "performedAt": "2026-01-07T00:00:00Z", "copied": 3, "failed": 0 },
                    { "performedAt": "2026-01-08T00:00:00Z", "copied": 0, "failed": 1 } ],
            },
        }))
        .unwrap()
    }

    fn jobs() -> Vec<Job> {
        let job = |name: &str, at: &str, tags: &[&str], status: serde_json::Value| {
            let copies: Vec<_> = tags
                .iter()
                .map(|t| json!({ "source": t, "destination": t, "attempt": 1, "digest": format!("sha256:{}", "0".repeat(64)) }))
                .collect();
            serde_json::from_value(json!({
                "metadata": { "name": name, "creationTimestamp": at,
                    "annotations": { "imgop.skopeo.io/copies": serde_json::to_string(&copies).unwrap() } },
                "status": status,
            }))
            .unwrap()
        };
        let failed =
            json!({ "conditions": [ { "type": "Failed", "status": "True", "reason": "DeadlineExceeded" } ] });
        vec![
            job("imgop-argocd-1", "2026-01-07T00:00:00Z", &["v2.13.0"], failed),
            job("imgop-argocd-2", "2026-01-08T00:05:00Z", &["1", "2", "3", "4", "5"], json!({ "active": 1 })),
        ]
    }

    fn events() -> Vec<Event> {
        let event = |reason: &str, at: &str, type_: &str| {
            serde_json::from_value(json!({
                "metadata": { "name": reason }, "involvedObject": {}, "eventTime": at, "type": type_, "reason": reason,
                "message": format!("{reason} happened"),
            }))
            .unwrap()
        };
        vec![
            event("CopyScheduled", "2026-01-07T23:59:00.000000Z", "Normal"),
            event("CopyFailed", "2026-01-08T00:00:00.000000Z", "Warning"),
        ]
    }

    fn described(
        object: &DynamicObject,
        jobs: Result<Vec<Job>, String>,
        events: Result<Vec<Event>, String>,
    ) -> Described<'_> {
        Described { kind: Erased::<Image>::REF, object, jobs, events }
    }

    fn page(described: &Described<'_>) -> String {
        let sections = sections(described, "2026-01-08T00:05:30Z".parse().unwrap()).unwrap();
        let lines = |(i, table): (usize, &Table)| -> Vec<String> {
            table.lines(i > 0).into_iter().map(|line| line.text).chain([String::new()]).collect()
        };
        sections.iter().enumerate().flat_map(lines).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_page_shows_the_spec_what_became_of_it_and_what_comes_next() {
        let image = image();
        let described = described(&image, Ok(jobs()), Ok(events()));
        insta::assert_snapshot!(page(&described), @r"
        Name:          argocd-v2-13-x
        Namespace:     ci
        Mode:          Recurrent, every 1h
        Source:        quay.io/argoproj/argocd >=2.13 <2.15
        Selection:     pre-releases, exclude .*-debug, latest 3
        Destination:   registry.example.com/argocd:mirror-{tag} (credentials in Secret push, CA in Secret ca, keeps tags that exist)
        Tags:          5 matched: 3 synced, 1 copying, 1 failed, 2 excluded
        Last change:   5m30s ago (2026-01-08T00:00:00Z)
        Next try:      in 40s
        Age:           7d

        CONDITION   STATUS   REASON       SINCE   MESSAGE
        Ready       False    CopyFailed   5m30s   3 of 5 tags are there

        FAILED-TAG   REASON       ATTEMPTS   NEXT-ATTEMPT   MESSAGE
        v2.13.1      CopyFailed   3          in 40s         unauthorized:\u{1b}[2J access to it

        JOB              STATE                       AGE   TAGS
        imgop-argocd-2   Running                     30s   1,2,3,4,+1
        imgop-argocd-1   Failed (DeadlineExceeded)   24h   v2.13.0

        SYNC        RESULT      COPIED   FAILED   TAGS
        5m30s ago   Failed      0        1        <none>
        24h ago     Succeeded   3        0        +3

        EVENT           TYPE      AGE     MESSAGE
        CopyFailed      Warning   5m30s   CopyFailed happened
        CopyScheduled   Normal    6m30s   CopyScheduled happened
        ");
    }

    #[test]
    fn the_rest_of_the_spec_and_the_tags_that_wait_are_shown() {
        let image: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "nginx", "namespace": "ci" },
            "spec": { "mode": "OnceByTag",
                "source": { "name": "nginx", "version": "*", "select": { "minAge": "3d" }, "immutableTags": ["x.x.x", "stable"] },
                "destination": { "name": "111111111111.dkr.ecr.eu-west-3.amazonaws.com/nginx", "useAwsIRSA": true } },
            "status": { "waiting": [ { "tag": "1.27.3", "digest": format!("sha256:{}", "0".repeat(64)),
                "since": "2026-01-07T00:05:30Z", "until": "2026-01-10T00:05:30Z" } ] },
        }))
        .unwrap();
        let described = described(&image, Ok(Vec::new()), Ok(Vec::new()));
        insta::assert_snapshot!(page(&described), @"
        Name:          nginx
        Namespace:     ci
        Mode:          OnceByTag, every 5m
        Source:        nginx:*
        Selection:     min age 3d
        Immutable:     x.x.x, stable
        Destination:   111111111111.dkr.ecr.eu-west-3.amazonaws.com/nginx (the agent's AWS identity)
        Age:           <none>

        CONDITION   STATUS      REASON      SINCE    MESSAGE
        Ready       <unknown>   <pending>   <none>   not reconciled yet

        WAITING-TAG   SINCE   OLD-ENOUGH   CONTENT
        1.27.3        24h     in 2d        sha256:000000000000
        ");
    }

    #[test]
    fn a_healthy_image_says_once_when_it_was_synced_and_when_it_is_checked_again() {
        let mut image = image();
        let status = &mut image.data["status"];
        status["lastSuccessfulSyncTime"] = status["lastSyncTime"].clone();
        status["nextSyncTime"].take();
        status["failures"] = json!([]);
        status["conditions"][0]["status"] = json!("True");
        status["conditions"][0]["reason"] = json!("Succeeded");
        let page = page(&described(&image, Ok(Vec::new()), Ok(Vec::new())));
        let facts: Vec<&str> = page.lines().skip_while(|line| !line.starts_with("Last")).take(3).collect();
        insta::assert_snapshot!(facts.join("\n"), @"
        Last change:   5m30s ago (2026-01-08T00:00:00Z), which succeeded
        Checks:        last at the last sync, next in about 54m
        Age:           7d
        ");
    }

    #[test]
    fn a_job_of_a_sync_that_is_over_is_ending() {
        let mut image = image();
        image.data["status"]["phase"] = json!("COMPLETED");
        let described = described(&image, Ok(jobs()), Ok(Vec::new()));
        assert!(page(&described).contains("imgop-argocd-2   Ending "), "{}", page(&described));
    }

    #[test]
    fn what_is_not_known_yet_or_may_not_be_read_is_shown_as_such() {
        let mut image = image();
        image.data["status"].take();
        image.data["spec"]["suspend"] = json!(true);
        let refused = || Err::<Vec<_>, _>("jobs.batch is forbidden".to_owned());
        let described = described(&image, refused(), Err("no".to_owned()));
        insta::assert_snapshot!(page(&described), @"
        Name:          argocd-v2-13-x
        Namespace:     ci
        Mode:          Recurrent, every 1h, suspended
        Source:        quay.io/argoproj/argocd >=2.13 <2.15
        Selection:     pre-releases, exclude .*-debug, latest 3
        Destination:   registry.example.com/argocd:mirror-{tag} (credentials in Secret push, CA in Secret ca, keeps tags that exist)
        Age:           7d

        CONDITION   STATUS      REASON      SINCE    MESSAGE
        Ready       <unknown>   <pending>   <none>   not reconciled yet

        JOB         STATE       AGE         TAGS
        <unknown>   <unknown>   <unknown>   jobs.batch is forbidden

        EVENT       TYPE        AGE         MESSAGE
        <unknown>   <unknown>   <unknown>   no
        ");
    }
}
