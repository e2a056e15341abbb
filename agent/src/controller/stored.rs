//! How the objects of a kind are kept between two passes.

use std::borrow::Cow;
use std::marker::PhantomData;

use kube::Resource;
use kube::api::ObjectMeta;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::watcher::Event;
use serde::{Deserialize, Deserializer};

use super::Object;
use crate::cluster::watch::Guarded;

/// An object as it is kept between two passes: as JSON, which takes a third of the memory of a decoded one. There may
/// be ten thousand.
#[derive(Debug, Clone)]
pub struct Stored<K> {
    /// Namespace and name alone: kube makes several references to each object, with all that they may hold.
    names: ObjectMeta,
    content: Content,
    kind: PhantomData<fn() -> K>,
}

#[derive(Debug, Clone)]
enum Content {
    /// The object.
    Json(Box<[u8]>),
    /// Why there is none.
    Invalid(Box<InvalidObject>),
}

impl<K: Object> Stored<K> {
    /// Returns an object as it is kept.
    pub fn of(object: &Guarded<K>) -> Self {
        let metadata = object.meta();
        let names = ObjectMeta {
            name: metadata.name.clone(),
            namespace: metadata.namespace.clone(),
            ..ObjectMeta::default()
        };
        let invalid = |error| Content::Invalid(Box::new(error));
        let content = match &object.0 {
            Ok(object) => match serde_json::to_vec(object) {
                Ok(json) => Content::Json(json.into_boxed_slice()),
                Err(error) => invalid(InvalidObject { error: error.to_string(), metadata: metadata.clone() }),
            },
            Err(error) => invalid(error.clone()),
        };
        Self { names, content, kind: PhantomData }
    }

    /// Returns what a watch sends, with its object as it is kept.
    pub fn of_event(event: Event<Guarded<K>>) -> Event<Self> {
        match event {
            Event::Apply(object) => Event::Apply(Self::of(&object)),
            Event::Delete(object) => Event::Delete(Self::of(&object)),
            Event::Init => Event::Init,
            Event::InitApply(object) => Event::InitApply(Self::of(&object)),
            Event::InitDone => Event::InitDone,
        }
    }

    /// Returns the object.
    pub fn decode(&self) -> Guarded<K> {
        DeserializeGuard(match &self.content {
            Content::Json(json) => serde_json::from_slice(json)
                .map_err(|error| InvalidObject { error: error.to_string(), metadata: self.names.clone() }),
            Content::Invalid(invalid) => Err(InvalidObject::clone(invalid)),
        })
    }
}

/// A controller wants objects that can be decoded.
impl<'de, K: Object> Deserialize<'de> for Stored<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        K::deserialize(deserializer).map(|object| Self::of(&DeserializeGuard(Ok(object))))
    }
}

impl<K: Object> Resource for Stored<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.names
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.names
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{Image, Mode};
    use kube::ResourceExt as _;
    use kube::runtime::reflector::ObjectRef;

    use super::*;
    use crate::image::tests::fixtures::image;

    #[test]
    fn an_object_comes_back_as_it_was_and_references_to_it_hold_its_names_alone() {
        let mut image = image(Mode::Recurrent);
        image.metadata.resource_version = Some("7".to_owned());
        image.status = Some(imgop_core::api::ImageStatus {
            tag_already_synced: vec!["v2.13.1".to_owned()],
            observed_generation: Some(1),
            ..Default::default()
        });
        let stored = Stored::of(&DeserializeGuard(Ok(image.clone())));
        assert_eq!(stored.decode().0.unwrap(), image);
        let reference = ObjectRef::from_obj(&stored);
        assert_eq!((reference.name, reference.namespace), (image.name_any(), image.namespace()));
        assert_eq!((reference.extra.uid, reference.extra.resource_version), (None, None));
    }

    #[test]
    fn an_object_that_could_not_be_decoded_keeps_its_error_and_its_metadata() {
        let metadata = image(Mode::Recurrent).metadata;
        let invalid = InvalidObject { error: "spec.mode: unknown".to_owned(), metadata: metadata.clone() };
        let decoded = Stored::<Image>::of(&DeserializeGuard(Err(invalid))).decode().0.unwrap_err();
        assert_eq!((decoded.error.as_str(), decoded.metadata), ("spec.mode: unknown", metadata));
    }
}
