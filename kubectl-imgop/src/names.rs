//! Names of Images: given ones are checked, and those that are not given are made from the source.

use imgop_core::copy::{CopyRequest, Naming};
use imgop_core::selection::Version;
use imgop_registry::reference::Digest;

/// The longest name: it ends up in labels.
const LONGEST: usize = 63;

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
        other => other.to_string(),
    };
    let plain = dashed(&format!("{}-{version}", request.source.base_name()));
    let hash = &fingerprint(request)[..8];
    let room = plain.get(..LONGEST - hash.len() - 1).unwrap_or(&plain).trim_end_matches('-');
    let hashed = format!("{room}-{hash}");
    DerivedNames { plain: (plain.len() <= LONGEST).then_some(plain), hashed }
}

/// What is copied from where to where; equal for requests that differ in how they are written or in
/// when they run.
pub fn fingerprint(request: &CopyRequest) -> String {
    let naming = match &request.naming {
        Naming::Keep => String::new(),
        Naming::Fixed(tag) => tag.to_string(),
        Naming::Template { before, after } => format!("{before}{{tag}}{after}"),
    };
    let parts =
        [request.source.to_string(), request.version.to_string(), request.destination.to_string(), naming];
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

/// Checks the name of an Image: it stands in paths of the API.
pub fn parse_name(name: &str) -> Result<String, String> {
    let is_word = |word: &str| {
        let plain = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        !word.is_empty() && plain && !word.starts_with('-') && !word.ends_with('-')
    };
    if name.len() <= 253 && name.split('.').all(is_word) {
        return Ok(name.to_owned());
    }
    Err(format!(
        "{:?} is not the name of an Image; names have lower-case letters, digits, '-' and '.' only",
        name.chars().take(100).collect::<String>()
    ))
}

/// Checks the name of an Image that exists; also as `-o name` prints it, and as kubectl takes it.
pub fn parse_image_name(text: &str) -> Result<String, String> {
    parse_name(without_kind(text))
}

/// The name behind `image/`, as kubectl writes resources.
pub fn without_kind(text: &str) -> &str {
    let kinds = ["image.skopeo.io/", "images.skopeo.io/", "image/", "images/", "simg/"];
    kinds.iter().find_map(|kind| text.strip_prefix(kind)).unwrap_or(text)
}

/// Checks labels that Images are chosen by. The API server takes nothing for everything, and who has
/// written it may have meant a variable that is not set.
pub fn parse_selector(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it is empty, and would mean every Image".to_owned()),
        selector => Ok(selector.to_owned()),
    }
}

/// Checks the name of a namespace.
pub fn parse_namespace(name: &str) -> Result<String, String> {
    if name.len() <= 63 && !name.contains('.') && parse_name(name).is_ok() {
        return Ok(name.to_owned());
    }
    Err("a namespace has at most 63 lower-case letters, digits and '-'".to_owned())
}

/// Checks the name for a new Image.
pub fn parse_new_name(name: &str) -> Result<String, String> {
    if name.len() > LONGEST {
        return Err(format!("it has {} characters; at most {LONGEST} are taken", name.len()));
    }
    parse_name(name)
}

#[cfg(test)]
mod tests {
    use imgop_core::api::ImageSpec;

    use super::*;

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

    #[test]
    fn an_empty_selector_does_not_mean_everything() {
        assert_eq!(parse_selector(" team=web "), Ok("team=web".to_owned()));
        assert!(parse_selector("").is_err() && parse_selector(" ").is_err());
        for name in ["argocd", "image/argocd", "image.skopeo.io/argocd", "simg/argocd"] {
            assert_eq!(parse_image_name(name), Ok("argocd".to_owned()));
        }
    }

    #[test]
    fn names_that_would_lead_elsewhere_in_the_api_are_refused() {
        for bad in [
            "",
            "..",
            "a/b",
            "../secrets/x",
            "A",
            "a_b",
            "-a",
            "a-",
            "a..b",
            "a%2fb",
            "a b",
            &"a".repeat(254),
        ] {
            assert!(parse_name(bad).is_err(), "{bad}");
            assert!(parse_namespace(bad).is_err(), "{bad}");
        }
        for good in ["argocd-v2-13-x", "a.b", "1"] {
            assert!(parse_name(good).is_ok(), "{good}");
        }
        assert!(parse_namespace("a.b").is_err());
    }
}
