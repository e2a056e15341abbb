//! What the API server refuses of a WorkloadMirror and what it accepts, and that the agent's parser agrees.

use imgop_core::api::{WorkloadMirror, WorkloadMirrorSpec};
use imgop_core::workloads::WorkloadRequest;
use serde_json::{Value, json};

use super::spec_answers::answers;

/// A spec with everything in it, of which one thing may be another.
fn spec(pointer: &str, value: Value) -> Value {
    let mut spec = json!({
        "triggers": ["Running", "PullFailure"],
        "namespaces": { "include": ["team-*", "prod"], "exclude": ["team-x"], "selector": { "matchLabels": { "a": "b" } } },
        "kinds": ["Deployment", "Pod"],
        "exclude": { "workloads": [{ "kind": "Job", "namespace": "ci", "name": "*" }], "registries": ["*.corp.example/a"],
            "images": ["docker.io/library/*"] },
        "destination": { "repository": "registry.corp:5000/mirror", "prefix": "$registry/$namespace",
            "pathMap": [{ "from": "group/app", "to": "x" }, { "from": "^a", "to": "$1", "regex": true }] },
        "digests": { "use": "Running", "ignoreTags": [], "ifUnknown": "Resolve" },
        "overwrite": { "policy": "IfMissing", "except": ["latest", "main"] },
        "platforms": { "mode": "List", "list": ["linux/amd64"] },
        "frequency": "1h", "minAge": "3d", "referrers": "All", "retention": "12h", "mode": "Observe",
        "sources": [{ "registry": "*.corp.example" }],
        "origins": [{ "from": "registry.corp:5000", "to": ["quay.io/team", "docker.io"] }],
        "limits": { "images": 10, "perNamespacePerHour": 5 },
    });
    if let Some(place) = spec.pointer_mut(pointer) {
        *place = value;
    }
    spec
}

#[tokio::test]
async fn a_spec_with_everything_is_accepted_and_so_is_one_with_a_destination_alone() -> anyhow::Result<()> {
    let specs =
        vec![spec("/nothing", Value::Null), json!({ "destination": { "repository": "registry.corp" } })];
    for (spec, answer) in specs.iter().zip(answers::<WorkloadMirror>(specs.clone()).await?) {
        anyhow::ensure!(answer.is_ok(), "{spec}: {answer:?}");
        let read: WorkloadMirrorSpec = serde_json::from_value(spec.clone())?;
        WorkloadRequest::parse(&read, "ci")?;
    }
    Ok(())
}

#[tokio::test]
async fn each_mistake_is_refused_with_its_field_and_the_fix() -> anyhow::Result<()> {
    let cases = [
        ("/destination/prefix", json!("$namespaces"), "destination.prefix must be of lower-case letters"),
        ("/destination/prefix", json!("$arch64"), "destination.prefix must be of lower-case letters"),
        ("/destination/prefix", json!("A"), "destination.prefix must be of lower-case letters"),
        ("/destination/repository", json!("https://registry.corp"), "spec.destination.repository"),
        ("/destination/repository", json!("team/app"), "spec.destination.repository"),
        ("/platforms", json!({ "mode": "List" }), "List needs at least one platform"),
        (
            "/platforms",
            json!({ "mode": "Nodes", "list": ["linux/amd64"] }),
            "platforms.list goes with platforms.mode List",
        ),
        ("/platforms/list", json!(["amd64"]), "platforms must be os/architecture"),
        ("/retention", json!("0s"), "retention must be at least 1m"),
        ("/retention", json!("1.5d"), "retention must be whole numbers"),
        ("/frequency", json!("1s"), "frequency must be at least 10s"),
        ("/minAge", json!("1s"), "minAge"),
        ("/namespaces/include", json!(["Team"]), "spec.namespaces.include[0]"),
        ("/triggers", json!([]), "spec.triggers"),
        ("/triggers", json!(["Running", "Running"]), "Duplicate value"),
        ("/origins/0/to", json!([]), "spec.origins[0].to"),
        ("/sources/0/registry", json!("corp.*"), "spec.sources[0].registry"),
        ("/exclude/workloads/0/name", json!("web-*"), "spec.exclude.workloads[0].name"),
        ("/limits/images", json!(0), "spec.limits.images"),
    ];
    let specs = cases.iter().map(|(pointer, value, _)| spec(pointer, value.clone())).collect();
    for ((pointer, value, says), answer) in cases.iter().zip(answers::<WorkloadMirror>(specs).await?) {
        let said = answer.err().unwrap_or_default();
        anyhow::ensure!(said.contains(says), "{pointer} {value} should say {says}, and says: {said}");
    }
    Ok(())
}
