//! What to preview: references, the Images of a file, or an Image of the cluster.

use std::fmt;

use imgop_core::api::{Image, ImageSpec, Side, TagFailure};
use imgop_core::copy::{CopyRequest, Known, SpecError};
use imgop_core::reset::Reset;
use imgop_core::schedule::{Candidate, Due, Schedule};
use imgop_registry::reference::Tag;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use schemars::JsonSchema;
use serde::Serialize;

use crate::kinds::{Erased, ObjectRef, TypedName};
use crate::output::wording::Wording;

/// Which Image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ImageName {
    /// The namespace, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl ImageName {
    /// Returns the name of an Image.
    pub fn of(image: &Image) -> Self {
        Self { namespace: image.namespace(), name: image.name_any() }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.namespace.iter().try_for_each(|namespace| write!(f, "{namespace}/"))?;
        f.write_str(&self.name)
    }
}

/// One request to preview.
#[derive(Debug, Clone)]
pub struct Target {
    /// What to copy.
    pub request: CopyRequest,
    /// The spec, which names the Secrets.
    pub spec: ImageSpec,
    /// The Image that it comes from.
    pub image: Option<ImageName>,
    /// That Image, as the cluster has it or would have it.
    pub manifest: Option<Image>,
    /// Tags that mode `OnceByTag` has copied already, and since when others wait.
    pub known: Known,
    /// Copies that failed.
    pub failures: Vec<TagFailure>,
    /// Whether failed copies are tried again now.
    pub retries_now: bool,
    /// Why nothing is copied, whatever the registries have.
    pub rest: Option<Rest>,
    /// Images with the same destination that stand before it in its files: a tag belongs to the first that selects it.
    pub before: Vec<Image>,
    /// Tags of its destination that ImageBuilders build which stand before it in its files.
    pub built_before: Vec<BuiltBefore>,
    /// Whether there is a destination to compare with.
    pub has_destination: bool,
    /// Whether its problems are explained by flags or by fields.
    pub wording: Wording,
    /// Whether the spec is read from the cluster, where others may have written it.
    pub is_of_cluster: bool,
    /// Who writes the spec, and so which fields set what is missing in it.
    pub written_by: WrittenBy,
}

/// Who writes the spec of an Image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WrittenBy {
    /// A user.
    #[default]
    User,
    /// The agent, for an ImageMirror.
    ImageMirror,
    /// The agent, for a WorkloadMirror.
    WorkloadMirror,
}

/// A tag that an ImageBuilder builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltBefore {
    /// The tag.
    pub tag: Tag,
    /// The name of the ImageBuilder.
    pub builder: String,
}

/// Why an Image copies nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It is suspended.
    Suspended,
    /// It copies once, and has done so.
    Done,
}

impl Target {
    /// Returns the target of two references.
    pub fn of_references(
        spec: ImageSpec,
        request: CopyRequest,
        has_destination: bool,
        now: Timestamp,
    ) -> Self {
        let rest = spec.suspend.then_some(Rest::Suspended);
        let known = Known { now, ..Known::default() };
        Self {
            request,
            spec,
            image: None,
            manifest: None,
            known,
            failures: Vec::new(),
            retries_now: false,
            rest,
            before: Vec::new(),
            built_before: Vec::new(),
            has_destination,
            wording: Wording::Flags,
            is_of_cluster: false,
            written_by: WrittenBy::default(),
        }
    }

    /// Returns the target of an Image as the cluster has it, or would have it. What it copied already, since
    /// when tags are too young and which copies failed is taken from its status.
    pub fn of_image(image: Image, now: Timestamp) -> Result<Self, SpecError> {
        let request = CopyRequest::parse(&image.spec)?;
        let due = due(&image, now);
        let rest = match due {
            _ if image.spec.suspend => Some(Rest::Suspended),
            None => Some(Rest::Done),
            Some(_) => None,
        };
        Ok(Self {
            known: Known::recorded(&image, &request, now),
            failures: failures(&image),
            retries_now: due.is_some_and(Due::is_asked_for),
            rest,
            before: Vec::new(),
            built_before: Vec::new(),
            request,
            spec: image.spec.clone(),
            image: Some(ImageName::of(&image)),
            manifest: Some(image),
            has_destination: true,
            wording: Wording::Fields,
            is_of_cluster: false,
            written_by: WrittenBy::default(),
        })
    }

    /// Returns its name in messages.
    pub fn name(&self) -> String {
        self.image.as_ref().map_or_else(|| self.request.source.to_string(), ImageName::to_string)
    }

    /// Returns whether a Secret is named.
    pub fn names_secrets(&self) -> bool {
        let names = |side: Side| {
            let endpoint = self.spec.endpoint(side);
            endpoint.credentials.is_some() || endpoint.tls.ca_secret_name.is_some()
        };
        names(Side::Source) || self.has_destination && names(Side::Destination)
    }
}

/// Returns why the next sync of an Image would begin if its time had come; none if no sync ever begins.
fn due(image: &Image, now: Timestamp) -> Option<Due> {
    let schedule = Schedule { next: Some(now), ..Schedule::default() };
    schedule.due(&Candidate::from(image), now)
}

/// Returns the failures that its status records, but for those that are reset.
fn failures(image: &Image) -> Vec<TagFailure> {
    let mut failures = image.status.as_ref().map(|status| status.failures.clone()).unwrap_or_default();
    let candidate = Candidate::from(image);
    let reset = Reset::of(candidate.is_spec_new(), candidate.reset);
    if let Some(reset) = reset {
        reset.apply_to(&mut failures);
    }
    failures
}

/// Returns the Image that the cluster has once a manifest is applied. `existing` is what it has now.
pub fn applied(manifest: Image, existing: Option<Image>, now: Timestamp) -> Image {
    let mut image = manifest;
    if let Some(existing) = existing {
        let is_changed = existing.spec != image.spec;
        image.metadata = existing.metadata;
        image.metadata.generation = image.metadata.generation.map(|n| n + i64::from(is_changed));
        image.status = existing.status;
    } else {
        // The youngest of all. An apply takes no status.
        image.metadata.creation_timestamp = Some(Time(now));
        image.status = None;
    }
    image
}

/// Returns the name of an Image, if the one argument of `preview` is one: a bare word without `/`, `:`
/// and `@`, or a word after `image/` as kubectl writes it.
pub fn image_name(argument: &str) -> Option<ObjectRef> {
    let object = ObjectRef::parse(argument).ok()?;
    (object.kind == Erased::<Image>::REF).then_some(object)
}

/// Returns the name of an Image or ImageBuilder, if the one argument of `preview` is one.
pub fn object_name(argument: &str) -> Option<TypedName> {
    TypedName::parse(argument).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_word_is_the_name_of_an_image() {
        for (argument, name) in [
            ("argocd-v2-13-x", Some("argocd-v2-13-x")),
            ("image/argocd", Some("argocd")),
            ("image.skopeo.io/argocd", Some("argocd")),
            ("nginx:1.27", None),
            ("library/nginx", None),
            ("image/argocd:1.0", None),
            ("quay.io/a/b", None),
            ("localhost:5000", None),
        ] {
            assert_eq!(image_name(argument).map(|image| image.name).as_deref(), name, "{argument}");
        }
    }
}
