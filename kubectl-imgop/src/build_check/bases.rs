//! The base images of a build, as their registries have them: by HEAD, and by the index where that counts as no pull.

use std::collections::BTreeMap;

use imgop_core::api::{EndpointRef, ImageBuilderSpec, Side, Tls};
use imgop_core::build::ImageReference;
use imgop_core::build::dockerfile::NeededImage;
use imgop_core::copy::ObserveError;
use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Digest, RegistryHost};
use imgop_registry::{Registries, RegistryError, RepositoryClient};

use crate::cli_error::CliError;
use crate::output::wording::Wording;
use crate::registry::errors::{ErrorContext, explain};
use crate::registry::local_access::{AccessSources, Endpoint, Origin, Role};

/// An image that a build needs.
#[derive(Debug)]
pub struct Base {
    /// Which, and where it is named.
    pub needed: NeededImage,
    /// What its registry has.
    pub state: BaseState,
}

impl Base {
    /// Whether a build can begin with it, as far as that is known.
    pub fn is_usable(&self) -> bool {
        matches!(self.state, BaseState::Present(_) | BaseState::PlatformNotAsked(_))
    }
}

/// What a registry has of an image.
#[derive(Debug)]
pub enum BaseState {
    /// It is there for the platform.
    Present(Digest),
    /// It is there; which platforms it has was not asked, for that would count as a pull.
    PlatformNotAsked(Digest),
    /// It is not there.
    Missing,
    /// It is there for these platforms alone.
    OtherPlatforms(Vec<String>),
    /// Its registry does not say.
    Unknown(CliError),
}

/// How base images are looked up.
pub struct Bases<'a> {
    /// The connections to registries.
    pub registries: &'a Registries,
    /// Credentials and certificates.
    pub sources: AccessSources<'a>,
    /// The spec, which says how registries are reached.
    pub spec: &'a ImageBuilderSpec,
    /// The namespace of its Secrets, if it is not that of the flags.
    pub namespace: Option<&'a str>,
    /// What the user wrote.
    pub wording: Wording,
    /// Whether the spec is that of an object of the cluster, which others may have written.
    pub is_of_cluster: bool,
}

/// What was found of one reference.
struct Seen {
    digest: Digest,
    /// None where they were not asked.
    platforms: Option<Vec<imgop_registry::oci::Platform>>,
}

/// Looks base images up; each reference once, whatever platforms need it.
pub async fn look_up(bases: &Bases<'_>, images: Vec<NeededImage>) -> Vec<Base> {
    let mut seen: BTreeMap<ImageReference, Result<Option<Seen>, CliError>> = BTreeMap::new();
    for needed in &images {
        if !seen.contains_key(&needed.image) {
            seen.insert(needed.image.clone(), bases.look_up(&needed.image).await);
        }
    }
    let state = |needed: &NeededImage| match seen.get(&needed.image) {
        Some(Ok(Some(found))) => of_platform(found, &needed.platform),
        Some(Ok(None)) | None => BaseState::Missing,
        Some(Err(error)) => BaseState::Unknown(error.clone()),
    };
    images.into_iter().map(|needed| Base { state: state(&needed), needed }).collect()
}

fn of_platform(found: &Seen, wanted: &PlatformSelector) -> BaseState {
    match &found.platforms {
        None => BaseState::PlatformNotAsked(found.digest.clone()),
        // An image that names no platform fits each.
        Some(platforms)
            if platforms.is_empty() || platforms.iter().any(|platform| wanted.matches(platform)) =>
        {
            BaseState::Present(found.digest.clone())
        }
        Some(platforms) => BaseState::OtherPlatforms(platforms.iter().map(ToString::to_string).collect()),
    }
}

impl Bases<'_> {
    async fn look_up(&self, image: &ImageReference) -> Result<Option<Seen>, CliError> {
        let (client, origin) = self.client(image).await?;
        let seen = ask(&client, image).await;
        seen.map_err(|error| {
            let context = ErrorContext {
                wording: self.wording,
                source: origin,
                destination: Origin::default(),
                copies_here: false,
            };
            let explained = explain(&ObserveError::Registry { side: Side::Source, error }, &context);
            let message = explained.message.strip_prefix("source: ").unwrap_or(&explained.message).to_owned();
            CliError { message, ..explained }
        })
    }

    async fn client(&self, image: &ImageReference) -> Result<(RepositoryClient, Origin), CliError> {
        let (name, default_tls) = (image.repository.to_string(), Tls::default());
        let is_of = |host: &str| {
            let host =
                format!("{host}/x").parse().map(|repository: imgop_registry::reference::Repository| {
                    let host: RegistryHost = repository.host().clone();
                    host.is_same_place(image.repository.host())
                });
            host.unwrap_or(false)
        };
        let named = self.spec.registries.iter().find(|registry| is_of(&registry.host));
        let spec = match named {
            Some(registry) => registry.endpoint(),
            None => EndpointRef { name: &name, credentials: None, use_aws_irsa: false, tls: &default_tls },
        };
        let endpoint = Endpoint {
            side: Side::Source,
            namespace: self.namespace,
            repository: &image.repository,
            spec,
            tls_flag: None,
            is_of_cluster: self.is_of_cluster,
        };
        let reached = self.sources.reach(endpoint).await?;
        let origin = Origin { role: Role::BaseImages, ..reached.origin };
        Ok((self.registries.repository(&image.repository, &reached.access), origin))
    }
}

async fn ask(client: &RepositoryClient, image: &ImageReference) -> Result<Option<Seen>, RegistryError> {
    let Some(wanted) = image.manifest_ref() else { return Ok(None) };
    let Some(head) = client.head(&wanted).await? else { return Ok(None) };
    let digest = head.digest.clone();
    if client.counts_pulls() {
        return Ok(Some(Seen { digest, platforms: None }));
    }
    let Some(manifest) = client.manifest(&digest.clone().into()).await? else { return Ok(None) };
    let platforms = if manifest.is_index() {
        manifest.platforms().unwrap_or_default().into_iter().map(|of| of.platform).collect()
    } else {
        client.platform(&manifest).await?.into_iter().collect()
    };
    Ok(Some(Seen { digest, platforms: Some(platforms) }))
}
