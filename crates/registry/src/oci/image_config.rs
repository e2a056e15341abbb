//! The configuration of an image (OCI image-spec 1.1, "config.md"): its platform and its age.

use jiff::Timestamp;
use serde::Deserialize;

use super::platform::Platform;

/// The day after Docker was first shown: no image is older. Reproducible builds say 1970 or 1980.
pub const EARLIEST_IMAGE_TIME: Timestamp = Timestamp::constant(1_362_096_000, 0); // 2013-03-01T00:00:00Z

/// Whether an image can have been made at this time.
pub fn is_plausible(time: Timestamp, now: Timestamp) -> bool {
    (EARLIEST_IMAGE_TIME..=now).contains(&time)
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

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            body in r#"([{}\[\]",:]|"created"|"annotations"|"config"|"digest"|org.opencontainers.image.created|[0-9TZ:+-]{1,30}|[ -~]){0,40}"#,
        ) {
            let _ = (created_in(body.as_bytes()), platform_in(body.as_bytes()));
            let manifest = crate::Manifest::new("application/json", body.into());
            let _ = manifest.image().map(|image| image.created());
        }
    }
}
