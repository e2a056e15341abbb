//! The Images that an ImageMirror becomes, each to be previewed as one.

use std::collections::HashMap;

use imgop_core::api::{FOUND_TAGS_ANNOTATION, Image, ImageMirror, ImageMirrorSpec, MIRROR_LABEL};
use imgop_core::formats;
use imgop_core::inventory::{
    Child, Conflict, FilePart, Inventory, InventoryError, KeptTags, MirrorUpdateRequest, mirror_label,
};
use imgop_registry::reference::Tag;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use crate::cli_error::CliError;
use crate::cluster::Cluster;

/// Tags that version sources have added to an Image of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTags {
    source: String,
    destination: String,
    tags: Vec<Tag>,
}

/// What a mirror becomes.
#[derive(Debug)]
pub struct Mirrored {
    /// Its Images.
    pub images: Vec<Image>,
    /// Tags that two sources would become, which no Image copies: one message for each.
    pub conflicts: Vec<CliError>,
}

/// Returns what a mirror becomes. The cluster is asked for the files that it names.
pub async fn images(mirror: &ImageMirror, cluster: Result<&Cluster, String>) -> Result<Mirrored, CliError> {
    let (name, spec) = (mirror.name_any(), &mirror.spec);
    let failed = |why: String| CliError::failed(format!("ImageMirror {name}: {why}"));
    let parts = if spec.from.is_empty() {
        Vec::new()
    } else {
        let cluster =
            cluster.clone().map_err(|why| failed(format!("its files are in the cluster: {why}")))?;
        parts(mirror, cluster).await?
    };
    let found = match cluster {
        Ok(cluster) => found(mirror, cluster).await?,
        Err(_) => Vec::new(),
    };
    let mut inventory = Inventory::read(spec, &parts).map_err(|error| failed(error.to_string()))?;
    restore(&mut inventory, spec, &found).map_err(|error| failed(error.to_string()))?;
    let expansion = inventory.expand().map_err(|error| failed(error.to_string()))?;
    let image = |child: &Child| {
        let mut image = Image::new(&child.name(&name), inventory.image_spec(child, spec));
        image.metadata.namespace.clone_from(&mirror.metadata.namespace);
        image
    };
    let conflict = |conflict: &Conflict| failed(format!("{conflict}; give one another targetName or tag"));
    let conflicts = expansion.conflicts.iter().map(conflict).collect();
    Ok(Mirrored { images: expansion.children.iter().map(image).collect(), conflicts })
}

/// Adds to an inventory what version sources have added to it before, as the agent does.
///
/// # Errors
/// Where the updates of the spec cannot be used.
pub fn restore(
    inventory: &mut Inventory,
    spec: &ImageMirrorSpec,
    found: &[FoundTags],
) -> Result<(), InventoryError> {
    if found.is_empty() {
        return Ok(());
    }
    let requests = MirrorUpdateRequest::read_all(&spec.updates)?;
    let kept =
        found.iter().map(|FoundTags { source, destination, tags }| KeptTags { source, destination, tags });
    // What there is no room for is proposed, and no longer mirrored.
    inventory.restore(&kept.collect::<Vec<_>>(), &requests);
    Ok(())
}

/// Returns what version sources have added to a mirror of the cluster: its Images have kept it.
pub async fn found(mirror: &ImageMirror, cluster: &Cluster) -> Result<Vec<FoundTags>, CliError> {
    let Some(uid) = mirror.metadata.uid.as_deref().filter(|_| !mirror.spec.updates.is_empty()) else {
        return Ok(Vec::new());
    };
    let namespace = mirror.metadata.namespace.as_deref().unwrap_or(&cluster.namespace);
    let images: Api<Image> = Api::namespaced(cluster.client.clone(), namespace);
    let of_mirror = format!("{MIRROR_LABEL}={}", mirror_label(&mirror.name_any()));
    let listed = images.list(&ListParams::default().labels(&of_mirror)).await;
    let listed = listed.map_err(|error| cluster.explain_in_namespace("list", "images.skopeo.io", &error))?;
    let is_controlled = |image: &&Image| {
        image.owner_references().iter().any(|owner| owner.controller == Some(true) && owner.uid == uid)
    };
    let tags = |image: &Image| {
        let tags = image.annotations().get(FOUND_TAGS_ANNOTATION)?;
        let (source, destination) = (image.spec.source.name.clone(), image.spec.destination.name.clone());
        let tags = tags.split(',').filter_map(|tag| tag.parse().ok()).collect();
        Some(FoundTags { source, destination, tags })
    };
    Ok(listed.items.iter().filter(is_controlled).filter_map(tags).collect())
}

/// Returns the files that a mirror names.
pub async fn parts(mirror: &ImageMirror, cluster: &Cluster) -> Result<Vec<FilePart>, CliError> {
    let namespace = mirror.metadata.namespace.as_deref().unwrap_or(&cluster.namespace);
    let config_maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    let (mut read, mut parts) = (HashMap::new(), Vec::new());
    for file in &mirror.spec.from {
        let of = &file.config_map;
        if !read.contains_key(&of.name) {
            let found = config_maps.get(&of.name).await;
            let found = found.map_err(|error| cluster.explain_in_namespace("get", "configmaps", &error))?;
            read.insert(of.name.clone(), found.data.unwrap_or_default());
        }
        let shown = format!("ConfigMap {}, key {}", of.name, of.key);
        let failed =
            |why: String| CliError::failed(format!("ImageMirror {}: {shown}{why}", mirror.name_any()));
        let text = read.get(&of.name).and_then(|data| data.get(&of.key));
        let text = text.ok_or_else(|| failed(": there is no such key".to_owned()))?;
        let content =
            formats::read(text, file.format.into()).map_err(|error| failed(format!(", {error}")))?;
        parts.push(content.into_part(shown));
    }
    Ok(parts)
}
