//! Objects of image-operator: they apply as they are, and some of what they say is read otherwise here.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::seed_frequency::period;
use super::{Change, Migrated, Outcome};
use crate::api::{Frequency, ImageBuilderSpec, ImageSpec};
use crate::build::BuildRequest;
use crate::copy::CopyRequest;
use crate::selection::Version;
use crate::spec_error::SpecError;
use crate::time::write_duration;

/// The fields of its Image's spec. Below them also what an Image has here: who has written it meant it.
const IMAGE: Known = Known::Fields(&[
    ("mode", Known::Value),
    ("frequency", Known::Value),
    ("allowCandidateRelease", Known::Value),
    (
        "source",
        Known::Names(&[
            "name",
            "version",
            "useAwsIRSA",
            "credentials",
            "immutableTags",
            "select",
            "tags",
            "tls",
        ]),
    ),
    (
        "destination",
        Known::Names(&[
            "name",
            "version",
            "useAwsIRSA",
            "create",
            "credentials",
            "overwrite",
            "prune",
            "publish",
            "tls",
        ]),
    ),
]);
/// The fields of its ImageBuilder's spec, and below them what an ImageBuilder has here.
const BUILDER: Known = Known::Fields(&[
    ("architecture", Known::Value),
    (
        "image",
        Known::Names(&[
            "name",
            "version",
            "useAwsIRSA",
            "additionalTags",
            "annotations",
            "create",
            "credentials",
            "format",
            "labels",
            "publish",
            "timestamp",
            "tls",
        ]),
    ),
    ("source", Known::Value),
    ("resources", Known::Names(&["limits", "requests"])),
]);

/// What image-operator knew of a field.
#[derive(Clone, Copy)]
enum Known {
    /// All of it.
    Value,
    /// These fields of an object.
    Fields(&'static [(&'static str, Known)]),
    /// Fields of an object of these names.
    Names(&'static [&'static str]),
}

impl Known {
    /// Returns what is known of a field of it.
    fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::Value => Some(Self::Value),
            Self::Fields(fields) => fields.iter().find(|(known, _)| *known == name).map(|(_, known)| *known),
            Self::Names(names) => names.contains(&name).then_some(Self::Value),
        }
    }
}

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
    let known = if is_image { IMAGE } else { BUILDER };
    if let Some(spec) = object.get_mut("spec") {
        unknown_fields(spec, "", known, &mut changes);
    }
    if is_image && let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        frequency(spec, &mut changes);
        versions(spec, &mut changes);
        aws(spec, &mut changes);
    }
    let spec = object.get("spec").cloned().unwrap_or_default();
    if is_image {
        check(spec, |spec: &ImageSpec| problems(CopyRequest::parse(spec)), &mut changes);
    } else {
        check(spec, |spec: &ImageBuilderSpec| problems(BuildRequest::parse(spec)), &mut changes);
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
fn unknown_fields(value: &mut Value, path: &str, known: Known, changes: &mut Vec<Change>) {
    let Value::Object(fields) = value else { return };
    if matches!(known, Known::Value) {
        return;
    }
    fields.retain(|name, value| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let Some(known) = known.field(name) else {
            let reason = "image-operator has no such field, and ignored it";
            change(changes, &path, Outcome::NotCarried, reason);
            return false;
        };
        unknown_fields(value, &path, known, changes);
        true
    });
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
        let allows = spec.get("allowCandidateRelease").and_then(Value::as_bool) == Some(true);
        // Only behind a wildcard did it look for candidates.
        let candidate = if allows && source.contains(".x") { r"(-rc\d+)?" } else { "" };
        let expression = format!("v?{}{candidate}", source.replace(".x", r".\d+"));
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
fn check<S: DeserializeOwned>(
    spec: Value,
    problems: impl Fn(&S) -> Vec<(String, String)>,
    changes: &mut Vec<Change>,
) {
    match serde_path_to_error::deserialize::<_, S>(spec) {
        Err(error) => {
            let path = error.path().to_string();
            let field = if path == "." { "" } else { path.as_str() };
            change(changes, field, Outcome::Unusable, error.inner().to_string());
        }
        Ok(spec) => {
            for (field, problem) in problems(&spec) {
                change(changes, &field, Outcome::Unusable, problem);
            }
        }
    }
}

/// Returns fields and what is wrong with them.
fn problems<T, F: fmt::Debug + fmt::Display>(parsed: Result<T, SpecError<F>>) -> Vec<(String, String)> {
    let problems = parsed.err().map(|error| error.problems).unwrap_or_default();
    problems.into_iter().map(|problem| (problem.field.to_string(), problem.message)).collect()
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

    const DOCKERFILE: &str = "FROM alpine";

    fn builder(spec: &Value) -> Value {
        json!({ "apiVersion": "buildah.io/v1alpha1", "kind": "ImageBuilder", "metadata": {}, "spec": spec })
    }

    #[test]
    fn builders_are_carried_and_other_objects_are_none_of_ours() {
        let builder = builder(&json!({ "architecture": "both", "source": DOCKERFILE,
            "image": { "name": "registry.example.com/a", "version": "1" },
            "resources": { "limits": { "cpu": "1", "memory": "1Gi" } } }));
        assert_eq!(migrate(&builder), Some(Migrated { object: builder.clone(), changes: Vec::new() }));
        assert_eq!(migrate(&json!({ "apiVersion": "v1", "kind": "Secret" })), None);
    }

    #[test]
    fn what_image_operator_ignored_is_named_below_other_fields_and_in_builders_too() {
        let mut spec = of("1.0", "1.0", "5m");
        spec["source"]["foo"] = 1.into();
        spec["destination"]["bar"] = true.into();
        let migrated = migrate(&image(&spec)).unwrap();
        assert_eq!(migrated.object, image(&of("1.0", "1.0", "5m")));
        let of_builder = builder(&json!({ "architecture": "arm64", "source": DOCKERFILE, "affinity": {},
            "image": { "name": "registry.example.com/a", "version": "1", "tag": "2" } }));
        let of_builder = migrate(&of_builder).unwrap();
        let lines = migrated.changes.iter().chain(&of_builder.changes).map(ToString::to_string);
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
        spec.destination.bar not carried: image-operator has no such field, and ignored it
        spec.source.foo not carried: image-operator has no such field, and ignored it
        spec.affinity not carried: image-operator has no such field, and ignored it
        spec.image.tag not carried: image-operator has no such field, and ignored it
        ");
    }

    #[test]
    fn a_builder_that_cannot_be_used_is_named_with_its_field() {
        let spec = json!({ "architecture": "all", "source": DOCKERFILE,
            "image": { "name": "registry.example.com/a", "version": "1" } });
        let mut text = spec.clone();
        text["architecture"] = "both".into();
        text["source"] = 1.into();
        let mut tag = spec.clone();
        tag["architecture"] = "both".into();
        tag["image"]["version"] = "a b".into();
        let lines = [spec, text, tag].map(|spec| {
            let changes = migrate(&builder(&spec)).unwrap().changes;
            assert!(matches!(changes[..], [Change { outcome: Outcome::Unusable, .. }]), "{changes:?}");
            changes[0].to_string()
        });
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn an_expression_selects_release_candidates_where_they_were_allowed() {
        for (version, allowed, include) in [
            ("2.1[23].x", true, r"v?2.1[23].\d+(-rc\d+)?"),
            ("2.1[23].x", false, r"v?2.1[23].\d+"),
            // Without .x upstream took no candidates either.
            ("2.1[23].0", true, "v?2.1[23].0"),
        ] {
            let mut spec = of(version, "", "5m");
            spec["allowCandidateRelease"] = allowed.into();
            let migrated = migrate(&image(&spec)).unwrap();
            assert_eq!(migrated.object["spec"]["source"]["select"]["include"], json!([include]));
        }
    }
}
