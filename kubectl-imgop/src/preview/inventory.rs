//! The Images that an ImageMirror becomes, each to be previewed as one.

use std::collections::HashMap;

use imgop_core::api::{Image, ImageMirror};
use imgop_core::formats;
use imgop_core::inventory::{Child, FilePart, Inventory};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt as _};

use crate::cli_error::CliError;
use crate::cluster::Cluster;

/// Returns the Images that a mirror becomes. The cluster is asked for the files that it names.
pub async fn images(mirror: &ImageMirror, cluster: Result<&Cluster, String>) -> Result<Vec<Image>, CliError> {
    let (name, spec) = (mirror.name_any(), &mirror.spec);
    let failed = |why: String| CliError::failed(format!("ImageMirror {name}: {why}"));
    let parts = if spec.from.is_empty() {
        Vec::new()
    } else {
        parts(mirror, cluster.map_err(|why| failed(format!("its files are in the cluster: {why}")))?).await?
    };
    let inventory = Inventory::read(spec, &parts).map_err(|error| failed(error.to_string()))?;
    let expansion = inventory.expand().map_err(|error| failed(error.to_string()))?;
    let image = |child: &Child| {
        let mut image = Image::new(&child.name(&name), inventory.image_spec(child, spec));
        image.metadata.namespace.clone_from(&mirror.metadata.namespace);
        image
    };
    Ok(expansion.children.iter().map(image).collect())
}

async fn parts(mirror: &ImageMirror, cluster: &Cluster) -> Result<Vec<FilePart>, CliError> {
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
