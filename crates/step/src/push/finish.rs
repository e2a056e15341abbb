//! From the image that was built to the one that is pushed: with the base's own layers, and for a given time without
//! what is random. Pure.

use std::collections::BTreeMap;

use imgop_core::api::Format;
use imgop_registry::oci::ImageConfig;
use imgop_registry::reference::Digest;
use serde_json::{Value, json};

use super::layout::refused;
use crate::{Failed, HandedBase, PushHandover};

/// Media types of layers in both formats. Docker's has none for Zstandard.
const GZIP: [&str; 2] =
    ["application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.image.layer.v1.tar+gzip"];
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const PLAIN: [&str; 2] =
    ["application/vnd.docker.image.rootfs.diff.tar", "application/vnd.oci.image.layer.v1.tar"];

/// An image that can be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedImage {
    /// The bytes of the manifest.
    pub manifest: Vec<u8>,
    /// The bytes of the configuration.
    pub config: Vec<u8>,
    /// The layers.
    pub layers: Vec<Layer>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The format.
    pub format: Format,
    /// Labels, beside those of the Dockerfile.
    pub labels: &'a BTreeMap<String, String>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its digest, compressed.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Whether it is one of the base image, with the digest that it has at the base's registry.
    pub is_of_base: bool,
}

/// Checks an image, of this manifest and configuration, against what was prepared and makes it ready. `is_had` says of
/// a layer of the base whether it can be pushed, or needs not to be.
pub fn finish(
    (manifest, config): (&[u8], &[u8]),
    Asked { format, labels }: Asked<'_>,
    handover: &PushHandover,
    is_had: impl Fn(&Digest) -> bool,
) -> Result<FinishedImage, Failed> {
    let read =
        ImageConfig::read(config).ok_or_else(|| refused("its configuration is not that of an image"))?;
    check_platform(&read, handover)?;
    let document =
        |bytes| serde_json::from_slice::<Value>(bytes).map_err(|error| refused(&error.to_string()));
    let (mut manifest_document, mut config_document) = (document(manifest)?, document(config)?);
    let layers = manifest_document.get_mut("layers").and_then(Value::as_array_mut);
    let layers = layers.ok_or_else(|| refused("its manifest has no layers"))?;
    if layers.len() != read.diff_ids.len() {
        return Err(refused("manifest and configuration have different numbers of layers"));
    }
    let base = handover.base.and_then(|at| handover.bases.get(at));
    let of_base = match base {
        Some(base) => give_back(layers, base, &read, format, is_had)?,
        None => 0,
    };
    let listed = layers
        .iter()
        .enumerate()
        .map(|(i, layer)| described(layer, i < of_base))
        .collect::<Result<_, _>>()?;
    let is_constant = format == Format::Docker && handover.has_timestamp;
    let has_other_labels = set_labels(&mut config_document, labels);
    if is_constant {
        remove_random(&mut config_document);
    }
    let is_config_new = is_constant || has_other_labels;
    let config = if is_config_new {
        let bytes = written(&config_document)?;
        let (digest, size) = (Digest::of(&bytes), bytes.len());
        if let Some(descriptor) = manifest_document.get_mut("config").and_then(Value::as_object_mut) {
            descriptor.insert("digest".to_owned(), json!(digest));
            descriptor.insert("size".to_owned(), json!(size));
        }
        bytes
    } else {
        config.to_vec()
    };
    let manifest =
        if is_config_new || of_base > 0 { written(&manifest_document)? } else { manifest.to_vec() };
    Ok(FinishedImage { manifest, config, layers: listed })
}

fn check_platform(config: &ImageConfig, handover: &PushHandover) -> Result<(), Failed> {
    let wanted = &handover.platform;
    match &config.platform {
        Some(platform) if wanted.matches(platform) => Ok(()),
        Some(platform) => Err(refused(&format!("it is for {platform} and not for {wanted}"))),
        None => Err(refused(&format!("it names no platform in place of {wanted}"))),
    }
}

/// Puts the descriptors of the base in place of those of layers that are the same. Buildah compresses them anew, so
/// that the registry would be sent what it has. Returns how many.
fn give_back(
    layers: &mut [Value],
    base: &HandedBase,
    config: &ImageConfig,
    format: Format,
    is_had: impl Fn(&Digest) -> bool,
) -> Result<usize, Failed> {
    if !config.diff_ids.starts_with(&base.diff_ids) {
        return Err(refused(&format!("it does not begin with the layers of {}", base.repository)));
    }
    if base.layers.len() != base.diff_ids.len() {
        // As where a base lists empty layers: nothing says which is which.
        return Ok(0);
    }
    let mut count = 0;
    for (layer, of_base) in layers.iter_mut().zip(&base.layers) {
        let Some(descriptor) = descriptor(of_base, format) else { break };
        if !described(&descriptor, true).is_ok_and(|layer| is_had(&layer.digest)) {
            break;
        }
        *layer = descriptor;
        count += 1;
    }
    Ok(count)
}

/// Returns a layer's descriptor in a format; none if the format cannot hold it, or it lies elsewhere.
fn descriptor(of_base: &Value, format: Format) -> Option<Value> {
    if of_base.get("urls").is_some() {
        return None;
    }
    let of_format = |types: [&'static str; 2]| if format == Format::Docker { types[0] } else { types[1] };
    let media_type = match of_base.get("mediaType")?.as_str()? {
        known if GZIP.contains(&known) => of_format(GZIP),
        known if PLAIN.contains(&known) => of_format(PLAIN),
        ZSTD if format == Format::Oci => ZSTD,
        _ => return None,
    };
    Some(json!({"mediaType": media_type, "digest": of_base.get("digest")?, "size": of_base.get("size")?}))
}

fn described(layer: &Value, is_of_base: bool) -> Result<Layer, Failed> {
    let digest = layer.get("digest").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let size = layer.get("size").and_then(Value::as_u64);
    match digest.zip(size) {
        Some((digest, size)) => Ok(Layer { digest, size, is_of_base }),
        None => Err(refused("its manifest has a layer without digest or size")),
    }
}

/// Gives the image the labels that were asked for, byte for byte: Buildah 1.44 replaces variables in them, and writes
/// line ends and tabs in two letters. Returns whether any was other.
fn set_labels(config: &mut Value, asked: &BTreeMap<String, String>) -> bool {
    let runtime = config.get_mut("config").and_then(Value::as_object_mut);
    let Some(runtime) = runtime.filter(|_| !asked.is_empty()) else { return false };
    let labels = runtime.entry("Labels").or_insert(Value::Null);
    if !labels.is_object() {
        *labels = json!({});
    }
    let mut has_other = false;
    for (name, value) in asked {
        if labels.get(name).and_then(Value::as_str) != Some(value) {
            labels[name.as_str()] = json!(value);
            has_other = true;
        }
    }
    has_other
}

/// Replaces the id and host name of the container that Buildah writes into Docker's format: the same inputs would
/// give another digest each time.
fn remove_random(config: &mut Value) {
    if let Some(config) = config.as_object_mut() {
        if config.contains_key("container") {
            config.insert("container".to_owned(), json!(""));
        }
        for part in ["config", "container_config"] {
            if let Some(part) = config.get_mut(part).and_then(Value::as_object_mut)
                && part.contains_key("Hostname")
            {
                part.insert("Hostname".to_owned(), json!(""));
            }
        }
    }
}

fn written(document: &Value) -> Result<Vec<u8>, Failed> {
    serde_json::to_vec(document).map_err(|error| refused(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn descriptor_of(text: &str, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": digest(text), "size": 7})
    }

    fn base(media_type: &str) -> HandedBase {
        HandedBase {
            repository: "quay.io/a/base".parse().unwrap(),
            layers: vec![descriptor_of("base, as it is there", media_type)],
            diff_ids: vec![digest("base")],
        }
    }

    fn handover(base: Option<HandedBase>) -> PushHandover {
        let at = base.as_ref().map(|_| 0);
        let bases = base.into_iter().collect();
        PushHandover { platform: "linux/amd64".parse().unwrap(), has_timestamp: false, bases, base: at }
    }

    fn config(diff_ids: &[&str]) -> Vec<u8> {
        let diff_ids: Vec<Digest> = diff_ids.iter().map(|text| digest(text)).collect();
        let runtime = json!({"Hostname": "0123", "Cmd": ["x"]});
        let config = json!({"os": "linux", "architecture": "amd64", "container": "0123", "config": runtime,
            "container_config": runtime, "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        config.to_string().into_bytes()
    }

    fn manifest(layers: &[&str], config: &[u8]) -> Vec<u8> {
        let layers: Vec<Value> = layers.iter().map(|text| descriptor_of(text, GZIP[0])).collect();
        let config = json!({"digest": Digest::of(config), "size": config.len()});
        json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string().into_bytes()
    }

    fn finished(
        diff_ids: &[&str],
        format: Format,
        handover: &PushHandover,
        is_had: bool,
    ) -> Result<FinishedImage, Failed> {
        let config = config(diff_ids);
        let layers: Vec<String> = diff_ids.iter().map(|id| format!("{id}, compressed anew")).collect();
        let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
        let asked = Asked { format, labels: &BTreeMap::new() };
        finish((&manifest(&layers, &config), &config), asked, handover, |_| is_had)
    }

    #[test]
    fn labels_that_buildah_reads_once_more_are_those_that_were_asked_for() {
        let labels = |config: &[u8]| {
            serde_json::from_slice::<Value>(config).unwrap()["config"]["Labels"].as_object().cloned()
        };
        let asked: BTreeMap<String, String> =
            [("a", "two\nlines"), ("b", "$5")].map(|(name, value)| (name.into(), value.into())).into();
        let built = json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": []},
            "config": {"Labels": {"a": "two\\nlines", "b": "", "of": "the Dockerfile"}}});
        let built = built.to_string().into_bytes();
        let of = |config: &[u8], labels: &BTreeMap<String, String>| {
            let asked = Asked { format: Format::Oci, labels };
            finish((&manifest(&[], config), config), asked, &handover(None), |_| true).unwrap()
        };
        let image = of(&built, &asked);
        let expected = json!({"a": "two\nlines", "b": "$5", "of": "the Dockerfile"});
        assert_eq!(labels(&image.config).as_ref(), expected.as_object());
        let written: Value = serde_json::from_slice(&image.manifest).unwrap();
        assert_eq!(written["config"]["digest"], json!(Digest::of(&image.config)));
        assert_eq!(of(&image.config, &asked).config, image.config, "what is right is not written anew");
        assert_eq!(of(&built, &BTreeMap::new()).config, built);
        let none = config(&[]);
        assert_eq!(labels(&of(&none, &asked).config).unwrap().len(), 2);
    }

    #[test]
    fn the_layers_of_the_base_keep_the_digests_that_they_have_there() {
        let image = finished(&["base", "own"], Format::Docker, &handover(Some(base(GZIP[1]))), true).unwrap();
        let digests: Vec<_> =
            image.layers.iter().map(|layer| (layer.digest.clone(), layer.is_of_base)).collect();
        assert_eq!(
            digests,
            [(digest("base, as it is there"), true), (digest("own, compressed anew"), false)]
        );
        let written: Value = serde_json::from_slice(&image.manifest).unwrap();
        assert_eq!(
            written["layers"][0],
            descriptor_of("base, as it is there", GZIP[0]),
            "as Docker's format names it"
        );
    }

    #[test]
    fn layers_that_cannot_be_had_or_held_by_the_format_stay_as_they_were_built() {
        let bytes = |media_type: &str, format, is_had| {
            let image =
                finished(&["base", "own"], format, &handover(Some(base(media_type))), is_had).unwrap();
            image.layers.iter().filter(|layer| layer.is_of_base).count()
        };
        assert_eq!(bytes(GZIP[0], Format::Oci, true), 1);
        assert_eq!(bytes(GZIP[0], Format::Oci, false), 0);
        assert_eq!((bytes(ZSTD, Format::Oci, true), bytes(ZSTD, Format::Docker, true)), (1, 0));
        let unchanged = finished(&["own"], Format::Docker, &handover(None), true).unwrap();
        assert_eq!(unchanged.manifest, manifest(&["own, compressed anew"], &config(&["own"])));
    }

    #[test]
    fn an_image_of_another_base_or_platform_is_not_pushed() {
        let message = |handover: &PushHandover| {
            finished(&["other"], Format::Docker, handover, true).unwrap_err().message
        };
        assert!(
            message(&handover(Some(base(GZIP[0]))))
                .contains("does not begin with the layers of quay.io/a/base")
        );
        let arm = PushHandover { platform: "linux/arm64".parse().unwrap(), ..handover(None) };
        assert!(message(&arm).contains("it is for linux/amd64 and not for linux/arm64"));
    }

    #[test]
    fn with_a_given_time_dockers_format_holds_nothing_random() {
        let timed = PushHandover { has_timestamp: true, ..handover(None) };
        let image = finished(&["own"], Format::Docker, &timed, true).unwrap();
        assert!(!String::from_utf8_lossy(&image.config).contains("0123"));
        let written: Value = serde_json::from_slice(&image.manifest).unwrap();
        assert_eq!(written["config"]["digest"], json!(Digest::of(&image.config)));
        assert_eq!(written["config"]["size"], json!(image.config.len()));
        let plain = finished(&["own"], Format::Docker, &handover(None), true).unwrap();
        assert_eq!(plain.config, config(&["own"]), "without a time nothing is touched");
    }

    #[test]
    fn documents_that_no_build_writes_are_refused() {
        let good = config(&["own"]);
        for (manifest, config) in [
            (&b"{}"[..], &good[..]),
            (b"{\"layers\":[]}", &good),
            (b"{\"layers\":[{\"digest\":\"sha256:../x\",\"size\":1}]}", &good),
            (b"{\"layers\":[]}", b"{}"),
            (b"", &good),
        ] {
            let asked = Asked { format: Format::Docker, labels: &BTreeMap::new() };
            let result = finish((manifest, config), asked, &handover(None), |_| true);
            assert!(result.is_err(), "{}", String::from_utf8_lossy(manifest));
        }
    }
}
