//! Fields of a manifest that the API does not have, each with the one that was probably intended.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;

/// How many letters of a name may be wrong or change places.
const MAX_TYPOS: usize = 2;
/// The shortest beginning of a name that stands for it.
const SHORTEST: usize = 3;

/// The fields of one level.
type Fields = BTreeMap<String, JSONSchemaProps>;

/// Returns that an object has these fields, which are written with dots between them.
pub fn unknown<K: CustomResourceExt>(fields: &[String]) -> String {
    let crd = K::crd();
    let mut versions = crd.spec.versions.iter();
    let root = versions.find_map(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    let named = |field: &String| match root.and_then(|root| instead(root, field)) {
        Some(known) => format!("{} ({known})", as_kubectl(field)),
        None => as_kubectl(field),
    };
    format!("unknown field {}", fields.iter().map(named).collect::<Vec<_>>().join(", "))
}

/// Returns a path with the numbers of a list in brackets: `spec.registries[0].name`.
fn as_kubectl(field: &str) -> String {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    field.split('.').fold(String::new(), |path, part| match part {
        part if is_number(part) => format!("{path}[{part}]"),
        part if path.is_empty() => part.to_owned(),
        part => format!("{path}.{part}"),
    })
}

/// Returns what stands in place of a field: the one that was probably intended, or the fields that there are.
fn instead(root: &JSONSchemaProps, field: &str) -> Option<String> {
    let (parents, name) = field.rsplit_once('.').unwrap_or(("", field));
    let parents = parents.split('.').filter(|part| !part.is_empty());
    let place = parents.into_iter().try_fold(root, |place, part| match &place.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => Some(&**item),
        _ => place.properties.as_ref()?.get(part),
    })?;
    let known = place.properties.as_ref()?;
    let intended = nearest(known, name).or_else(|| below(known, name));
    match intended {
        Some(intended) => Some(format!("did you mean {intended}?")),
        // At the root everything is kubectl's own.
        None if std::ptr::eq(place, root) || known.is_empty() => None,
        None => Some(format!("there are {}", known.keys().cloned().collect::<Vec<_>>().join(", "))),
    }
}

/// Returns the field whose name is near, or is written out.
fn nearest(known: &Fields, name: &str) -> Option<String> {
    let name = name.to_lowercase();
    let typos = |known: &String| strsim::damerau_levenshtein(&known.to_lowercase(), &name);
    let nearest = known.keys().min_by_key(|known| typos(known))?;
    let mut longer = known.keys().filter(|known| known.to_lowercase().starts_with(&name));
    match longer.next() {
        _ if typos(nearest) <= MAX_TYPOS => Some(nearest.clone()),
        Some(only) if name.len() >= SHORTEST && longer.next().is_none() => Some(only.clone()),
        _ => None,
    }
}

/// Returns the field of this name that is one level further down.
fn below(known: &Fields, name: &str) -> Option<String> {
    let has_it =
        |field: &&String| known[*field].properties.as_ref().is_some_and(|fields| fields.contains_key(name));
    known.keys().find(has_it).map(|field| format!("{field}.{name}"))
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{Image, ImageBuilder};

    use super::*;

    #[test]
    fn the_field_that_was_intended_is_named_if_one_is_near() {
        let fields =
            ["spec.source.verison", "spec.suspended", "spec.Mode", "status.failed.0.tg", "x", "metadata.nam"];
        insta::assert_snapshot!(unknown::<Image>(&fields.map(str::to_owned)), @"unknown field spec.source.verison (did you mean version?), spec.suspended (did you mean suspend?), spec.Mode (did you mean mode?), status.failed[0].tg, x, metadata.nam");
    }

    #[test]
    fn where_no_name_is_near_the_fields_of_the_level_are_named() {
        let of_builder = |field: &str| unknown::<ImageBuilder>(&[field.to_owned()]);
        insta::assert_snapshot!(of_builder("spec.registries.0.name"), @"unknown field spec.registries[0].name (there are credentials, host, tls)");
        insta::assert_snapshot!(of_builder("spec.arch"), @"unknown field spec.arch (did you mean architecture?)");
        let nested = unknown::<Image>(&["spec.destination.secretName".to_owned()]);
        insta::assert_snapshot!(nested, @"unknown field spec.destination.secretName (did you mean credentials.secretName?)");
    }
}
