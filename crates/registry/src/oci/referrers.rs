//! An index of the referrers of an image: what stands under the tag `sha256-<hex>` where a registry
//! has no referrers API (OCI distribution-spec 1.1, "Referrers Tag Schema").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::manifest::{Manifest, OCI_INDEX};
use crate::reference::{Digest, ReferenceError, Tag};

/// A manifest that refers to another one, as a registry describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    /// The media type of the manifest.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What it is, such as `application/vnd.dev.cosign.artifact.sig.v1+json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: Vec<&'a Referrer>,
}

/// Returns the index of these referrers, sorted by digest and each once, and their digests in that
/// order. Equal sets give equal bytes.
pub fn referrers_index(referrers: &[Referrer]) -> Result<(Manifest, Vec<Digest>), serde_json::Error> {
    let sorted: BTreeMap<&Digest, &Referrer> = referrers.iter().map(|r| (&r.digest, r)).collect();
    let parts = sorted.keys().map(|digest| (*digest).clone()).collect();
    let index = Index { schema_version: 2, media_type: OCI_INDEX, manifests: sorted.into_values().collect() };
    Ok((Manifest::new(OCI_INDEX, serde_json::to_vec(&index)?.into()), parts))
}

/// Returns the tag of the referrers of this content: `sha256-<hex>`.
pub fn referrers_tag(subject: &Digest) -> Result<Tag, ReferenceError> {
    format!("sha256-{}", subject.hex()).parse()
}

/// Returns the content that a tag of the form `sha256-<hex>` or `sha256-<hex>.<suffix>` belongs to. Cosign
/// names signatures, attestations and SBOMs so (sigstore/cosign, `SIGNATURE_SPEC.md`).
pub fn subject_of(tag: &Tag) -> Option<Digest> {
    let rest = tag.as_str().strip_prefix("sha256-")?;
    let hex = rest.split_once('.').map_or(rest, |(hex, _)| hex);
    format!("sha256:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn referrer(content: &str) -> Referrer {
        Referrer {
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            digest: Digest::of(content.as_bytes()),
            size: 3,
            artifact_type: Some("application/vnd.example.sbom".into()),
            annotations: None,
        }
    }

    #[test]
    fn a_tag_belongs_to_the_content_that_it_names() {
        let subject = Digest::of(b"x");
        let of = |tag: &str| subject_of(&tag.parse().unwrap());
        let tag = referrers_tag(&subject).unwrap();
        assert_eq!(subject_of(&tag), Some(subject.clone()));
        for suffix in [".sig", ".att", ".sbom", ".custom.v2"] {
            assert_eq!(of(&format!("{tag}{suffix}")), Some(subject.clone()), "{suffix}");
        }
        for other in ["v1", "sha256-abc.sig", "sha512-00", &format!("{tag}-sig"), &format!("x{tag}")] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn the_index_is_an_oci_index() {
        let (index, parts) = referrers_index(&[referrer("a")]).unwrap();
        assert_eq!(parts, [Digest::of(b"a")]);
        insta::assert_snapshot!(String::from_utf8_lossy(&index.bytes), @r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","size":3,"artifactType":"application/vnd.example.sbom"}]}"#);
    }

    proptest::proptest! {
        #[test]
        fn the_order_of_the_referrers_does_not_matter(
            contents in proptest::collection::vec("[a-e]", 0..8), turn in 0_usize..8
        ) {
            let one: Vec<Referrer> = contents.iter().map(|content| referrer(content)).collect();
            let mut other = one.clone();
            other.rotate_left(turn.min(one.len()));
            other.extend(one.first().cloned());
            proptest::prop_assert_eq!(referrers_index(&one).unwrap(), referrers_index(&other).unwrap());
        }
    }
}
