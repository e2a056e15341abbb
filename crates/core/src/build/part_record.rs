//! Which part of which build a Job is, as its annotation holds it.

use imgop_registry::oci::PlatformSelector;
use serde::{Deserialize, Serialize};

use crate::api::BuildReason;

/// Which part of which build a Job is: what a restart works the build out from again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartRecord {
    /// The number of the build.
    pub number: u64,
    /// Why it was started.
    pub reason: BuildReason,
    /// The key of the build when this part was begun.
    pub key: String,
    /// The platform.
    pub platform: PlatformSelector,
    /// Which try it is, from 1.
    pub attempt: u32,
    /// Whether a node of another architecture may emulate the platform.
    #[serde(default)]
    pub emulated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_plain_json_that_is_read_again() {
        let record = PartRecord {
            number: 12,
            reason: BuildReason::BaseImageMoved,
            key: "sha256:ab".into(),
            platform: "linux/arm64".parse().unwrap(),
            attempt: 2,
            emulated: true,
        };
        let text = serde_json::to_string(&record).unwrap();
        insta::assert_snapshot!(text, @r#"{"number":12,"reason":"BaseImageMoved","key":"sha256:ab","platform":"linux/arm64","attempt":2,"emulated":true}"#);
        assert_eq!(serde_json::from_str::<PartRecord>(&text).unwrap(), record);
    }
}
