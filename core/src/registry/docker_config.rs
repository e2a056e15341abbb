//! Credentials in the files of docker and podman: `config.json`, `auth.json`, `.dockerconfigjson`.
//!
//! Sources: docker/cli, "cli/config/configfile"; containers/image, "containers-auth.json(5)".

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::Credential;
use crate::reference::RegistryHost;

/// The credentials of a file, and the helpers that it names.
#[derive(Debug, Clone, Default)]
pub struct DockerConfig {
    entries: Vec<Entry>,
    default_helper: Option<String>,
    helpers: BTreeMap<String, String>,
}

/// A program `docker-credential-<name>` that knows a credential, and what to ask it for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialHelper {
    /// The part of its name behind `docker-credential-`.
    pub name: String,
    /// What it knows the registry as.
    pub server: String,
}

/// Why a file with credentials cannot be used. Nothing of what it holds is quoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Not a configuration in JSON.
    #[error("it is not a docker configuration: invalid JSON at line {line}, column {column}")]
    Json {
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// `auth` is not the Base64 of `user:password`.
    #[error("\"auth\" of {0} is not the Base64 of user:password")]
    Auth(String),
    /// A helper whose name is no plain word could be any program.
    #[error("the credential helper {0:?} is not a plain name")]
    Helper(String),
}

#[derive(Debug, Clone)]
struct Entry {
    host: RegistryHost,
    /// Only repositories below this path; empty for all.
    path: String,
    credential: Credential,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    auths: BTreeMap<String, FileEntry>,
    #[serde(rename = "credsStore")]
    creds_store: Option<String>,
    #[serde(rename = "credHelpers")]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FileEntry {
    auth: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    identitytoken: Option<SecretString>,
    registrytoken: Option<SecretString>,
}

impl DockerConfig {
    /// Reads a file. One unreadable credential makes the file unreadable: left out in silence, it
    /// would turn into anonymous requests.
    pub fn parse(bytes: &[u8]) -> Result<Self, CredentialsError> {
        let file: File = serde_json::from_slice(bytes)
            .map_err(|error| CredentialsError::Json { line: error.line(), column: error.column() })?;
        let mut config = Self::default();
        for (key, entry) in file.auths {
            let credential = entry.credential().ok_or_else(|| CredentialsError::Auth(shown(&key)))?;
            match (split_key(&key), credential) {
                (Some((host, path)), Some(credential)) => {
                    config.entries.push(Entry { host, path, credential })
                }
                // Without a credential the entry only says that a helper knows one.
                (Some(_), None) => {}
                (None, _) => tracing::debug!("an entry whose key is no registry is left out"),
            }
        }
        // The longest path first, so that the first match is the best one.
        config.entries.sort_by(|a, b| b.path.len().cmp(&a.path.len()));
        for helper in file.cred_helpers.values().chain(&file.creds_store) {
            if !is_plain_name(helper) {
                return Err(CredentialsError::Helper(shown(helper)));
            }
        }
        config.default_helper = file.creds_store.filter(|helper| !helper.is_empty());
        config.helpers = file.cred_helpers;
        Ok(config)
    }

    /// The credential for a repository: that of the longest matching path, else that of the registry.
    pub fn credential(&self, host: &RegistryHost, path: &str) -> Option<Credential> {
        let matches = |entry: &&Entry| entry.host == *host && is_below(path, &entry.path);
        self.entries.iter().find(matches).map(|entry| entry.credential.clone())
    }

    /// The helper that is to be asked for this registry. Where there is one, it comes before the
    /// credentials in the file, as docker has it.
    pub fn helper(&self, host: &RegistryHost) -> Option<CredentialHelper> {
        let own = self.helpers.iter().find(|(key, _)| split_key(key).is_some_and(|(h, _)| h == *host));
        if let Some((key, name)) = own {
            return Some(CredentialHelper { name: name.clone(), server: key.clone() });
        }
        let name = self.default_helper.clone()?;
        let server = if host.is_docker_hub() { "https://index.docker.io/v1/" } else { host.as_str() };
        Some(CredentialHelper { name, server: server.to_owned() })
    }
}

impl FileEntry {
    /// `None` if it cannot be read, `Some(None)` if nothing is in it.
    fn credential(self) -> Option<Option<Credential>> {
        let filled = |secret: Option<SecretString>| secret.filter(|s| !s.expose_secret().is_empty());
        if let Some(token) = filled(self.identitytoken) {
            return Some(Some(Credential::IdentityToken(token)));
        }
        if let Some(token) = filled(self.registrytoken) {
            return Some(Some(Credential::RegistryToken(token)));
        }
        if let Some(auth) = filled(self.auth) {
            return decode(auth.expose_secret()).map(Some);
        }
        let username = self.username.filter(|name| !name.is_empty());
        Some(username.zip(self.password).map(|(username, password)| Credential::Basic { username, password }))
    }
}

/// Docker writes padding; people who make Secrets by hand often do not, and leave line ends in.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn decode(auth: &str) -> Option<Credential> {
    let text = String::from_utf8(LENIENT.decode(auth.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    // Docker once padded the text with NUL characters, and still strips them.
    let password = password.trim_matches('\0');
    let username = username.to_owned();
    (!username.is_empty()).then(|| Credential::Basic { username, password: password.into() })
}

/// The registry and path of a key such as `https://index.docker.io/v1/` or `quay.io/org`.
fn split_key(key: &str) -> Option<(RegistryHost, String)> {
    let bare = key.trim().trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    // `/v1` and `/v2` are versions of the API, from times when keys were addresses.
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    Some((host.parse().ok()?, path.to_owned()))
}

fn is_below(path: &str, prefix: &str) -> bool {
    prefix.is_empty()
        || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_plain_name(helper: &str) -> bool {
    helper.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn shown(text: &str) -> String {
    super::server_text::clean(text, &[]).chars().take(100).collect()
}
