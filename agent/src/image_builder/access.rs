//! What a build needs before anything is asked of a registry: rights, and the Secrets that its spec names.

use std::sync::Arc;

use imgop_core::api::{DOCKER_CONFIG_KEY, EndpointRef, ImageContext, RegistryAction, Tls, TlsMode};
use imgop_core::build::{BuildCache, BuildContext, BuildRequest, ImageReference};
use imgop_core::time::saturating_add;
use imgop_registry::reference::{EcrHost, RegistryHost, Repository};
use imgop_registry::{Credential, DockerConfig, RepositoryClient};

use super::halt::Halt;
use super::memory::Memory;
use super::{Pass, RECHECK_INTERVAL, recheck_pause};
use crate::cluster::Freshness;
use crate::cluster::api_error::ApiCause;
use crate::cluster::rights::{Right, Role};
use crate::cluster::secrets::{BASIC_AUTH_KEYS, SecretContent};
use crate::registry_access::{EndpointUse, Lending, Versions};

/// What allows builds in a namespace. The verb is imgop's own, so that no role grants it by accident.
const ROLE: Role = Role { binding: "imgop-agent-builds", cluster_role: "imgop-agent-builds" };
/// To build in a namespace.
pub(super) const BUILD: Right = Right {
    verb: "build",
    group: "buildah.io",
    resource: "imagebuilders",
    done_to: Some("images"),
    role: ROLE,
};
/// To read the `ConfigMaps` that `ImageBuilders` name.
pub(super) const GET_CONFIG_MAPS: Right =
    Right { verb: "get", group: "", resource: "configmaps", done_to: None, role: ROLE };
/// To read the Secrets that they name.
pub(super) const GET_SECRETS: Right = Right { role: ROLE, ..Right::GET_SECRETS };
/// All that a build needs.
const FOR_BUILDS: [Right; 7] = [
    BUILD,
    Right { role: ROLE, ..Right::CREATE_JOBS },
    Right { role: ROLE, ..Right::DELETE_JOBS },
    Right { role: ROLE, ..Right::LIST_PODS },
    Right { role: ROLE, ..Right::WATCH_PODS },
    GET_SECRETS,
    GET_CONFIG_MAPS,
];
/// The key of a Secret of type `kubernetes.io/ssh-auth`.
const SSH_KEY: &str = "ssh-privatekey";
/// How a registry is reached that the spec does not name.
const DEFAULT_TLS: Tls = Tls { mode: TlsMode::Verify, ca_secret_name: None };

/// How the destination is reached, and the versions of all Secrets that a build uses.
pub(super) struct Access {
    /// The repository that parts are pushed to.
    pub destination: RepositoryClient,
    /// What all credentials were made from.
    pub versions: Versions,
}

/// Where a spec says how a registry is reached, and what it says.
#[derive(Debug, Clone)]
pub(super) struct NamedEndpoint<'a> {
    /// The field.
    pub field: String,
    /// What it says.
    pub endpoint: EndpointRef<'a>,
}

impl<'a> Pass<'a> {
    /// Returns an error unless the agent may build here.
    pub(super) async fn may_build(&self, freshness: Freshness) -> Result<(), Halt> {
        match self.agent().rights.missing(&FOR_BUILDS, self.namespace(), freshness).await? {
            None => Ok(()),
            Some(right) => Err(Halt::MissingRight(right)),
        }
    }

    /// Reads all Secrets that the spec names. Where a registry refused them, it is left alone until they change.
    pub(super) async fn access(
        &self,
        request: &BuildRequest,
        freshness: Freshness,
        memory: &Memory,
    ) -> Result<Access, Halt> {
        let destination = &request.destination.repository;
        let endpoint =
            NamedEndpoint { field: "image".to_owned(), endpoint: self.builder.spec.image.endpoint() };
        self.may_push(request, freshness).await?;
        let (client, mut versions) = self.push_client(destination, &endpoint, freshness).await?;
        versions.extend(self.registries(freshness).await?);
        if let BuildContext::Image(image) = &request.context {
            versions.extend(self.context_client(image, freshness).await?.1);
        }
        versions.secrets.extend(self.cache_secret(freshness).await?);
        versions.secrets.extend(self.build_secrets(request, freshness).await?);
        versions.secrets.extend(self.git_secret(request, freshness).await?);
        if let Some(blocked) = &memory.blocked
            && blocked.secrets.as_ref() == Some(&versions.all())
            && self.now < blocked.until
            && !self.is_asked_for
        {
            return Err(Halt::Postponed(recheck_pause(blocked.since, self.now)));
        }
        Ok(Access { destination: client, versions })
    }

    /// Returns an error unless the build may write everywhere that it does: to each of its tags, and to its cache.
    async fn may_push(&self, request: &BuildRequest, freshness: Freshness) -> Result<(), Halt> {
        let access = self.agent().registry_access();
        for (repository, _) in &request.destination.tags {
            access.may_push(self.namespace(), "image", repository, freshness).await?;
        }
        if let BuildCache::Registry { repository, .. } = &request.cache {
            access.may_push(self.namespace(), "cache", repository, freshness).await?;
        }
        Ok(())
    }

    /// Returns what an endpoint is used for. Builds run code of the namespace, so no credential is lent to them.
    pub(super) fn used<'e>(
        &'e self,
        named: &'e NamedEndpoint<'_>,
        repository: &'e Repository,
        action: RegistryAction,
    ) -> EndpointUse<'e> {
        EndpointUse {
            namespace: self.namespace(),
            field: &named.field,
            repository,
            endpoint: named.endpoint,
            action,
            lending: Lending::Reach,
        }
    }

    /// Returns a client for a repository of the destination's registry, and the versions of the Secrets it was made
    /// from.
    pub(super) async fn push_client(
        &self,
        repository: &Repository,
        named: &NamedEndpoint<'_>,
        freshness: Freshness,
    ) -> Result<(RepositoryClient, Versions), Halt> {
        let agent = self.agent();
        let of = self.used(named, repository, RegistryAction::Push);
        let resolved = agent.registry_access().resolve(of, freshness).await?;
        Ok((agent.registries.push_target(repository, &resolved.access), resolved.versions))
    }

    /// Returns a client for a repository that the build pulls from, and the versions of the Secrets it was made from.
    pub(super) async fn pull_client(
        &self,
        repository: &Repository,
        freshness: Freshness,
    ) -> Result<(RepositoryClient, Versions), Halt> {
        let (agent, named) = (self.agent(), self.endpoint_of(repository.host()));
        let of = self.used(&named, repository, RegistryAction::Pull);
        let resolved = agent.registry_access().resolve(of, freshness).await?;
        Ok((agent.registries.repository(repository, &resolved.access), resolved.versions))
    }

    /// Returns how a registry is reached that the build pulls from.
    pub(super) fn endpoint_of(&self, host: &RegistryHost) -> NamedEndpoint<'a> {
        let spec = &self.builder.spec;
        let is_this = |text: &str| text.parse::<RegistryHost>().is_ok_and(|named| named.is_same_place(host));
        if let Some(i) = spec.registries.iter().position(|registry| is_this(&registry.host)) {
            return NamedEndpoint {
                field: format!("registries[{i}]"),
                endpoint: spec.registries[i].endpoint(),
            };
        }
        let none = EndpointRef { name: "", credentials: None, use_aws_irsa: false, tls: &DEFAULT_TLS };
        // The AWS identity that pushes also pulls what is at ECR.
        let use_aws_irsa = spec.image.use_aws_irsa && EcrHost::of(host).is_some();
        let field = if use_aws_irsa { "image".to_owned() } else { format!("registries[host={host}]") };
        NamedEndpoint { field, endpoint: EndpointRef { use_aws_irsa, ..none } }
    }

    /// Returns how the registry of the context's image is reached.
    pub(super) fn context_endpoint(&self) -> NamedEndpoint<'a> {
        let image = self.builder.spec.context.as_ref().and_then(|context| context.image.as_ref());
        let none = EndpointRef { name: "", credentials: None, use_aws_irsa: false, tls: &DEFAULT_TLS };
        let lends = self.builder.spec.image.use_aws_irsa;
        let endpoint = image.map_or(none, |image| context_endpoint(image, lends));
        NamedEndpoint { field: "context.image".to_owned(), endpoint }
    }

    /// Returns a client for the context's image, and the versions of the Secrets it was made from.
    pub(super) async fn context_client(
        &self,
        image: &ImageReference,
        freshness: Freshness,
    ) -> Result<(RepositoryClient, Versions), Halt> {
        let (agent, named) = (self.agent(), self.context_endpoint());
        let repository = &image.repository;
        let of = self.used(&named, repository, RegistryAction::Pull);
        let resolved = agent.registry_access().resolve(of, freshness).await?;
        Ok((agent.registries.repository(repository, &resolved.access), resolved.versions))
    }

    /// Checks the Secrets of all registries that the spec names. Returns their versions.
    async fn registries(&self, freshness: Freshness) -> Result<Versions, Halt> {
        let mut versions = Versions::default();
        for (i, registry) in self.builder.spec.registries.iter().enumerate() {
            let field = format!("registries[{i}]");
            let Ok(repository) = format!("{}/library", registry.host).parse::<Repository>() else { continue };
            // Credentials may be for other paths of the registry than this one.
            let endpoint = EndpointRef { credentials: None, ..registry.endpoint() };
            let named = NamedEndpoint { field: field.clone(), endpoint };
            let of = self.used(&named, &repository, RegistryAction::Pull);
            versions.extend(self.agent().registry_access().resolve(of, freshness).await?.versions);
            if let Some(named) = &registry.credentials {
                let (name, host) = (&named.secret_name, repository.host());
                versions.secrets.push(self.credentials(&field, name, host, freshness).await?.0);
            }
        }
        Ok(versions)
    }

    /// Returns the version of a Secret, and what it has for a registry: credentials by their scopes, as they stand there.
    pub(super) async fn credentials(
        &self,
        field: &str,
        name: &str,
        host: &RegistryHost,
        freshness: Freshness,
    ) -> Result<(String, Vec<(String, Credential)>), Halt> {
        let field = format!("{field}.credentials.secretName");
        let content = self.secret(&field, name, freshness).await?;
        let wrong = |problem: String| Halt::secret(format!("spec.{field} names Secret {name:?}: {problem}"));
        let document = content.value(DOCKER_CONFIG_KEY);
        let document =
            document.ok_or_else(|| wrong(format!("it has no key {DOCKER_CONFIG_KEY} that can be read")))?;
        let config = DockerConfig::parse(document).map_err(|error| wrong(error.to_string()))?;
        match config.of_registry(host) {
            none if none.is_empty() => Err(wrong(format!("it holds no credential for {host}"))),
            credentials => Ok((content.version.clone(), credentials)),
        }
    }

    /// Checks that the Secret of the cache has credentials. Returns its version.
    async fn cache_secret(&self, freshness: Freshness) -> Result<Option<String>, Halt> {
        let Some(named) = &self.builder.spec.cache.credentials else { return Ok(None) };
        let (field, name) = ("cache.credentials.secretName", &named.secret_name);
        let content = self.secret(field, name, freshness).await?;
        if content.has_key(DOCKER_CONFIG_KEY) {
            return Ok(Some(content.version.clone()));
        }
        Err(Halt::secret(format!(
            "spec.{field} names Secret {name:?}, which has no key {DOCKER_CONFIG_KEY}; name one of type \
             kubernetes.io/dockerconfigjson"
        )))
    }

    /// Checks that the secrets of the build have their keys. Returns their versions.
    async fn build_secrets(&self, request: &BuildRequest, freshness: Freshness) -> Result<Vec<String>, Halt> {
        let mut versions = Vec::new();
        for (i, (id, reference)) in request.secrets.iter().enumerate() {
            let field = format!("secrets[{i}] ({id:?})");
            let content = self.secret(&field, &reference.name, freshness).await?;
            if !content.has_key(&reference.key) {
                let (name, key) = (&reference.name, &reference.key);
                let fix = "add it, or name another key in key";
                return Err(Halt::secret(format!(
                    "spec.{field} names Secret {name:?}, which has no key {key:?}; {fix}"
                )));
            }
            versions.push(content.version.clone());
        }
        Ok(versions)
    }

    /// Checks that git's Secret is of the kind that the URL needs. Returns its version.
    async fn git_secret(&self, request: &BuildRequest, freshness: Freshness) -> Result<Option<String>, Halt> {
        let BuildContext::Git { url, secret: Some(name), .. } = &request.context else { return Ok(None) };
        let content = self.secret("context.git.credentials", name, freshness).await?;
        let has = |key: &str| content.has_key(key);
        let (is_right, wanted) = if url.starts_with("ssh://") {
            (
                has(SSH_KEY),
                "an ssh URL needs a Secret of type kubernetes.io/ssh-auth, with the key ssh-privatekey",
            )
        } else {
            let has_both = BASIC_AUTH_KEYS.into_iter().all(has);
            (
                has_both,
                "an http URL needs a Secret of type kubernetes.io/basic-auth, with the keys username and password",
            )
        };
        if is_right {
            return Ok(Some(content.version.clone()));
        }
        let message =
            format!("spec.context.git.credentials names Secret {name:?}, which is of another kind; {wanted}");
        Err(Halt::source_unauthorized(message))
    }

    /// Reads a Secret that the spec names in this field.
    pub(super) async fn secret(
        &self,
        field: &str,
        name: &str,
        freshness: Freshness,
    ) -> Result<Arc<SecretContent>, Halt> {
        let found = self.agent().secrets.get(self.namespace(), name, freshness).await;
        found.map_err(|error| match error.cause {
            ApiCause::NotFound => Halt::secret(format!(
                "spec.{field} names Secret {name:?}, which does not exist in this namespace; create it, or correct the name"
            )),
            ApiCause::MissingRight(_) | ApiCause::Forbidden(_) => Halt::MissingRight(GET_SECRETS),
            _ => Halt::Api(error),
        })
    }

    /// Returns until when a registry is left alone that refused Secrets.
    pub(super) fn blocked_until(&self) -> jiff::Timestamp {
        saturating_add(self.now, RECHECK_INTERVAL * 20)
    }
}

/// Returns how the registry of the context's image is reached. The AWS identity that pushes also pulls what is at ECR, if
/// it is lent.
pub(super) fn context_endpoint(image: &ImageContext, is_lent: bool) -> EndpointRef<'_> {
    let repository = image.name.parse::<ImageReference>().ok().map(|image| image.repository);
    let is_ecr = repository.is_some_and(|repository| EcrHost::of(repository.host()).is_some());
    EndpointRef {
        name: &image.name,
        credentials: image.credentials.as_ref(),
        use_aws_irsa: is_lent && is_ecr && image.credentials.is_none(),
        tls: &image.tls,
    }
}
