//! `--from`: a Deployment of the cluster with the ConfigMaps that it names, as documents that a file could have. Secrets are
//! never read: of a variable that comes from one, that it is set is all that is known.

use std::collections::BTreeMap;
use std::str::FromStr;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli_error::CliError;
use crate::cluster::{Cluster, ConnectionArgs};

/// A Deployment, with its namespace or in that of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentName {
    namespace: Option<String>,
    name: String,
}

impl FromStr for DeploymentName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace.to_owned()), name),
            None => (None, text),
        };
        let is_empty = name.is_empty() || namespace.as_ref().is_some_and(String::is_empty);
        if is_empty || name.contains('/') {
            return Err("write NAMESPACE/NAME, as kube-system/coredns");
        }
        Ok(Self { namespace, name: name.to_owned() })
    }
}

impl DeploymentName {
    /// Returns that there is none in a namespace, and how one of another is named, where the namespace was not said.
    fn missing(&self, namespace: &str) -> CliError {
        let error = missing("deployments.apps", &self.name, namespace);
        match self.namespace {
            Some(_) => error,
            None => error.hinted(format!("--from NAMESPACE/{} names one of another namespace", self.name)),
        }
    }
}

/// Reads a Deployment, and before it the ConfigMaps of its volumes. Variables that come from ConfigMaps get their values.
pub async fn deployed(from: &DeploymentName, connection: &ConnectionArgs) -> Result<Vec<Value>, CliError> {
    let cluster = connection.connect().await?.in_namespace(from.namespace.as_deref());
    let found = find::<Deployment>(&cluster, "deployments.apps", &from.name).await?;
    let mut deployment = found.ok_or_else(|| from.missing(&cluster.namespace))?;
    deployment["kind"] = "Deployment".into();
    let mut documents = Vec::new();
    for (name, need) in mounted(&deployment) {
        if let Some(mut config_map) = config_map(&cluster, &name, need).await? {
            config_map["kind"] = "ConfigMap".into();
            documents.push(config_map);
        }
    }
    let mut values = BTreeMap::new();
    for (name, need) in of_variables(&deployment) {
        let found = config_map(&cluster, &name, need).await?;
        values.insert(name, found.map(|found| found["data"].clone()).unwrap_or_default());
    }
    fill(&mut deployment, &values);
    documents.push(deployment);
    Ok(documents)
}

/// Whether a Deployment starts without a ConfigMap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
}

/// Reads a ConfigMap; none where there is none and none is needed.
async fn config_map(cluster: &Cluster, name: &str, need: Need) -> Result<Option<Value>, CliError> {
    let found = find::<ConfigMap>(cluster, "configmaps", name).await?;
    if found.is_none() && need == Need::Required {
        return Err(missing("configmaps", name, &cluster.namespace));
    }
    Ok(found)
}

/// Reads an object; none where there is none.
async fn find<K>(cluster: &Cluster, resource: &str, name: &str) -> Result<Option<Value>, CliError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let api = Api::<K>::namespaced(cluster.client.clone(), &cluster.namespace);
    let found = api.get_opt(name).await;
    let found = found.map_err(|error| cluster.explain_in_namespace("get", resource, &error))?;
    found.map(|found| as_value(resource, name, &found)).transpose()
}

fn missing(resource: &str, name: &str, namespace: &str) -> CliError {
    CliError::failed(format!("{resource} {name:?} not found in namespace {namespace}"))
}

fn as_value(resource: &str, name: &str, found: &impl Serialize) -> Result<Value, CliError> {
    serde_json::to_value(found)
        .map_err(|error| CliError::failed(format!("cannot read {resource} {name}: {error}")))
}

/// Returns the ConfigMaps of references, each once.
fn needed<'a>(references: impl Iterator<Item = &'a Value>) -> BTreeMap<String, Need> {
    let mut all = BTreeMap::new();
    for reference in references {
        let Some(name) = reference["name"].as_str() else { continue };
        let need = if reference["optional"] == true { Need::Optional } else { Need::Required };
        let known = all.entry(name.to_owned()).or_insert(need);
        if need == Need::Required {
            *known = need;
        }
    }
    all
}

/// Returns the ConfigMaps that a Deployment mounts.
fn mounted(deployment: &Value) -> BTreeMap<String, Need> {
    let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array().into_iter().flatten();
    needed(volumes.map(|volume| &volume["configMap"]))
}

/// Returns the ConfigMaps that variables come from.
fn of_variables(deployment: &Value) -> BTreeMap<String, Need> {
    let references = super::environment::containers(deployment).flat_map(|container| {
        let env = container["env"].as_array().into_iter().flatten();
        let whole = container["envFrom"].as_array().into_iter().flatten();
        let of_env = env.map(|one| &one["valueFrom"]["configMapKeyRef"]);
        of_env.chain(whole.map(|one| &one["configMapRef"]))
    });
    needed(references)
}

/// Writes the values of ConfigMaps to the variables that come from them: of several with one name the last in the list
/// counts, and what a container names itself goes before what it takes as a whole.
fn fill(deployment: &mut Value, config_maps: &BTreeMap<String, Value>) {
    let containers =
        deployment["spec"]["template"]["spec"]["containers"].as_array_mut().into_iter().flatten();
    for container in containers {
        let mut all: Vec<Value> = Vec::new();
        for one in container["envFrom"].as_array().into_iter().flatten() {
            let of = one["configMapRef"]["name"].as_str().and_then(|name| config_maps.get(name));
            let prefix = one["prefix"].as_str().unwrap_or_default();
            let values = of.and_then(Value::as_object).into_iter().flatten();
            all.extend(
                values.map(
                    |(key, value)| serde_json::json!({ "name": format!("{prefix}{key}"), "value": value }),
                ),
            );
        }
        for mut variable in container["env"].as_array().cloned().unwrap_or_default() {
            let of = &variable["valueFrom"]["configMapKeyRef"];
            let values = of["name"].as_str().and_then(|name| config_maps.get(name));
            let value = values.and_then(|values| values.get(of["key"].as_str().unwrap_or_default())).cloned();
            match value {
                Some(value) => variable["value"] = value,
                None if of["optional"] == true => continue,
                None => {}
            }
            all.push(variable);
        }
        container["env"] = all.into();
        if let Some(whole) = container["envFrom"].as_array_mut() {
            whole.retain(|one| one["configMapRef"].is_null());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_named_with_its_namespace_or_without() {
        let name = |text: &str| text.parse::<DeploymentName>();
        let named = |namespace: Option<&str>, name: &str| DeploymentName {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        };
        assert_eq!(name("k8s-copycat/copycat"), Ok(named(Some("k8s-copycat"), "copycat")));
        assert_eq!(name("copycat"), Ok(named(None, "copycat")));
        assert!(["", "/x", "x/", "a/b/c"].iter().all(|text| name(text).is_err()));
    }

    #[test]
    fn one_that_is_missing_comes_with_the_namespace_where_it_was_looked_for() {
        let error = |text: &str, namespace: &str| text.parse::<DeploymentName>().unwrap().missing(namespace);
        let missing = error("k8s-copycat", "ci");
        assert_eq!(missing.message, "deployments.apps \"k8s-copycat\" not found in namespace ci");
        assert_eq!(missing.hints, ["--from NAMESPACE/k8s-copycat names one of another namespace"]);
        assert_eq!(error("a/k8s-copycat", "a").hints, [""; 0]);
    }

    #[test]
    fn variables_get_the_values_of_config_maps_and_none_of_secrets() {
        let container = json!({ "envFrom": [{ "configMapRef": { "name": "all" }, "prefix": "X_" }],
            "env": [{ "name": "A", "valueFrom": { "configMapKeyRef": { "name": "all", "key": "a" } } },
                { "name": "P", "valueFrom": { "secretKeyRef": { "name": "s", "key": "p" } } }] });
        let mut deployment = json!({ "spec": { "template": { "spec": { "containers": [container],
            "volumes": [{ "configMap": { "name": "file" } }, { "secret": { "secretName": "s" } }] } } } });
        assert_eq!(mounted(&deployment), [("file".to_owned(), Need::Required)].into());
        assert_eq!(of_variables(&deployment), [("all".to_owned(), Need::Required)].into());
        fill(&mut deployment, &[("all".to_owned(), json!({ "a": "1" }))].into());
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let env = super::super::environment::of_container(container);
        let wanted =
            [("A", "1"), ("P", ""), ("X_a", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(env, wanted.into());
    }

    #[test]
    fn of_several_config_maps_the_last_in_the_list_counts_and_one_that_is_optional_may_be_absent() {
        let optional = json!({ "name": "absent", "optional": true });
        let container = json!({
            "envFrom": [{ "configMapRef": { "name": "z" } }, { "configMapRef": { "name": "a" } }, { "configMapRef": optional },
                { "secretRef": { "name": "s" } }],
            "env": [{ "name": "B", "valueFrom": { "configMapKeyRef": { "name": "absent", "key": "b", "optional": true } } }],
        });
        let mut deployment = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
        let needed = of_variables(&deployment);
        assert_eq!((needed["absent"], needed["z"]), (Need::Optional, Need::Required));
        let values = [("z", json!({ "K": "of z" })), ("a", json!({ "K": "of a" })), ("absent", Value::Null)];
        fill(&mut deployment, &values.map(|(name, value)| (name.to_owned(), value)).into());
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let env = super::super::environment::of_container(container);
        assert_eq!(env, [("K".to_owned(), "of a".to_owned())].into());
        assert_eq!(container["envFrom"], json!([{ "secretRef": { "name": "s" } }]));
    }
}
