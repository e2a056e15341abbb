//! Which fields of a spec changed since the last build. Kept in memory: what the agent has not seen, it does not name.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use imgop_core::api::ImageBuilderSpec;

/// The fields of a spec, in the order in which they are named.
const FIELDS: [&str; 25] = [
    "architecture",
    "platforms",
    "image",
    "source",
    "dockerfile",
    "context",
    "target",
    "buildArgs",
    "secrets",
    "registries",
    "cache",
    "rebuildOn",
    "frequency",
    "schedule",
    "timeZone",
    "minInterval",
    "suspend",
    "concurrencyPolicy",
    "timeout",
    "retries",
    "successfulBuildsHistoryLimit",
    "failedBuildsHistoryLimit",
    "resources",
    "jobTemplate",
    "storage",
];

/// The fields of a spec, each as a hash: a few bytes for each of many objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecFields([u32; FIELDS.len()]);

impl SpecFields {
    /// Returns the fields of a spec.
    pub fn of(spec: &ImageBuilderSpec) -> Self {
        let json = serde_json::to_value(spec).unwrap_or_default();
        Self(FIELDS.map(|name| {
            let mut hasher = DefaultHasher::new();
            json.get(name).map(ToString::to_string).hash(&mut hasher);
            // Half of it tells two values of a field apart as well.
            u32::try_from(hasher.finish() >> 32).unwrap_or_default()
        }))
    }

    /// Returns the names of the fields that are others than in an earlier spec, in one line; none if none are.
    pub fn changed_since(&self, earlier: &Self) -> Option<String> {
        let both = FIELDS.iter().zip(self.0.iter().zip(earlier.0.iter()));
        let changed: Vec<&str> = both.filter(|(_, (now, then))| now != then).map(|(name, _)| *name).collect();
        (!changed.is_empty()).then(|| changed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::image_builder::tests::fixtures::builder;

    #[test]
    fn every_field_of_the_schema_is_compared() {
        let crds = imgop_core::api::crds();
        let crd = crds.iter().find(|crd| crd.spec.names.kind == "ImageBuilder").unwrap();
        let crd = serde_json::to_value(crd).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let properties = schema["properties"].as_object().unwrap();
        let names: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(FIELDS.into_iter().collect::<BTreeSet<_>>(), names);
    }

    #[test]
    fn fields_that_changed_are_named_in_the_order_of_the_spec() {
        let before = SpecFields::of(&builder(|_| {}).spec);
        let changed =
            |edit: fn(&mut ImageBuilderSpec)| SpecFields::of(&builder(edit).spec).changed_since(&before);
        assert_eq!(changed(|_| {}), None);
        let edited = changed(|spec| {
            spec.target = Some("other".into());
            spec.source = None;
            spec.image.version = "v2".into();
        });
        assert_eq!(edited.as_deref(), Some("image, source, target"));
    }
}
