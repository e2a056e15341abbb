//! The credentials of all registries that a build pulls from, in the one file that Buildah reads.

use imgop_core::api::{EndpointRef, ImageBuilderSpec, RegistryAction};
use imgop_core::build::{BuildContext, BuildRequest, ObservedInputs};
use imgop_registry::Credential;
use imgop_registry::reference::{Digest, EcrHost, RegistryHost, Repository};

use super::Pass;
use super::access::{BUILD, NamedEndpoint, context_endpoint};
use super::halt::Halt;
use crate::cluster::Freshness;
use crate::cluster::api_error::ApiCause;
use crate::cluster::owner::Owner;
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
    /// Returns which Secret it is, for a build of these inputs.
    pub(super) fn of(
        owner: &Owner,
        spec: &ImageBuilderSpec,
        request: &BuildRequest,
        inputs: &ObservedInputs,
    ) -> Self {
        let endpoints = endpoints(spec, request, inputs);
        let named: Vec<&str> = endpoints
            .iter()
            .filter_map(|pulls| pulls.named.endpoint.credentials)
            .map(|credentials| credentials.secret_name.as_str())
            .collect();
        let needs_aws = endpoints.iter().any(|pulls| pulls.named.endpoint.use_aws_irsa);
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

/// How a registry is reached for pulls.
struct Pulls<'a> {
    host: RegistryHost,
    /// The only repository that it is for: another Secret may be for the rest of the registry.
    repository: Option<Repository>,
    named: NamedEndpoint<'a>,
}

/// Returns how each registry is reached that the spec says how to reach for pulls.
fn endpoints<'a>(
    spec: &'a ImageBuilderSpec,
    request: &BuildRequest,
    inputs: &ObservedInputs,
) -> Vec<Pulls<'a>> {
    let registries = spec.registries.iter().enumerate().filter_map(|(i, registry)| {
        let named = NamedEndpoint { field: format!("registries[{i}]"), endpoint: registry.endpoint() };
        Some(Pulls { host: registry.host.parse().ok()?, repository: None, named })
    });
    let mut all: Vec<Pulls<'a>> = registries.collect();
    let image = spec.context.as_ref().and_then(|context| context.image.as_ref());
    if let (Some(image), BuildContext::Image(of)) = (image, &request.context) {
        let endpoint = context_endpoint(image, spec.image.use_aws_irsa);
        let named = NamedEndpoint { field: "context.image".to_owned(), endpoint };
        let repository = of.repository.clone();
        all.push(Pulls { host: repository.host().clone(), repository: Some(repository), named });
    }
    if spec.image.use_aws_irsa {
        // The AWS identity that pushes also pulls what is at ECR.
        let bases = inputs.bases.keys().map(|image| image.repository.host());
        for host in std::iter::once(request.destination.repository.host()).chain(bases) {
            let is_named = all.iter().any(|pulls| pulls.host.is_same_place(host));
            if EcrHost::of(host).is_some() && !is_named {
                let endpoint = EndpointRef { credentials: None, ..spec.image.endpoint() };
                let named = NamedEndpoint { field: "image".to_owned(), endpoint };
                all.push(Pulls { host: host.clone(), repository: None, named });
            }
        }
    }
    all
}

impl Pass<'_> {
    /// Writes the Secret with the credentials of several registries, if the build needs one.
    pub(super) async fn ensure_pull_auth(
        &self,
        request: &BuildRequest,
        inputs: &ObservedInputs,
    ) -> Result<PullAuth, Halt> {
        let (agent, spec) = (self.agent(), &self.builder.spec);
        let auth = PullAuth::of(&self.owner, spec, request, inputs);
        let PullAuth::Merged(name) = &auth else { return Ok(auth) };
        let mut credentials = Vec::new();
        for pulls in endpoints(spec, request, inputs) {
            credentials.extend(self.credentials_of(&pulls).await?);
        }
        let secret = docker_config_secret(&self.owner, name.clone(), "imgop-pull", &credentials);
        let written = agent.secrets.ensure(&secret).await;
        written.map_err(|error| match error {
            EnsureError::Taken(name) => JobSecretError::Taken(name),
            EnsureError::Api(error) if matches!(error.cause, ApiCause::MissingRight(_)) => {
                JobSecretError::MissingRight(agent.rights.how_to_grant(BUILD, self.namespace()))
            }
            EnsureError::Api(error) => JobSecretError::Api(error),
        })?;
        Ok(auth)
    }

    /// Returns the credentials of a registry by their scopes: those of a Secret for all of it as they stand there, which
    /// may be for paths alone.
    async fn credentials_of(&self, pulls: &Pulls<'_>) -> Result<Vec<(String, Credential)>, Halt> {
        let Pulls { host, repository, named } = pulls;
        if let (Some(of), None) = (named.endpoint.credentials, repository) {
            let found = self.credentials(&named.field, &of.secret_name, host, Freshness::Now).await?;
            return Ok(found.1);
        }
        // Whatever repository: the AWS identity has one credential for all.
        let any = || format!("{host}/library").parse().ok();
        let Some(asked) = repository.clone().or_else(any) else { return Ok(Vec::new()) };
        let of = self.used(named, &asked, RegistryAction::Pull);
        let resolved = self.agent().registry_access().resolve(of, Freshness::Now).await?;
        let scope = repository.as_ref().map_or_else(|| host.to_string(), Repository::to_string);
        Ok(resolved.access.credential.map(|credential| (scope, credential)).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::ImageBuilder;

    use super::*;
    use crate::image_builder::tests::fixtures::builder;

    fn hosts(builder: &ImageBuilder, bases: &[&str]) -> Vec<String> {
        let request = BuildRequest::parse(&builder.spec).unwrap();
        let bases = bases.iter().map(|name| (name.parse().unwrap(), Digest::of(b"x"))).collect();
        let inputs = ObservedInputs { bases, ..ObservedInputs::default() };
        let lent = |pulls: Pulls<'_>| pulls.named.endpoint.use_aws_irsa.then(|| pulls.host.to_string());
        endpoints(&builder.spec, &request, &inputs).into_iter().filter_map(lent).collect()
    }

    #[test]
    fn the_aws_identity_that_pushes_pulls_from_each_ecr_that_the_build_needs() {
        let [east, west, north] = ["us-east-1", "eu-west-1", "eu-north-1"]
            .map(|region| format!("111111111111.dkr.ecr.{region}.amazonaws.com"));
        let mut lent = builder(|spec| {
            spec.image.name = format!("{east}/app");
            spec.image.use_aws_irsa = true;
            let context = serde_json::json!({ "image": { "name": format!("{north}/files:1") } });
            spec.context = Some(serde_json::from_value(context).unwrap());
        });
        let bases = [format!("{west}/base:1"), format!("{east}/base:1"), "quay.io/a/b:1".to_owned()];
        let bases = bases.each_ref().map(String::as_str);
        let mut found = hosts(&lent, &bases);
        found.sort_unstable();
        assert_eq!(found, [north, west, east]);
        lent.spec.image.use_aws_irsa = false;
        assert!(hosts(&lent, &bases).is_empty());
    }
}
