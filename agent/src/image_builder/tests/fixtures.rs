//! What the tests of `ImageBuilder`s are built from.

use imgop_core::api::{
    Architecture, BuildReason, BuildRecord, BuildResult, BuiltImage, ImageBuilder, ImageBuilderSpec,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// An ImageBuilder `app` in namespace `team-a`, for amd64, from a Dockerfile without base images.
pub fn builder(edit: impl FnOnce(&mut ImageBuilderSpec)) -> ImageBuilder {
    let mut spec = ImageBuilderSpec::new(BuiltImage::new("registry.example.com/team/app", "v1"));
    spec.architecture = Some(Architecture::Amd64);
    spec.source = Some("FROM scratch\nLABEL a=b\n".into());
    edit(&mut spec);
    let mut builder = ImageBuilder::new("app", spec);
    builder.metadata.namespace = Some("team-a".into());
    builder.metadata.uid = Some("6f1d9a52-0000-4000-8000-000000000002".into());
    builder.metadata.generation = Some(1);
    builder
}

/// A build that ended.
pub fn record(number: u64, result: BuildResult) -> BuildRecord {
    BuildRecord {
        number,
        reason: BuildReason::Created,
        changes: None,
        result,
        failure: None,
        message: None,
        digest: None,
        started_at: Some(Time(now())),
        duration: None,
    }
}

/// The time in all tests.
pub fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}
