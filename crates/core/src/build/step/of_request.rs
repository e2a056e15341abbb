//! What a build of one platform is to do, from what an `ImageBuilder` asks for. Pure.

use std::collections::BTreeMap;

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Digest, RegistryHost};

use super::{
    ConfigMapSource, ContextImage, DEFAULT_LOG_BYTES, GitSource, LayerCache, StepContext, StepInput,
};
use crate::api::{ImageBuilderSpec, Tls, TlsMode};
use crate::build::{BuildCache, BuildContext, BuildRequest, ImageReference, ObservedInputs, Timestamp};

/// What a platform is built from.
#[derive(Debug, Clone, Copy)]
pub struct PartInputs<'a> {
    /// What is asked for.
    pub spec: &'a ImageBuilderSpec,
    /// The same, parsed.
    pub request: &'a BuildRequest,
    /// For what it is built.
    pub platform: &'a PlatformSelector,
    /// Values for ARGs.
    pub arguments: &'a BTreeMap<String, String>,
    /// What was observed when the build began.
    pub inputs: &'a ObservedInputs,
    /// When the build began.
    pub started_at: jiff::Timestamp,
}

impl StepInput {
    /// Returns all that the build of a platform has to know that is no secret.
    pub fn of(part: PartInputs<'_>) -> Self {
        let PartInputs { spec, request, platform, arguments, inputs, started_at } = part;
        let started = u64::try_from(started_at.as_second()).unwrap_or_default();
        Self {
            platform: platform.clone(),
            dockerfile: request.dockerfile.clone(),
            context: context(request, inputs),
            sub_path: request.sub_path.clone(),
            target: request.target.clone(),
            arguments: arguments.clone(),
            labels: request.labels.clone(),
            annotations: request.annotations.clone(),
            format: request.format,
            // All platforms bear the same time.
            timestamp: request.timestamp.map(|timestamp| match timestamp {
                Timestamp::Build => Timestamp::Seconds(started),
                other => other,
            }),
            secrets: request.secrets.keys().cloned().collect(),
            bases: bases(request, inputs),
            repository: request.destination.repository.clone(),
            tls_modes: tls_modes(spec, request),
            cache: match &request.cache {
                BuildCache::Registry { repository, ttl } => Some(LayerCache {
                    repository: repository.clone(),
                    ttl_seconds: ttl.map(|ttl| ttl.as_secs()),
                }),
                BuildCache::None | BuildCache::Volume { .. } => None,
            },
            buildah: None,
            log_bytes: DEFAULT_LOG_BYTES,
        }
    }
}

fn context(request: &BuildRequest, inputs: &ObservedInputs) -> StepContext {
    match &request.context {
        BuildContext::Empty => StepContext::Empty,
        BuildContext::Git { url, revision, submodules, lfs, depth, .. } => StepContext::Git(GitSource {
            url: url.clone(),
            revision: revision.clone(),
            commit: inputs.commit.clone(),
            submodules: *submodules,
            lfs: *lfs,
            depth: *depth,
        }),
        BuildContext::ConfigMap { items, .. } => {
            StepContext::ConfigMap(ConfigMapSource { items: items.clone(), digest: inputs.context.clone() })
        }
        BuildContext::Image(name) => StepContext::Image(ContextImage { name: name.clone() }),
    }
}

/// Returns what images show, that of the context included.
fn bases(request: &BuildRequest, inputs: &ObservedInputs) -> BTreeMap<ImageReference, Digest> {
    let mut bases = inputs.bases.clone();
    if let (BuildContext::Image(image), Some(digest)) = (&request.context, &inputs.context) {
        bases.insert(image.clone(), digest.clone());
    }
    bases
}

/// How registries are reached, each once.
pub type TlsOfHosts<'a> = BTreeMap<RegistryHost, &'a Tls>;

/// Returns how registries are reached: those of pulls, and that of the push.
pub fn tls_of_hosts<'a>(
    spec: &'a ImageBuilderSpec,
    request: &BuildRequest,
) -> (TlsOfHosts<'a>, TlsOfHosts<'a>) {
    let mut pulls = TlsOfHosts::new();
    let image = spec.context.as_ref().and_then(|context| context.image.as_ref());
    if let (Some(image), BuildContext::Image(of)) = (image, &request.context) {
        pulls.insert(of.repository.host().clone(), &image.tls);
    }
    let registries = spec.registries.iter();
    pulls.extend(registries.filter_map(|registry| Some((registry.host.parse().ok()?, &registry.tls))));
    let push = TlsOfHosts::from([(request.destination.repository.host().clone(), spec.image.endpoint().tls)]);
    (pulls, push)
}

/// Returns how registries are reached whose certificate is not simply verified.
fn tls_modes(spec: &ImageBuilderSpec, request: &BuildRequest) -> BTreeMap<RegistryHost, TlsMode> {
    let (pulls, push) = tls_of_hosts(spec, request);
    let mode = |(host, tls): (RegistryHost, &Tls)| {
        // Loopback is plain HTTP for the agent's own client too.
        let mode = if host.is_loopback() { TlsMode::PlainHttp } else { tls.mode };
        (mode != TlsMode::Verify).then_some((host, mode))
    };
    pulls.into_iter().chain(push).filter_map(mode).collect()
}
