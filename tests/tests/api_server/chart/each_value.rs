//! Each value of the chart by itself, and those that make objects together: an API server takes what is rendered.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context as _, ensure};
use imgop_tests::api_server::{ApiServer, Shared};
use imgop_tests::examples::example;
use imgop_tests::helm::{Helm, chart, documents};
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

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let text = std::fs::read_to_string(Path::new(&chart()).join("values.schema.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
});
/// Another value than the default for each.
static SAMPLES: LazyLock<BTreeMap<String, Value>> = LazyLock::new(samples);

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
    for (path, schema) in values_of(&SCHEMA, "") {
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
        "volumeMounts" => at("volumes", SAMPLES["volumes"].clone()),
        "networkPolicies.jobEgress" | "networkPolicies.clusterNetworks" => {
            json!({ "networkPolicies": { "enabled": true }, "namespaces": { "builds": ["team-a"] } })
        }
        "namespace.annotations" | "namespace.labels" => at("namespace.create", true.into()),
        _ if SCHEMA.pointer(&pointer(&format!("{parent}.enabled"))).is_some() => {
            at(&format!("{parent}.enabled"), true.into())
        }
        _ => json!({}),
    }
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

/// The renderings that show each two features together: for each, which features are on.
///
/// A feature has a number of its own of seven bits, of which four are set, and is on where they are. Two such numbers have a
/// bit in common, since eight do not fit into seven, and each has one that the other has not.
fn together() -> Vec<Vec<&'static str>> {
    let numbers = (0_u32..1 << 7).filter(|number| number.count_ones() == 4);
    let numbered: Vec<(&str, u32)> = FEATURES.into_iter().zip(numbers).collect();
    let on = |bit: u32| numbered.iter().filter(move |(_, number)| (number >> bit) & 1 == 1);
    let mut renderings: Vec<Vec<&str>> =
        (0..7).map(|bit| on(bit).map(|(feature, _)| *feature).collect()).collect();
    // What leaves objects out hides what another feature does to them.
    let leaves_out = |feature: &str| SAMPLES[feature] == Value::Bool(false);
    renderings.push(FEATURES.into_iter().filter(|feature| !leaves_out(feature)).collect());
    renderings
}

/// The values of these features.
fn values(features: &[&str]) -> Value {
    features.iter().fold(json!({}), |all, path| merged(all, at(path, SAMPLES[*path].clone())))
}

/// The documents that the chart makes of these values.
async fn rendered(helm: &Helm, values: &Value) -> anyhow::Result<Vec<String>> {
    let text = helm.template_text(values).await?;
    let text = text.strip_prefix("---\n").unwrap_or(&text);
    Ok(text.split("\n---\n").map(|document| document.trim_end().to_owned()).collect())
}

/// Whether objects are in one of both alone.
fn differ(one: &[String], other: &[String]) -> anyhow::Result<bool> {
    let alone = |these: &[String], those: &[String]| {
        let alone = these.iter().filter(|document| !those.contains(document));
        alone.map(|document| documents(document)).collect::<anyhow::Result<Vec<_>>>()
    };
    Ok(alone(one, other)? != alone(other, one)?)
}

/// An API server with the CRDs of the Prometheus operator and the namespaces of the values.
async fn server() -> anyhow::Result<&'static ApiServer> {
    static SERVER: Shared<ApiServer> = Shared::new("the API server for what the chart renders");
    SERVER.get(prepared).await
}

async fn prepared() -> anyhow::Result<ApiServer> {
    let server = ApiServer::with_crds().await?;
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
    Ok(server)
}

/// What an API server is to take: each document, with what it was rendered for first.
#[derive(Default)]
struct Validation(BTreeMap<String, String>);

impl Validation {
    fn add(&mut self, rendered_for: &str, documents: Vec<String>) {
        for document in documents {
            self.0.entry(document).or_insert_with(|| rendered_for.to_owned());
        }
    }

    /// Fails with what the API server says of a document that it does not take, and what that was rendered for.
    async fn taken(&self) -> anyhow::Result<()> {
        let all: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let Err(error) = try_apply(&all.join("\n---\n")).await else { return Ok(()) };
        for (document, rendered_for) in &self.0 {
            try_apply(document).await.with_context(|| rendered_for.clone())?;
        }
        Err(error)
    }
}

/// Asks whether the API server would take these documents. Nothing is stored, as other tests use it too.
async fn try_apply(documents: &str) -> anyhow::Result<()> {
    let apply = ["apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-"];
    server().await?.kubectl()?.run_with_input(apply, documents).await?.ok().map(drop)
}

#[tokio::test]
async fn each_value_by_itself_changes_what_is_rendered_and_the_api_server_takes_it() -> anyhow::Result<()> {
    let (helm, mut validation) = (Helm::new().await?, Validation::default());
    let mut of_needs = BTreeMap::new();
    for (path, _) in values_of(&SCHEMA, "") {
        if path == "global" {
            continue;
        }
        let sample = SAMPLES.get(&path).with_context(|| format!("{path} has no sample"))?;
        let needs = needs(&path);
        let without = match of_needs.entry(needs.to_string()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let documents = rendered(&helm, &needs).await?;
                validation.add(new.key(), documents.clone());
                new.insert(documents)
            }
        };
        let with = rendered(&helm, &merged(needs, at(&path, sample.clone()))).await?;
        ensure!(differ(&with, without)?, "{path}: {sample} changes nothing");
        validation.add(&format!("{path}: {sample}"), with);
    }
    validation.taken().await
}

#[test]
fn each_two_features_are_rendered_together_and_each_without_the_other() {
    let renderings = together();
    for first in FEATURES {
        for second in FEATURES.into_iter().filter(|second| *second != first) {
            let is_there =
                |both: bool| renderings.iter().any(|on| on.contains(&first) && on.contains(&second) == both);
            assert!(is_there(true) && is_there(false), "{first} and {second}");
        }
    }
}

#[tokio::test]
async fn features_work_together() -> anyhow::Result<()> {
    let (helm, mut validation) = (Helm::new().await?, Validation::default());
    for features in together() {
        let documents = rendered(&helm, &values(&features)).await;
        validation.add(&features.join(", "), documents.with_context(|| features.join(", "))?);
    }
    validation.taken().await
}

/// The same with nothing else on, which tells which two do not.
#[tokio::test]
#[ignore = "takes minutes, and features_work_together has all of these pairs: make test-chart-pairs"]
async fn features_work_in_pairs() -> anyhow::Result<()> {
    let (helm, mut validation) = (Helm::new().await?, Validation::default());
    for (number, first) in FEATURES.into_iter().enumerate() {
        for second in FEATURES.into_iter().skip(number + 1) {
            let pair = format!("{first} and {second}");
            let documents = rendered(&helm, &values(&[first, second])).await;
            validation.add(&pair, documents.with_context(|| pair.clone())?);
        }
    }
    validation.taken().await
}

#[tokio::test]
async fn each_setting_is_a_variable_of_the_agent() -> anyhow::Result<()> {
    let helm = Helm::new().await?;
    let settings = SCHEMA.pointer("/properties/settings/properties").and_then(Value::as_object);
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
    let (helm, mut validation) = (Helm::new().await?, Validation::default());
    for (page, text) in [
        ("helm.md", "registryAccesses:"),
        ("helm.md", "CREDS_DESTINATION_REGISTRY"),
        ("migrate/image-operator.md", "# values.yaml"),
    ] {
        let values: Value = serde_saphyr::from_str(&example(page, text)?)?;
        validation.add(&format!("{page}: {text}"), rendered(&helm, &values).await?);
    }
    validation.taken().await
}
