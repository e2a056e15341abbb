//! A Dockerfile, read for each platform. Pure.

use std::collections::{BTreeMap, BTreeSet};

use imgop_core::build::dockerfile::{BuildInputs, BuildahVersion, Dockerfile, NeededImage, Problem};
use imgop_core::build::{ArgValue, BuildRequest};

use super::context_files::missing;

/// What a Dockerfile says.
#[derive(Debug)]
pub struct Lint {
    /// What is wrong with it, in the order of the file.
    pub problems: Vec<Problem>,
    /// The images that it needs, each once for a platform.
    pub images: Vec<NeededImage>,
}

/// Reads a Dockerfile for all platforms of a request. Values that a ConfigMap holds are not known here: what depends
/// on them is left out. `files` are those of the context, where they are known.
pub fn lint(
    text: &str,
    request: &BuildRequest,
    files: Option<&BTreeSet<String>>,
    buildah: BuildahVersion,
) -> Lint {
    let file = Dockerfile::parse(text.as_bytes(), buildah);
    let mut lint = Lint { problems: file.problems().to_vec(), images: Vec::new() };
    let is_known = request.arguments.values().all(|value| matches!(value, ArgValue::Text(_)));
    let arguments: BTreeMap<String, String> = request
        .arguments
        .iter()
        .filter_map(|(name, value)| match value {
            ArgValue::Text(text) => Some((name.clone(), text.clone())),
            ArgValue::ConfigMap(_) => None,
        })
        .collect();
    let secrets: BTreeSet<String> = request.secrets.keys().cloned().collect();
    for platform in request.platforms.iter().filter(|_| is_known) {
        let resolved = file.resolve(&BuildInputs {
            arguments: &arguments,
            target: request.target.as_deref(),
            platform,
            // Which node builds is not known.
            build_platform: platform,
            format: request.format,
            secrets: &secrets,
        });
        let missing = files.map(|files| missing(&file, &resolved.stages, files)).unwrap_or_default();
        for problem in resolved.problems.into_iter().chain(missing) {
            if !lint.problems.contains(&problem) {
                lint.problems.push(problem);
            }
        }
        for image in resolved.images {
            if !lint.images.contains(&image) {
                lint.images.push(image);
            }
        }
    }
    lint.problems.sort_by_key(|problem| problem.position);
    lint
}
