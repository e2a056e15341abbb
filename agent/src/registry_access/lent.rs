//! Where the Jobs of an object run, and with which files: those that use what administrators lend run in a namespace of
//! the agent's, with copies of just the two credentials that they need, also of what the tenant gave. Nothing that is
//! lent is ever in a tenant's namespace.

use std::collections::BTreeMap;

use imgop_core::api::{MANAGED_BY, MANAGED_BY_LABEL, OWNER_UID_LABEL, Side};
use imgop_registry::reference::{Digest, Repository};
use imgop_registry::{Access, Tls, docker_config};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;

use super::Resolved;
use crate::cluster::owner::Owner;

/// How both sides of a copy are reached, where something of it is lent.
#[derive(Debug, Clone)]
pub struct LentAccess {
    source: Access,
    destination: Access,
}

impl LentAccess {
    /// Returns how both sides are reached, if anything of it is lent.
    pub fn of(source: &Resolved, destination: &Resolved) -> Option<Self> {
        let is_lent = source.is_lent || destination.is_lent;
        is_lent.then(|| Self { source: source.access.clone(), destination: destination.access.clone() })
    }

    /// Returns how one side is reached.
    pub fn side(&self, side: Side) -> &Access {
        match side {
            Side::Source => &self.source,
            Side::Destination => &self.destination,
        }
    }

    /// Returns the Secret that a Job mounts: for each side a file of credentials with its registry alone, and the
    /// certificates.
    pub fn secret(
        &self,
        owner: &Owner,
        namespace: &str,
        identity: &str,
        repositories: [(Side, &Repository); 2],
    ) -> Secret {
        let mut data = BTreeMap::new();
        for (side, repository) in repositories {
            let access = self.side(side);
            if let Some(credential) = &access.credential {
                let config = docker_config(&[(repository.host().to_string(), credential.clone())]);
                data.insert(auth_key(side).to_owned(), ByteString(config.into_bytes()));
            }
            if let Tls::Verify { extra_ca_pem: Some(pem) } = &access.tls {
                data.insert(ca_key(side).to_owned(), ByteString(pem.clone()));
            }
        }
        let labels = [
            ("app.kubernetes.io/name", "imgop-copy"),
            ("app.kubernetes.io/part-of", "imgop"),
            (MANAGED_BY_LABEL, MANAGED_BY),
            (OWNER_UID_LABEL, &owner.uid),
        ];
        Secret {
            metadata: ObjectMeta {
                name: Some(secret_name(owner, identity)),
                namespace: Some(namespace.to_owned()),
                labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
                ..ObjectMeta::default()
            },
            type_: Some("Opaque".to_owned()),
            data: Some(data),
            ..Secret::default()
        }
    }
}

/// Returns the name of the Secret of a Job that does this.
pub fn secret_name(owner: &Owner, identity: &str) -> String {
    let hash = Digest::of(format!("{}\n{identity}", owner.uid).as_bytes());
    format!("imgop-lent-{}", &hash.hex()[..16])
}

/// Returns the key with the credentials of a side.
pub(super) fn auth_key(side: Side) -> &'static str {
    match side {
        Side::Source => "source.json",
        Side::Destination => "destination.json",
    }
}

/// Returns the key with the certificates of a side.
pub(super) fn ca_key(side: Side) -> &'static str {
    match side {
        Side::Source => "source.crt",
        Side::Destination => "destination.crt",
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::DOCKER_CONFIG_KEY;
    use imgop_registry::{Credential, DockerConfig};

    use super::*;
    use crate::registry_access::Versions;
    use crate::registry_access::files::EndpointFiles;
    use crate::registry_access::tests::owner;

    fn resolved(password: &str, is_lent: bool) -> Resolved {
        let credential = Some(Credential::Basic { username: "u".into(), password: password.into() });
        let tls = Tls::Verify { extra_ca_pem: Some(b"PEM".to_vec()) };
        let access = Access { credential, tls, ..Access::default() };
        Resolved { access, versions: Versions::default(), is_lent }
    }

    #[test]
    fn the_secret_of_a_job_has_for_each_side_its_own_registry_and_no_other() {
        assert!(LentAccess::of(&resolved("a", false), &resolved("b", false)).is_none(), "nothing is lent");
        let lent = LentAccess::of(&resolved("tenants", false), &resolved("shared", true)).unwrap();
        let [source, destination]: [Repository; 2] =
            ["quay.io/a/b", "r.example.com:5000/a/b"].map(|name| name.parse().unwrap());
        let repositories = [(Side::Source, &source), (Side::Destination, &destination)];
        let secret = lent.secret(&owner("uid"), "imgop-system", "what", repositories);
        let data = secret.data.unwrap();
        assert_eq!(secret.metadata.namespace.as_deref(), Some("imgop-system"));
        assert!(!data.contains_key(DOCKER_CONFIG_KEY) && data.len() == 4);
        for (side, own, other) in [("source", &source, &destination), ("destination", &destination, &source)]
        {
            let config = DockerConfig::parse(&data[&format!("{side}.json")].0).unwrap();
            assert!(config.credential(own.host(), own.path()).is_some(), "{side}");
            assert!(config.credential(other.host(), other.path()).is_none(), "{side}");
        }
    }

    #[test]
    fn each_side_mounts_its_own_keys_of_the_jobs_secret() {
        let lent = LentAccess::of(&resolved("a", true), &resolved("b", true)).unwrap();
        let repository: Repository = "quay.io/a/b".parse().unwrap();
        let keys = [Side::Source, Side::Destination].map(|side| {
            let files = EndpointFiles::lent("imgop-lent-x", side, &repository, lent.side(side));
            let keys = files.volumes.iter().map(|volume| {
                let secret = volume.secret.clone().unwrap();
                assert_eq!(secret.secret_name.as_deref(), Some("imgop-lent-x"));
                secret.items.unwrap().into_iter().map(|item| item.key).collect::<String>()
            });
            keys.collect::<Vec<_>>().join(" ")
        });
        assert_eq!(keys, ["source.json source.crt", "destination.json destination.crt"]);
    }
}
