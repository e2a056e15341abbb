//! An endpoint's credentials and certificates as the files of a pod.

use imgop_core::api::{CA_KEY, DOCKER_CONFIG_KEY, EndpointRef, Side, TlsMode};
use imgop_core::commands::Endpoint;
use imgop_registry::reference::Repository;
use imgop_registry::{Access, Tls};
use k8s_openapi::api::core::v1::{KeyToPath, SecretVolumeSource, Volume, VolumeMount};

use super::aws;
use super::lent::{auth_key, ca_key};
use crate::cluster::owner::Owner;

/// An endpoint as a pod sees it: where its credentials and certificates are mounted.
#[derive(Debug, Clone)]
pub struct EndpointFiles {
    /// For the tools' command lines.
    pub endpoint: Endpoint,
    /// How the connection is secured.
    pub tls: TlsMode,
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
        let auth = auth_secret.as_deref().map(|secret| (secret, DOCKER_CONFIG_KEY));
        let ca = ca_secret.map(|secret| (secret, CA_KEY));
        Self::mounted(side, repository, auth, ca, (endpoint.tls.mode, verify_tls))
    }

    /// Returns the files of a Job that uses what is lent: all of them are in this Secret of its own.
    pub fn lent(secret: &str, side: Side, repository: &Repository, access: &Access) -> Self {
        let verifies = matches!(access.tls, Tls::Verify { .. } | Tls::VerifyEverywhere);
        let verify_tls = verifies && !repository.host().is_loopback();
        let has_ca = matches!(access.tls, Tls::Verify { extra_ca_pem: Some(_) }) && verify_tls;
        let auth = access.credential.is_some().then_some((secret, auth_key(side)));
        let mode = match access.tls {
            Tls::Verify { .. } | Tls::VerifyEverywhere => TlsMode::Verify,
            Tls::SkipVerify => TlsMode::SkipVerify,
            Tls::PlainHttp => TlsMode::PlainHttp,
        };
        Self::mounted(side, repository, auth, has_ca.then_some((secret, ca_key(side))), (mode, verify_tls))
    }

    /// Returns the files of a side: credentials and certificates, each from a key of a Secret.
    fn mounted(
        side: Side,
        repository: &Repository,
        auth: Option<(&str, &'static str)>,
        ca: Option<(&str, &'static str)>,
        (tls, verify_tls): (TlsMode, bool),
    ) -> Self {
        let folder = |what: &str| format!("/imgop/{side}/{what}");
        let endpoint = Endpoint {
            repository: repository.clone(),
            auth_file: auth.map(|_| format!("{}/auth.json", folder("auth")).into()),
            certificates: ca.map(|_| folder("tls").into()),
            verify_tls,
        };
        let auth = auth.map(|(secret, key)| {
            let (volume, folder) = (format!("{side}-auth"), folder("auth"));
            File { volume, secret, key, name: "auth.json", folder }
        });
        let ca = ca.map(|(secret, key)| {
            let (volume, folder) = (format!("{side}-tls"), folder("tls"));
            File { volume, secret, key, name: "ca.crt", folder }
        });
        let files: Vec<File<'_>> = auth.into_iter().chain(ca).collect();
        Self {
            endpoint,
            tls,
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
