//! Credentials in the files of docker and podman: `config.json`, `auth.json`, `.dockerconfigjson`.
//!
//! Sources: docker/cli, "cli/config/configfile"; containers/image, "containers-auth.json(5)".

use std::cmp::Reverse;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::Credential;
use crate::reference::RegistryHost;

/// The credentials of a file and the credential helpers that it names.
#[derive(Debug, Clone, Default)]
pub struct DockerConfig {
    entries: Vec<Entry>,
    default_helper: Option<String>,
    helpers: BTreeMap<String, String>,
}

/// A program `docker-credential-<name>` that returns a credential, and the name to pass to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialHelper {
    /// The program's name without `docker-credential-`.
    pub name: String,
    /// The server name to pass to it.
    pub server: String,
}

/// Why a file with credentials cannot be used. Nothing of its content is quoted.
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
    auths: Option<BTreeMap<String, Option<FileEntry>>>,
    #[serde(rename = "credsStore")]
    creds_store: Option<String>,
    #[serde(rename = "credHelpers")]
    cred_helpers: Option<BTreeMap<String, String>>,
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
    /// Parses a file. One unreadable credential fails the whole file: left out silently, it would turn
    /// into anonymous requests.
    pub fn parse(bytes: &[u8]) -> Result<Self, CredentialsError> {
        let file: File = serde_json::from_slice(bytes)
            .map_err(|error| CredentialsError::Json { line: error.line(), column: error.column() })?;
        let mut config = Self::default();
        for (key, entry) in file.auths.unwrap_or_default() {
            let credential = entry.unwrap_or_default().credential(&key)?;
            match (split_key(&key), credential) {
                (Some((host, path)), Some(credential)) => {
                    config.entries.push(Entry { host, path, credential });
                }
                // An entry without a credential says only that a helper has one.
                (Some(_), None) => {}
                (None, _) => tracing::debug!("an entry whose key is no registry is left out"),
            }
        }
        // The longest path first, so that the first match is the best one.
        config.entries.sort_by_key(|entry| Reverse(entry.path.len()));
        let helpers = file.cred_helpers.unwrap_or_default();
        for helper in helpers.values().chain(&file.creds_store) {
            if !is_plain_name(helper) {
                return Err(CredentialsError::Helper(shown(helper)));
            }
        }
        config.default_helper = file.creds_store.filter(|helper| !helper.is_empty());
        config.helpers = helpers;
        Ok(config)
    }

    /// Returns the credential for a repository: that of the longest matching path, else that of the
    /// registry.
    pub fn credential(&self, host: &RegistryHost, path: &str) -> Option<Credential> {
        let matches = |entry: &&Entry| entry.host == *host && is_below(path, &entry.path);
        self.entries.iter().find(matches).map(|entry| entry.credential.clone())
    }

    /// Returns all credentials for a registry by their scopes, as keys of such a file: the host, or the host with a path.
    pub fn of_registry(&self, host: &RegistryHost) -> Vec<(String, Credential)> {
        let of_host = self.entries.iter().filter(|entry| entry.host == *host);
        of_host
            .map(|entry| {
                let scope = format!("{host}/{}", entry.path);
                (scope.trim_end_matches('/').to_owned(), entry.credential.clone())
            })
            .collect()
    }

    /// Returns the helper for this registry. It precedes the credentials in the file, as in docker.
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
    /// Returns `None` for an empty entry, as where a helper has the credential.
    fn credential(self, key: &str) -> Result<Option<Credential>, CredentialsError> {
        let filled = |secret: Option<SecretString>| secret.filter(|s| !s.expose_secret().is_empty());
        if let Some(token) = filled(self.identitytoken) {
            return Ok(Some(Credential::IdentityToken(token)));
        }
        if let Some(token) = filled(self.registrytoken) {
            return Ok(Some(Credential::RegistryToken(token)));
        }
        if let Some(auth) = filled(self.auth) {
            let credential = decode(auth.expose_secret());
            return credential.map(Some).ok_or_else(|| CredentialsError::Auth(shown(key)));
        }
        let username = self.username.filter(|name| !name.is_empty());
        let both = username.zip(filled(self.password));
        Ok(both.map(|(username, password)| Credential::Basic { username, password }))
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

/// Returns the registry and path of a key such as `https://index.docker.io/v1/` or `quay.io/org`.
pub(crate) fn split_key(key: &str) -> Option<(RegistryHost, String)> {
    let bare = key.trim().trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    // `/v1` and `/v2` are API versions, from times when keys were URLs.
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    Some((host.parse().ok()?, path.to_owned()))
}

pub(crate) fn is_below(path: &str, prefix: &str) -> bool {
    prefix.is_empty()
        || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_plain_name(helper: &str) -> bool {
    helper.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn shown(text: &str) -> String {
    crate::text::clean(text, &[]).chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> RegistryHost {
        text.parse().unwrap()
    }

    fn user(config: &DockerConfig, registry: &str, path: &str) -> Option<String> {
        match config.credential(&host(registry), path)? {
            Credential::Basic { username, password } => {
                Some(format!("{username}:{}", password.expose_secret()))
            }
            Credential::IdentityToken(token) => Some(format!("identity {}", token.expose_secret())),
            Credential::RegistryToken(token) => Some(format!("registry {}", token.expose_secret())),
        }
    }

    #[test]
    fn every_name_of_docker_hub_finds_its_credential() {
        for key in [
            "https://index.docker.io/v1/",
            "docker.io",
            "index.docker.io",
            "https://registry-1.docker.io/v2/",
        ] {
            let json = format!(r#"{{"auths":{{"{key}":{{"auth":"dTpw"}}}}}}"#);
            let config = DockerConfig::parse(json.as_bytes()).unwrap();
            assert_eq!(user(&config, "docker.io", "library/nginx").as_deref(), Some("u:p"), "{key}");
        }
    }

    #[test]
    fn a_key_may_be_the_url_of_the_api_of_any_registry() {
        for (key, path) in [
            ("https://registry.corp:5000", ""),
            ("https://registry.corp:5000/", ""),
            ("https://registry.corp:5000/v1/", ""),
            ("https://registry.corp:5000/v2/", ""),
            ("http://registry.corp:5000/v2", ""),
            ("registry.corp:5000/", ""),
            ("https://registry.corp:5000/team/", "team"),
        ] {
            let json = format!(r#"{{"auths":{{"{key}":{{"auth":"dTpw"}}}}}}"#);
            let config = DockerConfig::parse(json.as_bytes()).unwrap();
            let found = |registry: &str, path: &str| user(&config, registry, path).is_some();
            assert!(found("registry.corp:5000", "team/app"), "{key}");
            assert_eq!(found("registry.corp:5000", "other/app"), path.is_empty(), "{key}");
            assert!(!found("registry.corp", "team/app"), "{key}");
        }
    }

    #[test]
    fn the_longest_path_wins_and_ends_at_a_slash() {
        let config = DockerConfig::parse(
            br#"{"auths":{"quay.io":{"auth":"YTph"},"quay.io/org":{"auth":"Yjpi"},"quay.io/org/deep":{"auth":"Yzpj"},
                "registry.corp:5000":{"username":"d","password":"d:d"}}}"#,
        )
        .unwrap();
        let quay = |path: &str| user(&config, "quay.io", path).unwrap();
        assert_eq!(
            [quay("x"), quay("organic/x"), quay("org/x"), quay("org/deep/x/y")],
            ["a:a", "a:a", "b:b", "c:c"]
        );
        assert_eq!(user(&config, "registry.corp:5000", "x").as_deref(), Some("d:d:d"));
        assert_eq!(user(&config, "registry.corp", "x"), None);
    }

    #[test]
    fn each_kind_of_secret_is_read() {
        let config = DockerConfig::parse(
            br#"{"auths":{
                "a.io":{"auth":"dTpw","identitytoken":"idt"},
                "b.io":{"registrytoken":"rt"},
                "c.io":{"auth":"dTpwOnE\n"},
                "d.io":{"auth":"dTpwAA=="},
                "e.io":{"auth":"","username":"u"},
                "f.io":{}}, "HttpHeaders":{"X":"y"}}"#,
        )
        .unwrap();
        let of = |registry: &str| user(&config, registry, "x");
        assert_eq!(of("a.io").as_deref(), Some("identity idt"));
        assert_eq!(of("b.io").as_deref(), Some("registry rt"));
        assert_eq!(of("c.io").as_deref(), Some("u:p:q"));
        assert_eq!(of("d.io").as_deref(), Some("u:p"));
        assert_eq!([of("e.io"), of("f.io"), of("g.io")], [None, None, None]);
    }

    #[test]
    fn null_is_as_good_as_nothing() {
        for file in
            [r#"{"auths":null}"#, r#"{"auths":{},"credHelpers":null}"#, r#"{"auths":{"quay.io":null}}"#, "{}"]
        {
            let config = DockerConfig::parse(file.as_bytes()).unwrap();
            assert_eq!((user(&config, "quay.io", "x"), config.helper(&host("quay.io"))), (None, None));
        }
    }

    #[test]
    fn helpers_are_named_and_never_run() {
        let config = DockerConfig::parse(
            br#"{"credsStore":"pass","credHelpers":{"public.ecr.aws":"ecr-login","https://index.docker.io/v1/":"hub"}}"#,
        )
        .unwrap();
        let helper =
            |registry: &str| config.helper(&host(registry)).map(|h| format!("{} {}", h.name, h.server));
        assert_eq!(helper("public.ecr.aws").as_deref(), Some("ecr-login public.ecr.aws"));
        assert_eq!(helper("docker.io").as_deref(), Some("hub https://index.docker.io/v1/"));
        assert_eq!(helper("quay.io").as_deref(), Some("pass quay.io"));
        assert_eq!(DockerConfig::parse(b"{}").unwrap().helper(&host("quay.io")), None);
    }

    #[test]
    fn unreadable_files_are_errors_that_quote_no_secret() {
        for bad in [
            &br#"{"auths":{"quay.io":{"auth":"hunter2!"}}}"#[..],
            br#"{"auths":{"quay.io":{"auth":"aHVudGVyMg=="}}}"#,
            br#"{"auths":{"quay.io":{"auth":5, "password":"hunter2"}}}"#,
            br#"{"auths":{"quay.io":"hunter2"}}"#,
            br#"{"credsStore":"../../bin/sh"}"#,
            b"hunter2",
            b"",
        ] {
            let error = DockerConfig::parse(bad).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_read_without_a_panic(key in r"[a-z./:\[\]@ -]{0,30}", auth in "[A-Za-z0-9+/=]{0,20}") {
            let json = serde_json::json!({"auths": {key: {"auth": auth}}}).to_string();
            if let Ok(config) = DockerConfig::parse(json.as_bytes()) {
                let _ = config.credential(&host("quay.io"), "a/b");
            }
        }
    }
}
