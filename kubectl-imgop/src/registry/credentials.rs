//! Registry credentials of this machine: entries by registry, the files of docker and podman, and AWS
//! credentials for ECR.

use std::path::{Path, PathBuf};
use std::time::Duration;

use imgop_registry::ecr::{EcrProblem, EcrSettings, EcrTokens};
use imgop_registry::reference::{EcrHost, Repository};
use imgop_registry::{Credential, DockerConfig, RegistryEntries};

use super::credential_helper::{self, HelperError};
use crate::cli_error::CliError;
use crate::output::Ui;

/// The credentials of this machine, in the order of precedence.
#[derive(Debug, Default)]
pub struct LocalCredentials {
    entries: RegistryEntries,
    files: Vec<(PathBuf, DockerConfig)>,
    /// Whether a flag names the one file.
    are_files_named: bool,
    ecr: Option<EcrTokens>,
}

/// The files to read.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// A file with entries by registry, which must exist: `--registry-credentials`.
    pub entries: Option<PathBuf>,
    /// A file that must exist, and is then the only one: `--authfile` or `$REGISTRY_AUTH_FILE`.
    pub only: Option<PathBuf>,
    /// Whether that is `--authfile`.
    pub is_named: bool,
    /// Files that may exist.
    pub usual: Vec<PathBuf>,
}

impl Places {
    /// Returns where podman, skopeo and docker look, in that order (containers-auth.json(5),
    /// docker-login(1)).
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
        let is_named = authfile.is_some();
        Self { entries: None, only, is_named, usual: usual.into_iter().flatten().collect() }
    }
}

impl LocalCredentials {
    /// Reads the files. One that exists and cannot be read is an error: without it, requests would silently
    /// be anonymous. `variable` returns the values of environment variables.
    pub fn read(places: &Places, variable: impl Fn(&str) -> Option<String>) -> Result<Self, CliError> {
        let entries = match &places.entries {
            None => RegistryEntries::default(),
            Some(path) => {
                let bytes = std::fs::read(path)
                    .map_err(|error| CliError::failed(format!("cannot read {}: {error}", path.display())))?;
                RegistryEntries::parse(&bytes, &variable)
                    .map_err(|error| CliError::failed(format!("cannot use {}: {error}", path.display())))?
            }
        };
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
        let settings =
            EcrSettings::of_environment(concat!("kubectl-imgop/", env!("CARGO_PKG_VERSION")), &variable);
        let are_files_named = places.is_named;
        Ok(Self { entries, files, are_files_named, ecr: Some(EcrTokens::new(settings)) })
    }

    /// Returns the credential for a repository from what flags name: the entries, else the file.
    pub async fn find_named(&self, ui: Ui, repository: &Repository) -> Result<Option<Credential>, CliError> {
        match self.entries.credential(repository.host(), repository.path()) {
            None if self.are_files_named => self.of_files(ui, repository).await,
            found => Ok(found),
        }
    }

    /// Returns the credential for a repository: from the entries, else from the first file that has one, else
    /// from AWS for registries of ECR. ECR Public allows anonymous pulls, so AWS is asked about it only where a
    /// spec requires that.
    pub async fn find(
        &self,
        ui: Ui,
        repository: &Repository,
        use_aws: bool,
    ) -> Result<Option<Credential>, CliError> {
        if let Some(credential) = self.entries.credential(repository.host(), repository.path()) {
            return Ok(Some(credential));
        }
        if let Some(credential) = self.of_files(ui, repository).await? {
            return Ok(Some(credential));
        }
        let asks_aws = EcrHost::of(repository.host()).is_some_and(|host| use_aws || !host.is_public());
        match &self.ecr {
            Some(ecr) if asks_aws => of_aws(ecr, repository).await,
            _ => Ok(None),
        }
    }

    async fn of_files(&self, ui: Ui, repository: &Repository) -> Result<Option<Credential>, CliError> {
        for (path, config) in &self.files {
            if let Some(helper) = config.helper(repository.host()) {
                let found = match credential_helper::get(&helper).await {
                    // A configuration of Docker Desktop on a machine without it; docker itself fails here.
                    Err(HelperError::NotInstalled) => {
                        ui.warning(&format!(
                            "docker-credential-{}, configured in {}, is not installed; continuing without its \
                             credential for {}",
                            helper.name,
                            path.display(),
                            repository.host()
                        ));
                        None
                    }
                    found => found.map_err(|error| {
                        CliError::failed(format!(
                            "docker-credential-{}, configured in {}, returned no credential for {}: {error}",
                            helper.name,
                            path.display(),
                            repository.host()
                        ))
                    })?,
                };
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

/// Without AWS credentials requests are anonymous, and ECR's own answer says what it requires.
async fn of_aws(ecr: &EcrTokens, repository: &Repository) -> Result<Option<Credential>, CliError> {
    match ecr.credential(repository.host(), Duration::MAX).await {
        Ok(found) => Ok(found.map(|found| found.credential)),
        Err(error) if error.problem == EcrProblem::NoCredentials => Ok(None),
        Err(error) => Err(CliError::failed(error.to_string())),
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
    fn files_are_read_where_podman_and_docker_put_them() {
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
    async fn the_first_file_that_has_a_credential_wins() {
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
        let places = Places { usual: vec![absent, first, empty, second], ..Places::default() };
        let local = LocalCredentials::read(&places, |_| None).unwrap();
        let find =
            async |text: &str| name(local.find(Ui::new(false), &text.parse().unwrap(), false).await.unwrap());
        assert_eq!(find("quay.io/a/b").await.as_deref(), Some("first"));
        assert_eq!(find("nginx").await.as_deref(), Some("hub"));
        assert_eq!(find("ghcr.io/a/b").await, None);
    }

    #[test]
    fn a_file_that_was_requested_must_exist_and_be_readable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        let places = Places { only: Some(path.clone()), ..Places::default() };
        assert!(LocalCredentials::read(&places, |_| None).unwrap_err().message.starts_with("cannot read "));
        std::fs::write(&path, r#"{"auths":{"quay.io":{"auth":"hunter2!"}}}"#).unwrap();
        let error = LocalCredentials::read(&places, |_| None).unwrap_err().message;
        assert!(error.starts_with("cannot use ") && !error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn entries_come_before_files_and_answer_for_what_they_name_alone() {
        let folder = tempfile::tempdir().unwrap();
        let docker = folder.path().join("config.json");
        std::fs::write(&docker, r#"{"auths":{"quay.io":{"username":"docker","password":"p"}}}"#).unwrap();
        let entries = folder.path().join("registries.yaml");
        std::fs::write(&entries, "- {registry: quay.io/team, usernameEnv: WHO, password: p}\n").unwrap();
        let places = Places { entries: Some(entries.clone()), usual: vec![docker], ..Places::default() };
        let read = |who: Option<&str>| {
            LocalCredentials::read(&places, |name| who.filter(|_| name == "WHO").map(str::to_owned))
        };
        let local = read(Some("entry")).unwrap();
        let find =
            async |text: &str| name(local.find(Ui::new(false), &text.parse().unwrap(), false).await.unwrap());
        assert_eq!(find("quay.io/team/app").await.as_deref(), Some("entry"));
        assert_eq!(find("quay.io/other/app").await.as_deref(), Some("docker"));
        let error = read(None).unwrap_err().message;
        assert!(
            error.starts_with("cannot use ") && error.contains("(quay.io/team): usernameEnv: "),
            "{error}"
        );
        std::fs::remove_file(entries).unwrap();
        assert!(read(None).unwrap_err().message.starts_with("cannot read "));
    }
}
