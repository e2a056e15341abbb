//! The configuration of an image (OCI image-spec 1.1, "config.md"): its platform, its age, and what is built on it.

use jiff::Timestamp;
use serde::Deserialize;

use super::platform::Platform;
use crate::reference::Digest;

/// The day after Docker was first shown: no image is older. Reproducible builds say 1970 or 1980.
pub const EARLIEST_IMAGE_TIME: Timestamp = Timestamp::constant(1_362_096_000, 0); // 2013-03-01T00:00:00Z

/// Whether an image can have been made at this time.
pub fn is_plausible(time: Timestamp, now: Timestamp) -> bool {
    (EARLIEST_IMAGE_TIME..=now).contains(&time)
}

/// What a build needs to know of an image that it begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    /// What it runs on; none if it names none.
    pub platform: Option<Platform>,
    /// The digests of its layers, uncompressed.
    pub diff_ids: Vec<Digest>,
    /// How many layers its history lists: some builders list fewer than there are, or none.
    pub layers_in_history: usize,
    /// Its ONBUILD triggers, which run in what is built on it.
    pub triggers: Vec<String>,
}

#[derive(Deserialize)]
struct Layered {
    rootfs: RootFs,
    #[serde(default)]
    history: Option<Vec<Past>>,
    #[serde(default)]
    config: Option<Runtime>,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<Digest>,
}

/// An entry of the history.
#[derive(Deserialize)]
struct Past {
    #[serde(default)]
    empty_layer: bool,
}

#[derive(Deserialize)]
struct Runtime {
    #[serde(default, rename = "OnBuild")]
    on_build: Option<Vec<String>>,
}

impl ImageConfig {
    /// Reads a configuration; none if it is not that of an image.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let layered: Layered = serde_json::from_slice(bytes).ok()?;
        let triggers = layered.config.and_then(|config| config.on_build).unwrap_or_default();
        let history = layered.history.iter().flatten();
        let layers_in_history = history.filter(|past| !past.empty_layer).count();
        let (platform, diff_ids) = (platform_in(bytes), layered.rootfs.diff_ids);
        Some(Self { platform, diff_ids, layers_in_history, triggers })
    }
}

#[derive(Deserialize)]
struct Dated {
    #[serde(default)]
    created: Option<String>,
}

/// Returns `created` of a configuration, an RFC 3339 time; `None` if it cannot be read.
pub(crate) fn created_in(config: &[u8]) -> Option<Timestamp> {
    serde_json::from_slice::<Dated>(config).ok()?.created?.parse().ok()
}

/// Returns the platform that a configuration names; `None` if it names none.
pub(crate) fn platform_in(config: &[u8]) -> Option<Platform> {
    let platform = serde_json::from_slice::<Platform>(config).ok()?;
    platform.is_named().then_some(platform)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_of_rfc_3339_or_nothing() {
        let created = |text: &str| created_in(format!(r#"{{"created":{text}}}"#).as_bytes());
        let time: Timestamp = "2024-05-06T07:08:09.123456789Z".parse().unwrap();
        assert_eq!(created(r#""2024-05-06T07:08:09.123456789Z""#), Some(time));
        assert_eq!(created(r#""2024-05-06T09:08:09.123456789+02:00""#), Some(time));
        for garbage in
            ["null", "5", r#""""#, r#""yesterday""#, r#""2024-13-01T00:00:00Z""#, "{}", r#""2024-05-06""#]
        {
            assert_eq!(created(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn a_configuration_names_a_platform_or_none() {
        let named = platform_in(br#"{"os":"linux","architecture":"arm","variant":"v7","rootfs":{}}"#);
        assert_eq!(named.unwrap().to_string(), "linux/arm/v7");
        for other in [
            "",
            "{}",
            "[]",
            r#"{"os":"","architecture":""}"#,
            r#"{"os":"linux","architecture":5}"#,
            r#"{"os":"linux","architecture":"amd64 or so"}"#,
        ] {
            assert_eq!(platform_in(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_base_has_layers_and_maybe_triggers() {
        let id = Digest::of(b"layer");
        let read = |config: &str| {
            let text = format!(
                r#"{{"os":"linux","architecture":"arm64","rootfs":{{"type":"layers","diff_ids":["{id}"]}}{config}}}"#
            );
            ImageConfig::read(text.as_bytes()).unwrap()
        };
        let plain = read("");
        assert_eq!(
            (plain.platform.unwrap().to_string(), plain.diff_ids),
            ("linux/arm64".to_owned(), vec![id.clone()])
        );
        assert_eq!(read(r#","config":{"OnBuild":null}"#).triggers, Vec::<String>::new());
        assert_eq!(read(r#","config":{"OnBuild":["COPY a /a"]}"#).triggers, ["COPY a /a"]);
        for other in ["", "[]", "{}", r#"{"rootfs":{"diff_ids":["sha256:x"]}}"#] {
            assert_eq!(ImageConfig::read(other.as_bytes()), None, "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            body in r#"([{}\[\]",:]|"created"|"annotations"|"config"|"digest"|org.opencontainers.image.created|[0-9TZ:+-]{1,30}|[ -~]){0,40}"#,
        ) {
            let _ = (created_in(body.as_bytes()), platform_in(body.as_bytes()), ImageConfig::read(body.as_bytes()));
            let manifest = crate::Manifest::new("application/json", body.into());
            let _ = manifest.image().map(|image| image.created());
        }
    }
}
