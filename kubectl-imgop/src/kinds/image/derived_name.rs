//! The name of an Image that is created without `--name`, made from its source.

use imgop_core::copy::{CopyRequest, Naming};
use imgop_core::selection::Version;
use imgop_registry::reference::Digest;

use crate::kinds::object_name::MAX_NAME_LENGTH;

/// The names that an Image without `--name` may get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedNames {
    /// The readable one, `argocd-v2-13-x`; none where it would be too long.
    pub plain: Option<String>,
    /// The same with a hash of source and destination, for when another Image has the plain one.
    pub hashed: String,
}

/// Makes names from the last part of the source repository and the version.
///
/// Two requests that differ in source, version or destination never share a hashed name, so an Image
/// is never turned into a mirror of something else by a name that happens to be equal.
pub fn derive(request: &CopyRequest) -> DerivedNames {
    let version = match &request.version {
        Version::Digest(digest) => digest.short().to_owned(),
        // Names of many would be as long as cut; the hash tells them apart.
        Version::Tags(_) => String::new(),
        other => other.to_string(),
    };
    let plain = dashed(&format!("{}-{version}", request.source.base_name()));
    let hash = &fingerprint(request)[..8];
    let room = plain.get(..MAX_NAME_LENGTH - hash.len() - 1).unwrap_or(&plain).trim_end_matches('-');
    let hashed = format!("{room}-{hash}");
    DerivedNames { plain: (plain.len() <= MAX_NAME_LENGTH).then_some(plain), hashed }
}

/// What is copied from where to where; equal for requests that differ in how they are written or in
/// when they run.
pub fn fingerprint(request: &CopyRequest) -> String {
    let naming = match &request.naming {
        Naming::Keep => String::new(),
        Naming::Fixed(tag) => tag.to_string(),
        Naming::Template { before, after } => format!("{before}{{tag}}{after}"),
    };
    let version = match &request.version {
        Version::Tags(tags) => tags.joined(),
        other => other.to_string(),
    };
    let parts = [request.source.to_string(), version, request.destination.to_string(), naming];
    // None of the parts has a line break.
    Digest::of(parts.join("\n").as_bytes()).hex().to_owned()
}

/// Lower-case letters, digits and single dashes; everything else becomes a dash.
fn dashed(text: &str) -> String {
    let dashes: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let words: Vec<&str> = dashes.split('-').filter(|word| !word.is_empty()).collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use imgop_core::api::ImageSpec;

    use super::*;
    use crate::kinds::object_name::parse_new_name;

    fn request(source: &str, version: &str, destination: &str) -> CopyRequest {
        let spec: ImageSpec = serde_json::from_value(serde_json::json!({
            "mode": "OneShot",
            "source": { "name": source, "version": version },
            "destination": { "name": destination, "version": if version.contains(':') { "stable" } else { "" } },
        }))
        .unwrap();
        CopyRequest::parse(&spec).unwrap()
    }

    fn plain(source: &str, version: &str) -> String {
        derive(&request(source, version, "r.example.com/a")).plain.unwrap_or_default()
    }

    #[test]
    fn names_are_made_from_the_source() {
        assert_eq!(plain("quay.io/argoproj/argocd", "v2.13.x"), "argocd-v2-13-x");
        assert_eq!(plain("nginx", "1.27-alpine"), "nginx-1-27-alpine");
        assert_eq!(plain("a/b__c.d", "RELEASE.2024_01"), "b-c-d-release-2024-01");
        assert_eq!(plain("busybox", "*"), "busybox");
        let digest = Digest::of(b"x").to_string();
        assert_eq!(plain("nginx", &digest), format!("nginx-{}", &digest[7..19]));
    }

    #[test]
    fn long_names_are_cut_and_hashed() {
        let names = derive(&request("quay.io/a/b", &"1".repeat(90), "r.example.com/a"));
        assert_eq!(names.plain, None);
        assert_eq!(names.hashed.len(), 63);
        assert!(parse_new_name(&names.hashed).is_ok());
    }

    #[test]
    fn another_destination_makes_another_hashed_name_and_another_spelling_does_not() {
        let one = derive(&request("nginx", "1.27", "r.example.com/nginx"));
        let same = derive(&request("docker.io/library/nginx", "1.27", "R.example.com/nginx"));
        let other = derive(&request("nginx", "1.27", "s.example.com/nginx"));
        assert_eq!(one, same);
        assert_eq!(one.plain, other.plain);
        assert_ne!(one.hashed, other.hashed);
    }
}
