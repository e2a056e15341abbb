//! The Secrets that administrators lend, in the agent's namespace.

use std::sync::Arc;

use imgop_core::access::AccessPolicy;
use imgop_registry::credentials::{CA_KEY, DOCKER_CONFIG_KEY};
use imgop_registry::reference::{RegistryHost, Repository};
use imgop_registry::{Credential, DockerConfig};

use super::resolve::too_long;
use super::{AccessError, AccessResolver};
use crate::cluster::Freshness;
use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::secrets::{BASIC_AUTH_KEYS, SecretContent, is_name};

/// Skopeo reads no such token from a file (containers-auth.json(5)), and arguments are seen by whoever sees the pod.
const BEARER_TOKEN: &str = "its Secret holds a bearer token (registrytoken), which Jobs can be given in no file, so it is \
                            not lent; put username and password there, or an identitytoken";

/// Why a Secret that is lent cannot be read.
pub(super) enum LentError {
    /// Only an administrator can help.
    Problem(String),
    /// The API server did not answer.
    Api(ApiError),
}

impl LentError {
    pub(super) fn or_unusable(self, unusable: &impl Fn(String) -> AccessError) -> AccessError {
        match self {
            Self::Problem(problem) => unusable(problem),
            Self::Api(error) => AccessError::Api(error),
        }
    }
}

impl AccessResolver<'_> {
    /// Reads a Secret that an administrator lends.
    pub(super) async fn read_lent(
        &self,
        name: &str,
        freshness: Freshness,
    ) -> Result<Arc<SecretContent>, LentError> {
        if !is_name(name) {
            return Err(LentError::Problem("no Secret can have the name that is given".to_owned()));
        }
        let found = self.secrets.get(self.agent_namespace, name, freshness).await;
        let content = found.map_err(|error| match error.cause {
            ApiCause::NotFound => LentError::Problem("its Secret does not exist".to_owned()),
            ApiCause::MissingRight(_) | ApiCause::Forbidden(_) => {
                LentError::Problem("the agent may not read its Secret".to_owned())
            }
            _ => LentError::Api(error),
        })?;
        match [DOCKER_CONFIG_KEY, CA_KEY].into_iter().find_map(|key| too_long(&content, key)) {
            Some(problem) => Err(LentError::Problem(problem)),
            None => Ok(content),
        }
    }
}

/// What a lent Secret holds.
enum Lent {
    /// Username and password, for whatever registry.
    Basic(Credential),
    /// Credentials by registry.
    Config(DockerConfig),
}

impl Lent {
    fn of(content: &SecretContent) -> Result<Self, String> {
        let text = |key: &str| content.value(key).and_then(|value| std::str::from_utf8(value).ok());
        let [username, password] = BASIC_AUTH_KEYS.map(text);
        if let (Some(username), Some(password)) = (username, password) {
            return Ok(Self::Basic(Credential::of_basic_auth(username, password)));
        }
        let document = content.value(DOCKER_CONFIG_KEY).ok_or_else(|| {
            format!("its Secret has neither the key {DOCKER_CONFIG_KEY} nor username and password")
        })?;
        DockerConfig::parse(document).map(Self::Config).map_err(|error| error.to_string())
    }
}

/// Returns the credential that a lent Secret has for a repository, under whichever name of its registry.
pub(super) fn lent_credential(
    content: &SecretContent,
    policy: &AccessPolicy,
    repository: &Repository,
) -> Result<Credential, String> {
    let config = match Lent::of(content)? {
        Lent::Basic(credential) => return Ok(credential),
        Lent::Config(config) => config,
    };
    let found =
        policy.names_of(repository.host()).iter().find_map(|name| config.credential(name, repository.path()));
    match found {
        Some(Credential::RegistryToken(_)) => Err(BEARER_TOKEN.to_owned()),
        Some(credential) => Ok(credential),
        None => Err("its Secret holds no credential for this registry".to_owned()),
    }
}

/// Returns why a Secret lends nothing to any repository of some of these registries; none where that depends on the
/// repository, or where it lends.
pub(super) fn problem_of_credentials<'a>(
    content: &SecretContent,
    policy: &AccessPolicy,
    registries: impl IntoIterator<Item = &'a RegistryHost>,
) -> Option<String> {
    let config = match Lent::of(content) {
        Ok(Lent::Basic(_)) => return None,
        Ok(Lent::Config(config)) => config,
        Err(problem) => return Some(problem),
    };
    registries.into_iter().find_map(|registry| {
        let of_names = policy.names_of(registry).into_iter().flat_map(|name| config.of_registry(&name));
        let credentials: Vec<Credential> = of_names.map(|(_, credential)| credential).collect();
        if credentials.is_empty() {
            return Some(format!("its Secret holds no credential for {registry}"));
        }
        let is_token = |credential: &Credential| matches!(credential, Credential::RegistryToken(_));
        credentials.iter().all(is_token).then(|| BEARER_TOKEN.to_owned())
    })
}
