//! `--from`: a Deployment of the cluster with the ConfigMaps that it names, as documents that a file could have. Secrets are
//! never read: of a variable that comes from one, that it is set is all that is known.

use std::collections::BTreeSet;
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

/// Reads a Deployment, and before it the ConfigMaps of its volumes. Variables that come from ConfigMaps get their values.
pub async fn deployed(from: &DeploymentName, connection: &ConnectionArgs) -> Result<Vec<Value>, CliError> {
    let cluster = connection.connect().await?.in_namespace(from.namespace.as_deref());
    let mut deployment = read::<Deployment>(&cluster, "deployments.apps", &from.name).await?;
    deployment["kind"] = "Deployment".into();
    let mut documents = Vec::new();
    for name in mounted(&deployment) {
        let mut config_map = read::<ConfigMap>(&cluster, "configmaps", &name).await?;
        config_map["kind"] = "ConfigMap".into();
        documents.push(config_map);
    }
    for name in of_variables(&deployment) {
        let config_map = read::<ConfigMap>(&cluster, "configmaps", &name).await?;
        fill(&mut deployment, &name, &config_map["data"]);
    }
    documents.push(deployment);
    Ok(documents)
}

async fn read<K>(cluster: &Cluster, resource: &str, name: &str) -> Result<Value, CliError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let api = Api::<K>::namespaced(cluster.client.clone(), &cluster.namespace);
    let found = api.get(name).await;
    let found = found.map_err(|error| cluster.explain_in_namespace("get", resource, &error))?;
    serde_json::to_value(found)
        .map_err(|error| CliError::failed(format!("cannot read {resource} {name}: {error}")))
}

/// Returns the ConfigMaps that a Deployment mounts.
fn mounted(deployment: &Value) -> BTreeSet<String> {
    let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.filter_map(|volume| volume["configMap"]["name"].as_str().map(str::to_owned)).collect()
}

/// Returns the ConfigMaps that variables come from.
fn of_variables(deployment: &Value) -> BTreeSet<String> {
    let containers = super::environment::containers(deployment);
    let mut names = BTreeSet::new();
    for container in containers {
        let env = container["env"].as_array().into_iter().flatten();
        names.extend(
            env.filter_map(|one| one["valueFrom"]["configMapKeyRef"]["name"].as_str().map(str::to_owned)),
        );
        let whole = container["envFrom"].as_array().into_iter().flatten();
        names.extend(whole.filter_map(|one| one["configMapRef"]["name"].as_str().map(str::to_owned)));
    }
    names
}

/// Writes the values of a ConfigMap to the variables that come from it.
fn fill(deployment: &mut Value, name: &str, data: &Value) {
    let containers =
        deployment["spec"]["template"]["spec"]["containers"].as_array_mut().into_iter().flatten();
    for container in containers {
        let whole = container["envFrom"].as_array().into_iter().flatten();
        let of_whole = whole.filter(|one| one["configMapRef"]["name"] == name);
        let prefixes: Vec<String> =
            of_whole.map(|one| one["prefix"].as_str().unwrap_or_default().to_owned()).collect();
        let mut all: Vec<Value> = Vec::new();
        for prefix in prefixes {
            let values = data.as_object().into_iter().flatten();
            all.extend(
                values.map(
                    |(key, value)| serde_json::json!({ "name": format!("{prefix}{key}"), "value": value }),
                ),
            );
        }
        // What a container names itself goes before what it takes as a whole.
        for mut variable in container["env"].as_array().cloned().unwrap_or_default() {
            let of = &variable["valueFrom"]["configMapKeyRef"];
            if of["name"] == name
                && let Some(value) = data.get(of["key"].as_str().unwrap_or_default())
            {
                variable["value"] = value.clone();
            }
            all.push(variable);
        }
        container["env"] = all.into();
        if let Some(whole) = container["envFrom"].as_array_mut() {
            whole.retain(|one| one["configMapRef"]["name"] != name);
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
    fn variables_get_the_values_of_config_maps_and_none_of_secrets() {
        let container = json!({ "envFrom": [{ "configMapRef": { "name": "all" }, "prefix": "X_" }],
            "env": [{ "name": "A", "valueFrom": { "configMapKeyRef": { "name": "all", "key": "a" } } },
                { "name": "P", "valueFrom": { "secretKeyRef": { "name": "s", "key": "p" } } }] });
        let mut deployment = json!({ "spec": { "template": { "spec": { "containers": [container],
            "volumes": [{ "configMap": { "name": "file" } }, { "secret": { "secretName": "s" } }] } } } });
        assert_eq!(mounted(&deployment), ["file".to_owned()].into());
        assert_eq!(of_variables(&deployment), ["all".to_owned()].into());
        fill(&mut deployment, "all", &json!({ "a": "1" }));
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let env = super::super::environment::of_container(container);
        let wanted =
            [("A", "1"), ("P", ""), ("X_a", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(env, wanted.into());
    }
}
