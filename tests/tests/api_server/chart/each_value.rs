//! Each value of the chart by itself, and those that make objects in pairs: an API server takes what is rendered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, ensure};
use imgop_tests::api_server::{ApiServer, install_crds};
use imgop_tests::examples::example;
use imgop_tests::helm::{Helm, chart};
use imgop_tests::testbed_scripts;
use serde_json::{Map, Value, json};
use tokio::process::Command;

use super::{at, default_values, merged};

/// The namespaces of the values below.
const NAMESPACES: [&str; 7] =
    ["imgop-system", "imgop-seccomp", "team-a", "team-b", "jobs", "leases", "image-operator"];
/// Values that make or leave out objects, or say where they are.
const FEATURES: [&str; 20] = [
    "admissionPolicies.enabled",
    "buildSeccomp.enabled",
    "crds.install",
    "dashboard.enabled",
    "image.digest",
    "namespace.create",
    "namespaces.aws",
    "namespaces.builds",
    "namespaces.copies",
    "namespaces.copiesWithoutSecrets",
    "networkPolicies.enabled",
    "podDisruptionBudget.enabled",
    "podMonitor.enabled",
    "prometheusRule.enabled",
    "rbac.create",
    "rbac.users",
    "registryAccesses",
    "serviceAccount.name",
    "serviceMonitor.enabled",
    "settings",
];

/// Another value than the default for each.
fn samples() -> BTreeMap<String, Value> {
    let texts = json!({ "example.com/a": "b" });
    let egress = json!([{ "ports": [{ "protocol": "TCP", "port": 5000 }] }]);
    let spread = json!([{ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": { "matchLabels": { "app.kubernetes.io/name": "imgop-agent" } } }]);
    let affinity = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "pool", "operator": "Exists" }] }] } } });
    let registry_access = json!([{ "name": "hub", "labels": texts, "annotations": texts,
        "spec": { "hosts": ["docker.io"], "repositories": ["/"], "actions": ["Pull"], "secretName": "hub",
            "namespaceSelector": { "matchLabels": { "registry": "hub" } } } }]);
    let by_kind = [
        ("affinity", affinity),
        ("buildSeccomp.kubeletRoot", json!("/data/kubelet")),
        ("env", json!([{ "name": "RUST_LOG", "value": "debug" }])),
        ("envFrom", json!([{ "configMapRef": { "name": "settings", "optional": true } }])),
        ("image.digest", json!(format!("sha256:{}", "0a".repeat(32)))),
        ("image.pullPolicy", json!("Always")),
        ("image.pullSecrets", json!(["login"])),
        ("image.repository", json!("registry.example.com:5000/imgop/agent")),
        ("image.tag", json!("1.2.3")),
        ("livenessProbe", json!({ "periodSeconds": 7 })),
        ("readinessProbe", json!({ "tcpSocket": { "port": "http" } })),
        ("namespaces.aws", json!(["team-a"])),
        ("namespaces.builds", json!(["team-a", "team-b"])),
        ("namespaces.copies", json!(["team-b"])),
        ("namespaces.copiesWithoutSecrets", json!(["team-a"])),
        ("networkPolicies.agentEgress", egress.clone()),
        ("networkPolicies.clusterNetworks", json!(["10.0.0.0/8", "fd00:10::/64"])),
        ("networkPolicies.jobEgress", egress),
        ("networkPolicies.registryPorts", json!([5000])),
        ("podDisruptionBudget.maxUnavailable", json!("50%")),
        ("podDisruptionBudget.minAvailable", json!(1)),
        ("podMonitor.endpoint", json!({ "interval": "30s" })),
        ("podSecurityContext.fsGroup", json!(2000)),
        ("podSecurityContext.runAsGroup", Value::Null),
        ("podSecurityContext.runAsUser", json!(1000)),
        ("podSecurityContext.seLinuxOptions", json!({ "level": "s0:c1,c2" })),
        ("podSecurityContext.supplementalGroups", json!([3000])),
        ("priorityClassName", json!("system-cluster-critical")),
        ("registryAccesses", registry_access),
        ("replicas", json!(3)),
        ("resources", json!({ "limits": { "memory": "256Mi", "cpu": "1" } })),
        ("service.port", json!(80)),
        ("service.type", json!("NodePort")),
        ("serviceAccount.name", json!("mirror")),
        ("serviceMonitor.endpoint", json!({ "scrapeTimeout": "5s" })),
        (
            "settings",
            json!({ "listen": "0.0.0.0:9090", "jobNamespace": "jobs", "leaseNamespace": "leases", "leaseName": "other" }),
        ),
        ("tolerations", json!([{ "key": "infra", "operator": "Exists" }])),
        ("topologySpreadConstraints", spread),
        ("volumeMounts", json!([{ "name": "certificates", "mountPath": "/etc/ssl/own" }])),
        ("volumes", json!([{ "name": "certificates", "configMap": { "name": "certificates" } }])),
    ];
    let mut samples: BTreeMap<String, Value> =
        by_kind.map(|(path, value)| (path.to_owned(), value)).into_iter().collect();
    for (path, schema) in values_of(&schema(), "") {
        match schema["default"] {
            Value::Bool(default) => drop(samples.insert(path, (!default).into())),
            Value::Object(_) if schema["additionalProperties"]["type"] == "string" => {
                samples.insert(path, texts.clone());
            }
            _ => {}
        }
    }
    samples
}

/// What a value needs so that it has an effect.
fn needs(path: &str) -> Value {
    let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
    match path {
        _ if path.ends_with(".enabled") => json!({}),
        "volumeMounts" => at("volumes", samples()["volumes"].clone()),
        "networkPolicies.jobEgress" | "networkPolicies.clusterNetworks" => {
            json!({ "networkPolicies": { "enabled": true }, "namespaces": { "builds": ["team-a"] } })
        }
        "namespace.annotations" | "namespace.labels" => at("namespace.create", true.into()),
        _ if schema().pointer(&pointer(&format!("{parent}.enabled"))).is_some() => {
            at(&format!("{parent}.enabled"), true.into())
        }
        _ => json!({}),
    }
}

fn schema() -> Value {
    let text = std::fs::read_to_string(Path::new(&chart()).join("values.schema.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Where the schema of a value is.
fn pointer(path: &str) -> String {
    format!("/properties/{}", path.replace('.', "/properties/"))
}

/// The values that have no parts, with what the schema says of them. Settings are one.
fn values_of(schema: &Value, above: &str) -> Vec<(String, Value)> {
    let no_parts = Map::new();
    let parts = schema["properties"].as_object().unwrap_or(&no_parts);
    parts
        .iter()
        .flat_map(|(name, part)| {
            let path = [above, name].concat();
            match &part["properties"] {
                Value::Object(_) if path != "settings" => values_of(part, &format!("{path}.")),
                _ => vec![(path, part.clone())],
            }
        })
        .collect()
}

/// An API server, and what it has taken.
struct Validation {
    server: ApiServer,
    taken: BTreeSet<String>,
}

impl Validation {
    /// With imgop's CRDs, those of the Prometheus operator, and the namespaces of the values.
    async fn new() -> anyhow::Result<Self> {
        let server = ApiServer::bare().await?;
        install_crds(&server.client().await?).await?;
        let output = Command::new(testbed_scripts().join("monitoring-crds")).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let kubectl = server.kubectl()?;
        let folder = String::from_utf8(output.stdout)?;
        kubectl.run(["apply", "--server-side", "-f", folder.trim_end()]).await?.ok()?;
        for crd in ["podmonitors", "servicemonitors", "prometheusrules"] {
            let crd = format!("crd/{crd}.monitoring.coreos.com");
            kubectl.run(["wait", "--for=condition=established", "--timeout=30s", &crd]).await?.ok()?;
        }
        for namespace in NAMESPACES {
            kubectl.run(["create", "namespace", namespace]).await?.ok()?;
        }
        Ok(Self { server, taken: BTreeSet::new() })
    }

    /// Fails with what the API server says of objects that it does not take.
    async fn take(&mut self, objects: &[Value]) -> anyhow::Result<()> {
        let new: Vec<String> =
            objects.iter().map(Value::to_string).filter(|object| !self.taken.contains(object)).collect();
        if !new.is_empty() {
            let apply = ["apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-"];
            let kubectl = self.server.kubectl()?;
            kubectl.run_with_input(apply, &new.join("\n---\n")).await?.ok()?;
            self.taken.extend(new);
        }
        Ok(())
    }
}

#[tokio::test]
async fn each_value_by_itself_changes_what_is_rendered_and_the_api_server_takes_it() -> anyhow::Result<()> {
    let (helm, mut validation) = (Helm::new().await?, Validation::new().await?);
    let samples = samples();
    for (path, _) in values_of(&schema(), "") {
        if path == "global" {
            continue;
        }
        let sample = samples.get(&path).with_context(|| format!("{path} has no sample"))?;
        let needs = needs(&path);
        let without = helm.template(&needs).await?;
        let with = helm.template(&merged(needs, at(&path, sample.clone()))).await?;
        ensure!(with != without, "{path}: {sample} changes nothing");
        validation.take(&without).await?;
        validation.take(&with).await.with_context(|| format!("{path}: {sample}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn features_work_in_pairs() -> anyhow::Result<()> {
    let (helm, mut validation) = (Helm::new().await?, Validation::new().await?);
    let samples = samples();
    for (number, first) in FEATURES.iter().enumerate() {
        for second in &FEATURES[number + 1..] {
            let [first_value, second_value] = [first, second].map(|path| at(path, samples[*path].clone()));
            let rendered = helm.template(&merged(first_value, second_value)).await;
            let objects = rendered.with_context(|| format!("{first} and {second}"))?;
            validation.take(&objects).await.with_context(|| format!("{first} and {second}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn each_setting_is_a_variable_of_the_agent() -> anyhow::Result<()> {
    let helm = Helm::new().await?;
    let schema = schema();
    let settings = schema.pointer("/properties/settings/properties").and_then(Value::as_object);
    let settings = settings.context("the schema has no settings")?;
    ensure!(settings.len() > 60, "{} settings", settings.len());
    let sample = |schema: &Value| match (schema["type"].as_str(), schema["items"]["type"].as_str()) {
        (Some("boolean"), _) => (json!(false), "false"),
        // One that JSON libraries like to write with an exponent.
        (Some("integer"), _) => (json!(25_165_824), "25165824"),
        (Some("object"), _) => (json!({ "a": "b" }), r#"{"a":"b"}"#),
        (Some("array"), _) => (json!([{ "key": "a" }]), r#"[{"key":"a"}]"#),
        (None, Some("string")) => (json!(["a", "b"]), "a,b"),
        _ => (json!("a:80"), "a:80"),
    };
    let given: Map<String, Value> =
        settings.iter().map(|(name, schema)| (name.clone(), sample(schema).0)).collect();
    let env = default_values::env(helm.template(&at("settings", given.into())).await?);
    for (name, schema) in settings {
        let variable: String = name
            .chars()
            .flat_map(|letter| {
                letter.is_uppercase().then_some('_').into_iter().chain([letter.to_ascii_uppercase()])
            })
            .collect();
        ensure!(env[&variable] == json!({ "name": variable, "value": sample(schema).1 }), "{name}: {env:#}");
    }
    Ok(())
}

#[tokio::test]
async fn the_examples_of_values_in_the_documents_are_taken() -> anyhow::Result<()> {
    let (helm, mut validation) = (Helm::new().await?, Validation::new().await?);
    for (page, text) in [
        ("helm.md", "registryAccesses:"),
        ("helm.md", "CREDS_DESTINATION_REGISTRY"),
        ("migrate/image-operator.md", "# values.yaml"),
    ] {
        let values: Value = serde_saphyr::from_str(&example(page, text)?)?;
        validation.take(&helm.template(&values).await?).await?;
    }
    Ok(())
}
