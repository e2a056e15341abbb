//! Registry credentials of this machine: the files of docker and podman.

use std::path::{Path, PathBuf};

use imgop_core::reference::Repository;
use imgop_core::registry::{Credential, DockerConfig};

use crate::credential_helper;
use crate::errors::CliError;

/// The credential files that there are, the first the most important.
#[derive(Debug, Default)]
pub struct LocalCredentials {
    files: Vec<(PathBuf, DockerConfig)>,
}

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// A file that must be there, and is then the only one: `--authfile` or `$REGISTRY_AUTH_FILE`.
    pub only: Option<PathBuf>,
    /// Files that may be there.
    pub usual: Vec<PathBuf>,
}

impl Places {
    /// Where podman, skopeo and docker look, in that order (containers-auth.json(5), docker-login(1)).
    pub fn of_environment(authfile: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = path("HOME").or_else(|| path("USERPROFILE"));
        let below_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
        let usual = [
            path("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")),
            path("XDG_CONFIG_HOME")
                .or_else(|| below_home(".config"))
                .map(|dir| dir.join("containers/auth.json")),
            path("DOCKER_CONFIG").or_else(|| below_home(".docker")).map(|dir| dir.join("config.json")),
        ];
        let only = authfile.map(Path::to_path_buf).or_else(|| path("REGISTRY_AUTH_FILE"));
        Self { only, usual: usual.into_iter().flatten().collect() }
    }
}

impl LocalCredentials {
    /// Reads the files. One that is there and cannot be read is an error: without it, requests
    /// would silently be anonymous.
    pub fn read(places: &Places) -> Result<Self, CliError> {
        let paths = places.only.as_ref().map_or(places.usual.as_slice(), std::slice::from_ref);
        let mut files = Vec::new();
        for path in paths {
            let bytes = match std::fs::read(path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && places.only.is_none() => {
                    continue;
                }
                Err(error) => {
                    return Err(CliError::failed(format!("cannot read {}: {error}", path.display())));
                }
            };
            // `docker logout` and podman leave empty files behind.
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            let config = DockerConfig::parse(&bytes)
                .map_err(|error| CliError::failed(format!("cannot use {}: {error}", path.display())))?;
            files.push((path.clone(), config));
        }
        Ok(Self { files })
    }

    /// The credential for a repository: of the first file that knows one.
    pub async fn find(&self, repository: &Repository) -> Result<Option<Credential>, CliError> {
        for (path, config) in &self.files {
            if let Some(helper) = config.helper(repository.host()) {
                let found = credential_helper::get(&helper).await.map_err(|error| {
                    CliError::failed(format!(
                        "docker-credential-{}, which {} names, gives no credential for {}: {error}",
                        helper.name,
                        path.display(),
                        repository.host()
                    ))
                })?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            if let Some(credential) = config.credential(repository.host(), repository.path()) {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(authfile: Option<&str>, variables: &[(&str, &str)]) -> Vec<String> {
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let places = Places::of_environment(authfile.map(Path::new), variable);
        let paths = places.only.map_or(places.usual, |only| vec![only]);
        paths.iter().map(|path| path.display().to_string()).collect()
    }

    fn name(credential: Option<Credential>) -> Option<String> {
        credential.map(|credential| match credential {
            Credential::Basic { username, .. } => username,
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn files_are_looked_for_where_podman_and_docker_put_them() {
        assert_eq!(
            places(None, &[("HOME", "/h")]),
            ["/h/.config/containers/auth.json", "/h/.docker/config.json"]
        );
        let all = [
            ("HOME", "/h"),
            ("XDG_RUNTIME_DIR", "/run/1"),
            ("XDG_CONFIG_HOME", "/c"),
            ("DOCKER_CONFIG", "/d"),
        ];
        assert_eq!(
            places(None, &all),
            ["/run/1/containers/auth.json", "/c/containers/auth.json", "/d/config.json"]
        );
        assert_eq!(places(None, &[("HOME", "/h"), ("REGISTRY_AUTH_FILE", "/a.json")]), ["/a.json"]);
        assert_eq!(places(Some("/flag.json"), &[("REGISTRY_AUTH_FILE", "/a.json")]), ["/flag.json"]);
    }

    #[tokio::test]
    async fn the_first_file_that_knows_a_credential_wins() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let auth = |user: &str| format!(r#"{{"username":"{user}","password":"p"}}"#);
        let first = file("a", &format!(r#"{{"auths":{{"quay.io":{}}}}}"#, auth("first")));
        let empty = file("b", "\n");
        let second = file(
            "c",
            &format!(r#"{{"auths":{{"quay.io":{},"docker.io":{}}}}}"#, auth("second"), auth("hub")),
        );
        let absent = folder.path().join("absent");
        let places = Places { only: None, usual: vec![absent, first, empty, second] };
        let local = LocalCredentials::read(&places).unwrap();
        let find = async |text: &str| name(local.find(&text.parse().unwrap()).await.unwrap());
        assert_eq!(find("quay.io/a/b").await.as_deref(), Some("first"));
        assert_eq!(find("nginx").await.as_deref(), Some("hub"));
        assert_eq!(find("ghcr.io/a/b").await, None);
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there_and_readable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        let places = Places { only: Some(path.clone()), usual: Vec::new() };
        assert!(LocalCredentials::read(&places).unwrap_err().message.starts_with("cannot read "));
        std::fs::write(&path, r#"{"auths":{"quay.io":{"auth":"hunter2!"}}}"#).unwrap();
        let error = LocalCredentials::read(&places).unwrap_err().message;
        assert!(error.starts_with("cannot use ") && !error.contains("hunter2"), "{error}");
    }
}
