//! The chart as it comes, and what its schema refuses.

use anyhow::ensure;
use imgop_tests::helm::{Helm, RELEASE, chart, documents};
use imgop_tests::programs::plugin;
use serde_json::{Value, json};
use tokio::process::Command;

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
    let cases: [(Value, &[&str]); 14] = [
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
            at("namespaces.copiesWithoutSecrets", json!(["imgop-system"])),
            &["namespaces.copiesWithoutSecrets", "always enabled"],
        ),
        (
            at("namespaces", json!({ "copies": ["team-a"], "copiesWithoutSecrets": ["team-a"] })),
            &["both have team-a"],
        ),
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

/// Returns the ports of the agent's container.
fn ports(objects: Vec<Value>) -> Value {
    let deployment = objects.into_iter().find(|object| object["kind"] == "Deployment").unwrap_or_default();
    deployment["spec"]["template"]["spec"]["containers"][0]["ports"].clone()
}

#[tokio::test]
async fn the_chart_and_the_plugin_give_the_container_the_port_of_the_same_address() -> anyhow::Result<()> {
    let address = "0.0.0.0:9090";
    let rendered = Helm::new().await?.template(&at("settings.listen", address.into())).await?;
    let setting = format!("LISTEN={address}");
    let arguments = ["install", "--dry-run=client", "-o", "yaml", "--set", setting.as_str()];
    let printed = Command::new(plugin()?).args(arguments).output().await?;
    ensure!(printed.status.success(), "{printed:?}");
    let printed = documents(&String::from_utf8(printed.stdout)?)?;
    let (of_chart, of_plugin) = (ports(rendered), ports(printed));
    ensure!(of_chart == of_plugin && of_chart[0]["containerPort"] == 9090, "{of_chart}, {of_plugin}");
    Ok(())
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

#[tokio::test]
async fn a_namespace_without_secrets_has_the_smaller_role_and_the_network_policy_of_copies()
-> anyhow::Result<()> {
    let helm = Helm::new().await?;
    let values = json!({ "namespaces": { "copies": ["team-a"], "copiesWithoutSecrets": ["team-b"] },
        "networkPolicies": { "enabled": true } });
    let rendered = helm.template(&values).await?;
    let of = |namespace: &str, kind: &str, pointer: &str| -> Vec<String> {
        let found = rendered
            .iter()
            .filter(|object| object["kind"] == kind && object["metadata"]["namespace"] == namespace);
        found.filter_map(|object| object.pointer(pointer)?.as_str().map(str::to_owned)).collect()
    };
    let role = "/roleRef/name";
    ensure!(of("team-a", "RoleBinding", role) == ["imgop-agent-namespace"]);
    ensure!(of("team-b", "RoleBinding", role) == ["imgop-agent-copies"]);
    ensure!(of("team-b", "NetworkPolicy", "/metadata/name") == ["imgop-copies"]);
    Ok(())
}

/// Image-operator's chart had a value for the name of its Secret, and its Deployment read another one.
#[tokio::test]
async fn b19_the_names_of_secrets_in_the_values_reach_the_objects_that_use_them() -> anyhow::Result<()> {
    let helm = Helm::new().await?;
    let of_secret = |name: &str, key: &str| json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": "mine", "key": key } } });
    let lent = json!({ "hosts": ["docker.io"], "repositories": ["/"], "actions": ["Pull"],
        "namespaceSelector": { "matchLabels": { "registry": "hub" } }, "secretName": "lent" });
    let values = json!({
        "env": [
            { "name": "CREDS_DESTINATION_REGISTRY", "value": "registry.example.com" },
            of_secret("CREDS_DESTINATION_USERNAME", "user"),
            of_secret("CREDS_DESTINATION_PASSWORD", "password"),
        ],
        "envFrom": [{ "secretRef": { "name": "settings" } }],
        "image": { "pullSecrets": ["pull"] },
        "registryAccesses": [{ "name": "hub", "spec": lent }],
        "settings": { "jobPullSecrets": ["pull-of-jobs"] },
    });
    let rendered = helm.template(&values).await?;
    let of_kind =
        |kind: &str| rendered.iter().find(|object| object["kind"] == kind).cloned().unwrap_or_default();
    let pod = of_kind("Deployment")["spec"]["template"]["spec"].clone();
    let container = &pod["containers"][0];
    ensure!(pod["imagePullSecrets"] == json!([{ "name": "pull" }]), "{pod:#}");
    ensure!(container["envFrom"] == json!([{ "secretRef": { "name": "settings" } }]), "{container:#}");
    ensure!(of_kind("RegistryAccess")["spec"]["secretName"] == "lent");
    let env = env(rendered);
    for (name, key) in [("CREDS_DESTINATION_USERNAME", "user"), ("CREDS_DESTINATION_PASSWORD", "password")] {
        ensure!(env[name] == of_secret(name, key), "{env:#}");
    }
    ensure!(env["JOB_PULL_SECRETS"]["value"] == "pull-of-jobs", "{env:#}");
    Ok(())
}
