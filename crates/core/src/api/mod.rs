//! The resource kinds as users write them, and what the kinds share.
//!
//! Fields that hold a grammar of their own (names, versions, frequencies) are plain strings here
//! and are parsed by [`crate::plan::CopyRequest`]: a typed field would make one bad object
//! undecodable, and with it the watch of all others (Flux CVE-2022-39272).

pub mod conditions;
mod endpoint;
mod frequency;
mod image;
mod image_status;
mod min_age;
mod rules;

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt as _;

pub use endpoint::{CA_KEY, Credentials, Tls, TlsMode};
pub use frequency::{Frequency, FrequencyError};
pub use image::{Destination, Image, ImageSpec, Mode, Overwrite, Publish, Referrers, Select, Source};
pub use image_status::{Counts, FailureReason, HistoryEntry, ImageStatus, Phase, TagFailure, WaitingTag};
pub use min_age::{MinAge, MinAgeError};

/// A new token in this annotation asks for a sync now; the agent echoes it in
/// `status.lastHandledRequestedAt`.
pub const REQUESTED_AT_ANNOTATION: &str = "imgop.skopeo.io/requested-at";

/// The label by which the agent finds its own Jobs and pods.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// The value of [`MANAGED_BY_LABEL`] on everything that the agent makes.
pub const MANAGED_BY: &str = "imgop";

/// The label that holds the UID of the Image that a Job belongs to.
pub const IMAGE_UID_LABEL: &str = "imgop.skopeo.io/image-uid";

/// The annotation of a Job that says which tags it copies, as JSON.
pub const COPIES_ANNOTATION: &str = "imgop.skopeo.io/copies";

/// The annotation of a Job that says between which repositories it copies, and how: what it came to
/// counts only for a spec that still says so.
pub const ROUTE_ANNOTATION: &str = "imgop.skopeo.io/route";

/// The custom resource definitions of this project, in the order in which they are installed.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![Image::crd()];
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
/// compare a text with it. Also takes the formats that Kubernetes does not know and warns of.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if schema.format.as_deref() == Some("uint32") {
        schema.format = None;
    }
    for property in schema.properties.iter_mut().flat_map(BTreeMap::values_mut) {
        tidy(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
}
