//! An index with some of the platforms of another one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::{RawValue, to_raw_value};

use super::document::IndexEntry;
use super::manifest::{MAX_ENTRIES, Manifest, ManifestError};
use super::platform::{Platform, Platforms};
use crate::reference::Digest;

/// Names the index that a narrowed one was made from.
pub const SOURCE_DIGEST_ANNOTATION: &str = "io.imgop.source-digest";
/// Names the platforms that were selected, in the form of [`Platforms`].
pub const PLATFORMS_ANNOTATION: &str = "io.imgop.platforms";

/// The part of an index that is selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subset {
    /// All of it; it is copied unchanged.
    Whole {
        /// The platforms in it.
        platforms: Vec<String>,
    },
    /// Some of it.
    Narrowed(NarrowedIndex),
    /// Nothing.
    Nothing {
        /// The platforms of the index.
        there: Vec<String>,
    },
}

/// An index of some entries of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarrowedIndex {
    /// The index.
    pub manifest: Manifest,
    /// The entries, in order and each once: a registry needs them before the index.
    pub parts: Vec<Digest>,
    /// The platforms in it.
    pub platforms: Vec<String>,
}

/// An index, its fields and entries as they were sent. The order of its fields is that of their
/// names, whatever features `serde_json` was built with.
struct Index<'a> {
    fields: BTreeMap<String, &'a RawValue>,
    entries: Vec<(IndexEntry, &'a RawValue)>,
    annotations: BTreeMap<String, String>,
    below: &'a PlatformsBelow,
}

/// The platforms that stand in indexes within an index, by their digests.
pub type PlatformsBelow = BTreeMap<Digest, Vec<Platform>>;

impl<'a> Index<'a> {
    fn read(manifest: &'a Manifest, below: &'a PlatformsBelow) -> Result<Self, ManifestError> {
        let unreadable = |_| manifest.unreadable();
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_slice(&manifest.bytes).map_err(unreadable)?;
        let entries = fields.get("manifests").map_or("[]", |value| value.get());
        let entries: Vec<&RawValue> = serde_json::from_str(entries).map_err(unreadable)?;
        manifest.at_most(MAX_ENTRIES, entries.len())?;
        let read = |raw: &'a RawValue| serde_json::from_str(raw.get()).map(|entry| (entry, raw));
        let entries = entries.into_iter().map(read).collect::<Result<_, _>>().map_err(unreadable)?;
        let annotations = fields.get("annotations").map_or("null", |value| value.get());
        let annotations: Option<BTreeMap<String, String>> =
            serde_json::from_str(annotations).map_err(unreadable)?;
        Ok(Self { fields, entries, annotations: annotations.unwrap_or_default(), below })
    }

    fn platforms(&self) -> Vec<String> {
        self.entries.iter().flat_map(|(entry, _)| self.platforms_of(entry)).map(Platform::to_string).collect()
    }

    /// Returns the platform of an entry, or those that stand below it.
    fn platforms_of<'e>(&'e self, entry: &'e IndexEntry) -> impl Iterator<Item = &'e Platform> {
        let below = self.below.get(&entry.digest).filter(|_| !entry.has_platform());
        entry.image_platform().into_iter().chain(below.into_iter().flatten())
    }

    /// Keeps the selected images and their attestations.
    fn keep(&mut self, wanted: &Platforms) {
        let is_wanted =
            |entry: &IndexEntry| self.platforms_of(entry).any(|platform| wanted.selects(platform));
        let are_wanted: Vec<bool> = self.entries.iter().map(|(entry, _)| is_wanted(entry)).collect();
        let images: BTreeSet<String> = self
            .entries
            .iter()
            .zip(&are_wanted)
            .filter(|(_, is_wanted)| **is_wanted)
            .map(|((entry, _), _)| entry.digest.to_string())
            .collect();
        let mut are_wanted = are_wanted.into_iter();
        self.entries.retain(|(entry, _)| {
            are_wanted.next().unwrap_or(false) || entry.attested().is_some_and(|image| images.contains(image))
        });
    }

    fn write(&self) -> Result<Vec<u8>, serde_json::Error> {
        let entries: Vec<&RawValue> = self.entries.iter().map(|(_, raw)| *raw).collect();
        let (entries, annotations) = (to_raw_value(&entries)?, to_raw_value(&self.annotations)?);
        let mut fields = self.fields.clone();
        fields.insert("manifests".to_owned(), &entries);
        fields.insert("annotations".to_owned(), &annotations);
        serde_json::to_vec(&fields)
    }

    fn parts(&self) -> Vec<Digest> {
        let mut parts: Vec<Digest> = Vec::new();
        for (entry, _) in &self.entries {
            if !parts.contains(&entry.digest) {
                parts.push(entry.digest.clone());
            }
        }
        parts
    }
}

/// Narrows an index to the selected platforms. Equal inputs give equal bytes: the entries keep their
/// order and their fields, and two annotations name the source and the selection. Attestations stay with
/// the images that they attest; other entries without a platform are removed.
pub fn subset(source: &Manifest, wanted: &Platforms) -> Result<Subset, ManifestError> {
    subset_of_nested(source, wanted, &PlatformsBelow::new())
}

/// Like [`subset`] for an index of indexes. One that names no platform stays if one of those that stand in it
/// is wanted; it is not narrowed itself.
pub fn subset_of_nested(
    source: &Manifest,
    wanted: &Platforms,
    below: &PlatformsBelow,
) -> Result<Subset, ManifestError> {
    let mut index = Index::read(source, below)?;
    let (number, there) = (index.entries.len(), index.platforms());
    index.keep(wanted);
    if wanted.selects_all() || index.entries.len() == number && number > 0 {
        return Ok(Subset::Whole { platforms: there });
    }
    if index.entries.is_empty() {
        return Ok(Subset::Nothing { there });
    }
    index.annotations.insert(SOURCE_DIGEST_ANNOTATION.to_owned(), source.digest.to_string());
    index.annotations.insert(PLATFORMS_ANNOTATION.to_owned(), wanted.to_string());
    let bytes = index.write().map_err(|_| source.unreadable())?;
    Ok(Subset::Narrowed(NarrowedIndex {
        parts: index.parts(),
        platforms: index.platforms(),
        manifest: Manifest::new(source.media_type.clone(), bytes.into()),
    }))
}

/// Returns an index that says it was narrowed from `source` to these platforms; `None` if it says
/// something else.
pub fn read_narrowed(manifest: &Manifest, source: &Digest, wanted: &Platforms) -> Option<NarrowedIndex> {
    if !manifest.is_index() || wanted.selects_all() {
        return None;
    }
    let below = PlatformsBelow::new();
    let index = Index::read(manifest, &below).ok()?;
    let says = |name: &str, value: String| index.annotations.get(name) == Some(&value);
    let is_ours =
        says(SOURCE_DIGEST_ANNOTATION, source.to_string()) && says(PLATFORMS_ANNOTATION, wanted.to_string());
    // An index with other platforms was not narrowed by imgop, whatever it says.
    let is_narrow = matches!(subset(manifest, wanted), Ok(Subset::Whole { .. }));
    (is_ours && is_narrow).then(|| NarrowedIndex {
        parts: index.parts(),
        platforms: index.platforms(),
        manifest: manifest.clone(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

    fn wanted(texts: &[&str]) -> Platforms {
        Platforms::parse(&texts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    fn entry(platform: &str, content: &str) -> serde_json::Value {
        let parts: Vec<&str> = platform.split('/').collect();
        let mut entry = serde_json::json!({"mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": Digest::of(content.as_bytes()), "size": 7,
            "platform": {"os": parts[0], "architecture": parts[1]}});
        if let Some(variant) = parts.get(2) {
            entry["platform"]["variant"] = (*variant).into();
        }
        entry
    }

    fn attestation(of: &str) -> serde_json::Value {
        let mut entry = entry("unknown/unknown", &format!("attestation of {of}"));
        entry["annotations"] = serde_json::json!({ "vnd.docker.reference.digest": Digest::of(of.as_bytes()),
            "vnd.docker.reference.type": "attestation-manifest" });
        entry
    }

    fn index(entries: &[serde_json::Value]) -> Manifest {
        let json = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries,
            "annotations": {"org.opencontainers.image.version": "1"}});
        Manifest::new(OCI_INDEX, json.to_string().into())
    }

    fn busybox() -> Manifest {
        index(&[
            entry("linux/amd64", "a"),
            attestation("a"),
            entry("linux/arm64/v8", "b"),
            attestation("b"),
            entry("linux/arm/v7", "c"),
        ])
    }

    fn rewritten(source: &Manifest, platforms: &Platforms) -> NarrowedIndex {
        match subset(source, platforms).unwrap() {
            Subset::Narrowed(rewritten) => rewritten,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_subset_keeps_the_wanted_images_and_their_attestations() {
        let made = rewritten(&busybox(), &wanted(&["linux/arm64", "linux/amd64"]));
        assert_eq!(made.platforms, ["linux/amd64", "linux/arm64/v8"]);
        assert_eq!(made.parts[0], Digest::of(b"a"));
        assert_eq!(made.parts.len(), 4);
        let made = rewritten(&busybox(), &wanted(&["linux/arm64/v8"]));
        insta::assert_snapshot!(String::from_utf8_lossy(&made.manifest.bytes));
    }

    #[test]
    fn an_index_of_which_everything_is_wanted_stays_as_it_is() {
        let all = wanted(&["linux/amd64", "linux/arm64", "linux/arm", "windows/amd64"]);
        assert!(matches!(subset(&busybox(), &all), Ok(Subset::Whole { platforms }) if platforms.len() == 3));
        assert!(matches!(subset(&busybox(), &wanted(&[])), Ok(Subset::Whole { .. })));
        let made = rewritten(&busybox(), &wanted(&["linux/amd64"]));
        let again = subset(&made.manifest, &wanted(&["linux/amd64"]));
        assert!(matches!(again, Ok(Subset::Whole { .. })), "{again:?}");
    }

    #[test]
    fn platforms_are_found_below_an_entry_that_has_none() {
        let nested = |content: &str| serde_json::json!({"mediaType": OCI_INDEX, "digest": Digest::of(content.as_bytes()), "size": 7});
        let source = index(&[nested("a"), nested("b")]);
        let below = [("a", "amd64"), ("b", "arm64")].map(|(content, architecture)| {
            let platform =
                serde_json::from_value(serde_json::json!({"os": "linux", "architecture": architecture}));
            (Digest::of(content.as_bytes()), vec![platform.unwrap()])
        });
        let below = PlatformsBelow::from(below);
        let Ok(Subset::Narrowed(made)) = subset_of_nested(&source, &wanted(&["linux/arm64"]), &below) else {
            panic!()
        };
        assert_eq!((made.parts, made.platforms), (vec![Digest::of(b"b")], vec!["linux/arm64".to_owned()]));
        assert!(
            matches!(subset(&source, &wanted(&["linux/arm64"])), Ok(Subset::Nothing { there }) if there.is_empty())
        );
    }

    #[test]
    fn what_is_there_is_said_when_nothing_is_wanted() {
        let there = ["linux/amd64", "linux/arm64/v8", "linux/arm/v7"].map(str::to_owned).to_vec();
        assert_eq!(subset(&busybox(), &wanted(&["linux/s390x"])), Ok(Subset::Nothing { there }));
        let unknown = index(&[attestation("a")]);
        assert_eq!(
            subset(&unknown, &wanted(&["unknown/unknown"])),
            Ok(Subset::Nothing { there: Vec::new() }),
            "an attestation is no image, whatever is wanted"
        );
    }

    #[test]
    fn an_entry_whose_platform_is_no_word_has_none() {
        let source = index(&[entry("linux/amd64", "a"), entry("linux/a b\n", "b")]);
        let there = vec!["linux/amd64".to_owned()];
        assert_eq!(subset(&source, &wanted(&["linux/s390x"])), Ok(Subset::Nothing { there }));
    }

    #[test]
    fn an_entry_with_an_incomplete_platform_has_none() {
        let mut empty = entry("linux/arm64", "b");
        for incomplete in [serde_json::json!({}), serde_json::json!({"architecture": "arm64"})] {
            empty["platform"] = incomplete;
            let source = index(&[entry("linux/amd64", "a"), empty.clone()]);
            assert_eq!(rewritten(&source, &wanted(&["linux/amd64"])).platforms, ["linux/amd64"]);
        }
    }

    #[test]
    fn fields_that_we_do_not_know_stay_as_they_were_sent() {
        let strange = format!(
            r#"{{"zz":  1.50, "manifests":[ {{"size":18446744073709551616,"x":[1e400],"digest":"{}",
               "platform":{{"os":"linux","architecture":"amd64","os.features":["y"]}}}}, {} ],"schemaVersion":2}}"#,
            Digest::of(b"a"),
            entry("linux/arm64", "b")
        );
        let source = Manifest::new(DOCKER_LIST, strange.into());
        let made = rewritten(&source, &wanted(&["linux/amd64"])).manifest;
        let text = String::from_utf8_lossy(&made.bytes).into_owned();
        assert!(text.contains(r#"{"size":18446744073709551616,"x":[1e400],"#), "{text}");
        assert!(text.contains("\"zz\":1.50") && made.media_type == DOCKER_LIST, "{text}");
    }

    #[test]
    fn a_rewritten_index_is_known_by_its_annotations() {
        let (source, amd64) = (busybox(), wanted(&["linux/amd64"]));
        let made = rewritten(&source, &amd64);
        assert_eq!(read_narrowed(&made.manifest, &source.digest, &amd64), Some(made.clone()));
        assert_eq!(read_narrowed(&made.manifest, &Digest::of(b"other"), &amd64), None);
        assert_eq!(read_narrowed(&made.manifest, &source.digest, &wanted(&["linux/arm64"])), None);
        assert_eq!(read_narrowed(&source, &source.digest, &amd64), None);
        let text = String::from_utf8(made.manifest.bytes.to_vec()).unwrap();
        let forged = Manifest::new(OCI_INDEX, text.replace(r#""amd64""#, r#""s390x""#).into());
        assert_eq!(read_narrowed(&forged, &source.digest, &amd64), None, "it holds something else");
    }

    #[test]
    fn hostile_indexes_are_errors() {
        for bad in [
            "",
            "[]",
            "{\"manifests\":5}",
            "{\"manifests\":[{}]}",
            "{\"annotations\":{\"a\":1}}",
            "{\"manifests\":[{\"digest\":\"sha256:../../x\"}]}",
        ] {
            let manifest = Manifest::new(OCI_INDEX, bad.to_owned().into());
            assert!(subset(&manifest, &wanted(&["linux/amd64"])).is_err(), "{bad}");
        }
        let many = index(&vec![entry("linux/amd64", "a"); MAX_ENTRIES + 1]);
        assert!(matches!(subset(&many, &wanted(&["a/b"])), Err(ManifestError::TooManyEntries(_, 201, _))));
    }

    fn any_platform() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            Just("linux/amd64"),
            Just("linux/arm64"),
            Just("linux/arm64/v8"),
            Just("linux/arm/v6"),
            Just("linux/arm/v7"),
            Just("windows/amd64"),
            Just("unknown/unknown")
        ]
    }

    proptest! {
        #[test]
        fn a_subset_is_deterministic_narrower_and_its_own_subset(
            there in prop::collection::vec((any_platform(), any::<u8>(), any::<bool>()), 0..8),
            wants in prop::collection::vec(any_platform(), 1..4),
        ) {
            let mut entries = Vec::new();
            for (platform, content, attested) in &there {
                entries.push(entry(platform, &content.to_string()));
                entries.extend(attested.then(|| attestation(&content.to_string())));
            }
            let (source, wants) = (index(&entries), wanted(&wants));
            let made = subset(&source, &wants).unwrap();
            prop_assert_eq!(&made, &subset(&source, &wants).unwrap());
            let Subset::Narrowed(made) = made else { return Ok(()) };
            let json: serde_json::Value = serde_json::from_slice(&made.manifest.bytes).unwrap();
            let kept = json["manifests"].as_array().unwrap();
            prop_assert!(!kept.is_empty() && kept.len() < entries.len());
            let mut rest = entries.iter();
            prop_assert!(kept.iter().all(|entry| rest.any(|other| other == entry)), "the old order");
            let digests: Vec<String> = made.parts.iter().map(Digest::to_string).collect();
            prop_assert!(kept.iter().all(|e| digests.iter().any(|d| e["digest"] == d.as_str())));
            let again = subset(&made.manifest, &wants).unwrap();
            let is_whole = matches!(again, Subset::Whole { .. });
            prop_assert!(is_whole);
            let read = read_narrowed(&made.manifest, &source.digest, &wants);
            prop_assert_eq!(read, Some(made));
        }

        #[test]
        fn any_bytes_are_narrowed_without_a_panic(
            body in r#"([{}\[\]",:]|manifests|platform|digest|annotations|[ -~]){0,60}"#
        ) {
            let _ = subset(&Manifest::new(OCI_INDEX, body.into()), &wanted(&["linux/amd64"]));
        }
    }
}
