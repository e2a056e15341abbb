//! The parts of a build, which are at the registry by their digests, get their index and their tags.

use imgop_copier::{Copier, Item, Journal, Options, Root, Target};
use imgop_core::api::Format;
use imgop_core::build::BuildRequest;
use imgop_registry::oci::{IndexFormat, IndexedImage, PlatformSelector, image_index};
use imgop_registry::reference::{Digest, ManifestRef, Repository};
use imgop_registry::{Manifest, RepositoryClient};

use crate::cli_error::CliError;

/// Puts what was built under its tags, in their order. A single platform gets them itself, several an index. Returns what
/// they show.
pub async fn publish(
    request: &BuildRequest,
    client_of: impl Fn(&Repository) -> RepositoryClient,
    parts: &[(PlatformSelector, Digest)],
) -> Result<Digest, CliError> {
    let from = client_of(&request.destination.repository);
    let mut built = Vec::new();
    for (platform, digest) in parts {
        let read = from.manifest(&ManifestRef::Digest(digest.clone())).await;
        let read = read.map_err(|error| CliError::failed(format!("cannot read what was pushed: {error}")))?;
        let manifest = read.ok_or_else(|| {
            CliError::failed(format!("{digest} was pushed to {} and is not there", from.repository()))
        })?;
        built.push((platform, manifest));
    }
    let content = content(request, &built)?;
    let mut copier = Copier::new(Options::default(), Journal::in_memory());
    let source = copier.add_source(from);
    for (repository, tag) in &request.destination.tags {
        let destination = copier.add_destination(client_of(repository), false);
        let target = Target { destination, tag: Some(tag.clone()), keeps_existing: false };
        let item = Item { source, root: Root::Manifest(content.clone()), targets: vec![target] };
        let mut failed = None;
        copier.run(&[item], &mut |_, _, outcome| failed = outcome.err()).await;
        if let Some(error) = failed {
            let what = format!("{repository}:{tag} cannot be put: {error}");
            return Err(CliError::failed(format!("{what}; {} stays at the registry", content.digest)));
        }
    }
    Ok(content.digest)
}

fn content(request: &BuildRequest, built: &[(&PlatformSelector, Manifest)]) -> Result<Manifest, CliError> {
    if let [(_, only)] = built {
        return Ok(only.clone());
    }
    let format = match request.format {
        Format::Docker => IndexFormat::Docker,
        Format::Oci => IndexFormat::Oci,
    };
    let image = |(platform, manifest): &(&PlatformSelector, Manifest)| IndexedImage {
        platform: (*platform).clone(),
        media_type: manifest.media_type.clone(),
        digest: manifest.digest.clone(),
        size: manifest.bytes.len().try_into().unwrap_or(u64::MAX),
    };
    let images: Vec<IndexedImage> = built.iter().map(image).collect();
    image_index(format, &images, &request.annotations).map_err(|error| CliError::failed(error.to_string()))
}
