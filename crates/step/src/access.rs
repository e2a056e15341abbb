//! How registries are reached: the credentials and certificates that are mounted, for imgop's own client and for
//! Buildah and Skopeo alike.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use imgop_core::api::TlsMode;
use imgop_core::build::BuildFailure;
use imgop_core::build::step::StepInput;
use imgop_registry::reference::{RegistryHost, Repository};
use imgop_registry::{Access, DockerConfig, Registries, RepositoryClient, Settings, Tls};

use crate::{Failed, Places};

/// How the registries of one container are reached.
#[derive(Debug)]
pub struct RegistryAccess {
    registries: Registries,
    auth_file: Option<PathBuf>,
    credentials: DockerConfig,
    tls_modes: BTreeMap<RegistryHost, TlsMode>,
    places: Places,
}

impl RegistryAccess {
    /// Reads the credentials of a container; there are none if the file is not there.
    pub fn read(input: &StepInput, auth_file: &Path, places: &Places) -> Result<Self, Failed> {
        let (auth_file, credentials) = match fs::read(auth_file) {
            Ok(bytes) => (Some(auth_file.to_owned()), parse(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, DockerConfig::default()),
            Err(error) => return Err(Failed::at("read", auth_file, &error)),
        };
        // One image is asked for once: no pulls are kept for others.
        let settings = Settings { pull_reserve: 0, ..Settings::default() };
        Ok(Self {
            registries: Registries::new(settings),
            auth_file,
            credentials,
            tls_modes: input.tls_modes.clone(),
            places: places.clone(),
        })
    }

    /// Returns a client for a repository.
    pub fn client(&self, repository: &Repository) -> RepositoryClient {
        self.registries.repository(repository, &self.access(repository))
    }

    /// Returns a client for a repository that is pushed to.
    pub fn push_client(&self, repository: &Repository) -> RepositoryClient {
        self.registries.push_target(repository, &self.access(repository))
    }

    fn access(&self, repository: &Repository) -> Access {
        let host = repository.host();
        let tls = match self.mode(host) {
            TlsMode::Verify => {
                Tls::Verify { extra_ca_pem: fs::read(self.places.certificates(host).join("ca.crt")).ok() }
            }
            TlsMode::SkipVerify => Tls::SkipVerify,
            TlsMode::PlainHttp => Tls::PlainHttp,
        };
        Access { credential: self.credentials.credential(host, repository.path()), tls, ..Access::default() }
    }

    fn mode(&self, host: &RegistryHost) -> TlsMode {
        self.tls_modes.get(host).copied().unwrap_or_default()
    }

    /// Returns the options with which Buildah and Skopeo reach a registry. `side` is `""`, `"src-"` or `"dest-"`.
    pub fn options(&self, host: &RegistryHost, side: &str) -> Vec<String> {
        let mut options = Vec::new();
        if let Some(file) = &self.auth_file {
            options.push(format!("--{side}authfile={}", file.display()));
        }
        let certificates = self.places.certificates(host);
        if certificates.is_dir() {
            options.push(format!("--{side}cert-dir={}", certificates.display()));
        }
        let verifies = self.mode(host) == TlsMode::Verify && !host.is_loopback();
        options.push(format!("--{side}tls-verify={verifies}"));
        options
    }
}

fn parse(bytes: &[u8]) -> Result<DockerConfig, Failed> {
    DockerConfig::parse(bytes).map_err(|error| {
        Failed::new(BuildFailure::SecretUnusable, format!("the credentials for registries: {error}"))
    })
}
