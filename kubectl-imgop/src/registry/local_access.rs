//! With which credentials and over which transport this machine reaches registries.
//!
//! The agent uses the Secrets that an Image names. A preview uses the same ones if its user may read them;
//! otherwise it warns and uses the credentials of this machine.

use std::path::PathBuf;

use clap::Args;
use imgop_core::api::{CA_KEY, Credentials, EndpointRef, Side, TlsMode};
use imgop_registry::credentials::{SecretData, from_secret_data};
use imgop_registry::reference::Repository;
use imgop_registry::{Access, Credential, Tls};
use k8s_openapi::api::core::v1::Secret;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::credentials::{LocalCredentials, Places};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::output::Ui;

/// Flags for what only this machine knows.
#[derive(Debug, Clone, Default, Args)]
pub struct LocalAccessArgs {
    /// File with registry credentials; by default those of podman and docker
    #[arg(long, value_name = "FILE", help_heading = "Registries")]
    authfile: Option<PathBuf>,

    /// File with credentials by registry (YAML), which take precedence over those of podman and docker
    #[arg(long, env = "IMGOP_REGISTRY_CREDENTIALS", value_name = "FILE", help_heading = "Registries")]
    registry_credentials: Option<PathBuf>,

    /// File with additional CA certificates (PEM) for the source
    #[arg(long, value_name = "FILE", help_heading = "Registries", conflicts_with = "source_ca_secret")]
    source_ca_file: Option<PathBuf>,

    /// File with additional CA certificates (PEM) for the destination
    #[arg(long, value_name = "FILE", help_heading = "Registries", conflicts_with = "destination_ca_secret")]
    destination_ca_file: Option<PathBuf>,
}

/// A cluster, or why there is none.
pub type MaybeCluster = Result<Cluster, String>;

/// Everything that access may come from.
pub struct AccessSources<'a> {
    /// Prints warnings.
    pub ui: Ui,
    /// Where Secrets are read, or why not.
    pub cluster: MaybeCluster,
    /// The credentials of this machine.
    pub local: &'a LocalCredentials,
    /// Flags that override the spec.
    pub flags: &'a LocalAccessArgs,
}

/// One side of a copy.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'a> {
    /// Which.
    pub side: Side,
    /// The namespace of its Secrets, if it is not that of the flags.
    pub namespace: Option<&'a str>,
    /// The repository.
    pub repository: &'a Repository,
    /// How the spec reaches it.
    pub spec: EndpointRef<'a>,
    /// How a flag secures the connection.
    pub tls_flag: Option<TlsMode>,
}

impl LocalAccessArgs {
    /// Reads the credential files.
    pub fn credentials(&self) -> Result<LocalCredentials, CliError> {
        let variable = |name: &str| std::env::var(name).ok();
        let places = Places::of_environment(self.authfile.as_deref(), variable);
        // As with all variables of this program, an empty one is unset.
        let entries = self.registry_credentials.clone().filter(|path| !path.as_os_str().is_empty());
        LocalCredentials::read(&Places { entries, ..places }, variable)
    }

    fn ca_file(&self, side: Side) -> Option<&PathBuf> {
        match side {
            Side::Source => self.source_ca_file.as_ref(),
            Side::Destination => self.destination_ca_file.as_ref(),
        }
    }
}

impl AccessSources<'_> {
    /// Returns how one side is reached.
    pub async fn access(&self, endpoint: Endpoint<'_>) -> Result<Access, CliError> {
        Ok(Access { credential: self.credential(endpoint).await?, tls: self.tls(endpoint).await? })
    }

    async fn credential(&self, endpoint: Endpoint<'_>) -> Result<Option<Credential>, CliError> {
        if let Some(Credentials { secret_name }) = endpoint.spec.credentials {
            match self.credential_of_secret(secret_name, endpoint).await {
                Ok(credential) => return Ok(credential),
                Err(why) => self.ui.warning(&format!(
                    "using the credentials of this machine for the {}: {why}",
                    endpoint.side
                )),
            }
        }
        self.local.find(self.ui, endpoint.repository, endpoint.spec.use_aws_irsa).await
    }

    async fn credential_of_secret(
        &self,
        name: &str,
        endpoint: Endpoint<'_>,
    ) -> Result<Option<Credential>, String> {
        let secret = self.secret(name, endpoint).await?;
        let values = |key: &str| value(&secret, key);
        let data = SecretData { credentials: Some(&values), ca: None };
        let access = from_secret_data(data, endpoint.repository, Tls::default());
        Ok(access.map_err(|error| format!("Secret {name}: {error}"))?.credential)
    }

    async fn tls(&self, endpoint: Endpoint<'_>) -> Result<Tls, CliError> {
        match endpoint.tls_flag.unwrap_or(endpoint.spec.tls.mode) {
            TlsMode::SkipVerify => return Ok(Tls::SkipVerify),
            TlsMode::PlainHttp => return Ok(Tls::PlainHttp),
            TlsMode::Verify => {}
        }
        if let Some(file) = self.flags.ca_file(endpoint.side) {
            let pem = std::fs::read(file)
                .map_err(|error| CliError::failed(format!("cannot read {}: {error}", file.display())))?;
            check_certificates(&pem, &file.display().to_string())?;
            return Ok(Tls::Verify { extra_ca_pem: Some(pem) });
        }
        let Some(name) = &endpoint.spec.tls.ca_secret_name else {
            return Ok(Tls::Verify { extra_ca_pem: None });
        };
        match self.tls_of_secret(name, endpoint).await {
            Ok(tls) => {
                if let Tls::Verify { extra_ca_pem: Some(pem) } = &tls {
                    check_certificates(pem, &format!("key {CA_KEY} of Secret {name}"))?;
                }
                Ok(tls)
            }
            Err(why) => {
                let side = endpoint.side;
                self.ui.warning(&format!(
                    "trusting only the well-known CAs for the {side}: {why}; use --{side}-ca-file"
                ));
                Ok(Tls::default())
            }
        }
    }

    async fn tls_of_secret(&self, name: &str, endpoint: Endpoint<'_>) -> Result<Tls, String> {
        let secret = self.secret(name, endpoint).await?;
        let values = |key: &str| value(&secret, key);
        let data = SecretData { credentials: None, ca: Some(&values) };
        let access = from_secret_data(data, endpoint.repository, Tls::default());
        Ok(access.map_err(|error| format!("Secret {name}: {error}"))?.tls)
    }

    /// Returns where the CA certificates for one side are from, such as `Secret corp-ca`.
    pub fn ca_of(&self, endpoint: Endpoint<'_>) -> Option<String> {
        let file = self.flags.ca_file(endpoint.side).map(|file| file.display().to_string());
        file.or_else(|| endpoint.spec.tls.ca_secret_name.as_ref().map(|name| format!("Secret {name}")))
    }

    async fn secret(&self, name: &str, endpoint: Endpoint<'_>) -> Result<Secret, String> {
        match &self.cluster {
            Ok(cluster) => {
                let there = cluster.in_namespace(endpoint.namespace);
                there.secret(name).await.map_err(|error| error.message)
            }
            Err(why) => Err(format!("Secret {name} was not read: {why}")),
        }
    }
}

/// Fails, with the name of the place, unless it holds certificates as PEM.
fn check_certificates(pem: &[u8], place: &str) -> Result<(), CliError> {
    let mut number = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        certificate.map_err(|error| CliError::failed(format!("{place} is not valid PEM: {error}")))?;
        number += 1;
    }
    if number == 0 {
        return Err(CliError::failed(format!("{place} contains no certificate (PEM)")));
    }
    Ok(())
}

fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    secret.data.as_ref()?.get(key).map(|bytes| bytes.0.as_slice())
}
