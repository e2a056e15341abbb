//! Indexes that Skopeo cannot copy as they are, up to its newest releases: it refuses indexes within indexes,
//! and it drops fields of entries, after which the digest would be another one.

use super::document::IndexEntry;
use super::manifest::{Manifest, ManifestError};
use crate::reference::Digest;

/// One entry of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexPart {
    /// The digest of its manifest.
    pub digest: Digest,
    /// Whether it is an index itself.
    pub is_index: bool,
}

/// Returns the entries of an index that has to be copied entry by entry, each once; `None` for whatever Skopeo
/// copies as a whole.
pub fn index_parts(manifest: &Manifest) -> Result<Option<Vec<IndexPart>>, ManifestError> {
    let entries = manifest.entries()?;
    if !entries.iter().any(|entry| entry.is_index() || entry.loses_fields()) {
        return Ok(None);
    }
    let mut parts: Vec<IndexPart> = Vec::new();
    for entry in entries {
        let is_index = entry.is_index();
        if parts.iter().all(|part| part.digest != entry.digest) {
            parts.push(IndexPart { digest: entry.digest, is_index });
        }
    }
    Ok(Some(parts))
}

/// Returns the entries of an index that are indexes and name no platform: their platforms stand in them.
pub fn indexes_without_platform(manifest: &Manifest) -> Result<Vec<Digest>, ManifestError> {
    let is_unnamed = |entry: &IndexEntry| entry.is_index() && !entry.has_platform();
    Ok(manifest.entries()?.into_iter().filter(is_unnamed).map(|entry| entry.digest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    fn entry(media_type: &str, content: &str, more: &str) -> String {
        let digest = Digest::of(content.as_bytes());
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":7{more}}}"#)
    }

    fn index(entries: &[String]) -> Manifest {
        Manifest::new(INDEX, format!(r#"{{"manifests":[{}]}}"#, entries.join(",")).into())
    }

    const AMD64: &str = r#","platform":{"os":"linux","architecture":"amd64"}"#;

    #[test]
    fn an_index_whose_entries_have_fields_that_get_lost_is_copied_by_its_entries() {
        let image = entry(IMAGE, "a", AMD64);
        for field in [r#","artifactType":"application/x""#, r#","data":"e30=""#, r#","urls":["https://x"]"#] {
            let parts = index_parts(&index(&[image.clone(), entry(IMAGE, "b", field), image.clone()]));
            let digests =
                [b"a", b"b"].map(|content| IndexPart { digest: Digest::of(content), is_index: false });
            assert_eq!(parts, Ok(Some(digests.to_vec())), "{field}");
        }
    }

    #[test]
    fn what_is_plain_is_copied_as_a_whole() {
        let unknown = r#","platform":{"os":"unknown","architecture":"unknown"},"annotations":{"a":"b"}"#;
        let image = entry(IMAGE, "a", AMD64);
        for empty in ["", r#","urls":[]"#, r#","artifactType":"""#, r#","data":null"#] {
            let attestation = entry(IMAGE, "b", &format!("{unknown}{empty}"));
            assert_eq!(
                index_parts(&index(&[image.clone(), attestation, image.clone()])),
                Ok(None),
                "{empty}"
            );
        }
        let list = "application/vnd.docker.distribution.manifest.list.v2+json";
        let list = Manifest::new(list, format!(r#"{{"manifests":[{image}]}}"#).into());
        assert_eq!(index_parts(&list), Ok(None), "a docker list of OCI images");
        let chart = r#"{"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json"},"layers":[]}"#;
        assert_eq!(index_parts(&Manifest::new(IMAGE, chart.into())), Ok(None));
    }

    #[test]
    fn indexes_within_an_index_are_known_with_their_platforms_or_without() {
        let nested = index(&[entry(INDEX, "a", AMD64), entry(INDEX, "b", ""), entry(IMAGE, "c", "")]);
        let parts = index_parts(&nested).unwrap().unwrap();
        assert_eq!(parts.iter().map(|part| part.is_index).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(indexes_without_platform(&nested), Ok(vec![Digest::of(b"b")]));
    }
}
