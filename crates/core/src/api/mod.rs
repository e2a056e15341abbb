//! The resource kinds as users write them, and what the kinds share.
//!
//! Fields that hold a grammar of their own (names, versions, frequencies) are plain strings here
//! and are parsed by [`crate::copy::CopyRequest`] and [`crate::build::BuildRequest`]: a typed field would make
//! one bad object undecodable, and with it the watch of all others (Flux CVE-2022-39272).

pub mod conditions;
mod default_destination;
mod endpoint;
mod engine;
mod exact_list;
mod image;
mod image_builder;
mod image_mirror;
pub mod job_template;
mod labels;
mod phase;
mod registry_access;
pub(crate) mod repository_creation;
mod resources;
mod rules;
mod schedule;
mod scheduled;
mod workload_mirror;

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt as _;

pub use default_destination::{DefaultDestination, DefaultedDestination};
pub use endpoint::{Credentials, EndpointRef, Side, Tls, TlsMode};
pub use engine::Engine;
pub use image::{
    Counts, Destination, FailureReason, HistoryEntry, Image, ImageSpec, ImageStatus, Mode, Overwrite, Prune,
    PrunePolicy, PruneStatus, Publish, Referrers, Select, Source, TagFailure, WaitingTag,
};
pub(crate) use image_builder::rules as image_builder_rules;
pub use image_builder::{
    Architecture, BaseImageStatus, BuildArg, BuildArgSource, BuildDuration, BuildReason, BuildRecord,
    BuildResult, BuildSecret, BuiltImage, BuiltImageStatus, Cache, CacheMode, CacheVolume, ConcurrencyPolicy,
    ConfigMapContext, ConfigMapItem, ConfigMapKeyRef, Context, DestinationStatus, Format, GitContext,
    GitCredentials, ImageBuilder, ImageBuilderSpec, ImageBuilderStatus, ImageContext, PlatformState,
    PlatformStatus, PullRegistry, RebuildOn, RunningBuild, SourceStatus, Storage, StorageMedium,
};
pub use image_mirror::{
    ChartEnvironment, ChartSource, ChartTier, ConfigMapFile, FailedUpdate, GithubFileSource,
    GithubReleaseSource, GithubReleases, HelmChartSource, ImageMirror, ImageMirrorSpec, ImageMirrorStatus,
    InventoryFile, InventoryFormat, InventoryRead, MAX_NAMED_IN_STATUS, MirrorConflict, MirrorEntry,
    MirrorFailure, MirrorNaming, MirrorProposals, MirrorPrune, MirrorSource, MirrorSync, MirrorTags,
    MirrorTarget, MirrorUpdate, MirroredChildren, NamingRule, RegistryTagsSource, TakenTags, UpdateMode,
    UpdateSource, UpdatedEntry,
};
pub use job_template::{Affinity, JobTemplateSpec, PullSecret, Toleration};
pub use labels::{
    ADOPT_ANNOTATION, BUILD_ANNOTATION, CA_KEY, CANCEL_REQUESTED_AT_ANNOTATION, COPIES_ANNOTATION,
    DOCKER_CONFIG_KEY, FOUND_TAGS_ANNOTATION, JOB_NAME_LABEL, MANAGED_BY, MANAGED_BY_LABEL, MIRROR_LABEL,
    MIRRORED_SPEC_ANNOTATION, NAME_LABEL, NATIVE_CONTAINER, NOT_MIRRORED_ANNOTATION, ON_THE_FLY_LABEL,
    OWNER_ANNOTATION, OWNER_UID_LABEL, PART_OF_LABEL, PRUNE_ANNOTATION, REQUESTED_AT_ANNOTATION,
    RESET_ANNOTATION, ROUTE_ANNOTATION, SUSPENDED_WITH_ANNOTATION, TEMPLATE_ANNOTATION,
    UNUSED_SINCE_ANNOTATION, WORKLOAD_MIRROR_LABEL, container_name, prune_release,
};
pub use phase::Phase;
pub use registry_access::{
    AwsIdentity, LabelOperator, LabelRequirement, NamespaceSelector, RegistryAccess, RegistryAccessSpec,
    RegistryAccessStatus, RegistryAction, RegistryLimits, SharedAws, SharedTls,
};
pub use repository_creation::{CreationPolicy, MANAGED_REPOSITORY_TAG, RepositoryCreation};
pub use resources::{Amounts, Resources};
pub use schedule::{Frequency, FrequencyError, MinAge, MinAgeError, RecurrenceRef, UTC};
pub use scheduled::{LastPass, Scheduled};
pub use workload_mirror::{
    DigestUse, ExcludedWorkload, PathRule, UnknownDigest, WorkloadCounts, WorkloadDestination,
    WorkloadDigests, WorkloadExclusions, WorkloadKind, WorkloadLimits, WorkloadMirror, WorkloadMirrorSpec,
    WorkloadMirrorStatus, WorkloadMode, WorkloadNamespaces, WorkloadOrigin, WorkloadOverwrite,
    WorkloadPlatformMode, WorkloadPlatforms, WorkloadTrigger,
};

/// Returns the custom resource definitions of this project, in the order in which they are installed.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![
        Image::crd(),
        ImageBuilder::crd(),
        ImageMirror::crd(),
        WorkloadMirror::crd(),
        RegistryAccess::crd(),
    ];
    for crd in &mut crds {
        for version in &mut crd.spec.versions {
            if let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) {
                tidy(schema);
            }
        }
    }
    crds
}

/// Takes `nullable` from optional fields: the API server then drops a null, as if the field were
/// not there. A null that stays would be one more case for each rule, and CEL has no way to
/// compare a text with it. Also takes the formats that Kubernetes does not know and warns of, and gives
/// each integer a maximum: what the API server stores can then be read by every program. Descriptions lose the
/// line breaks that comments have, for `kubectl explain` breaks lines itself.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.description = schema.description.take().map(|text| joined(&text));
    let format = schema.format.as_deref().unwrap_or_default();
    if schema.type_.as_deref() == Some("integer") && schema.maximum.is_none() {
        schema.maximum = Some(if format == "uint32" { MAX_UINT32 } else { MAX_EXACT_INTEGER });
    }
    if format.starts_with("uint") {
        schema.format = (format == "uint64").then(|| "int64".to_owned());
    }
    for property in schema.properties.iter_mut().flat_map(BTreeMap::values_mut) {
        tidy(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
}

/// Returns a text with each of its paragraphs in one line.
fn joined(text: &str) -> String {
    let paragraphs =
        text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

const MAX_UINT32: f64 = 4_294_967_295.0;
/// The largest integer up to which a JSON number is exact in every program.
const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_991.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn integers<'a>(path: &str, schema: &'a JSONSchemaProps, all: &mut Vec<(String, &'a JSONSchemaProps)>) {
        if schema.type_.as_deref() == Some("integer") {
            all.push((path.to_owned(), schema));
        }
        for (name, property) in schema.properties.iter().flatten() {
            integers(&format!("{path}.{name}"), property, all);
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
            integers(&format!("{path}[]"), items, all);
        }
    }

    #[test]
    fn descriptions_have_no_hard_line_breaks() {
        assert_eq!(
            joined("How often the source\nis checked.\n\nAt least 10s.\n"),
            "How often the source is checked.\n\nAt least 10s."
        );
        let text = serde_json::to_string(&crds()).unwrap();
        let breaks: Vec<&str> =
            text.split("\"description\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(breaks.len() > 40 && breaks.iter().all(|text| !text.replace("\\n\\n", "").contains("\\n")));
    }

    #[test]
    fn descriptions_of_lists_that_are_cut_say_how_many_entries_they_have() {
        let crds = serde_json::to_value(crds()).unwrap();
        for kind in ["ImageMirror", "WorkloadMirror"] {
            let mut all = crds.as_array().unwrap().iter();
            let crd = all.find(|crd| crd["spec"]["names"]["kind"] == kind).unwrap();
            let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            for list in ["conflicts", "failing"] {
                let list = &schema["properties"]["status"]["properties"][list];
                let text = list["description"].as_str().unwrap();
                assert!(text.contains(&format!(", {MAX_NAMED_IN_STATUS} at most")), "{kind}: {text}");
            }
        }
    }

    #[test]
    fn every_integer_has_a_maximum_that_its_type_can_hold() {
        let mut all = Vec::new();
        let crds = crds();
        for crd in &crds {
            for version in &crd.spec.versions {
                let schema = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
                integers(&crd.spec.names.kind, schema, &mut all);
            }
        }
        for known in ["Image.spec.source.select.latest", "ImageBuilder.status.history[].number"] {
            assert!(all.iter().any(|(path, _)| path == known), "{known}");
        }
        for (path, integer) in all {
            assert!(integer.format.as_deref().is_none_or(|format| format.starts_with("int")), "{path}");
            let maximum = integer.maximum.unwrap_or(f64::INFINITY);
            let type_max = if integer.format.is_none() { MAX_UINT32 } else { MAX_EXACT_INTEGER };
            assert!(maximum <= type_max, "{path}: {maximum}");
        }
    }
}
