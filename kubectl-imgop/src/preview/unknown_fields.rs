//! Fields of a manifest that the API does not have, each with the one that was probably intended.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;

/// How many letters of a name may be wrong or change places.
const MAX_TYPOS: usize = 2;

/// Returns that an object has these fields, which are written with dots between them.
pub fn unknown<K: CustomResourceExt>(fields: &[String]) -> String {
    let crd = K::crd();
    let mut versions = crd.spec.versions.iter();
    let root = versions.find_map(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    let named = |field: &String| match root.and_then(|root| intended(root, field)) {
        Some(name) => format!("{field} (did you mean {name}?)"),
        None => field.clone(),
    };
    format!("unknown field {}", fields.iter().map(named).collect::<Vec<_>>().join(", "))
}

/// Returns the field beside this one whose name is the nearest, if it is near.
fn intended(root: &JSONSchemaProps, field: &str) -> Option<String> {
    let (parents, name) = field.rsplit_once('.').unwrap_or(("", field));
    let parents = parents.split('.').filter(|part| !part.is_empty());
    let place = parents.into_iter().try_fold(root, |place, part| match &place.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => Some(&**item),
        _ => place.properties.as_ref()?.get(part),
    })?;
    let typos = |known: &String| strsim::damerau_levenshtein(&known.to_lowercase(), &name.to_lowercase());
    let nearest = place.properties.as_ref()?.keys().min_by_key(|known| typos(known))?;
    (typos(nearest) <= MAX_TYPOS).then(|| nearest.clone())
}

#[cfg(test)]
mod tests {
    use imgop_core::api::Image;

    use super::*;

    #[test]
    fn the_field_that_was_intended_is_named_if_one_is_near() {
        let fields =
            ["spec.source.verison", "spec.suspended", "spec.Mode", "status.failed.0.tg", "x", "metadata.nam"];
        insta::assert_snapshot!(unknown::<Image>(&fields.map(str::to_owned)), @"unknown field spec.source.verison (did you mean version?), spec.suspended (did you mean suspend?), spec.Mode (did you mean mode?), status.failed.0.tg, x, metadata.nam");
    }
}
