//! The chart as it comes, and what its schema refuses.

use anyhow::ensure;
use imgop_tests::helm::{Helm, RELEASE, chart};
use serde_json::{Value, json};

use super::{at, by_id, ensure_same, install_yaml, merged, without_marks_of_helm};

#[tokio::test]
async fn the_chart_with_its_default_values_renders_install_yaml() -> anyhow::Result<()> {
    let helm = Helm::new().await?;
    let rendered = helm.template(&json!({ "namespace": { "create": true } })).await?;
    ensure_same(without_marks_of_helm(rendered), install_yaml()?)?;
    let mut but_the_namespace = install_yaml()?;
    but_the_namespace.retain(|object| object["kind"] != "Namespace");
    ensure_same(without_marks_of_helm(helm.template(&json!({})).await?), but_the_namespace)
}

#[tokio::test]
async fn every_object_is_in_the_namespace_of_the_release_and_no_service_account_is_another_one()
-> anyhow::Result<()> {
    let helm = Helm::new().await?;
    let values = json!({ "serviceAccount": { "name": "mirror" }, "namespaces": { "copies": ["team-a"] },
        "networkPolicies": { "enabled": true }, "podDisruptionBudget": { "enabled": true } });
    let rendered = helm.in_namespace("elsewhere").template(&values).await?;
    let objects = by_id(rendered)?;
    for object in objects.values() {
        for subject in object["subjects"].as_array().into_iter().flatten() {
            ensure!(subject["name"] == "mirror" && subject["namespace"] == "elsewhere", "{object:#}");
        }
        let namespace = object["metadata"]["namespace"].as_str();
        ensure!(namespace.is_none_or(|name| ["elsewhere", "team-a"].contains(&name)), "{object:#}");
    }
    let told = &env(objects.into_values().collect())["SERVICE_ACCOUNT"];
    ensure!(told["value"] == "elsewhere:mirror", "{told}");
    Ok(())
}

#[tokio::test]
async fn helm_finds_nothing_to_say_about_the_chart() -> anyhow::Result<()> {
    let helm = Helm::new().await?;
    for values in [json!({}), json!({ "serviceMonitor": { "enabled": true }, "settings": { "maxJobs": 7 } })]
    {
        helm.run_with(&["lint", "--strict", &chart()], &values).await?.ok()?;
    }
    Ok(())
}

#[tokio::test]
async fn values_that_do_not_exist_or_contradict_each_other_are_refused_by_name() -> anyhow::Result<()> {
    let helm = Helm::new().await?;
    let variable = |name: &str| json!([{ "name": name, "value": "1" }]);
    let registry_access = json!([{ "name": "hub" }]);
    let cases: [(Value, &[&str]); 12] = [
        (at("settings.maxJbos", json!(7)), &["maxJbos"]),
        (at("replicaCount", json!(2)), &["replicaCount"]),
        (at("image.version", json!("1")), &["image", "version"]),
        (at("settings.maxJobs", json!("many")), &["settings/maxJobs"]),
        (at("settings.bulkApis", json!(1)), &["settings/bulkApis"]),
        (at("image.digest", json!("1234")), &["image/digest"]),
        (at("securityContext", json!({ "privileged": true })), &["securityContext"]),
        (at("podSecurityContext.runAsNonRoot", json!(false)), &["runAsNonRoot"]),
        (at("podSecurityContext.runAsUser", json!(0)), &["runAsUser"]),
        (at("registryAccesses", registry_access), &["registryAccesses/0", "spec"]),
        (at("namespaces.copies", json!(["imgop-system"])), &["namespaces.copies", "always enabled"]),
        (
            merged(at("settings.maxJobs", json!(7)), at("env", variable("MAX_JOBS"))),
            &["env and settings both have MAX_JOBS"],
        ),
    ];
    for (values, parts) in cases {
        let said = helm.run_with(&["template", RELEASE, &chart()], &values).await?.failed()?;
        for part in parts {
            ensure!(said.contains(part), "{values}: {said} lacks {part:?}");
        }
    }
    Ok(())
}

/// The variables of the agent's container by name.
pub(super) fn env(objects: Vec<Value>) -> Value {
    let deployment = objects.into_iter().find(|object| object["kind"] == "Deployment").unwrap_or_default();
    let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().cloned();
    let named = env
        .into_iter()
        .flatten()
        .filter_map(|variable| Some((variable["name"].as_str()?.to_owned(), variable)));
    Value::Object(named.collect())
}

#[tokio::test]
async fn a_variable_is_in_the_container_once_wherever_it_is_set() -> anyhow::Result<()> {
    let helm = Helm::new().await?;
    let secret = json!({ "secretKeyRef": { "name": "proxy", "key": "url" } });
    let values = json!({
        "settings": { "watchNamespaces": ["team-a", "team-b"], "skopeoImage": "registry.example.com/skopeo:1" },
        "env": [{ "name": "POD_NAME", "value": "one" }, { "name": "HTTPS_PROXY", "valueFrom": secret }],
    });
    let env = env(helm.template(&values).await?);
    for (name, value) in [
        ("WATCH_NAMESPACES", "team-a,team-b"),
        ("SKOPEO_IMAGE", "registry.example.com/skopeo:1"),
        ("POD_NAME", "one"),
    ] {
        ensure!(env[name] == json!({ "name": name, "value": value }), "{env:#}");
    }
    ensure!(env["HTTPS_PROXY"]["valueFrom"] == secret, "{env:#}");
    ensure!(env["POD_ADDRESSES"]["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIPs", "{env:#}");
    Ok(())
}
