//! The Secrets that resources name: whether they are there, and hold what is wanted of them.

use std::collections::BTreeMap;

use imgop_core::api::{CA_KEY, DOCKER_CONFIG_KEY};
use imgop_registry::Tls;
use imgop_registry::credentials::{SecretData, from_secret_data};
use imgop_registry::reference::{Reference, Repository};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::Value;

use super::checks::{Check, Verdict};
use crate::cli_error::Kind;
use crate::cluster::Cluster;
use crate::cluster::objects::FoundObject;

const AREA: &str = "secret";

/// What a Secret is named for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Purpose {
    /// Credentials for the registry of this repository, if that can be read.
    Credentials(Option<String>),
    /// Certificates of a CA.
    Ca,
    /// Credentials with which nodes pull.
    Pull,
    /// Anything else, such as a key for git.
    Other,
}

/// Where a Secret is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    purpose: Purpose,
    /// The object and the field: `image/a spec.source.credentials.secretName`.
    place: String,
}

/// Looks at each Secret that resources of the namespace name.
pub async fn checks(cluster: &Cluster, objects: &[FoundObject]) -> Vec<Check> {
    let mut named: BTreeMap<String, Vec<Named>> = BTreeMap::new();
    for found in objects {
        let mut of_object = Vec::new();
        collect(&found.object.data["spec"], "spec", &found.object.data["spec"], &mut of_object);
        for (secret, purpose, field) in of_object {
            let place = format!("{} {field}", found.reference());
            named.entry(secret).or_default().push(Named { purpose, place });
        }
    }
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let (mut checks, mut unread) = (Vec::new(), Vec::new());
    for (name, uses) in &named {
        match secrets.get_opt(name).await {
            Ok(secret) => checks.push(judge(name, secret.as_ref(), uses, cluster)),
            Err(error) => {
                let error = cluster.explain_in_namespace("get", "secrets", &error);
                if error.kind == Kind::Forbidden {
                    unread.push(name.as_str());
                } else {
                    checks.push(Check::unseen(AREA, name, &error));
                }
            }
        }
    }
    if !unread.is_empty() {
        checks.push(Check::new(
            AREA,
            unread.join(","),
            Verdict::Unknown,
            "you may not read it, so it was not looked at",
        ));
    }
    checks
}

/// Adds each Secret that a spec names, with what for and in which field.
fn collect(value: &Value, path: &str, spec: &Value, found: &mut Vec<(String, Purpose, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = format!("{path}.{name}");
                match (name.as_str(), field.as_str()) {
                    ("secretName", Some(secret)) => {
                        found.push((secret.to_owned(), purpose_of(&path, spec), path));
                    }
                    ("caSecretName", Some(secret)) => found.push((secret.to_owned(), Purpose::Ca, path)),
                    ("imagePullSecrets", _) => {
                        let names =
                            field.as_array().into_iter().flatten().filter_map(|item| item["name"].as_str());
                        found.extend(names.map(|secret| (secret.to_owned(), Purpose::Pull, path.clone())));
                    }
                    _ => collect(field, &path, spec, found),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{path}[{index}]"), spec, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Returns what a field of this path, which ends with `secretName`, is for.
fn purpose_of(path: &str, spec: &Value) -> Purpose {
    let Some(endpoint) = path.strip_suffix(".credentials.secretName").filter(|_| !path.contains(".git."))
    else {
        return Purpose::Other;
    };
    let pointer = endpoint.trim_start_matches("spec").replace('.', "/");
    let repository = spec.pointer(&format!("{pointer}/name")).and_then(Value::as_str);
    // One without a registry goes to the default destination, which is an administrator's.
    let has_host = |name: &&str| name.split('/').next().is_some_and(|host| host.contains(['.', ':']));
    Purpose::Credentials(repository.filter(has_host).map(str::to_owned))
}

fn judge(name: &str, secret: Option<&Secret>, uses: &[Named], cluster: &Cluster) -> Check {
    let place = cluster.place();
    let Some(secret) = secret else {
        let repair = match uses.iter().min().map(|named| &named.purpose) {
            Some(Purpose::Ca) => {
                format!("kubectl create secret generic {name}{place} --from-file={CA_KEY}=FILE")
            }
            Some(Purpose::Other) => {
                format!("kubectl create secret generic {name}{place} --from-file=KEY=FILE")
            }
            _ => from_login(name, &place),
        };
        return Check::fail(AREA, name, format!("does not exist; named by {}", places(uses)))
            .repaired(repair);
    };
    let value = |key: &str| secret.data.as_ref()?.get(key).map(|bytes| bytes.0.as_slice());
    for named in uses {
        let problem = match &named.purpose {
            Purpose::Credentials(repository) => credentials_problem(&value, repository.as_deref()),
            Purpose::Pull => {
                value(DOCKER_CONFIG_KEY).is_none().then(|| format!("it has no key {DOCKER_CONFIG_KEY}"))
            }
            Purpose::Ca => value(CA_KEY).is_none().then(|| format!("it has no key {CA_KEY}")),
            Purpose::Other => None,
        };
        if let Some(problem) = problem {
            let repair = match named.purpose {
                Purpose::Ca => {
                    format!("kubectl create secret generic {name}{place} --from-file={CA_KEY}=FILE")
                }
                _ => from_login(name, &place),
            };
            return Check::fail(AREA, name, format!("{problem}; named by {}", named.place))
                .repaired(format!("delete it, then: {repair}"));
        }
    }
    Check::ok(AREA, name, format!("usable; named by {}", places(uses)))
}

/// Returns the command that makes a Secret of what `docker login` has written: a password in arguments is seen by others.
fn from_login(name: &str, place: &str) -> String {
    format!(
        "kubectl create secret generic {name}{place} --type=kubernetes.io/dockerconfigjson \
         --from-file={DOCKER_CONFIG_KEY}=$HOME/.docker/config.json"
    )
}

fn places(uses: &[Named]) -> String {
    let first = uses.first().map(|named| named.place.as_str()).unwrap_or_default();
    if uses.len() > 1 { format!("{first}, and {} more", uses.len() - 1) } else { first.to_owned() }
}

fn credentials_problem<'a>(
    value: &'a (dyn Fn(&str) -> Option<&'a [u8]> + Sync),
    repository: Option<&str>,
) -> Option<String> {
    let Some(repository): Option<Repository> =
        repository.and_then(|name| Some(name.parse::<Reference>().ok()?.repository))
    else {
        return value(DOCKER_CONFIG_KEY).is_none().then(|| format!("it has no key {DOCKER_CONFIG_KEY}"));
    };
    let data = SecretData { credentials: Some(value), ca: None };
    from_secret_data(data, &repository, Tls::default()).err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(spec: &Value) -> Vec<String> {
        let mut found = Vec::new();
        collect(spec, "spec", spec, &mut found);
        found.iter().map(|(name, purpose, field)| format!("{name}: {purpose:?} {field}")).collect()
    }

    #[test]
    fn every_field_that_names_a_secret_is_found_with_what_it_is_for() {
        let spec = json!({
            "source": { "name": "quay.io/a/b", "credentials": { "secretName": "pull" } },
            "destination": { "name": "a/b", "credentials": { "secretName": "push" }, "tls": { "caSecretName": "ca" } },
            "context": { "git": { "credentials": { "secretName": "key" } } },
            "secrets": [{ "id": "t", "secretName": "token" }],
            "jobTemplate": { "imagePullSecrets": [{ "name": "nodes" }] },
        });
        insta::assert_snapshot!(named(&spec).join("\n"), @r#"
        key: Other spec.context.git.credentials.secretName
        push: Credentials(None) spec.destination.credentials.secretName
        ca: Ca spec.destination.tls.caSecretName
        nodes: Pull spec.jobTemplate.imagePullSecrets
        token: Other spec.secrets[0].secretName
        pull: Credentials(Some("quay.io/a/b")) spec.source.credentials.secretName
        "#);
    }

    #[test]
    fn credentials_must_be_for_the_registry_that_they_are_named_for() {
        let config = br#"{"auths":{"quay.io":{"auth":"dTpw"}}}"#.as_slice();
        let value = |key: &str| (key == DOCKER_CONFIG_KEY).then_some(config);
        assert_eq!(credentials_problem(&value, Some("quay.io/a/b")), None);
        assert_eq!(
            credentials_problem(&value, Some("ghcr.io/a/b")).unwrap(),
            "it holds no credential for ghcr.io"
        );
        assert!(credentials_problem(&|_| None, Some("quay.io/a/b")).unwrap().starts_with("it has no key"));
        assert!(credentials_problem(&|_| None, None).is_some());
    }
}
