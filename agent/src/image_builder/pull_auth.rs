//! The credentials of all registries that a build pulls from, in the one file that Buildah reads.

use imgop_core::api::{EndpointRef, ImageBuilderSpec};
use imgop_core::build::BuildRequest;
use imgop_registry::reference::{Digest, EcrHost, RegistryHost, Repository};

use super::Pass;
use super::access::NamedEndpoint;
use super::halt::Halt;
use crate::cluster::Freshness;
use crate::cluster::api_error::ApiCause;
use crate::cluster::owner::Owner;
use crate::cluster::rights::Right;
use crate::cluster::secrets::EnsureError;
use crate::registry_access::JobSecretError;
use crate::registry_access::docker_config::docker_config_secret;

/// The Secret that holds the credentials of a build's pulls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PullAuth {
    /// There are none.
    None,
    /// The only one that the spec names.
    Named(String),
    /// One that the agent writes, of several.
    Merged(String),
}

impl PullAuth {
    /// Returns which Secret it is, for a build with these base images.
    pub(super) fn of(owner: &Owner, spec: &ImageBuilderSpec, request: &BuildRequest) -> Self {
        let endpoints = endpoints(spec, request);
        let named: Vec<&str> = endpoints
            .iter()
            .filter_map(|(_, named)| named.endpoint.credentials)
            .map(|credentials| credentials.secret_name.as_str())
            .collect();
        let needs_aws = endpoints.iter().any(|(_, named)| named.endpoint.use_aws_irsa);
        match named.as_slice() {
            [] if !needs_aws => Self::None,
            [only] if !needs_aws => Self::Named((*only).to_owned()),
            _ => {
                let hash = Digest::of(format!("{}\npull", owner.uid).as_bytes());
                Self::Merged(format!("imgop-pull-{}", &hash.hex()[..16]))
            }
        }
    }

    /// Returns the name of the Secret.
    pub(super) fn secret(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Named(name) | Self::Merged(name) => Some(name),
        }
    }
}

/// Returns how each registry is reached that the spec says how to reach for pulls.
fn endpoints<'a>(
    spec: &'a ImageBuilderSpec,
    request: &BuildRequest,
) -> Vec<(RegistryHost, NamedEndpoint<'a>)> {
    let registries = spec.registries.iter().enumerate().filter_map(|(i, registry)| {
        let named = NamedEndpoint { field: format!("registries[{i}]"), endpoint: registry.endpoint() };
        Some((registry.host.parse().ok()?, named))
    });
    let mut all: Vec<(RegistryHost, NamedEndpoint<'a>)> = registries.collect();
    let image = spec.context.as_ref().and_then(|context| context.image.as_ref());
    if let Some((image, imgop_core::build::BuildContext::Image(of))) =
        image.map(|image| (image, &request.context))
    {
        let endpoint = EndpointRef {
            name: &image.name,
            credentials: image.credentials.as_ref(),
            use_aws_irsa: false,
            tls: &image.tls,
        };
        all.push((
            of.repository.host().clone(),
            NamedEndpoint { field: "context.image".to_owned(), endpoint },
        ));
    }
    let destination = request.destination.repository.host();
    // The AWS identity that pushes also pulls what is at the same ECR.
    if spec.image.use_aws_irsa && EcrHost::of(destination).is_some() {
        let endpoint = spec.image.endpoint();
        all.push((destination.clone(), NamedEndpoint { field: "image".to_owned(), endpoint }));
    }
    all
}

impl Pass<'_> {
    /// Writes the Secret with the credentials of several registries, if the build needs one.
    pub(super) async fn ensure_pull_auth(&self, request: &BuildRequest) -> Result<PullAuth, Halt> {
        let (agent, spec) = (self.agent(), &self.builder.spec);
        let auth = PullAuth::of(&self.owner, spec, request);
        let PullAuth::Merged(name) = &auth else { return Ok(auth) };
        let mut credentials = Vec::new();
        for (host, named) in endpoints(spec, request) {
            // Whatever repository: each of them has the same credential.
            let repository: Option<Repository> = format!("{host}/library").parse().ok();
            let Some(repository) = repository else { continue };
            let (access, field) = (agent.registry_access(), &named.field);
            let resolved =
                access.resolve(self.namespace(), field, &repository, named.endpoint, Freshness::Now).await?;
            credentials.extend(resolved.access.credential.map(|credential| (host, credential)));
        }
        let secret = docker_config_secret(&self.owner, name.clone(), "imgop-pull", &credentials);
        let written = agent.secrets.ensure(&secret).await;
        written.map_err(|error| match error {
            EnsureError::Taken(name) => JobSecretError::Taken(name),
            EnsureError::Api(error) if matches!(error.cause, ApiCause::MissingRight(_)) => {
                JobSecretError::MissingRight(agent.rights.how_to_grant(Right::CREATE_JOBS, self.namespace()))
            }
            EnsureError::Api(error) => JobSecretError::Api(error),
        })?;
        Ok(auth)
    }
}
