//! What the API server refuses of an ImageMirror and what it accepts, and that the agent's parser agrees.

use imgop_core::api::{ImageMirror, ImageMirrorSpec};
use serde_json::{Value, json};

use super::spec_answers::answers;

/// A spec with each kind of field in it, of which one thing may be another.
fn spec(pointer: &str, value: Value) -> Value {
    let update = |name: &str, from: Value| json!({ "name": name, "from": from, "frequency": "6h" });
    let mut spec = json!({
        "targets": [
            { "repository": "docker.io/acme", "default": true, "credentials": { "secretName": "push" } },
            { "repository": "registry.corp:5000" },
        ],
        "entries": [{
            "source": "quay.io/org/app",
            "tags": ["1.0", "1.2.x", ">=1 <2", "2@sha256:0000000000000000000000000000000000000000000000000000000000000000"],
            "excludedTags": ["1.0.1"],
            "targetName": "org-app",
        }],
        "from": [{ "configMap": { "name": "inventory", "key": "config.yaml" }, "format": "Rancher" }],
        "sources": [{ "registry": "quay.io" }],
        "follow": ["latest"],
        "frequency": "1h",
        "platforms": ["linux/amd64"],
        "minAge": "3d",
        "updates": [
            update("release", json!({ "githubRelease": { "owner": "o", "repository": "r" } })),
            update("charts", json!({ "helmChart": { "repository": "https://charts.example.com", "charts": [{ "name": "web" }] } })),
            update("oci", json!({ "helmChart": { "charts": [{ "name": "oci://registry.corp/charts/web" }] } })),
        ],
    });
    if let Some(place) = spec.pointer_mut(pointer) {
        *place = value;
    }
    spec
}

#[tokio::test]
async fn a_spec_with_everything_is_accepted_and_so_is_one_with_a_target_or_a_file_alone() -> anyhow::Result<()>
{
    let specs = vec![
        spec("/nothing", Value::Null),
        json!({ "targets": [{ "repository": "registry.corp" }] }),
        json!({ "from": [{ "configMap": { "name": "inventory", "key": "config.yaml" }, "format": "Rancher" }] }),
    ];
    for (spec, answer) in specs.iter().zip(answers::<ImageMirror>(specs.clone()).await?) {
        anyhow::ensure!(answer.is_ok(), "{spec}: {answer:?}");
        serde_json::from_value::<ImageMirrorSpec>(spec.clone())?;
    }
    Ok(())
}

#[tokio::test]
async fn each_mistake_of_an_image_mirror_is_refused_with_its_field_and_the_fix() -> anyhow::Result<()> {
    let both = json!([{ "name": "web" }, { "name": "oci://registry.corp/charts/db" }]);
    let cases = [
        ("", json!({ "frequency": "1h" }), "targets must have at least one repository"),
        ("/targets/0/repository", json!("https://docker.io/acme"), "spec.targets[0].repository"),
        ("/targets/1/repository", json!("docker.io/acme"), "Duplicate value"),
        ("/entries/0/source", json!("quay.io/Org/app"), "spec.entries[0].source"),
        ("/entries/0/source", json!("quay.io/org/app:1"), "spec.entries[0].source"),
        ("/entries/0/tags", json!([]), "spec.entries[0].tags"),
        ("/entries/0/tags", json!(["a b;c"]), "spec.entries[0].tags[0]"),
        ("/entries/0/excludedTags", json!(["1.x*"]), "spec.entries[0].excludedTags[0]"),
        ("/entries/0/targetName", json!("Org/App"), "spec.entries[0].targetName"),
        ("/from/0/configMap/name", json!("Inventory"), "spec.from[0].configMap.name"),
        ("/from/0/configMap/key", json!("a/b"), "spec.from[0].configMap.key"),
        ("/follow", json!(["a b;c"]), "spec.follow[0]"),
        ("/frequency", json!("1s"), "frequency must be at least 10s"),
        ("/platforms", json!(["amd64"]), "platforms must be os/architecture"),
        ("/minAge", json!("1s"), "minAge"),
        ("/updates/0/name", json!("a b"), "spec.updates[0].name"),
        ("/updates/0/frequency", json!("1s"), "updates[].frequency must be at least 1m"),
        (
            "/updates/0/from",
            json!({}),
            "updates[].from must have one of githubRelease, githubFile, registry and helmChart",
        ),
        ("/updates/0/from/githubRelease/owner", json!("o/r"), "spec.updates[0].from.githubRelease.owner"),
        (
            "/updates/1/from/helmChart/repository",
            json!("charts.example.com"),
            "spec.updates[1].from.helmChart.repository",
        ),
        ("/updates/1/from/helmChart/charts", both.clone(), "is a name where repository is given"),
        ("/updates/2/from/helmChart/charts", both, "is a name where repository is given"),
        ("/updates/2/from/helmChart/charts", json!([]), "spec.updates[2].from.helmChart.charts"),
    ];
    let specs = cases.iter().map(|(pointer, value, _)| spec(pointer, value.clone())).collect();
    let mut wrong = Vec::new();
    for ((pointer, value, says), answer) in cases.iter().zip(answers::<ImageMirror>(specs).await?) {
        let said = answer.err().unwrap_or_default();
        if !said.contains(says) {
            wrong.push(format!("{pointer} {value} should say {says}, and says: {said}"));
        }
    }
    anyhow::ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}
