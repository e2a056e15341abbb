//! Secrets that Jobs mount, with credentials that stand in no Secret as they are needed.

use std::collections::BTreeMap;

use imgop_core::api::{DOCKER_CONFIG_KEY, MANAGED_BY, MANAGED_BY_LABEL, OWNER_UID_LABEL};
use imgop_registry::{Credential, docker_config};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;

use crate::cluster::owner::Owner;

/// Returns a Secret with these credentials, each for its registry or for a path of it and nothing else, as a file that
/// Skopeo and Buildah read. It goes with its owner. `app` is what it is for.
pub fn docker_config_secret(
    owner: &Owner,
    name: String,
    app: &str,
    credentials: &[(String, Credential)],
) -> Secret {
    let config = docker_config(credentials);
    let labels = [
        ("app.kubernetes.io/name", app.to_owned()),
        ("app.kubernetes.io/part-of", "imgop".to_owned()),
        (MANAGED_BY_LABEL, MANAGED_BY.to_owned()),
        (OWNER_UID_LABEL, owner.uid.clone()),
    ];
    Secret {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(owner.namespace.clone()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
            owner_references: Some(vec![owner.controller_reference()]),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/dockerconfigjson".to_owned()),
        data: Some(BTreeMap::from([(DOCKER_CONFIG_KEY.to_owned(), ByteString(config.into_bytes()))])),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use imgop_registry::DockerConfig;
    use imgop_registry::reference::RegistryHost;

    use super::*;
    use crate::registry_access::tests::owner;

    #[test]
    fn the_secret_of_a_job_holds_the_registries_that_it_is_for_and_goes_with_its_owner() {
        let host = |text: &str| text.parse::<RegistryHost>().unwrap();
        let basic = |password: &str| Credential::Basic { username: "u".into(), password: password.into() };
        let credentials =
            [("quay.io".to_owned(), basic("hunter2")), ("r.example.com:5000".to_owned(), basic("3"))];
        let secret = docker_config_secret(&owner("uid"), "pull".into(), "imgop-pull", &credentials);
        let config = DockerConfig::parse(&secret.data.as_ref().unwrap()[DOCKER_CONFIG_KEY].0).unwrap();
        for (scope, _) in &credentials {
            assert!(config.credential(&host(scope), "a/b").is_some(), "{scope}");
        }
        assert!(config.credential(&RegistryHost::docker_hub(), "a/b").is_none());
        assert_eq!(secret.metadata.namespace.as_deref(), Some("team-a"));
        assert_eq!(secret.metadata.owner_references.as_ref().unwrap()[0].uid, "uid");
        assert_eq!(secret.metadata.labels.as_ref().unwrap()[MANAGED_BY_LABEL], MANAGED_BY);
    }
}
