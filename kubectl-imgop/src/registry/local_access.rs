//! With which credentials and over which transport this machine reaches registries.
//!
//! The agent uses the Secrets that an Image names. A preview uses the same ones if its user may read them;
//! otherwise it warns and uses the credentials of this machine. Credentials that flags name come first.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum as _};
use imgop_core::api::{CA_KEY, Credentials, EndpointRef, Side, TlsMode};
use imgop_registry::credentials::{SecretData, SecretDataError, from_secret_data};
use imgop_registry::reference::Repository;
use imgop_registry::{Access, Credential, Tls};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::credentials::{LocalCredentials, Places};
use crate::cli_error::CliError;
use crate::cluster::{AnsweringCluster, Cluster};
use crate::output::Ui;

/// Flags for the credentials of this machine.
#[derive(Debug, Clone, Default, Args)]
pub struct LocalCredentialArgs {
    /// File with registry credentials; by default those of podman and docker
    #[arg(long, value_name = "FILE", help_heading = "Registries")]
    authfile: Option<PathBuf>,

    /// File with credentials by registry (YAML), which take precedence over those of podman and docker
    #[arg(long, env = "IMGOP_REGISTRY_CREDENTIALS", value_name = "FILE", help_heading = "Registries")]
    registry_credentials: Option<PathBuf>,
}

/// Flags for what only this machine knows of both sides.
#[derive(Debug, Clone, Default, Args)]
pub struct LocalAccessArgs {
    #[command(flatten)]
    pub credentials: LocalCredentialArgs,

    /// File with additional CA certificates (PEM) for the source
    #[arg(long, value_name = "FILE", help_heading = "Registries", conflicts_with = "source_ca_secret")]
    source_ca_file: Option<PathBuf>,

    /// File with additional CA certificates (PEM) for the destination
    #[arg(long, value_name = "FILE", help_heading = "Registries", conflicts_with = "destination_ca_secret")]
    destination_ca_file: Option<PathBuf>,

    /// Which flags the verb has.
    #[arg(skip)]
    flags: AccessFlags,
}

/// Which flags there are for what only this machine knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum AccessFlags {
    /// One for each side.
    #[default]
    EachSide,
    /// One for both sides.
    Both,
    /// None: everything is set for the agent.
    None,
}

/// Everything that access may come from.
pub struct AccessSources<'a> {
    /// Prints warnings.
    pub ui: Ui,
    /// Where Secrets are read.
    pub cluster: &'a AnsweringCluster,
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
    /// Whether the spec is that of an object of the cluster, which others may have written.
    pub is_of_cluster: bool,
}

/// How one side is reached, and where that comes from.
#[derive(Debug)]
pub struct Reached {
    /// The credential and the certificates.
    pub access: Access,
    /// Where they come from.
    pub origin: Origin,
}

/// Where the access to one side comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The Secret of credentials that the spec names.
    pub secret: Option<String>,
    /// Whether the credential is that Secret's.
    pub is_of_secret: bool,
    /// Where the CA certificates are from, such as `Secret corp-ca`, if any were read.
    pub ca: Option<String>,
    /// The Secret of CA certificates that the spec names.
    pub ca_secret: Option<String>,
    /// What the registry is asked for.
    pub role: Role,
}

/// What a registry is asked for: that decides how its access is set for the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// A side of a copy.
    #[default]
    Side,
    /// The same, where no flag is for this machine alone.
    SubmittedSide,
    /// A source of a mirror, which has settings for registries.
    MirrorSource,
    /// A target of an ImageMirror, which may have several.
    MirrorTarget,
    /// This machine alone, so that nothing is to be set for the agent.
    Alone,
    /// The base images of a build.
    BaseImages,
    /// What a build pushes.
    Pushed,
}

/// Why nothing was taken from a Secret.
enum SecretProblem {
    /// It may not be read here; why.
    Unreadable(String),
    /// The agent cannot use it either.
    Unusable(CliError),
}

impl LocalCredentialArgs {
    /// Reads the credential files.
    pub fn read(&self) -> Result<LocalCredentials, CliError> {
        let variable = |name: &str| std::env::var(name).ok();
        let places = Places::of_environment(self.authfile.as_deref(), variable);
        // As with all variables of this program, an empty one is unset.
        let entries = self.registry_credentials.clone().filter(|path| !path.as_os_str().is_empty());
        LocalCredentials::read(&Places { entries, ..places }, variable)
    }
}

impl LocalAccessArgs {
    /// Returns the flags of both sides, which trust the certificates of one file.
    pub fn of_both_sides(credentials: LocalCredentialArgs, ca_file: Option<&PathBuf>) -> Self {
        let (source_ca_file, destination_ca_file) = (ca_file.cloned(), ca_file.cloned());
        Self { credentials, source_ca_file, destination_ca_file, flags: AccessFlags::Both }
    }

    /// Returns the first flag that is given. What a variable of the environment sets does not count.
    pub fn first(&self) -> Option<&'static str> {
        let given = [
            ("--authfile", self.credentials.authfile.is_some()),
            ("--source-ca-file", self.source_ca_file.is_some()),
            ("--destination-ca-file", self.destination_ca_file.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }

    /// Returns what a verb knows that has no flags for this machine.
    pub fn of_a_submission() -> Self {
        Self { flags: AccessFlags::None, ..Self::default() }
    }

    /// Returns the name of the flag for a side's certificates.
    fn ca_flag(&self, side: Side) -> String {
        if self.flags == AccessFlags::Both { "--ca-file".to_owned() } else { format!("--{side}-ca-file") }
    }

    /// Returns the flag that secures the connection to a side.
    fn tls_flag(&self, side: Side) -> String {
        if self.flags == AccessFlags::Both { "--tls".to_owned() } else { format!("--{side}-tls") }
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
    pub async fn reach(&self, endpoint: Endpoint<'_>) -> Result<Reached, CliError> {
        let (mut credential, is_of_secret) = self.credential(endpoint).await?;
        if !is_of_secret
            && credential.is_some()
            && let Some(flag) = self.tls_of_others(endpoint)
        {
            let Endpoint { side, repository, .. } = endpoint;
            self.ui.warning(&format!(
                "asking {} without the login of this machine: how the connection is secured is spec.{side}.tls of an \
                 object that others may have written; {flag} takes it over",
                repository.host()
            ));
            credential = None;
        }
        let (tls, ca) = self.tls(endpoint).await?;
        let secret = endpoint.spec.credentials.map(|credentials| credentials.secret_name.clone());
        let ca_secret = endpoint.spec.tls.ca_secret_name.clone();
        let role = if self.flags.flags == AccessFlags::None { Role::SubmittedSide } else { Role::Side };
        let origin = Origin { secret, is_of_secret, ca, ca_secret, role };
        Ok(Reached { access: Access { credential, tls, ..Access::default() }, origin })
    }

    /// Returns a credential, and whether it is that of the endpoint's Secret. What a flag names comes first.
    async fn credential(&self, endpoint: Endpoint<'_>) -> Result<(Option<Credential>, bool), CliError> {
        let repository = endpoint.repository;
        let Some(Credentials { secret_name }) = endpoint.spec.credentials else {
            return Ok((self.local.find(self.ui, repository, endpoint.spec.use_aws_irsa).await?, false));
        };
        if let Some(named) = self.local.find_named(self.ui, repository).await? {
            return Ok((Some(named), false));
        }
        match self.credential_of_secret(secret_name, endpoint).await {
            Ok(credential) => return Ok((credential, true)),
            Err(SecretProblem::Unusable(error)) => return Err(error),
            Err(SecretProblem::Unreadable(why)) => self
                .ui
                .warning(&format!("using the credentials of this machine for the {}: {why}", endpoint.side)),
        }
        Ok((self.local.find(self.ui, repository, endpoint.spec.use_aws_irsa).await?, false))
    }

    /// Returns the flag that takes over how a connection is secured, if that is the choice of an object of the
    /// cluster alone: whoever writes one must not choose how a login of this machine is sent.
    fn tls_of_others(&self, endpoint: Endpoint<'_>) -> Option<String> {
        let Endpoint { side, spec, tls_flag, .. } = endpoint;
        if !endpoint.is_of_cluster {
            return None;
        }
        match tls_flag.unwrap_or(spec.tls.mode) {
            TlsMode::Verify => {
                let is_given = spec.tls.ca_secret_name.is_none() || self.flags.ca_file(side).is_some();
                (!is_given).then(|| format!("{} FILE", self.flags.ca_flag(side)))
            }
            mode if tls_flag.is_none() => {
                let mode = mode.to_possible_value()?;
                Some(format!("{} {}", self.flags.tls_flag(side), mode.get_name()))
            }
            _ => None,
        }
    }

    async fn credential_of_secret(
        &self,
        name: &str,
        endpoint: Endpoint<'_>,
    ) -> Result<Option<Credential>, SecretProblem> {
        let secret = self.secret(name, endpoint).await?;
        let values = |key: &str| value(&secret, key);
        let data = SecretData { credentials: Some(&values), ca: None };
        let access = from_secret_data(data, endpoint.repository, Tls::default());
        Ok(access.map_err(|error| unusable(endpoint.side, name, &error))?.credential)
    }

    /// Returns how the connection is secured, and where its CA certificates are from.
    async fn tls(&self, endpoint: Endpoint<'_>) -> Result<(Tls, Option<String>), CliError> {
        match endpoint.tls_flag.unwrap_or(endpoint.spec.tls.mode) {
            TlsMode::SkipVerify => return Ok((Tls::SkipVerify, None)),
            TlsMode::PlainHttp => return Ok((Tls::PlainHttp, None)),
            TlsMode::Verify => {}
        }
        if let Some(file) = self.flags.ca_file(endpoint.side) {
            return Ok((trusting(file)?, Some(file.display().to_string())));
        }
        let Some(name) = &endpoint.spec.tls.ca_secret_name else {
            // What is asked for by name holds for registries of this machine too, which are otherwise asked over HTTP.
            let is_asked_for = endpoint.tls_flag == Some(TlsMode::Verify);
            return Ok((if is_asked_for { Tls::VerifyEverywhere } else { Tls::default() }, None));
        };
        match self.tls_of_secret(name, endpoint).await {
            Ok(tls) => {
                if let Tls::Verify { extra_ca_pem: Some(pem) } = &tls {
                    check_certificates(pem, &format!("key {CA_KEY} of Secret {name}"))?;
                }
                Ok((tls, Some(format!("Secret {name}"))))
            }
            Err(SecretProblem::Unusable(error)) => Err(error),
            Err(SecretProblem::Unreadable(why)) => {
                let side = endpoint.side;
                let instead = match self.flags.flags {
                    AccessFlags::None => String::new(),
                    _ => format!("; use {}", self.flags.ca_flag(side)),
                };
                self.ui.warning(&format!("trusting only the well-known CAs for the {side}: {why}{instead}"));
                Ok((Tls::VerifyEverywhere, None))
            }
        }
    }

    async fn tls_of_secret(&self, name: &str, endpoint: Endpoint<'_>) -> Result<Tls, SecretProblem> {
        let secret = self.secret(name, endpoint).await?;
        let values = |key: &str| value(&secret, key);
        let data = SecretData { credentials: None, ca: Some(&values) };
        let access = from_secret_data(data, endpoint.repository, Tls::default());
        Ok(access.map_err(|error| unusable(endpoint.side, name, &error))?.tls)
    }

    /// Returns a Secret. One that does not exist is of no use to the agent either; one that may not be read
    /// here may be.
    async fn secret(&self, name: &str, endpoint: Endpoint<'_>) -> Result<Secret, SecretProblem> {
        let call = async |cluster: &Cluster| {
            Api::<Secret>::namespaced(cluster.client.clone(), &cluster.namespace).get(name).await
        };
        match self.cluster.ask(endpoint.namespace, ("get", "secrets"), call).await {
            Ok(secret) => Ok(secret),
            Err(error) if error.is_not_found() => {
                let namespace = endpoint.namespace.or(self.cluster.namespace()).unwrap_or_default();
                let message = format!(
                    "{}: Secret {name} of namespace {namespace} does not exist, and the agent does nothing without it",
                    endpoint.side
                );
                Err(SecretProblem::Unusable(CliError::failed(message)))
            }
            Err(error) => {
                Err(SecretProblem::Unreadable(format!("Secret {name} was not read: {}", error.message())))
            }
        }
    }
}

fn unusable(side: Side, name: &str, error: &SecretDataError) -> SecretProblem {
    let message = format!("{side}: Secret {name}: {error}; the agent cannot use it either");
    SecretProblem::Unusable(CliError::failed(message))
}

/// Returns TLS that trusts the certificates of a file besides the well-known ones.
pub fn trusting(file: &Path) -> Result<Tls, CliError> {
    let pem = std::fs::read(file)
        .map_err(|error| CliError::failed(format!("cannot read {}: {error}", file.display())))?;
    check_certificates(&pem, &file.display().to_string())?;
    Ok(Tls::Verify { extra_ca_pem: Some(pem) })
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
