//! Layers of earlier builds: whether they are used.

use std::fmt;
use std::time::Duration;

use imgop_core::build::BuildFailure;
use imgop_core::build::dockerfile::BuildahVersion;
use imgop_core::build::step::{LayerCache, StepInput, StepReport};
use imgop_registry::reference::{ManifestRef, Repository};
use tokio::time::timeout;

use crate::access::RegistryAccess;
use crate::{BuildHandover, Failed, Places, note};

/// The first version whose layers of earlier builds are not used when mounted files changed.
const LAYERS_SEE_MOUNTS: BuildahVersion = BuildahVersion { major: 1, minor: 44 };
/// How long the registry of the cache may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A repository with layers that can be read and written.
#[derive(Debug)]
pub struct UsableCache {
    /// Which.
    pub layers: LayerCache,
    /// The options with which Buildah reaches its registry.
    pub options: Vec<String>,
}

/// Returns the cache that is used. Where one is asked for that cannot be used, the image is built without it, with a
/// warning: Buildah would fail at the first layer.
pub fn usable(
    input: &StepInput,
    handover: &BuildHandover,
    buildah: BuildahVersion,
    places: &Places,
    report: &mut StepReport,
) -> Result<Option<UsableCache>, Failed> {
    let Some(layers) = &input.cache else { return Ok(None) };
    let problem =
        match (never(handover, buildah), RegistryAccess::read(input, &places.cache_auth_file(), places)?) {
            (Some(problem), _) => problem,
            (None, access) => match probe(&access, &layers.repository)? {
                Ok(()) => {
                    let options = access.options(layers.repository.host(), "");
                    return Ok(Some(UsableCache { layers: layers.clone(), options }));
                }
                Err(problem) => format!("{problem}; correct cache.repository or cache.credentials"),
            },
        };
    warn_unused(layers, problem, report);
    Ok(None)
}

/// Warns that the image is built without the cache, for this problem.
pub fn warn_unused(layers: &LayerCache, problem: impl fmt::Display, report: &mut StepReport) {
    let warning = format!("built without the cache {}: {problem}", layers.repository);
    note(format_args!("{warning}"));
    report.warnings.push(warning);
}

/// Returns why no layers can be used with this Dockerfile, if that is so.
fn never(handover: &BuildHandover, buildah: BuildahVersion) -> Option<String> {
    if handover.mounts_files && buildah < LAYERS_SEE_MOUNTS {
        return Some(format!(
            "Buildah {buildah} does not see that files of RUN --mount changed; Buildah {LAYERS_SEE_MOUNTS} does"
        ));
    }
    let base = handover.base_without_history.as_ref()?;
    Some(format!("the history of {base} lists fewer layers than it has, and Buildah keeps none on it"))
}

/// Asks whether a repository can be pushed to and read. The inner error is what its registry says.
fn probe(access: &RegistryAccess, repository: &Repository) -> Result<Result<(), String>, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failed::new(BuildFailure::PodNotStarted, error.to_string()))?;
    Ok(runtime.block_on(async {
        let client = access.push_client(repository);
        let asked = async {
            client.check_push().await?;
            match "latest".parse() {
                Ok(tag) => client.head(&ManifestRef::Tag(tag)).await.map(drop),
                Err(_) => Ok(()),
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("its registry does not answer within {} s", PATIENCE.as_secs())),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildah::StorageDriver;

    #[test]
    fn layers_are_used_again_only_where_no_change_can_be_missed() {
        let plain = BuildHandover {
            storage_driver: StorageDriver::Overlay,
            sub_path: None,
            ignore_file: None,
            timestamp: None,
            unchanged_base: None,
            mounts_files: false,
            base_without_history: None,
            triggers: Vec::new(),
        };
        let [old, new] = ["1.43", "1.44"].map(|version| version.parse().unwrap());
        assert_eq!(never(&plain, old), None);
        let mounts = BuildHandover { mounts_files: true, ..plain.clone() };
        assert!(never(&mounts, old).unwrap().starts_with("Buildah 1.43 does not see"));
        assert_eq!(never(&mounts, new), None);
        let base = BuildHandover { base_without_history: Some("quay.io/a/b:1".into()), ..plain };
        assert!(never(&base, new).unwrap().contains("quay.io/a/b:1"));
    }
}
