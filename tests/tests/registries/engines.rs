//! Both engines between real registries: what the agent lets Skopeo copy and publishes then, and what our copier copies, is
//! the same, bit by bit.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use imgop_core::api::{Destination, Engine, ImageSpec, Mode, Source};
use imgop_core::copy::{Answered, Copy, CopyRequest, Outcome, Probe, Probed, Publications, Route, publish};
use imgop_core::selection::SourceRef;
use imgop_fakes::Graph;
use imgop_registry::RepositoryClient;
use imgop_registry::reference::{Digest, Tag};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::copies::{all, copy_all, fill, held};
use crate::every_registry::{Registry, Way, registries};
use crate::skopeo;

/// Graphs of manifests that are copied in each direction.
const GRAPHS: u64 = 4;
/// How often tags are published.
const TRIES: usize = 4;

#[tokio::test]
async fn random_graphs_of_manifests_arrive_alike_by_both_engines() -> anyhow::Result<()> {
    let both: Vec<&Registry> = registries(Way::Open).await?.collect();
    let first = fastrand::u64(..1 << 40);
    for seed in first..first + GRAPHS {
        for (from, to) in [(both[0], both[1]), (both[1], both[0])] {
            let copied = by_both(from, to, &Graph::random(seed), &format!("engines/{seed}")).await;
            copied.with_context(|| format!("graph {seed} from {from} to {to}"))?;
        }
    }
    Ok(())
}

async fn by_both(from: &Registry, to: &Registry, graph: &Graph, path: &str) -> anyhow::Result<()> {
    let client = |registry: &Registry, path: &str| {
        Ok::<_, anyhow::Error>(registry.client(path, &registry.access())?.1)
    };
    let (by_skopeo, by_copier) = (format!("{path}/skopeo"), format!("{path}/copier"));
    let (source, copied) = (client(from, path)?, client(to, &by_copier)?);
    fill(&source, graph).await?;
    copy_all(source.clone(), copied.clone(), graph).await.context("the copier")?;
    let steps = Steps { from, to, paths: [path, &by_skopeo], source, destination: client(to, &by_skopeo)? };
    steps.copy(graph).await.context("Skopeo")?;
    let of_skopeo = held(&steps.destination, graph).await.context("by Skopeo")?;
    let of_copier = held(&copied, graph).await.context("by the copier")?;
    ensure!(of_skopeo == of_copier, "the engines differ");
    ensure!(of_copier == all(graph)?, "something else has arrived");
    Ok(())
}

/// The steps of the agent with the engine Skopeo, without its Jobs.
struct Steps<'a> {
    from: &'a Registry,
    to: &'a Registry,
    paths: [&'a str; 2],
    source: RepositoryClient,
    destination: RepositoryClient,
}

impl Steps<'_> {
    async fn copy(&self, graph: &Graph) -> anyhow::Result<()> {
        let spec = ImageSpec::new(
            Mode::OneShot,
            Source::new(self.source.repository().to_string(), "1.x"),
            Destination::new(self.destination.repository().to_string()),
        );
        let request = CopyRequest::parse(&spec)?;
        let (source, destination) = (&self.source, &self.destination);
        let route = Route { request: &request, source, destination, read_ahead: None };
        let copies = self.planned(route, graph).await?;
        let parts: BTreeSet<&Digest> = copies.iter().flat_map(Copy::parts).collect();
        for part in parts {
            skopeo::copy((self.from, self.paths[0]), (self.to, self.paths[1]), part, None).await?;
        }
        let outcomes: HashMap<Copy, Outcome> = HashMap::new();
        let (now, mut open) = (Timestamp::now(), copies);
        // As the agent's next passes: docker-registry refuses a manifest whose part another request is writing anew.
        for _ in 0..TRIES {
            let end = Instant::now() + Duration::from_mins(1);
            let published = publish(route, open, &outcomes, now, end, &|_| true, &|_| ()).await;
            let Publications { answered, failed, refusal } = published;
            ensure!(refusal.is_none() && answered.iter().all(Answered::is_published), "{refusal:?}");
            if failed.is_empty() {
                return Ok(());
            }
            open = failed.into_iter().map(|(copy, _)| copy).collect();
        }
        bail!("not published: {open:?}")
    }

    /// Returns the copies of all tags, of what Skopeo cannot copy as it is in parts.
    async fn planned(&self, route: Route<'_>, graph: &Graph) -> anyhow::Result<Vec<Copy>> {
        let copy = |(tag, digest): &(String, Digest)| -> anyhow::Result<Copy> {
            let tag: Tag = tag.parse()?;
            let (source_ref, digest) = (SourceRef::Tag(tag.clone()), digest.clone());
            Ok(Copy { source_ref, destination_tag: tag, digest, made_of: None, attempt: 1 })
        };
        let copies = graph.tags.iter().map(copy).collect::<anyhow::Result<_>>()?;
        let end = Instant::now() + Duration::from_mins(1);
        let probe = Probe { route, engine: Engine::Skopeo, destination_is_new: false, end };
        let Probed { mut copies, in_parts, .. } = probe.of(copies).await?;
        for (tag, made_of) in in_parts {
            let split = copies.iter_mut().find(|copy| copy.destination_tag == tag);
            split.context("no such copy")?.made_of = Some(made_of);
        }
        Ok(copies)
    }
}
