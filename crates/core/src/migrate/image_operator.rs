//! Objects of image-operator: they apply as they are, and some of what they say is read otherwise here.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::image_operator_frequency::period;
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
mod tests;
