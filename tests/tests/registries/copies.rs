//! The copier between real registries: what stands in one of them then stands in the other, bit by bit.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use imgop_copier::{Copied, Copier, Item, Journal, Options, Root, Target};
use imgop_fakes::Graph;
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{BlobDescriptor, Content, Manifest, RepositoryClient};

use crate::every_registry::{Registry, Way, every_registry, registries, with_referrers};

/// Graphs of manifests that are copied in each direction.
const GRAPHS: u64 = 12;

#[tokio::test]
async fn random_graphs_of_manifests_are_copied_bit_by_bit_between_both_registries() -> anyhow::Result<()> {
    let both: Vec<&Registry> = registries(Way::Open).await?.collect();
    let first = fastrand::u64(..1 << 40);
    for seed in first..first + GRAPHS {
        for (from, to) in [(both[0], both[1]), (both[1], both[0])] {
            let (graph, path) = (Graph::random(seed), format!("copies/{seed}"));
            copy(from, to, &graph, &path)
                .await
                .with_context(|| format!("graph {seed} from {from} to {to}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_blob_in_chunks_arrives_at_every_registry_however_it_is_reached() -> anyhow::Result<()> {
    let mut graph = Graph::default();
    let (config, layer) = (graph.blob("{}"), graph.blob(vec![7; 3 << 20]));
    let image = graph.oci_image(&config, &[layer]);
    graph.tags.push(("v1".to_owned(), image.digest));
    let with_referrers = &with_referrers().await?.0;
    for registry in every_registry().await?.iter().chain([with_referrers]) {
        let copied = copy(registry, registry, &graph, "copies/chunks").await;
        copied.with_context(|| format!("within {registry}"))?;
        let other = registries(Way::Open).await?.next().context("none is open")?;
        copy(other, registry, &graph, "copies/chunks-from")
            .await
            .with_context(|| format!("to {registry}"))?;
    }
    Ok(())
}

/// Fills the repository of one registry, copies all its tags, and compares both.
async fn copy(from: &Registry, to: &Registry, graph: &Graph, path: &str) -> anyhow::Result<()> {
    let (_, source) = from.client(path, &from.access())?;
    let (_, destination) = to.client(&format!("{path}/to"), &to.access())?;
    fill(&source, graph).await?;
    copy_all(source, destination.clone(), graph).await?;
    ensure!(held(&destination, graph).await? == all(graph)?, "something else has arrived");
    Ok(())
}

/// Copies all tags of a graph to a repository that is new.
pub async fn copy_all(
    source: RepositoryClient,
    destination: RepositoryClient,
    graph: &Graph,
) -> anyhow::Result<()> {
    // Small blobs are sent in all ways then.
    let options = Options { held: 1_000, whole: 20_000, chunk: 1 << 20, ..Options::default() };
    let mut copier = Copier::new(options, Journal::in_memory());
    let (source, to) = (copier.add_source(source), copier.add_destination(destination, true));
    let item = |(tag, digest): &(String, Digest)| -> anyhow::Result<Item> {
        let targets = vec![Target { destination: to, tag: Some(tag.parse()?), keeps_existing: false }];
        Ok(Item { source, root: Root::Digest(digest.clone()), targets })
    };
    let items: Vec<Item> = graph.tags.iter().map(item).collect::<anyhow::Result<_>>()?;
    let mut failures = Vec::new();
    copier
        .run(&items, &mut |_, _, outcome| match outcome {
            Ok(Copied::Done(_)) => {}
            other => failures.push(format!("{other:?}")),
        })
        .await;
    ensure!(failures.is_empty(), "{failures:?}");
    Ok(())
}

/// Puts all of a graph into a repository, without tags.
pub async fn fill(source: &RepositoryClient, graph: &Graph) -> anyhow::Result<()> {
    for blob in &graph.blobs {
        source.upload_blob(&Digest::of(blob), Content::Bytes(blob.clone())).await?;
    }
    for manifest in &graph.manifests {
        source.put_manifest(&ManifestRef::Digest(manifest.digest.clone()), manifest).await?;
    }
    Ok(())
}

/// What stands in a repository: manifests by tags and digests, each with its media type, and blobs by digests.
pub type Held = BTreeMap<String, (String, Bytes)>;

/// Returns what should stand in a repository that has all of a graph that its tags reach.
pub fn all(graph: &Graph) -> anyhow::Result<Held> {
    let of = |manifest: &Manifest| (manifest.media_type.clone(), manifest.bytes.clone());
    let tags = graph.tags.iter().map(|(tag, digest)| (tag.clone(), of(graph.shown(digest))));
    let mut all: Held = tags.collect();
    for manifest in graph.reached() {
        all.insert(manifest.digest.to_string(), of(manifest));
        for blob in kept_blobs(manifest)? {
            let bytes = graph.blobs.iter().find(|bytes| Digest::of(bytes) == blob.digest);
            all.insert(blob.digest.to_string(), (String::new(), bytes.context("no such blob")?.clone()));
        }
    }
    Ok(all)
}

/// Reads all that the tags of a graph reach in a repository.
pub async fn held(client: &RepositoryClient, graph: &Graph) -> anyhow::Result<Held> {
    let mut held = Held::new();
    let mut references = Vec::new();
    for (tag, _) in &graph.tags {
        references.push(ManifestRef::Tag(tag.parse()?));
    }
    let reached = graph.reached().into_iter();
    references.extend(reached.map(|manifest| ManifestRef::Digest(manifest.digest.clone())));
    for reference in references {
        let there = client.manifest(&reference).await?.with_context(|| format!("{reference} is missing"))?;
        for BlobDescriptor { digest, size, .. } in kept_blobs(&there)? {
            let mut stream = client.read_blob(&digest, 0, size, None).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = stream.piece().await? {
                bytes.extend_from_slice(&piece);
            }
            held.insert(digest.to_string(), (String::new(), bytes.into()));
        }
        held.insert(reference.to_string(), (there.media_type, there.bytes));
    }
    Ok(held)
}

/// Returns the blobs of a manifest that registries keep.
fn kept_blobs(manifest: &Manifest) -> anyhow::Result<Vec<BlobDescriptor>> {
    Ok(manifest.blob_descriptors()?.into_iter().filter(|blob| !blob.is_foreign).collect())
}
