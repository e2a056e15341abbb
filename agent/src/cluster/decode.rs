//! Decodes objects that were pruned, each by itself: one that cannot be decoded is named and stops no other.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::error_boundary::InvalidObject;
use kube::core::{DeserializeGuard, Status};
use kube::runtime::watcher::{self, Event};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// An object, or what is known of one that is too large or that this version cannot read: it must not stop the
/// watch of all others.
pub type Guarded<K> = DeserializeGuard<K>;

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    type_: String,
}

#[derive(Deserialize)]
struct With<T> {
    object: T,
}

/// The metadata of an object.
#[derive(Deserialize, Default)]
pub(super) struct OnlyMetadata {
    #[serde(default)]
    pub metadata: ObjectMeta,
}

/// Reads an event of a watch, and notes its version.
pub(super) fn event_of<K>(
    json: &[u8],
    is_too_large: bool,
    version: &mut String,
) -> watcher::Result<Option<Event<Guarded<K>>>>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let unreadable = |error| watcher::Error::WatchFailed(kube::Error::SerdeError(error));
    let Typed { type_ } = serde_json::from_slice(json).map_err(unreadable)?;
    if type_ == "ERROR" {
        let With { object } = serde_json::from_slice::<With<Status>>(json).map_err(unreadable)?;
        return Err(watcher::Error::WatchError(Box::new(object)));
    }
    let With { object: OnlyMetadata { metadata } } = serde_json::from_slice(json).map_err(unreadable)?;
    if let Some(newer) = &metadata.resource_version {
        version.clone_from(newer);
    }
    let object = || match serde_json::from_slice::<With<K>>(json) {
        Ok(With { object }) if !is_too_large => DeserializeGuard(Ok(without_other_owners(object))),
        Ok(_) => too_large(metadata),
        Err(_) => DeserializeGuard(Err(InvalidObject { error: decoding_error::<With<K>>(json), metadata })),
    };
    Ok(match type_.as_str() {
        "ADDED" | "MODIFIED" => Some(Event::Apply(object())),
        "DELETED" => Some(Event::Delete(object())),
        _ => None,
    })
}

/// Reads an object of a list.
pub(super) fn decode<K>(json: &[u8], is_too_large: bool) -> Guarded<K>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let metadata = || serde_json::from_slice::<OnlyMetadata>(json).unwrap_or_default().metadata;
    if is_too_large {
        return too_large(metadata());
    }
    match serde_json::from_slice::<K>(json) {
        Ok(object) => DeserializeGuard(Ok(without_other_owners(object))),
        Err(_) => {
            DeserializeGuard(Err(InvalidObject { error: decoding_error::<K>(json), metadata: metadata() }))
        }
    }
}

/// Returns why JSON cannot be decoded, with the field: it stands in the status of the object.
pub(super) fn decoding_error<T: DeserializeOwned>(json: &[u8]) -> String {
    let mut json = serde_json::Deserializer::from_slice(json);
    match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Ok(_) => String::new(),
        Err(error) => {
            let path = error.path().to_string();
            let inner = error.into_inner().to_string();
            // The position is that in what was kept of the object.
            let why = inner.split(" at line ").next().unwrap_or_default();
            match path.strip_prefix("object.").unwrap_or(&path) {
                "object" | "." => why.to_owned(),
                path => format!("{path}: {why}"),
            }
        }
    }
}

fn too_large<K>(metadata: ObjectMeta) -> Guarded<K> {
    tracing::warn!(
        name = metadata.name,
        namespace = metadata.namespace,
        "an object is too large to be handled; it is left alone"
    );
    DeserializeGuard(Err(InvalidObject { error: "it is too large".to_owned(), metadata }))
}

/// Only a controller owns; of those there is one at most.
fn without_other_owners<K: Resource>(mut object: K) -> K {
    if let Some(owners) = &mut object.meta_mut().owner_references {
        owners.retain(|owner| owner.controller == Some(true));
    }
    object
}
