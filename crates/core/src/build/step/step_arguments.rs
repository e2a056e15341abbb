//! A document in the arguments of a container.

use super::StepInput;
use crate::commands::document::{DocumentError, from_arguments, to_arguments};

/// Bytes of a document: it stands in the Job once for each container, and Jobs are read up to a limit.
pub const MAX_STEP_INPUT_BYTES: usize = 128 << 10;

impl StepInput {
    /// Returns it as arguments of a container.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn to_arguments(&self) -> Result<Vec<String>, DocumentError> {
        to_arguments(self)
    }

    /// Reads what [`Self::to_arguments`] returned.
    ///
    /// # Errors
    /// If it is another document.
    pub fn from_arguments(arguments: &[String]) -> Result<Self, DocumentError> {
        from_arguments(arguments)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::api::{Format, TlsMode};
    use crate::build::step::{GitSource, LayerCache, StepContext};
    use crate::build::{DockerfilePlace, Timestamp};
    use crate::commands::document::MAX_PART_BYTES;
    use imgop_registry::reference::Digest;

    fn input() -> StepInput {
        StepInput {
            platform: "linux/arm64/v8".parse().unwrap(),
            dockerfile: DockerfilePlace::Inline("FROM a\nRUN echo $$ $(id)".into()),
            context: StepContext::Git(GitSource {
                url: "https://git.example.com/team/app.git".into(),
                revision: Some("refs/pull/7/head".into()),
                commit: None,
                submodules: true,
                lfs: false,
                depth: 1,
            }),
            sub_path: Some("services/api".into()),
            target: Some("final".into()),
            arguments: BTreeMap::from([("A".into(), "$$ $(HOME) \"é\n".into())]),
            labels: BTreeMap::from([("a.b/c".into(), String::new())]),
            annotations: BTreeMap::new(),
            format: Format::Oci,
            timestamp: Some(Timestamp::Seconds(1)),
            secrets: BTreeSet::from(["token".into()]),
            bases: BTreeMap::from([("quay.io/a/b:1".parse().unwrap(), Digest::of(b"x"))]),
            repository: "registry.example.com:5000/team/app".parse().unwrap(),
            tls_modes: BTreeMap::from([("registry.example.com:5000".parse().unwrap(), TlsMode::PlainHttp)]),
            cache: Some(LayerCache { repository: "quay.io/a/cache".parse().unwrap(), ttl_seconds: Some(60) }),
            buildah: Some("1.44".parse().unwrap()),
            log_bytes: 7,
        }
    }

    #[test]
    fn the_document_is_plain_json_without_what_is_at_its_default() {
        let arguments = input().to_arguments().unwrap();
        assert_eq!(StepInput::from_arguments(&arguments).unwrap(), input());
        let small = StepInput {
            context: StepContext::Empty,
            sub_path: None,
            target: None,
            arguments: BTreeMap::new(),
            labels: BTreeMap::new(),
            timestamp: None,
            secrets: BTreeSet::new(),
            bases: BTreeMap::new(),
            tls_modes: BTreeMap::new(),
            cache: None,
            buildah: None,
            log_bytes: crate::build::step::DEFAULT_LOG_BYTES,
            ..input()
        };
        let text = small.to_arguments().unwrap().concat();
        assert_eq!(StepInput::from_arguments(std::slice::from_ref(&text)).unwrap(), small);
        insta::assert_snapshot!(text, @r#"{"platform":"linux/arm64/v8","dockerfile":{"Inline":"FROM a\nRUN echo \u0024\u0024 \u0024(id)"},"format":"OCI","repository":"registry.example.com:5000/team/app"}"#);
    }

    #[test]
    fn kubernetes_finds_nothing_to_replace_in_the_arguments() {
        assert!(input().to_arguments().unwrap().iter().all(|argument| !argument.contains('$')));
    }

    #[test]
    fn a_field_of_another_version_is_an_error_and_not_left_out() {
        let text = input().to_arguments().unwrap().concat();
        let other = text.replacen('{', "{\"squash\":true,", 1);
        let error = StepInput::from_arguments(&[other]).unwrap_err().to_string();
        assert!(error.contains("squash") && error.contains("of one version"), "{error}");
        assert!(StepInput::from_arguments(&[]).is_err());
    }

    proptest! {
        // Each case is some hundred kilobytes.
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn arguments_that_are_joined_are_the_document_that_was_split(
            value in ".{0,200}", unit in "[ -~é\u{10348}$\n\"\\\\]{1,40}", times in 0usize..9000,
        ) {
            let mut input = input();
            input.arguments.insert("B".into(), value);
            input.dockerfile = DockerfilePlace::Inline(unit.repeat(times));
            let arguments = input.to_arguments().unwrap();
            prop_assert!(arguments.iter().all(|part| !part.is_empty() && part.len() <= MAX_PART_BYTES));
            prop_assert_eq!(StepInput::from_arguments(&arguments).unwrap(), input);
        }
    }
}
