//! How a container of the agent's own program reaches registries: with the files that are mounted.

use std::fs;
use std::path::{Path, PathBuf};

use imgop_core::api::TlsMode;
use imgop_registry::reference::RegistryHost;
use imgop_registry::{
    Access, CredentialsError, DockerConfig, LoopbackAddresses, Registries, RequestLimit, RequestLimits,
    Settings, Tls,
};

use super::input::{CopyEndpoint, CopyInput};

/// The port of a registry without TLS that is written without one.
const HTTP_PORT: u16 = 80;

/// Why a file that is mounted is of no use. Nothing of its content is quoted.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {file}: {error}", file = file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It holds no credentials.
    #[error("the credentials in {file}: {error}", file = file.display())]
    NoCredentials {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        error: CredentialsError,
    },
}

/// Returns the registries, as the agent's settings say for this Job.
pub fn registries(input: &CopyInput) -> Registries {
    Registries::new(Settings {
        user_agent: concat!("imgop-agent/", env!("CARGO_PKG_VERSION")).to_owned(),
        concurrency_per_registry: input.requests.into(),
        // The agent has left pulls to others before it made the Job.
        pull_reserve: 0,
        private_addresses: input.private_addresses,
        loopback: if input.loopback { LoopbackAddresses::Written } else { LoopbackAddresses::Nowhere },
        request_limits: request_limits([&input.source, &input.destination]),
        ..Settings::default()
    })
}

/// Returns how many requests at once the registries of both sides are sent.
fn request_limits(endpoints: [&CopyEndpoint; 2]) -> RequestLimits {
    let limit = |endpoint: &CopyEndpoint| Some((endpoint.repository.host().clone(), endpoint.requests?));
    let limits: Vec<(RegistryHost, usize)> = endpoints.into_iter().filter_map(limit).collect();
    RequestLimits::new(move |host, port| {
        let is_it = |(limited, _): &&(RegistryHost, usize)| {
            limited.place().is_some_and(|(name, at)| name == host && (at == port || port == HTTP_PORT))
        };
        let (registry, concurrent_requests) = limits.iter().find(is_it)?;
        Some(RequestLimit { registry: registry.to_string(), concurrent_requests: *concurrent_requests })
    })
}

/// Returns how one side is reached.
pub fn access(endpoint: &CopyEndpoint) -> Result<Access, FileError> {
    let repository = &endpoint.repository;
    let credential = match &endpoint.auth_file {
        None => None,
        Some(file) => {
            let config = DockerConfig::parse(&read(file)?);
            let config = config.map_err(|error| FileError::NoCredentials { file: file.clone(), error })?;
            config.credential(repository.host(), repository.path())
        }
    };
    let tls = match endpoint.tls {
        TlsMode::Verify => Tls::Verify { extra_ca_pem: endpoint.ca_file.as_deref().map(read).transpose()? },
        TlsMode::SkipVerify => Tls::SkipVerify,
        TlsMode::PlainHttp => Tls::PlainHttp,
    };
    Ok(Access { credential, tls, allowances: endpoint.allowances.clone() })
}

fn read(file: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(file).map_err(|error| FileError::Unreadable { file: file.to_owned(), error })
}
