//! Random contents: images that share layers, indexes in indexes, artifacts, what refers to others, layers that are kept
//! elsewhere.

use axum::body::Bytes;
use imgop_registry::Manifest;
use imgop_registry::reference::Digest;
use serde_json::{Value, json};

use super::{IMAGE, INDEX};

/// Everything that a repository should have.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Its blobs.
    pub blobs: Vec<Bytes>,
    /// Its manifests; what one names stands before it.
    pub manifests: Vec<Manifest>,
    /// Which of the manifests have tags.
    pub tags: Vec<(String, Digest)>,
}

const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_LAYERS: [&str; 2] =
    ["application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.diff.tar.gzip"];
const OCI_LAYERS: [&str; 3] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
];
const SBOM: &str = "application/vnd.example.sbom";
const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

impl Graph {
    /// 100 tags of one repository that share two layers; each has one of its own.
    pub fn with_shared_layers() -> Self {
        let mut graph = Self::default();
        let shared = ["base", "runtime"].map(|name| graph.blob(name.repeat(20_000)));
        for number in 0..100 {
            let config = graph.blob(format!(r#"{{"n":{number}}}"#));
            let own = graph.blob(format!("layer {number} ").repeat(50));
            let manifest = graph.oci_image(&config, &[shared[0].clone(), shared[1].clone(), own]);
            graph.tags.push((format!("v{number}"), manifest.digest));
        }
        graph
    }

    /// 20 tags of six platforms, of two layers each, of which one is shared by the tags.
    pub fn of_six_platforms() -> Self {
        let mut graph = Self::default();
        for number in 0..20 {
            let images = ["amd64", "arm64", "arm", "ppc64le", "riscv64", "s390x"].map(|architecture| {
                let base = graph.blob(format!("base for {architecture}").repeat(1_000));
                let config = graph.blob(format!(r#"{{"architecture":"{architecture}","n":{number}}}"#));
                let own = graph.blob(format!("{number} for {architecture}"));
                graph.oci_image(&config, &[base, own])
            });
            let index = graph.index(&images, false);
            graph.tags.push((format!("v{number}"), index.digest));
        }
        graph
    }

    /// Returns what follows from a number. Equal numbers give equal contents.
    pub fn random(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut graph = Self::default();
        for number in 0..random.usize(1..8) {
            graph.blob(format!("layer {seed} {number} ").repeat(random.usize(1..2000)));
        }
        for number in 0..random.usize(1..7) {
            let config =
                graph.blob(format!(r#"{{"os":"linux","architecture":"amd64","n":"{seed}-{number}"}}"#));
            let layers: Vec<Bytes> =
                (0..random.usize(0..5)).map(|_| random.choice(&graph.blobs).unwrap().clone()).collect();
            graph.image(&config, &layers, &mut random, true);
        }
        for _ in 0..random.usize(0..4) {
            let children: Vec<Manifest> =
                (0..random.usize(1..5)).map(|_| random.choice(&graph.manifests).unwrap().clone()).collect();
            graph.index(&children, random.bool());
        }
        if random.bool() {
            let subject = random.choice(&graph.manifests).unwrap().clone();
            graph.referrer(&subject);
        }
        for number in 0..random.usize(1..6) {
            let shown = random.choice(&graph.manifests).unwrap().digest.clone();
            graph.tags.push((format!("v{number}"), shown));
        }
        graph
    }

    /// Adds a blob.
    pub fn blob(&mut self, bytes: impl Into<Bytes>) -> Bytes {
        let bytes = bytes.into();
        if !self.blobs.contains(&bytes) {
            self.blobs.push(bytes.clone());
        }
        bytes
    }

    /// Adds an image of these layers.
    pub fn oci_image(&mut self, config: &Bytes, layers: &[Bytes]) -> Manifest {
        let is_oci = |seed: &u64| fastrand::Rng::with_seed(*seed).u8(0..4) != 0;
        let mut random = fastrand::Rng::with_seed((0..100).find(is_oci).unwrap_or_default());
        self.image(config, layers, &mut random, false)
    }

    /// Adds an image of these layers; by chance one of Docker's format, or with a layer that is kept elsewhere.
    fn image(
        &mut self,
        config: &Bytes,
        layers: &[Bytes],
        random: &mut fastrand::Rng,
        has_foreign: bool,
    ) -> Manifest {
        let is_docker = random.u8(0..4) == 0;
        let of = |bytes: &Bytes, media_type: &str| json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()});
        let kinds = if is_docker { &DOCKER_LAYERS[..] } else { &OCI_LAYERS };
        let mut described: Vec<Value> =
            layers.iter().map(|layer| of(layer, random.choice(kinds).unwrap())).collect();
        if has_foreign && is_docker && random.bool() {
            let elsewhere = Bytes::from_static(b"kept elsewhere");
            let mut foreign = of(&elsewhere, FOREIGN);
            foreign["urls"] = json!(["https://example.com/layer"]);
            described.push(foreign);
        }
        let (media_type, config_type) = if is_docker {
            (DOCKER_IMAGE, "application/vnd.docker.container.image.v1+json")
        } else {
            (IMAGE, "application/vnd.oci.image.config.v1+json")
        };
        let mut manifest = json!({"schemaVersion": 2, "mediaType": media_type,
            "config": of(config, config_type), "layers": described});
        if !is_docker && random.bool() {
            manifest["artifactType"] = json!(SBOM);
        }
        // With blanks that no program would write by itself: nothing may be written anew.
        let text = if random.bool() { manifest.to_string() } else { format!("{manifest:#}\n") };
        self.manifest(media_type, text)
    }

    /// Adds an index of these.
    pub fn index(&mut self, children: &[Manifest], is_docker: bool) -> Manifest {
        let entry = |child: &Manifest| {
            json!({"mediaType": child.media_type, "digest": child.digest, "size": child.bytes.len(),
                "platform": {"os": "linux", "architecture": "amd64"}})
        };
        let has_oci = children.iter().any(|child| child.media_type.contains("oci"));
        let media_type = if is_docker && !has_oci { DOCKER_LIST } else { INDEX };
        let entries: Vec<Value> = children.iter().map(entry).collect();
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
        self.manifest(media_type, index.to_string())
    }

    /// Adds something that refers to a manifest, and the tag of what refers to it.
    fn referrer(&mut self, subject: &Manifest) {
        let (config, statement) = (self.blob("{}"), self.blob(format!("of {}", subject.digest)));
        let of = |bytes: &Bytes, media_type: &str| json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()});
        let statement = json!({"schemaVersion": 2, "mediaType": IMAGE, "artifactType": SBOM,
            "config": of(&config, "application/vnd.oci.empty.v1+json"), "layers": [of(&statement, SBOM)],
            "subject": {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.bytes.len()}});
        let statement = self.manifest(IMAGE, statement.to_string());
        let mut entry = of(&statement.bytes, IMAGE);
        entry["artifactType"] = json!(SBOM);
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        let index = self.manifest(INDEX, index.to_string());
        self.tags.push((subject.digest.as_str().replace(':', "-"), index.digest));
    }

    /// Adds a manifest as it is written here.
    pub fn manifest(&mut self, media_type: &str, text: String) -> Manifest {
        let manifest = Manifest::new(media_type, text.into());
        if self.manifests.iter().all(|known| known.digest != manifest.digest) {
            self.manifests.push(manifest.clone());
        }
        manifest
    }

    /// Returns what a tag shows.
    pub fn shown(&self, digest: &Digest) -> &Manifest {
        self.manifests.iter().find(|manifest| manifest.digest == *digest).unwrap()
    }

    /// Returns the manifests that are reached from the tags, each once.
    pub fn reached(&self) -> Vec<&Manifest> {
        let mut reached: Vec<&Manifest> = self.tags.iter().map(|(_, digest)| self.shown(digest)).collect();
        let mut next = 0;
        while let Some(manifest) = reached.get(next).copied() {
            for child in manifest.children().unwrap() {
                if reached.iter().all(|known| known.digest != child) {
                    reached.push(self.shown(&child));
                }
            }
            next += 1;
        }
        reached.sort_by(|a, b| a.digest.cmp(&b.digest));
        reached.dedup_by(|a, b| a.digest == b.digest);
        reached
    }
}
