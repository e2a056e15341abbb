//! The copier between real registries: what stands in one of them then stands in the other, bit by bit.

use anyhow::{Context as _, ensure};
use imgop_copier::{Copied, Copier, Item, Journal, Options, Root, Target};
use imgop_fakes::Graph;
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{BlobDescriptor, Content, RepositoryClient};

use crate::every_registry::{Registry, Way, every_registry, registries};

/// Graphs of manifests that are copied in each direction.
const GRAPHS: u64 = 12;

#[tokio::test]
async fn random_graphs_of_manifests_are_copied_bit_by_bit_between_both_registries() -> anyhow::Result<()> {
    let both: Vec<&Registry> = registries(Way::Open).await?.collect();
    let first = fastrand::u64(..1 << 40);
    for seed in first..first + GRAPHS {
        for (from, to) in [(both[0], both[1]), (both[1], both[0])] {
            let (graph, path) = (Graph::random_without_foreign(seed), format!("copies/{seed}"));
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
    for registry in every_registry().await? {
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
    // Small blobs are sent in all ways then.
    let options = Options { held: 1_000, whole: 20_000, chunk: 1 << 20, ..Options::default() };
    let mut copier = Copier::new(options, Journal::in_memory());
    let (source, to) = (copier.add_source(source), copier.add_destination(destination.clone(), true));
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
    compare(&destination, graph).await
}

async fn fill(source: &RepositoryClient, graph: &Graph) -> anyhow::Result<()> {
    for blob in &graph.blobs {
        source.upload_blob(&Digest::of(blob), Content::Bytes(blob.clone())).await?;
    }
    for manifest in &graph.manifests {
        source.put_manifest(&ManifestRef::Digest(manifest.digest.clone()), manifest).await?;
    }
    Ok(())
}

async fn compare(destination: &RepositoryClient, graph: &Graph) -> anyhow::Result<()> {
    for (tag, digest) in &graph.tags {
        let shown = destination.manifest(&ManifestRef::Tag(tag.parse()?)).await?.context("no such tag")?;
        ensure!(shown == *graph.shown(digest), "{tag} shows something else");
    }
    for manifest in graph.reached() {
        let by_digest = ManifestRef::Digest(manifest.digest.clone());
        let there = destination.manifest(&by_digest).await?.context("no such manifest")?;
        ensure!(there == *manifest, "{} is another one", manifest.digest);
        for BlobDescriptor { digest, size, .. } in manifest.blob_descriptors()? {
            let mut stream = destination.read_blob(&digest, 0, size, None).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = stream.piece().await? {
                bytes.extend_from_slice(&piece);
            }
            ensure!(Digest::of(&bytes) == digest, "{digest} is something else");
        }
    }
    Ok(())
}
