//! What an administrator chooses of an installation.

use std::str::FromStr;

use serde_json::{Value, json};

use super::kept::version_of;
use super::listen::{LISTEN, follow_listen, port_of};
use super::{DEFAULT_NAMESPACE, Manifest, container};
use crate::cli_error::CliError;

/// The names of the agent's settings, a line each; generated with docs/configuration.md.
const SETTINGS: &str = include_str!("../../../manifests/agent-settings.txt");
/// Variables that the agent's process reads besides.
const PROCESS_VARIABLES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "RUST_LOG"];
/// How alike a name must be for it to be proposed.
const ALIKE: f64 = 0.8;

/// The label of the Deployment that says which version it is.
pub const VERSION_LABEL: &str = "app.kubernetes.io/version";

/// What differs from the manifests as they are shipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// The agent's namespace.
    pub namespace: Option<String>,
    /// The agent's image.
    pub image: Option<String>,
    /// How many agents there are.
    pub replicas: Option<u16>,
    /// Settings of the agent.
    pub settings: Vec<Setting>,
}

/// A setting of the agent: `MAX_JOBS=20`, or as its flag is written, `max-jobs=20`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its variable.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, such as MAX_JOBS=20")?;
        let name = name.trim_start_matches("--").to_uppercase().replace('-', "_");
        let mut known = SETTINGS.lines().chain(PROCESS_VARIABLES);
        if known.any(|known| known == name) {
            return Ok(Self { name, value: value.to_owned() });
        }
        let alike = SETTINGS.lines().map(|known| (strsim::jaro_winkler(known, &name), known));
        let best = alike.filter(|(likeness, _)| *likeness > ALIKE).max_by(|(a, _), (b, _)| a.total_cmp(b));
        Err(match best {
            Some((_, known)) => format!("the agent has no setting {name}; did you mean {known}?"),
            None => format!("the agent has no setting {name}; docs/configuration.md lists them"),
        })
    }
}

impl Choices {
    /// Returns manifests with what is chosen.
    ///
    /// # Errors
    /// If a setting is one that the pod itself gives, or no address where the agent could listen.
    pub fn applied(&self, manifests: Vec<Manifest>) -> Result<Vec<Manifest>, CliError> {
        let namespace = self.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        manifests.into_iter().map(|manifest| self.applied_to_one(manifest, namespace)).collect()
    }

    fn applied_to_one(&self, mut manifest: Manifest, namespace: &str) -> Result<Manifest, CliError> {
        if namespace != DEFAULT_NAMESPACE {
            rename(&mut manifest.body, namespace);
            manifest = Manifest::read(manifest.body)
                .ok_or_else(|| CliError::failed("an object has lost its name".to_owned()))?;
        }
        if let Some(container) = manifest.container() {
            if let Some(image) = &self.image {
                container["image"] = json!(image);
                follow_image(container);
            }
            for setting in &self.settings {
                setting.put_into(container)?;
            }
            follow_listen(container, None);
            if let Some(replicas) = self.replicas {
                manifest.body["spec"]["replicas"] = json!(replicas);
            }
            label(&mut manifest);
        }
        Ok(manifest)
    }
}

/// The setting with the image of the Jobs that the agent's own program makes.
pub(super) const NATIVE_IMAGE: &str = "NATIVE_IMAGE";

/// Lets the Jobs of the agent's own program have the image of the agent.
pub(super) fn follow_image(container: &mut Value) {
    let image = container["image"].clone();
    let variables = container["env"].as_array_mut().into_iter().flatten();
    let of_jobs = variables.filter(|variable| variable["name"] == NATIVE_IMAGE);
    of_jobs.for_each(|variable| variable["value"] = image.clone());
}

/// Says in the label of a Deployment which version its image is. One by digest, or with a tag that is no version, is not
/// known to be that of this program.
pub(super) fn label(deployment: &mut Manifest) {
    let image = container(&deployment.body).and_then(|container| container["image"].as_str());
    let version = image.and_then(version_of).map(str::to_owned);
    let Some(labels) = deployment.body["metadata"]["labels"].as_object_mut() else { return };
    match version {
        Some(version) => drop(labels.insert(VERSION_LABEL.to_owned(), version.into())),
        None => drop(labels.remove(VERSION_LABEL)),
    }
}

/// Settings that roles and bindings of the manifests have to agree with, and the values of the Helm chart that change both.
const OF_ROLES: [(&str, &str); 4] = [
    ("LEASE_NAME", "settings.leaseName"),
    ("LEASE_NAMESPACE", "settings.leaseNamespace"),
    ("JOB_NAMESPACE", "settings.jobNamespace"),
    ("SERVICE_ACCOUNT", "serviceAccount.name"),
];

/// Returns the value of the Helm chart that sets what `--set` refuses, since roles have to agree with it; none for a setting
/// that `--set` takes.
pub fn chart_value(name: &str) -> Option<&'static str> {
    OF_ROLES.iter().find(|(setting, _)| *setting == name).map(|(_, value)| *value)
}

impl Setting {
    fn put_into(&self, container: &mut Value) -> Result<(), CliError> {
        if chart_value(&self.name).is_some() {
            let message =
                format!("--set {}: the agent's roles would not fit; the Helm chart changes both", self.name);
            return Err(CliError::usage(message));
        }
        if self.name == LISTEN && port_of(&self.value).is_none() {
            return Err(CliError::usage(format!(
                "--set {LISTEN}={}: write 0.0.0.0 or [::] with a port, such as 0.0.0.0:8080; what other addresses a pod has \
                 is not known before it runs, and at those of its loopback the kubelet does not reach it",
                self.value
            )));
        }
        let Some(variables) = container["env"].as_array_mut() else { return Ok(()) };
        match variables.iter_mut().find(|variable| variable["name"] == self.name.as_str()) {
            Some(given) if given.get("valueFrom").is_some() => Err(CliError::usage(format!(
                "--set {}: Kubernetes gives each pod its own; it cannot be set",
                self.name
            ))),
            Some(variable) => {
                variable["value"] = json!(self.value);
                Ok(())
            }
            None => {
                variables.push(json!({ "name": self.name, "value": self.value }));
                Ok(())
            }
        }
    }
}

/// Puts another namespace in the place of the one in the manifests, wherever that stands.
fn rename(value: &mut Value, namespace: &str) {
    match value {
        Value::String(text) if text == DEFAULT_NAMESPACE => namespace.clone_into(text),
        // As in the name of a service account: system:serviceaccount:NAMESPACE:NAME.
        Value::String(text) => {
            *text = text.replace(&format!(":{DEFAULT_NAMESPACE}:"), &format!(":{namespace}:"));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, namespace)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rename(field, namespace)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::{VERSION, shipped};

    fn deployment(manifests: &[Manifest]) -> &Value {
        &manifests.iter().find(|manifest| manifest.is("Deployment")).unwrap().body
    }

    #[test]
    fn what_is_chosen_stands_in_the_manifests_and_nothing_else_changes() {
        let as_shipped = Choices::default().applied(shipped().unwrap()).unwrap();
        let settings = vec!["MAX_JOBS=7".parse().unwrap(), "skopeo-image=r.corp/skopeo:1".parse().unwrap()];
        let image = Some("r.corp/imgop/agent:1".to_owned());
        let chosen = Choices { namespace: None, image, replicas: Some(1), settings };
        let chosen = chosen.applied(shipped().unwrap()).unwrap();
        let agent = container(deployment(&chosen)).unwrap();
        assert_eq!(agent["image"], "r.corp/imgop/agent:1");
        assert_eq!(deployment(&chosen)["spec"]["replicas"], 1);
        let value = |name: &str| {
            agent["env"].as_array().unwrap().iter().find(|variable| variable["name"] == name).unwrap()["value"].clone()
        };
        assert_eq!((value("MAX_JOBS"), value("SKOPEO_IMAGE")), (json!("7"), json!("r.corp/skopeo:1")));
        let others = |manifests: &[Manifest]| -> Vec<Manifest> {
            manifests.iter().filter(|manifest| !manifest.is("Deployment")).cloned().collect()
        };
        assert_eq!(others(&chosen), others(&as_shipped));
    }

    #[test]
    fn the_label_says_the_version_of_the_image_and_nothing_where_that_is_not_known() {
        let label = |image: Option<&str>| {
            let choices = Choices { image: image.map(str::to_owned), ..Choices::default() };
            let manifests = choices.applied(shipped().unwrap()).unwrap();
            deployment(&manifests)["metadata"]["labels"].get(VERSION_LABEL).cloned()
        };
        assert_eq!(label(None), Some(json!(VERSION)));
        assert_eq!(label(Some("r.corp/agent:v0.0.9")), Some(json!("0.0.9")));
        for unknown in ["r.corp/agent:dev", "r.corp/agent", "r.corp/agent@sha256:00"] {
            assert_eq!(label(Some(unknown)), None, "{unknown}");
        }
    }

    #[test]
    fn no_object_stays_in_the_namespace_of_the_manifests_where_another_is_chosen() {
        let choices = Choices { namespace: Some("mirrors".to_owned()), ..Choices::default() };
        for manifest in choices.applied(shipped().unwrap()).unwrap() {
            let text = manifest.body.to_string();
            assert!(!text.contains(DEFAULT_NAMESPACE), "{}", manifest.qualified());
            assert!(manifest.namespace.as_deref().is_none_or(|namespace| namespace == "mirrors"));
        }
    }

    #[test]
    fn a_setting_that_the_agent_does_not_have_is_refused_with_the_one_that_was_meant() {
        let refused = |text: &str| text.parse::<Setting>().unwrap_err();
        insta::assert_snapshot!(refused("MAX_JOB=1"), @"the agent has no setting MAX_JOB; did you mean MAX_JOBS?");
        insta::assert_snapshot!(refused("PASSWORD=1"), @"the agent has no setting PASSWORD; docs/configuration.md lists them");
        insta::assert_snapshot!(refused("MAX_JOBS"), @"write NAME=VALUE, such as MAX_JOBS=20");
        let given = Choices { settings: vec!["POD_NAME=a".parse().unwrap()], ..Choices::default() };
        let error = given.applied(shipped().unwrap()).unwrap_err();
        insta::assert_snapshot!(error, @"--set POD_NAME: Kubernetes gives each pod its own; it cannot be set");
    }

    #[test]
    fn a_setting_that_roles_have_to_agree_with_is_refused_and_has_a_value_in_the_chart() {
        for (name, _) in OF_ROLES {
            let settings = vec![format!("{name}=a").parse().unwrap()];
            let error = Choices { settings, ..Choices::default() }.applied(shipped().unwrap()).unwrap_err();
            assert!(error.message.ends_with("the Helm chart changes both"), "{error}");
        }
        assert_eq!(chart_value("JOB_NAMESPACE"), Some("settings.jobNamespace"));
        assert_eq!(chart_value("MAX_JOBS"), None);
    }
}
