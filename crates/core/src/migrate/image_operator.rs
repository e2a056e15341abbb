//! Objects of image-operator: they apply as they are, and some of what they say is read otherwise here.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::seed_frequency::period;
use super::{Change, Migrated, Outcome};
use crate::api::{Frequency, ImageSpec};
use crate::copy::CopyRequest;
use crate::selection::Version;
use crate::time::write_duration;

/// The fields of its Image's spec.
const FIELDS: [&str; 5] = ["mode", "frequency", "allowCandidateRelease", "source", "destination"];
/// What the API server fills in, and no manifest has.
const SERVER_FIELDS: [&str; 7] = [
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Returns what an Image or an ImageBuilder of image-operator becomes; nothing of other objects.
pub fn migrate(object: &Value) -> Option<Migrated> {
    let kind = (object.get("apiVersion")?.as_str()?, object.get("kind")?.as_str()?);
    let is_image = match kind {
        ("skopeo.io/v1alpha1", "Image") => true,
        ("buildah.io/v1alpha1", "ImageBuilder") => false,
        _ => return None,
    };
    let mut object = object.clone();
    let mut changes = Vec::new();
    strip(&mut object);
    if is_image && let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        unknown_fields(spec, &mut changes);
        frequency(spec, &mut changes);
        versions(spec, &mut changes);
        aws(spec, &mut changes);
    }
    if is_image {
        check(&object, &mut changes);
    }
    Some(Migrated { object, changes })
}

/// Takes out what the API server wrote.
fn strip(object: &mut Value) {
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for field in SERVER_FIELDS {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}

/// Takes out what image-operator's API server dropped in silence.
fn unknown_fields(spec: &mut Map<String, Value>, changes: &mut Vec<Change>) {
    let unknown: Vec<String> = spec.keys().filter(|key| !FIELDS.contains(&key.as_str())).cloned().collect();
    for field in unknown {
        spec.remove(&field);
        let reason = "image-operator has no such field, and ignored it";
        change(changes, &field, Outcome::NotCarried, reason);
    }
}

fn frequency(spec: &mut Map<String, Value>, changes: &mut Vec<Change>) {
    let Some(text) = spec.get("frequency").and_then(Value::as_str).map(str::to_owned) else { return };
    let before = period(&text);
    match text.parse::<Frequency>() {
        Ok(now) if now.period() == before => {}
        Ok(now) => {
            let reason = format!("{text:?} is {now} here; image-operator took {}", written(before));
            change(changes, "frequency", Outcome::Kept, reason);
        }
        Err(_) => {
            let now = written(before.max(Frequency::MINIMUM));
            let reason = format!(
                "{text:?} is no frequency here; image-operator took {}, so it is {now} now",
                written(before)
            );
            spec.insert("frequency".to_owned(), now.into());
            change(changes, "frequency", Outcome::Changed, reason);
        }
    }
}

fn versions(spec: &mut Map<String, Value>, changes: &mut Vec<Change>) {
    let version = |spec: &Map<String, Value>, side: &str| {
        spec.get(side).and_then(|side| side.get("version")).and_then(Value::as_str).map(str::to_owned)
    };
    let Some(source) = version(spec, "source") else { return };
    let (is_selector, is_expression) = if let Ok(version) = source.parse::<Version>() {
        (version.is_selector(), false)
    } else {
        let reason = format!("{source:?} was a regular expression; it is select.include of all versions now");
        let expression = format!("v?{}", source.replace(".x", r".\d+"));
        if let Some(side) = spec.get_mut("source").and_then(Value::as_object_mut) {
            side.insert("version".to_owned(), "*".into());
            side.insert("select".to_owned(), serde_json::json!({ "include": [expression] }));
        }
        change(changes, "source.version", Outcome::Changed, reason);
        (true, true)
    };
    let Some(destination) =
        version(spec, "destination").filter(|text| !text.is_empty() && (is_expression || *text != source))
    else {
        return;
    };
    let is_fixed = matches!(destination.parse::<Version>(), Ok(Version::Exact(_)));
    if is_fixed && !is_selector {
        return;
    }
    if let Some(side) = spec.get_mut("destination").and_then(Value::as_object_mut) {
        side.remove("version");
    }
    let reason = format!(
        "each tag keeps its name at the destination; image-operator wrote every one to the tag {destination:?}"
    );
    change(changes, "destination.version", Outcome::NotCarried, reason);
}

fn aws(spec: &Map<String, Value>, changes: &mut Vec<Change>) {
    for side in ["source", "destination"] {
        let asks = spec.get(side).and_then(|side| side.get("useAwsIRSA")).and_then(Value::as_bool);
        if asks == Some(true) {
            let reason = "an administrator has to lend the namespace an AWS identity (docs/credentials.md, Amazon ECR)";
            change(changes, &format!("{side}.useAwsIRSA"), Outcome::Kept, reason);
        }
    }
}

/// Says what the agent would refuse.
fn check(object: &Value, changes: &mut Vec<Change>) {
    let spec = object.get("spec").cloned().unwrap_or_default();
    match serde_json::from_value::<ImageSpec>(spec) {
        Err(error) => change(changes, "", Outcome::Unusable, error.to_string()),
        Ok(spec) => {
            let problems = CopyRequest::parse(&spec).err().map(|error| error.problems).unwrap_or_default();
            for problem in problems {
                change(changes, &problem.field.to_string(), Outcome::Unusable, problem.message);
            }
        }
    }
}

/// A time as a frequency writes it.
struct Written(Duration);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_duration(self.0, f)
    }
}

fn written(period: Duration) -> String {
    if period.is_zero() { "0s, at every pass".to_owned() } else { Written(period).to_string() }
}

fn change(changes: &mut Vec<Change>, field: &str, outcome: Outcome, reason: impl Into<String>) {
    let dot = if field.is_empty() { "" } else { "." };
    changes.push(Change { field: format!("spec{dot}{field}"), outcome, reason: reason.into() });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn image(spec: &Value) -> Value {
        json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "a" }, "spec": spec })
    }

    fn changes(spec: &Value) -> String {
        let migrated = migrate(&image(spec)).unwrap();
        migrated.changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    fn of(source: &str, destination: &str, frequency: &str) -> Value {
        json!({ "mode": "Recurrent", "frequency": frequency,
            "source": { "name": "quay.io/argoproj/argocd", "version": source },
            "destination": { "name": "registry.example.com/argocd", "version": destination } })
    }

    #[test]
    fn what_means_the_same_here_is_carried_as_it_is() {
        for (source, destination) in
            [("v2.13.x", "v2.13.x"), ("v2.13.1", "v2.13.1"), ("v2.13.1", "stable"), ("2.x", "")]
        {
            let object = image(&of(source, destination, "1h30m"));
            let migrated = migrate(&object).unwrap();
            assert_eq!((migrated.object, migrated.changes), (object, Vec::new()), "{source}");
        }
    }

    #[test]
    fn what_the_api_server_wrote_is_taken_out() {
        let mut object = image(&of("1.0", "1.0", "5m"));
        object["status"] = json!({ "phase": "COMPLETED" });
        object["metadata"] = json!({ "name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1",
            "annotations": { LAST_APPLIED: "{}" }, "labels": { "team": "x" } });
        let migrated = migrate(&object).unwrap();
        assert_eq!(
            migrated.object["metadata"],
            json!({ "name": "a", "namespace": "n", "labels": { "team": "x" } })
        );
        assert!(migrated.object.get("status").is_none());
    }

    #[test]
    fn a_frequency_that_was_misread_says_what_it_was_and_is_now() {
        insta::assert_snapshot!(changes(&of("1.0", "1.0", "1d12h")), @r#"spec.frequency carried: "1d12h" is 1d12h here; image-operator took 1d"#);
        insta::assert_snapshot!(changes(&of("1.0", "1.0", "1.5d")), @r#"spec.frequency changed: "1.5d" is no frequency here; image-operator took 5d, so it is 5d now"#);
        insta::assert_snapshot!(changes(&of("1.0", "1.0", "0s")), @r#"spec.frequency changed: "0s" is no frequency here; image-operator took 0s, at every pass, so it is 10s now"#);
    }

    #[test]
    fn a_tag_that_every_version_was_written_to_is_left_out_seed_bug_b1() {
        insta::assert_snapshot!(changes(&of("v2.13.x", "v2.13", "5m")), @r#"spec.destination.version not carried: each tag keeps its name at the destination; image-operator wrote every one to the tag "v2.13""#);
        let migrated = migrate(&image(&of("v2.13.x", "v2.13", "5m"))).unwrap();
        assert!(migrated.object["spec"]["destination"].get("version").is_none());
    }

    #[test]
    fn a_regular_expression_becomes_one_of_select() {
        let migrated = migrate(&image(&of("2.1[23].0", "2.1[23].0", "5m"))).unwrap();
        assert_eq!(
            migrated.object["spec"]["source"],
            json!({ "name": "quay.io/argoproj/argocd", "version": "*", "select": { "include": ["v?2.1[23].0"] } })
        );
        assert!(migrated.object["spec"]["destination"].get("version").is_none());
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_field() {
        let mut spec = of("1.0", "1.0", "5m");
        spec["source"]["name"] = "https://quay.io/a".into();
        spec["concurrency"] = 3.into();
        insta::assert_snapshot!(changes(&spec));
    }

    #[test]
    fn builders_are_carried_and_other_objects_are_none_of_ours() {
        let builder = json!({ "apiVersion": "buildah.io/v1alpha1", "kind": "ImageBuilder", "metadata": {},
            "spec": { "architecture": "both" } });
        assert_eq!(migrate(&builder), Some(Migrated { object: builder.clone(), changes: Vec::new() }));
        assert_eq!(migrate(&json!({ "apiVersion": "v1", "kind": "Secret" })), None);
    }
}
