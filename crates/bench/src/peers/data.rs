//! What is in both registries, so that nothing is to be copied.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use imgop_registry::reference::{Digest, ManifestRef};
use imgop_registry::{Access, Manifest, Registries, RepositoryClient, Settings, Tls};
use serde_json::{Value, json};

const OCI: &str = "application/vnd.oci.image";
const ARCHITECTURES: [&str; 6] = ["amd64", "arm64", "arm", "ppc64le", "riscv64", "s390x"];
/// Repositories or tags that are pushed at once.
const AT_ONCE: usize = 16;

/// The repository with 100 small images of one platform, and the one with 20 images of six.
pub const SINGLE: &str = "single100";
pub const MULTI: &str = "multi20";

// First copies are of repositories that the source alone has: crane mounts from one of the same name.

/// The repository with 100 images that share two layers.
pub const SHARED: &str = "shared100";
/// The repository with 20 images of six platforms.
pub const FIRST_MULTI: &str = "first20";
/// The repository with a small image, and its tag.
pub const ONE: &str = "one";
pub const ONE_TAG: &str = "v1.0.0";
/// The same as [`SHARED`], which the destination's registry alone has.
pub const WITHIN: &str = "within100";
/// Bytes of each of these layers.
const SHARED_BYTES: usize = 3_200_000;

/// The repository with one image of four large layers, which the source alone has, and its tag.
pub const BIG: &str = "big4";
pub const BIG_TAG: &str = "v1";

/// The repository with one image of one large layer, which the source alone has, and its tag.
pub const HALF: &str = "half";
pub const HALF_TAG: &str = "v1";
/// Bytes of that layer.
pub const HALF_BYTES: u64 = 200_000_000;

/// How much is copied, and how often.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub runs: usize,
    /// Of what takes minutes each time: skopeo, and regsync's list.
    pub slow_runs: usize,
    pub shared_tags: usize,
    pub multi_tags: usize,
    /// Bytes of each of four layers.
    pub big_bytes: usize,
    /// Entries of the long list.
    pub entries: usize,
}

impl Scale {
    /// What figures are made of.
    pub const FULL: Self = Self {
        runs: 5,
        slow_runs: 1,
        shared_tags: 100,
        multi_tags: 20,
        big_bytes: 79_000_000,
        entries: 1_241,
    };
    /// What shows within two minutes that all of it runs, and how many requests it takes.
    pub const QUICK: Self = Self { runs: 1, big_bytes: 9_000_000, entries: 60, ..Self::FULL };
}

/// One tag of the long list.
pub struct Pair {
    pub source: String,
    pub target: String,
    pub tag: String,
}

impl Pair {
    /// Returns the last part of the target's path.
    pub fn target_name(&self) -> &str {
        self.target.rsplit('/').next().unwrap_or(&self.target)
    }
}

impl Scale {
    /// A list of the shape of rancher/image-mirror's: 1,241 entries with 2,645 tags, from 206 into 242
    /// repositories.
    pub fn long_list(self) -> Vec<Pair> {
        let more = if self.entries == Self::FULL.entries { 2_645 - 2 * 1_241 } else { 0 };
        let entries = (0..self.entries).flat_map(|entry| {
            let tags = if entry < more { 3 } else { 2 };
            (0..tags).map(move |tag| (entry, tag))
        });
        entries
            .map(|(entry, tag)| Pair {
                source: format!("upstream/app-{}", entry % 242 % 206),
                target: format!("mirror/app-{}", entry % 242),
                tag: format!("v{}.{tag}.0", entry / 242),
            })
            .collect()
    }
}

/// Fills one registry; `is_source` says which part of the long list it gets, and what the source alone has.
pub async fn fill(registry: SocketAddr, is_source: bool, scale: Scale) -> anyhow::Result<()> {
    let push = Push::to(registry)?;
    run((0..100).map(|n| push.tag(SINGLE, format!("v1.0.{n}"), &["amd64"]))).await?;
    push.shared_layers(if is_source { SHARED } else { WITHIN }, scale.shared_tags).await?;
    if is_source {
        push.large(BIG, BIG_TAG, &[scale.big_bytes; 4]).await?;
        push.large(HALF, HALF_TAG, &[usize::try_from(HALF_BYTES)?]).await?;
        push.small_copies(scale).await?;
    }
    run((0..scale.multi_tags).map(|n| push.tag(MULTI, format!("v2.0.{n}"), &ARCHITECTURES))).await?;
    let places: BTreeSet<(String, String)> = scale
        .long_list()
        .into_iter()
        .map(|pair| (if is_source { pair.source } else { pair.target }, pair.tag))
        .collect();
    let repositories: BTreeSet<&String> = places.iter().map(|(repository, _)| repository).collect();
    run(repositories.into_iter().map(|repository| push.image(repository, "tiny", "amd64"))).await?;
    let tiny = image("tiny", "amd64").2;
    run(places.iter().map(|(repository, tag)| push.manifest(repository, Some(tag), tiny.clone()))).await
}

/// Pushes only what is copied on the test cluster: 100 tags that share layers, 20 of six platforms, and a small one.
pub async fn fill_first_copies(registry: SocketAddr, scale: Scale) -> anyhow::Result<()> {
    let push = Push::to(registry)?;
    push.shared_layers(SHARED, scale.shared_tags).await?;
    push.small_copies(scale).await
}

async fn run<T>(work: impl Iterator<Item = impl Future<Output = anyhow::Result<T>>>) -> anyhow::Result<()> {
    stream::iter(work).buffer_unordered(AT_ONCE).try_for_each(|_| async { Ok(()) }).await
}

struct Push {
    registry: SocketAddr,
    registries: Registries,
    client: reqwest::Client,
}

impl Push {
    fn to(registry: SocketAddr) -> anyhow::Result<Self> {
        let registries = Registries::new(Settings {
            concurrency_per_registry: AT_ONCE,
            system_proxy: false,
            ..Settings::default()
        });
        Ok(Self { registry, registries, client: reqwest::Client::builder().no_proxy().build()? })
    }

    /// The small image and those of six platforms.
    async fn small_copies(&self, scale: Scale) -> anyhow::Result<()> {
        self.tag(ONE, ONE_TAG.to_owned(), &["amd64"]).await?;
        run((0..scale.multi_tags).map(|n| self.tag(FIRST_MULTI, format!("v2.0.{n}"), &ARCHITECTURES))).await
    }

    /// A tag of its own content for these platforms: an index if there are several.
    async fn tag(&self, repository: &str, tag: String, platforms: &[&str]) -> anyhow::Result<()> {
        let mut manifests = Vec::new();
        for architecture in platforms {
            let manifest = self.image(repository, &tag, architecture).await?;
            let platform = json!({"os": "linux", "architecture": architecture});
            let mut entry = descriptor(&manifest.media_type, &manifest.bytes);
            entry["platform"] = platform;
            manifests.push((entry, manifest));
        }
        if let [(_, only)] = &manifests[..] {
            return self.manifest(repository, Some(&tag), only.clone()).await;
        }
        let entries: Vec<&Value> = manifests.iter().map(|(entry, _)| entry).collect();
        let media_type = format!("{OCI}.index.v1+json");
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
        self.manifest(repository, Some(&tag), Manifest::new(media_type, index.to_string().into())).await
    }

    /// An image of layers of these lengths.
    async fn large(&self, repository: &str, tag: &str, lengths: &[usize]) -> anyhow::Result<()> {
        let config = image(repository, "amd64").0;
        self.blob(repository, config.clone()).await?;
        let mut layers = Vec::new();
        for (seed, length) in (10_u8..).zip(lengths) {
            let layer = noise(seed, *length);
            layers.push(descriptor(&format!("{OCI}.layer.v1.tar+gzip"), &layer));
            self.blob(repository, layer).await?;
        }
        let media_type = format!("{OCI}.manifest.v1+json");
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type,
            "config": descriptor(&format!("{OCI}.config.v1+json"), &config), "layers": layers});
        self.manifest(repository, Some(tag), Manifest::new(media_type, manifest.to_string().into())).await
    }

    /// Tags of one repository: two layers that all of them have, and one of each.
    async fn shared_layers(&self, repository: &str, tags: usize) -> anyhow::Result<()> {
        let layers = [1_u8, 2].map(|seed| noise(seed, SHARED_BYTES));
        for layer in &layers {
            self.blob(repository, layer.clone()).await?;
        }
        run((0..tags).map(|n| {
            let layers = &layers;
            async move {
                let tag = format!("v1.0.{n}");
                let (config, own, _) = image(&tag, "amd64");
                self.blob(repository, config.clone()).await?;
                self.blob(repository, own.clone()).await?;
                let described: Vec<Value> = layers
                    .iter()
                    .chain([&own])
                    .map(|layer| descriptor(&format!("{OCI}.layer.v1.tar+gzip"), layer))
                    .collect();
                let media_type = format!("{OCI}.manifest.v1+json");
                let manifest = json!({"schemaVersion": 2, "mediaType": media_type,
                    "config": descriptor(&format!("{OCI}.config.v1+json"), &config), "layers": described});
                let manifest = Manifest::new(media_type, manifest.to_string().into());
                self.manifest(repository, Some(&tag), manifest).await
            }
        }))
        .await
    }

    /// An image's blobs, and its manifest by digest.
    async fn image(&self, repository: &str, name: &str, architecture: &str) -> anyhow::Result<Manifest> {
        let (config, layer, manifest) = image(name, architecture);
        self.blob(repository, config).await?;
        self.blob(repository, layer).await?;
        self.manifest(repository, None, manifest.clone()).await?;
        Ok(manifest)
    }

    async fn manifest(&self, repository: &str, tag: Option<&str>, manifest: Manifest) -> anyhow::Result<()> {
        let name = match tag {
            Some(tag) => ManifestRef::Tag(tag.parse()?),
            None => ManifestRef::Digest(manifest.digest.clone()),
        };
        self.repository(repository)?.put_manifest(&name, &manifest).await?;
        Ok(())
    }

    fn repository(&self, path: &str) -> anyhow::Result<RepositoryClient> {
        let repository = format!("{}/{path}", self.registry).parse()?;
        let access = Access { tls: Tls::PlainHttp, ..Access::default() };
        Ok(self.registries.repository(&repository, &access))
    }

    async fn blob(&self, repository: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let uploads = format!("http://{}/v2/{repository}/blobs/uploads/", self.registry);
        let upload = self.client.post(uploads).send().await?.error_for_status()?;
        let location = upload.headers().get("location").context("no Location")?.to_str()?;
        let between = if location.contains('?') { '&' } else { '?' };
        let whole = format!("{location}{between}digest={}", Digest::of(&bytes));
        self.client.put(whole).body(bytes).send().await?.error_for_status()?;
        Ok(())
    }
}

/// Bytes that no registry can shorten.
fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed);
    let next = |_| {
        // Knuth's linear congruential generator: the same bytes in each run.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// Config, layer and manifest. The layer is not unpacked, so it need be no archive.
fn image(name: &str, architecture: &str) -> (Vec<u8>, Vec<u8>, Manifest) {
    let layer = format!("the layer of {name} for {architecture}").into_bytes();
    let rootfs = json!({"type": "layers", "diff_ids": [Digest::of(&layer).as_str()]});
    let config =
        json!({"os": "linux", "architecture": architecture, "rootfs": rootfs}).to_string().into_bytes();
    let media_type = format!("{OCI}.manifest.v1+json");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(&format!("{OCI}.config.v1+json"), &config),
        "layers": [descriptor(&format!("{OCI}.layer.v1.tar+gzip"), &layer)],
    });
    (config, layer, Manifest::new(media_type, manifest.to_string().into()))
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes).as_str(), "size": bytes.len()})
}
