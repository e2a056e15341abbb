//! Two registries, and what is copied from one to the other.

use std::sync::Arc;
use std::time::Duration;

use imgop_copier::{Copied, Copier, CopyError, Item, Journal, Options, Progress, Root, Target};
use imgop_fakes::{Fault, Graph, StoringRegistry, settings};
use imgop_registry::reference::Digest;
use imgop_registry::{Access, Registries, Settings};

/// A source, and a destination.
pub struct Case {
    pub source: StoringRegistry,
    pub destination: StoringRegistry,
    pub options: Options,
    /// What all tags of the destination show, where that is known.
    pub shown: Option<Vec<Digest>>,
}

/// What became of a run.
pub struct Ran {
    pub outcomes: Vec<Result<Copied, CopyError>>,
    pub progress: Arc<Progress>,
}

impl Ran {
    /// Returns whether all was copied.
    pub fn is_done(&self) -> bool {
        self.outcomes.iter().all(|outcome| matches!(outcome, Ok(Copied::Done(_))))
    }

    /// Returns the only failure.
    pub fn failure(&self) -> String {
        let failures: Vec<String> =
            self.outcomes.iter().filter_map(|o| o.as_ref().err()).map(ToString::to_string).collect();
        assert_eq!(failures.len(), 1, "{failures:?}");
        failures[0].clone()
    }
}

/// Sizes that make small blobs large ones: one is held, another is sent as a whole, a third one in chunks.
pub fn small_sizes() -> Options {
    Options {
        held: 100,
        whole: 10_000,
        chunk: 4_000,
        first_wait: Duration::from_millis(1),
        ..Options::default()
    }
}

/// Settings under which a host that fails again and again is asked again and again.
pub fn registries() -> Registries {
    Registries::new(Settings { concurrency_per_registry: 16, ..settings() })
}

impl Case {
    pub async fn new() -> Self {
        Self::of(StoringRegistry::start().await, StoringRegistry::start().await)
    }

    pub fn of(source: StoringRegistry, destination: StoringRegistry) -> Self {
        Self { source, destination, options: small_sizes(), shown: None }
    }

    /// Puts all of a graph into the source's repository `app`.
    pub fn fill(&self, graph: &Graph) {
        for blob in &graph.blobs {
            self.source.hold_blob("app", blob.clone());
        }
        for manifest in &graph.manifests {
            self.source.hold_manifest("app", &[], &manifest.media_type, manifest.bytes.clone());
        }
        for (tag, digest) in &graph.tags {
            let shown = graph.shown(digest);
            self.source.hold_manifest("app", &[tag], &shown.media_type, shown.bytes.clone());
        }
    }

    /// Copies the tags of a graph into the destination's repository `app`, which is new.
    pub async fn copy(&self, graph: &Graph) -> Ran {
        self.copy_with(graph, Journal::in_memory()).await
    }

    /// The same with this journal.
    pub async fn copy_with(&self, graph: &Graph, journal: Journal) -> Ran {
        let tags: Vec<(&str, &Digest)> =
            graph.tags.iter().map(|(tag, digest)| (tag.as_str(), digest)).collect();
        self.copy_tags(&tags, true, journal).await
    }

    pub async fn copy_tags(&self, tags: &[(&str, &Digest)], is_new: bool, journal: Journal) -> Ran {
        self.copy_by(&registries(), tags, is_new, journal).await
    }

    /// The same with these registries.
    pub async fn copy_by(
        &self,
        registries: &Registries,
        tags: &[(&str, &Digest)],
        is_new: bool,
        journal: Journal,
    ) -> Ran {
        let mut copier = Copier::new(self.options.clone(), journal);
        let client = |of: &StoringRegistry| registries.push_target(&of.repository("app"), &Access::default());
        let source = copier.add_source(client(&self.source));
        let destination = copier.add_destination(client(&self.destination), is_new);
        if let Some(shown) = &self.shown {
            copier.note_shown(destination, shown.iter().cloned());
        }
        let item = |(tag, digest): &(&str, &Digest)| Item {
            source,
            root: Root::Digest((*digest).clone()),
            targets: vec![Target { destination, tag: Some(tag.parse().unwrap()), keeps_existing: false }],
        };
        let items: Vec<Item> = tags.iter().map(item).collect();
        run(&copier, &items).await
    }

    /// Fails unless the destination has exactly what the tags of a graph reach, byte for byte.
    pub fn check(&self, graph: &Graph) {
        check(&self.destination, "app", graph);
    }
}

/// Runs a copier. Returns what became of each item at each target, in order.
pub async fn run(copier: &Copier, items: &[Item]) -> Ran {
    let mut outcomes = Vec::new();
    copier.run(items, &mut |item, target, outcome| outcomes.push((item, target, outcome))).await;
    outcomes.sort_by_key(|(item, target, _)| (*item, *target));
    let outcomes = outcomes.into_iter().map(|(_, _, outcome)| outcome).collect();
    Ran { outcomes, progress: copier.progress() }
}

/// Fails unless a repository has exactly what the tags of a graph reach, byte for byte.
pub fn check(registry: &StoringRegistry, repository: &str, graph: &Graph) {
    let has = registry.manifests(repository);
    for (tag, digest) in &graph.tags {
        assert_eq!(has[tag].1, graph.shown(digest).bytes, "{tag}");
    }
    let blobs = registry.blobs(repository);
    for manifest in graph.reached() {
        let (media_type, bytes) = &has[manifest.digest.as_str()];
        assert_eq!((media_type, bytes), (&manifest.media_type, &manifest.bytes));
        for blob in manifest.blob_descriptors().unwrap().into_iter().filter(|blob| !blob.is_foreign) {
            assert_eq!(Digest::of(&blobs[blob.digest.as_str()]), blob.digest);
        }
    }
    assert_eq!(has.len(), graph.reached().len() + graph.tags.len(), "nothing besides");
}

/// Returns one image of a small, a middling and a large layer, under the tag `v1`.
pub fn one_image() -> Graph {
    let mut graph = Graph::default();
    let config = graph.blob(r#"{"os":"linux","architecture":"amd64"}"#);
    let layers = [50, 5_000, 30_000].map(|size| graph.blob(noise(size)));
    let manifest = graph.oci_image(&config, &layers);
    graph.tags.push(("v1".to_owned(), manifest.digest));
    graph
}

/// Returns bytes of which no part is like another.
pub fn noise(size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(size as u64);
    (0..size).map(|_| random.u8(..)).collect()
}

/// Returns what goes wrong with the `number`th request alone.
pub fn only(number: usize, fault: Fault) -> impl Fn(usize, &str) -> Option<Fault> + Send + Sync + 'static {
    move |asked, _| (asked == number).then_some(fault)
}
