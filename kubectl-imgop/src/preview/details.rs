//! Ages, sizes and platforms of the tags of a preview, what of them the destination has already, and what
//! referrers are.
//!
//! The list APIs of public registries tell ages and sizes of many tags at once. Elsewhere manifests are read, for
//! the rows that a terminal shows or where the user asks for it. A registry that counts pulls counts those, so
//! there they are read only where the user asks.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _};
use imgop_core::copy::{Sides, TagState};
use imgop_registry::oci::{Platforms, Referrer};
use imgop_registry::reference::{Digest, RegistryHost, Tag};
use imgop_registry::{BulkDigest, ImageDetails, RegistryError, RepositoryClient, is_plausible};
use jiff::Timestamp;

use super::document::{Report, TagReport, Transfer};
use super::targets::Target;

/// Rows that a terminal shows at once.
const ROWS_OF_A_TERMINAL: usize = 50;
/// Images that are read at a time.
const MAX_CONCURRENT_IMAGES: usize = 8;
/// Blobs that the destination is asked for at a time.
const MAX_CONCURRENT_BLOBS: usize = 16;
/// Blobs that the destination is asked for.
const MAX_BLOBS: usize = 1000;

/// Which details are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Details {
    /// What list APIs tell.
    Listed,
    /// And those of the rows that a terminal shows, where no pull is counted.
    OfShownRows,
    /// Those of every tag, also where each is a counted pull.
    All,
}

impl Report {
    /// Adds the details of its tags. What cannot be read stays unknown.
    pub async fn add_details(&mut self, target: &Target, sides: &Sides, details: Details) {
        add_listed(&mut self.tags, &sides.source, target).await;
        add_referrer_kinds(&mut self.tags, &sides.source).await;
        let read = match details {
            Details::Listed => return,
            Details::OfShownRows if counts_pulls(&sides.source, target.request.source.host()) => return,
            Details::OfShownRows => images(&self.tags, ROWS_OF_A_TERMINAL, details),
            Details::All => images(&self.tags, usize::MAX, details),
        };
        let read = read_images(&sides.source, &target.request.platforms, read).await;
        for tag in &mut self.tags {
            if let Some(details) = tag.source_digest.as_ref().and_then(|digest| read.get(digest)) {
                // Reproducible builds write the epoch, which is no age.
                tag.created = details.created.filter(|time| is_plausible(*time, Timestamp::MAX));
                tag.size = Some(details.size());
                tag.platforms = details.platforms.iter().map(ToString::to_string).collect();
            }
        }
        if let Some(destination) = &sides.destination {
            let copied = self.tags.iter().filter(|tag| tag.is_copied() && tag.referrer_of.is_none());
            let digests: Vec<&Digest> = copied.filter_map(|tag| tag.source_digest.as_ref()).collect();
            // The sum is of all tags that are copied, or there is none.
            let images: Option<Vec<&ImageDetails>> = digests.iter().map(|digest| read.get(*digest)).collect();
            self.transfer = transfer(destination, images.unwrap_or_default()).await;
        }
    }
}

fn counts_pulls(source: &RepositoryClient, host: &RegistryHost) -> bool {
    source.counts_pulls() || host.as_str() == "docker.io"
}

/// Adds what the list API of the source tells of tags that still show what it tells.
async fn add_listed(tags: &mut [TagReport], source: &RepositoryClient, target: &Target) {
    let wanted: HashSet<Tag> = tags.iter().filter_map(listed_tag).collect();
    if wanted.is_empty() {
        return;
    }
    let listed = source.pushes_in_bulk(&wanted, &[]).await;
    for tag in tags {
        let Some(found) = listed_tag(tag).and_then(|name| listed.get(&name)) else { continue };
        if tag.source_digest.as_ref().is_some_and(|digest| *digest != found.digest) {
            continue;
        }
        let BulkDigest { pushed, size, platforms, .. } = found.clone();
        tag.pushed = pushed;
        // Where some platforms are taken, that of all of them would mislead.
        if target.request.platforms.selects_all() {
            tag.size = size;
            tag.platforms = platforms;
        }
    }
}

/// Returns the tag that a list API may tell something of.
fn listed_tag(tag: &TagReport) -> Option<Tag> {
    let is_there = !matches!(tag.state, TagState::NotFound) && tag.referrer_of.is_none();
    is_there.then(|| tag.tag.parse().ok()).flatten()
}

/// Returns the contents to read: those of tags without a size, and of all that are copied where all are asked
/// for.
fn images(tags: &[TagReport], rows: usize, details: Details) -> HashSet<Digest> {
    let is_open = |tag: &&TagReport| {
        tag.referrer_of.is_none() && (tag.size.is_none() || details == Details::All && tag.is_copied())
    };
    tags.iter().take(rows).filter(is_open).filter_map(|tag| tag.source_digest.clone()).collect()
}

async fn read_images(
    source: &RepositoryClient,
    platforms: &Platforms,
    digests: HashSet<Digest>,
) -> HashMap<Digest, ImageDetails> {
    let read = |digest: Digest| async move {
        match source.details(&digest, platforms).await {
            Ok(details) => Some((digest, details)),
            Err(error) => {
                tracing::debug!(%error, "an image's details are not shown");
                None
            }
        }
    };
    let read = futures::stream::iter(digests).map(read).buffer_unordered(MAX_CONCURRENT_IMAGES);
    read.filter_map(async |found| found).collect().await
}

/// Returns how much of these images the destination has. None if it is not known of every blob.
async fn transfer(destination: &RepositoryClient, images: Vec<&ImageDetails>) -> Option<Transfer> {
    let blobs: BTreeMap<&Digest, u64> =
        images.iter().flat_map(|image| image.blobs.iter().map(|(digest, size)| (digest, *size))).collect();
    if blobs.is_empty() || blobs.len() > MAX_BLOBS {
        return None;
    }
    let is_there = |(digest, size): (&Digest, u64)| {
        let digest = digest.clone();
        async move { Ok::<_, RegistryError>((destination.has_blob(&digest).await?, size)) }
    };
    let found: Vec<(bool, u64)> = futures::stream::iter(blobs)
        .map(is_there)
        .buffer_unordered(MAX_CONCURRENT_BLOBS)
        .try_collect()
        .await
        .ok()?;
    let sum = |present: bool| {
        found.iter().filter(|(is_present, _)| *is_present == present).map(|(_, size)| *size).sum()
    };
    Some(Transfer { sent_bytes: sum(false), present_bytes: sum(true) })
}

/// Adds what the referrers are.
async fn add_referrer_kinds(tags: &mut [TagReport], source: &RepositoryClient) {
    let found = tags.iter().map(|tag| (tag.tag.clone(), tag.referrer_of.clone()));
    let found: Vec<Vec<String>> = futures::stream::iter(found.collect::<Vec<_>>())
        .map(|(tag, subject)| async move {
            match subject {
                Some(subject) => kinds_of_tag(source, &tag, &subject).await,
                None => Vec::new(),
            }
        })
        .buffered(MAX_CONCURRENT_IMAGES)
        .collect()
        .await;
    for (tag, kinds) in tags.iter_mut().zip(found) {
        tag.referrer_kinds = kinds;
    }
}

/// Returns what a tag that is named after a content holds: by the suffix that cosign gives it, or by what the
/// registry's API tells.
async fn kinds_of_tag(source: &RepositoryClient, tag: &str, subject: &Digest) -> Vec<String> {
    match tag.rsplit_once('.').map(|(_, suffix)| suffix) {
        Some("sig") => vec!["signature".to_owned()],
        Some("att") => vec!["attestation".to_owned()],
        Some("sbom") => vec!["SBOM".to_owned()],
        Some(_) => Vec::new(),
        None => match source.referrers(subject).await {
            Ok(Some(referrers)) => kinds(&referrers),
            Ok(None) | Err(_) => Vec::new(),
        },
    }
}

/// Returns what referrers are, each kind once.
fn kinds(referrers: &[Referrer]) -> Vec<String> {
    let mut kinds: Vec<String> = referrers.iter().map(kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// Returns what a referrer is. One whose type is not known is shown with its type.
fn kind(referrer: &Referrer) -> String {
    let type_ = referrer.artifact_type.as_deref().unwrap_or(&referrer.media_type);
    let lower = type_.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let known = if has(&["sbom", "spdx", "cyclonedx", "syft"]) {
        "SBOM"
    } else if has(&["in-toto", "attestation", "provenance", "dsse"]) {
        "attestation"
    } else if has(&["signature", "cosign", "sigstore", "simplesigning", "notary"]) {
        "signature"
    } else {
        return type_.to_owned();
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_referrer_is_named_by_its_type() {
        let of = |artifact_type: Option<&str>, media_type: &str| {
            kind(&Referrer {
                media_type: media_type.to_owned(),
                digest: Digest::of(b"a"),
                size: 1,
                artifact_type: artifact_type.map(str::to_owned),
                annotations: None,
            })
        };
        let manifest = "application/vnd.oci.image.manifest.v1+json";
        for (type_, name) in [
            ("application/vnd.dev.cosign.artifact.sig.v1+json", "signature"),
            ("application/vnd.dev.sigstore.bundle.v0.3+json", "signature"),
            ("application/vnd.cncf.notary.signature", "signature"),
            ("application/spdx+json", "SBOM"),
            ("application/vnd.cyclonedx+json", "SBOM"),
            ("application/vnd.in-toto+json", "attestation"),
            ("application/vnd.example.thing", "application/vnd.example.thing"),
        ] {
            assert_eq!(of(Some(type_), manifest), name);
        }
        assert_eq!(of(None, manifest), manifest);
    }

    /// Docker Hub, whose website tells of tags when they were pushed, and 5 MiB in two platforms.
    fn website(seen: &imgop_fakes::Seen, tags: &imgop_fakes::Tags) -> String {
        assert!(seen.target.starts_with("/v2/repositories/team/app/tags"), "{}", seen.target);
        let image = |architecture: &str, size: u64| serde_json::json!({ "os": "linux", "architecture": architecture, "size": size });
        let entry = |(name, digest): &(String, Digest)| {
            serde_json::json!({ "name": name, "digest": digest, "tag_last_pushed": "2024-05-06T07:08:09Z",
                "images": [image("amd64", 4 << 20), image("arm64", 1 << 20)] })
        };
        let results: Vec<_> = tags.iter().map(entry).collect();
        serde_json::json!({ "results": results, "next": null }).to_string()
    }

    #[tokio::test]
    async fn the_list_api_of_docker_hub_tells_age_size_and_platforms_without_a_pull() {
        use imgop_registry::{Access, BulkApi, BulkKind, Registries, Settings};
        let tags = imgop_fakes::numbered_tags("1.0.", 1);
        let told = tags.clone();
        let answer = move |seen: &imgop_fakes::Seen| imgop_fakes::json(200, website(seen, &told));
        let hub = imgop_fakes::DockerHub::answering(tags.clone(), answer).await;
        let repository = hub.registry.repository("team/app");
        let base = format!("http://{}/", hub.website.address);
        let bulk_apis = [(repository.host().clone(), BulkApi { kind: BulkKind::DockerHub, base })].into();
        let registries = Registries::new(Settings { bulk_apis, ..imgop_fakes::settings() });
        let source = registries.repository(&repository, &Access::default());
        let spec = serde_json::json!({ "mode": "OneShot", "destination": { "name": "r.example.com/app" },
            "source": { "name": repository.to_string(), "version": "1.0.x" } });
        let spec: imgop_core::api::ImageSpec = serde_json::from_value(spec).unwrap();
        let request = imgop_core::copy::CopyRequest::parse(&spec).unwrap();
        let target = Target::of_references(spec, request, false, jiff::Timestamp::UNIX_EPOCH);
        let mut rows = vec![TagReport::of_source(&tags[0].0, tags[0].1.clone())];
        add_listed(&mut rows, &source, &target).await;
        assert_eq!(
            (rows[0].size, rows[0].platforms.join(",")),
            (Some(5 << 20), "linux/amd64,linux/arm64".to_owned())
        );
        assert_eq!(rows[0].pushed, Some("2024-05-06T07:08:09Z".parse().unwrap()));
        let mut moved = vec![TagReport::of_source(&tags[0].0, Digest::of(b"moved"))];
        add_listed(&mut moved, &source, &target).await;
        assert_eq!((moved[0].size, moved[0].pushed), (None, None), "it tells of what the tag showed before");
        assert_eq!(hub.pulls(), 0);
    }
}
