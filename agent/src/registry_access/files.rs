//! An endpoint's credentials and certificates as the files of a pod.

use imgop_core::api::{CA_KEY, DOCKER_CONFIG_KEY, EndpointRef, Side, TlsMode};
use imgop_core::commands::Endpoint;
use imgop_registry::reference::Repository;
use k8s_openapi::api::core::v1::{KeyToPath, SecretVolumeSource, Volume, VolumeMount};

use super::aws;
use crate::cluster::owner::Owner;

/// An endpoint as a pod sees it: where its credentials and certificates are mounted.
#[derive(Debug, Clone)]
pub struct EndpointFiles {
    /// For the tools' command lines.
    pub endpoint: Endpoint,
    /// The volumes of the pod.
    pub volumes: Vec<Volume>,
    /// The mounts of each container.
    pub mounts: Vec<VolumeMount>,
}

/// A key of a Secret that becomes a file.
struct File<'a> {
    volume: String,
    secret: &'a str,
    key: &'static str,
    name: &'static str,
    folder: String,
}

impl EndpointFiles {
    /// Returns the files of an owner's Jobs for one side.
    pub fn of(owner: &Owner, side: Side, repository: &Repository, endpoint: EndpointRef<'_>) -> Self {
        let auth_secret = if endpoint.use_aws_irsa {
            // The agent writes a token of AWS there.
            Some(aws::secret_name(owner, side.as_str()))
        } else {
            endpoint.credentials.map(|named| named.secret_name.clone())
        };
        // Loopback is plain HTTP for the agent's own client too.
        let verify_tls = endpoint.tls.mode == TlsMode::Verify && !repository.host().is_loopback();
        let ca_secret = endpoint.tls.ca_secret_name.as_deref().filter(|_| verify_tls);
        let folder = |what: &str| format!("/imgop/{side}/{what}");
        let auth = auth_secret.as_deref().map(|secret| File {
            volume: format!("{side}-auth"),
            secret,
            key: DOCKER_CONFIG_KEY,
            name: "auth.json",
            folder: folder("auth"),
        });
        let ca = ca_secret.map(|secret| File {
            volume: format!("{side}-tls"),
            secret,
            key: CA_KEY,
            name: "ca.crt",
            folder: folder("tls"),
        });
        let files: Vec<File<'_>> = auth.into_iter().chain(ca).collect();
        Self {
            endpoint: Endpoint {
                repository: repository.clone(),
                auth_file: auth_secret.as_ref().map(|_| format!("{}/auth.json", folder("auth")).into()),
                certificates: ca_secret.map(|_| folder("tls").into()),
                verify_tls,
            },
            volumes: files.iter().map(File::volume).collect(),
            mounts: files.iter().map(File::mount).collect(),
        }
    }
}

impl File<'_> {
    fn volume(&self) -> Volume {
        Volume {
            name: self.volume.clone(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(self.secret.to_owned()),
                default_mode: Some(0o440),
                items: Some(vec![KeyToPath {
                    key: self.key.to_owned(),
                    path: self.name.to_owned(),
                    mode: None,
                }]),
                optional: Some(false),
            }),
            ..Volume::default()
        }
    }

    fn mount(&self) -> VolumeMount {
        VolumeMount {
            name: self.volume.clone(),
            mount_path: self.folder.clone(),
            read_only: Some(true),
            ..VolumeMount::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{Credentials, Tls};

    use super::*;
    use crate::registry_access::tests::owner;

    #[test]
    fn b2_b5_credentials_are_files_of_their_own_side() {
        let repository = "registry.example.com/a/b".parse().unwrap();
        let named = Credentials { secret_name: "target".into() };
        let tls = Tls { mode: TlsMode::Verify, ca_secret_name: Some("ca".into()) };
        let endpoint = EndpointRef { name: "", credentials: Some(&named), use_aws_irsa: false, tls: &tls };
        let files = EndpointFiles::of(&owner("uid"), Side::Destination, &repository, endpoint);
        let volumes: Vec<(&str, Option<&str>)> = files
            .volumes
            .iter()
            .map(|volume| (volume.name.as_str(), volume.secret.as_ref().unwrap().secret_name.as_deref()))
            .collect();
        assert_eq!(volumes, [("destination-auth", Some("target")), ("destination-tls", Some("ca"))]);
        let mounts: Vec<&str> = files.mounts.iter().map(|mount| mount.mount_path.as_str()).collect();
        assert_eq!(mounts, ["/imgop/destination/auth", "/imgop/destination/tls"]);
        assert_eq!(
            files.endpoint.auth_file.as_ref().unwrap().to_str(),
            Some("/imgop/destination/auth/auth.json")
        );
        let skipping = Tls { mode: TlsMode::SkipVerify, ..tls.clone() };
        let endpoint = EndpointRef { tls: &skipping, credentials: None, ..endpoint };
        let files = EndpointFiles::of(&owner("uid"), Side::Source, &repository, endpoint);
        assert!(files.volumes.is_empty() && files.mounts.is_empty() && !files.endpoint.verify_tls);
    }

    #[test]
    fn b11_either_side_may_have_a_token_of_aws_and_jobs_mount_it_as_a_file() {
        let repository = "111111111111.dkr.ecr.eu-west-3.amazonaws.com/a".parse().unwrap();
        for side in [Side::Source, Side::Destination] {
            let tls = Tls::default();
            let endpoint = EndpointRef { name: "", credentials: None, use_aws_irsa: true, tls: &tls };
            let files = EndpointFiles::of(&owner("uid"), side, &repository, endpoint);
            let secret = files.volumes[0].secret.as_ref().unwrap();
            assert_eq!(files.volumes[0].name, format!("{side}-auth"));
            assert_eq!(secret.secret_name, Some(aws::secret_name(&owner("uid"), side.as_str())));
        }
    }
}
