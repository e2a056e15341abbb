//! The proof that a kind is one file: `Backup` exists only here, and the code that lists, describes, waits
//! for, names and finds the logs of Images does the same for it.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::DynamicObject;
use kube::{CustomResource, ResourceExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args::{Selected, selected};
use crate::cluster::awaited::{Awaited, News};
use crate::cluster::objects::FoundObject;
use crate::description::{Described, sections};
use crate::kinds::listing::{Columns, table};
use crate::kinds::past_sync::{
    Counted, PastColumn, PastColumns, PastLayout, PastSync, SyncResult, table as past_table,
};
use crate::kinds::progress::{Goal, ReconcileState};
use crate::kinds::{Erased, JobContainer, JobWords, KINDS, Kind, KindRef, ObjectRef, TypedName};
use crate::output::table::Table;

#[derive(Debug, Clone, Serialize, Deserialize, CustomResource)]
#[kube(
    group = "example.com",
    version = "v1",
    kind = "Backup",
    namespaced,
    schema = "disabled",
    status = "BackupStatus"
)]
#[serde(rename_all = "camelCase")]
struct BackupSpec {
    every: String,
    #[serde(default)]
    suspend: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BackupStatus {
    observed_generation: Option<i64>,
    #[serde(default)]
    conditions: Vec<Condition>,
    #[serde(default)]
    lost_files: Vec<String>,
    saved_files: Option<u32>,
}

impl Kind for Backup {
    const SHORT_NAMES: &'static [&'static str] = &["bk"];
    const COLUMNS: &'static [&'static str] = &["EVERY", "READY", "REASON"];
    const WIDE_COLUMNS: &'static [&'static str] = &[];
    const PAST: PastLayout = PastLayout {
        title: "SYNC",
        columns: &[PastColumn::Count(Counted { column: "SAVED", name: "saved" }), PastColumn::Tags],
        none_yet: "has saved nothing yet",
    };
    const JOB_WORDS: JobWords = JobWords { column: "DISK", doing: "saving", in_sequence: false, kept: None };
    const BEYOND_RETRIES: &'static [&'static str] = &["DiskFull"];

    fn cells(&self, _: Timestamp) -> Vec<String> {
        let [ready, reason] = self.state().ready_cells();
        vec![self.spec.every.clone(), ready, reason]
    }

    fn wide_cells(&self, _: Timestamp) -> Vec<String> {
        Vec::new()
    }

    fn facts(&self, _: Timestamp) -> Vec<(&'static str, String)> {
        vec![("Every", self.spec.every.clone()), ("Nothing", String::new())]
    }

    fn problems(&self, _: Timestamp) -> Vec<Table> {
        let mut table = Table::new(["LOST-FILE"]);
        let files = self.status.iter().flat_map(|status| &status.lost_files);
        files.for_each(|file| table.row([file.clone()]));
        vec![table]
    }

    fn history(&self) -> Vec<PastSync> {
        let saved = self.status.as_ref().and_then(|status| status.saved_files);
        let sync = |saved| PastSync {
            time: "2026-01-08T00:00:00Z".parse().unwrap(),
            result: SyncResult::of(Some(saved), Some(0)),
            counts: [("saved", saved)].into(),
            ..PastSync::default()
        };
        saved.map(sync).into_iter().collect()
    }

    fn state(&self) -> ReconcileState<'_> {
        let status = self.status.as_ref();
        ReconcileState {
            conditions: status.map_or(&[], |status| &status.conditions),
            observed_generation: status.and_then(|status| status.observed_generation),
            requested: None,
            handled: None,
            is_suspended: self.spec.suspend,
            is_completed: false,
        }
    }

    fn containers(job: &Job) -> Option<Vec<JobContainer>> {
        let tag = job.annotations().get("example.com/disk")?.clone();
        Some(vec![JobContainer { name: "backup".into(), works_on: tag.clone(), writes: tag }])
    }
}

const BACKUP: KindRef = Erased::<Backup>::REF;

fn backup(name: &str, spec: &Value, status: &Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "example.com/v1", "kind": "Backup",
        "metadata": { "name": name, "namespace": "ci", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": spec, "status": status,
    }))
    .unwrap()
}

fn nightly(ready: &str, reason: &str) -> DynamicObject {
    let ready = json!({ "type": "Ready", "status": ready, "reason": reason, "message": "2 of 3 disks",
        "lastTransitionTime": "2026-01-08T00:00:00Z" });
    let status = json!({ "observedGeneration": 1, "conditions": [ready], "lostFiles": ["/etc/passwd"] });
    backup("nightly", &json!({ "every": "24h" }), &status)
}

fn text(table: &Table, headers: bool) -> String {
    table.lines(headers).into_iter().map(|line| line.text + "\n").collect()
}

fn now() -> Timestamp {
    "2026-01-08T00:05:30Z".parse().unwrap()
}

#[test]
fn another_kind_is_listed_with_its_own_columns() {
    let objects = [nightly("False", "DiskFull"), backup("odd", &json!({ "every": 1 }), &Value::Null)];
    let table = table(BACKUP, &objects, Columns { namespace: true, wide: true }, now());
    insta::assert_snapshot!(text(&table, true), @"
    NAMESPACE   NAME      EVERY       READY       REASON      AGE   MESSAGE
    ci          nightly   24h         False       DiskFull    7d    2 of 3 disks
    ci          odd       <unknown>   <unknown>   <unknown>   7d    this object cannot be read: invalid type: integer `1`, expected a string
    ");
}

#[test]
fn another_kind_is_described_with_its_conditions_jobs_and_own_sections() {
    let object = nightly("False", "DiskFull");
    let job = json!({ "metadata": { "name": "nightly-1", "creationTimestamp": "2026-01-08T00:00:00Z",
        "annotations": { "example.com/disk": "sda" } }, "status": { "active": 1 } });
    let jobs = Ok(vec![serde_json::from_value(job).unwrap()]);
    let described = Described { kind: BACKUP, object: &object, jobs, events: Ok(Vec::new()) };
    let sections = sections(&described, now()).unwrap();
    let page: Vec<String> = sections.iter().enumerate().map(|(i, table)| text(table, i > 0)).collect();
    insta::assert_snapshot!(page.join("\n"), @"
    Name:        nightly
    Namespace:   ci
    Every:       24h
    Age:         7d

    CONDITION   STATUS   REASON     SINCE   MESSAGE
    Ready       False    DiskFull   5m30s   2 of 3 disks

    LOST-FILE
    /etc/passwd

    JOB         STATE     AGE     DISK
    nightly-1   Running   5m30s   sda
    ");
}

#[test]
fn another_kind_has_a_history_with_its_own_counts() {
    let object = backup("nightly", &json!({ "every": "24h" }), &json!({ "savedFiles": 7 }));
    let syncs = BACKUP.history(&object).unwrap();
    let table = past_table(BACKUP.past_layout(), &syncs, PastColumns { wide: false, reasons: true }, now());
    insta::assert_snapshot!(text(&table, true), @"
    SYNC        RESULT      SAVED   TAGS     REASON   MESSAGE
    5m30s ago   Succeeded   7       <none>   <none>   <none>
    ");
    assert!(BACKUP.history(&backup("odd", &json!({ "every": 1 }), &Value::Null)).is_err());
}

#[test]
fn a_verb_for_all_objects_is_for_one_kind_only_and_another_one_is_named() {
    let kinds = [KINDS[0], BACKUP];
    let all = |words: &[&str]| {
        let words: Vec<_> = words.iter().map(|word| TypedName::parse_among(word, &kinds).unwrap()).collect();
        selected(&words, false, &kinds)
    };
    assert_eq!(all(&[]), Ok(Selected::OfKind(KINDS[0])));
    assert_eq!(all(&["backups"]), Ok(Selected::OfKind(BACKUP)));
    assert_eq!(all(&["images.skopeo.io"]), Ok(Selected::OfKind(KINDS[0])));
    let refused = all(&["nightly"]).unwrap_err();
    assert_eq!(refused.kind, crate::cli_error::Kind::Usage);
    insta::assert_snapshot!(refused, @"nightly: a name goes with neither --selector nor --all; give one of them");
    assert!(all(&["backups", "images"]).is_err());
}

#[test]
fn another_kind_is_named_and_waited_for_beside_images() {
    let kinds = [KINDS[0], BACKUP];
    for typed in ["backup/nightly", "backups.example.com/nightly", "bk/nightly"] {
        let object = ObjectRef::parse_among(typed, &kinds).unwrap();
        assert_eq!(
            (object.to_string(), object.qualified()),
            ("backup/nightly".into(), "backup.example.com/nightly".into())
        );
    }
    let found = FoundObject { kind: BACKUP, object: nightly("False", "DiskFull") };
    let image = ObjectRef::parse_among("nightly", &kinds).unwrap();
    let goals = [(found.reference(), Goal::Generation(1)), (image.clone(), Goal::Generation(1))];
    let mut awaited = Awaited::new(&goals);
    awaited.begin_list(BACKUP);
    let news = awaited.seen(&found.reference(), &found.object);
    assert_eq!(news, Some(News::NotReady("2 of 3 disks".into())), "no retry frees a disk");
    assert_eq!(awaited.end_list(BACKUP), []);
    assert_eq!(awaited.unseen(), [image]);
    let mut awaited = Awaited::new(&goals);
    assert_eq!(
        awaited.seen(&found.reference(), &nightly("True", "Done")),
        Some(News::Ready("2 of 3 disks".into()))
    );
}
