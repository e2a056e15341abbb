//! Builds of ImageBuilders on this machine, by the code that runs in the pods of builds.
//!
//! ```text
//! needs    programs, and nothing that a cluster alone has
//! part     one platform: the three containers of a pod as processes, one after the other
//! publish  the index of all platforms, and the tags
//! ```

mod needs;
#[cfg(target_os = "linux")]
mod part;
mod publish;

use std::collections::BTreeMap;

use imgop_core::api::{EndpointRef, ImageBuilder, ImageBuilderSpec, Side, Tls, TlsMode};
use imgop_core::build::{BuildCache, BuildContext, BuildRequest};
use imgop_registry::reference::{Digest, RegistryHost, Repository};
use imgop_registry::{Registries, RepositoryClient};
use jiff::Timestamp;
use kube::ResourceExt as _;
use schemars::JsonSchema;
use serde::Serialize;

use crate::build_check::{OLDEST_BUILDAH, check_builder, lint};
use crate::cli_error::{CliError, Outcome};
use crate::output::Ui;
use crate::registry::local_access::{AccessSources, Endpoint, Reached};
#[cfg(target_os = "linux")]
pub use part::{STEP, step};

/// How images are built here.
pub struct LocalBuild<'a> {
    /// Prints.
    pub ui: Ui,
    /// Connections to registries.
    pub registries: &'a Registries,
    /// Credentials and certificates of this machine.
    pub sources: &'a AccessSources<'a>,
    /// How a flag secures all connections.
    pub tls: Option<TlsMode>,
}

/// What became of an ImageBuilder.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Built {
    /// Its name.
    pub name: String,
    /// The references that show the image.
    pub references: Vec<String>,
    /// What they show.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub digest: Option<Digest>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How the registries of a build are reached.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing is built there"))]
pub struct Access {
    /// Those that base images may come from.
    pulls: BTreeMap<RegistryHost, Reached>,
    push: Reached,
    cache: Option<Reached>,
}

impl LocalBuild<'_> {
    /// Reports what a build would be.
    pub async fn preview(&self, builder: &ImageBuilder) -> Result<Outcome, CliError> {
        let AccessSources { ui: _, cluster, local, flags } = *self.sources;
        let sources = AccessSources { ui: self.ui, cluster, local, flags };
        check_builder(builder, &request(builder)?, self.registries, sources, false).await
    }

    /// Builds and pushes an image.
    pub async fn build(&self, builder: &ImageBuilder, now: Timestamp) -> Result<Built, CliError> {
        let (name, request) = (builder.name_any(), request(builder)?);
        if !cfg!(target_os = "linux") {
            return Err(CliError::failed("images are built on Linux alone, or in a cluster"));
        }
        needs::check(&request)?;
        needs::programs(&request, std::env::var_os("PATH").as_deref())?;
        if matches!(request.context, BuildContext::Git { secret: Some(_), .. }) {
            self.ui.warning(&format!("{name}: Secrets are not read; git is asked without a login"));
        }
        let access = self.access(&builder.spec, &request).await?;
        let parts = self.parts(builder, &request, &access, now).await?;
        let push = &access.push.access;
        let client =
            |repository: &Repository| -> RepositoryClient { self.registries.push_target(repository, push) };
        let digest = publish::publish(&request, client, &parts).await?;
        let tags = request.destination.tags.iter();
        let references = tags.map(|(repository, tag)| format!("{repository}:{tag}")).collect();
        Ok(Built { name, references, digest: Some(digest), reason: None })
    }

    /// Builds each platform, one after the other. Returns their digests at the destination.
    #[cfg(target_os = "linux")]
    async fn parts(
        &self,
        builder: &ImageBuilder,
        request: &BuildRequest,
        access: &Access,
        now: Timestamp,
    ) -> Result<Vec<(imgop_registry::oci::PlatformSelector, Digest)>, CliError> {
        let mut built = Vec::new();
        let until = tokio::time::Instant::now() + request.timeout;
        for platform in &request.platforms {
            self.ui.note(&format!("building {} for {platform}", builder.name_any()));
            let (spec, tls) = (&builder.spec, self.tls);
            let part = part::Part { spec, request, platform, access, tls, started_at: now, until };
            built.push((platform.clone(), part.build().await?));
        }
        Ok(built)
    }

    /// There is no Buildah, which was said before.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_async, reason = "it is asynchronous where there is one")]
    async fn parts(
        &self,
        _builder: &ImageBuilder,
        _request: &BuildRequest,
        _access: &Access,
        _now: Timestamp,
    ) -> Result<Vec<(imgop_registry::oci::PlatformSelector, Digest)>, CliError> {
        Ok(Vec::new())
    }

    async fn access(&self, spec: &ImageBuilderSpec, request: &BuildRequest) -> Result<Access, CliError> {
        let mut pulls = BTreeMap::new();
        for host in hosts(spec, request) {
            let reached = self.reach_for_pulls(spec, &host).await?;
            pulls.insert(host, reached);
        }
        let push = self.reach(&request.destination.repository, spec.image.endpoint()).await?;
        let cache = match &request.cache {
            BuildCache::Registry { repository, .. } => {
                Some(self.reach(repository, spec.image.endpoint()).await?)
            }
            BuildCache::None | BuildCache::Volume { .. } => None,
        };
        Ok(Access { pulls, push, cache })
    }

    async fn reach_for_pulls(
        &self,
        spec: &ImageBuilderSpec,
        host: &RegistryHost,
    ) -> Result<Reached, CliError> {
        // Whatever repository: credentials are those of the registry.
        let any = format!("{host}/library/any").parse::<Repository>();
        let any = any.map_err(|error| CliError::failed(format!("{host} is no registry: {error}")))?;
        let (name, tls) = (any.to_string(), Tls::default());
        let is_of = |named: &str| named.parse().is_ok_and(|named: RegistryHost| named.is_same_place(host));
        let named = spec.registries.iter().find(|registry| is_of(&registry.host));
        let endpoint = match named {
            Some(registry) => registry.endpoint(),
            None => EndpointRef { name: &name, credentials: None, use_aws_irsa: false, tls: &tls },
        };
        self.reach(&any, endpoint).await
    }

    async fn reach(&self, repository: &Repository, spec: EndpointRef<'_>) -> Result<Reached, CliError> {
        let endpoint = Endpoint {
            side: Side::Destination,
            namespace: None,
            repository,
            spec,
            tls_flag: self.tls,
            is_of_cluster: false,
        };
        self.sources.reach(endpoint).await
    }
}

fn request(builder: &ImageBuilder) -> Result<BuildRequest, CliError> {
    BuildRequest::parse(&builder.spec).map_err(|error| CliError::failed(error.to_string()))
}

/// Returns the registries that a build may pull from, as far as they are known before its context is fetched.
fn hosts(spec: &ImageBuilderSpec, request: &BuildRequest) -> Vec<RegistryHost> {
    let mut hosts = vec![RegistryHost::docker_hub(), request.destination.repository.host().clone()];
    hosts.extend(request.registries.iter().cloned());
    if let BuildContext::Image(image) = &request.context {
        hosts.push(image.repository.host().clone());
    }
    if let Some(text) = &spec.source {
        let found = lint(text, request, None, OLDEST_BUILDAH);
        hosts.extend(found.images.into_iter().map(|needed| needed.image.repository.host().clone()));
    }
    hosts.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    hosts.dedup();
    hosts
}
