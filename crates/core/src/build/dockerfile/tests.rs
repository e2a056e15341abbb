use std::collections::{BTreeMap, BTreeSet};

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::Digest;

use super::*;
use crate::api::Format;

mod arguments;
mod grammar;
mod pinning;
mod properties;
mod stage_references;

const OLD: BuildahVersion = BuildahVersion { major: 1, minor: 28 };
const NEW: BuildahVersion = BuildahVersion { major: 1, minor: 44 };

fn file(text: &str) -> Dockerfile {
    Dockerfile::parse(text.as_bytes(), OLD)
}

/// What is wrong with a file for an old Buildah.
fn problems(text: &str) -> Vec<String> {
    file(text).problems().iter().map(ToString::to_string).collect()
}

/// What is wrong with a file for a new Buildah.
fn problems_today(text: &str) -> Vec<String> {
    Dockerfile::parse(text.as_bytes(), NEW).problems().iter().map(ToString::to_string).collect()
}

/// What a file is built with in a test.
struct Build {
    arguments: BTreeMap<String, String>,
    target: Option<&'static str>,
    platform: PlatformSelector,
    node: PlatformSelector,
    format: Format,
    secrets: BTreeSet<String>,
}

impl Default for Build {
    fn default() -> Self {
        Self {
            arguments: BTreeMap::new(),
            target: None,
            platform: "linux/amd64".parse().unwrap(),
            node: "linux/amd64".parse().unwrap(),
            format: Format::Docker,
            secrets: BTreeSet::new(),
        }
    }
}

impl Build {
    fn with(arguments: &[(&str, &str)]) -> Self {
        let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { arguments: arguments.collect(), ..Self::default() }
    }

    fn of(target: &'static str) -> Self {
        Self { target: Some(target), ..Self::default() }
    }

    fn on(platform: &str) -> Self {
        Self { platform: platform.parse().unwrap(), ..Self::default() }
    }

    fn resolve(&self, text: &str) -> Resolved {
        let file = file(text);
        assert_eq!(file.problems().iter().find(|problem| problem.is_error()), None);
        file.resolve(&self.inputs())
    }

    fn inputs(&self) -> BuildInputs<'_> {
        BuildInputs {
            arguments: &self.arguments,
            target: self.target,
            platform: &self.platform,
            build_platform: &self.node,
            format: self.format,
            secrets: &self.secrets,
        }
    }

    /// The images that are needed.
    fn images(&self, text: &str) -> Vec<String> {
        let resolved = self.resolve(text);
        let errors: Vec<_> = resolved.problems.iter().filter(|problem| problem.is_error()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        resolved.images.iter().map(|needed| format!("{} {}", needed.image, needed.platform)).collect()
    }

    /// What is wrong for these inputs.
    fn problems(&self, text: &str) -> Vec<String> {
        self.resolve(text).problems.iter().map(ToString::to_string).collect()
    }
}

/// The file with each image's digest being that of its text.
fn pinned(text: &str, build: &Build) -> String {
    let (file, resolved) = (file(text), build.resolve(text));
    let digest = |needed: &NeededImage| {
        let digest = Digest::of(format!("{} {}", needed.image, needed.platform).as_bytes());
        Some((needed.image.repository.clone(), digest))
    };
    let pinned = file.pinned(&resolved, digest).unwrap();
    // Short enough to be read.
    let parts = pinned.split("@sha256:").enumerate();
    parts.map(|(i, part)| if i == 0 { part.to_owned() } else { format!("@{}", &part[56..]) }).collect()
}
