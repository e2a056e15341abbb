//! How the objects of a kind are kept between two passes.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource as _;
use kube::api::ObjectMeta;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::{Lookup, ObjectRef};
use kube::runtime::watcher::Event;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Object;
use crate::cluster::owner::Owner;
use crate::cluster::view::type_named_as;
use crate::cluster::watch::Guarded;
use crate::object_room::RoomLimit;

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamespacedName {
    /// The namespace.
    pub namespace: Box<str>,
    /// The name.
    pub name: Box<str>,
}

impl NamespacedName {
    /// Returns this namespace and name.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl<K: Lookup> From<ObjectRef<K>> for NamespacedName {
    fn from(object: ObjectRef<K>) -> Self {
        Self { namespace: object.namespace.unwrap_or_default().into(), name: object.name.into() }
    }
}

/// An object as it is kept between two passes: as JSON, which takes a third of the memory of a decoded one. There may
/// be ten thousand.
#[derive(Debug, Clone)]
pub struct Stored<K> {
    name: NamespacedName,
    content: Content,
    kind: PhantomData<fn() -> K>,
}

#[derive(Debug, Clone)]
enum Content {
    /// The object.
    Json(Box<[u8]>),
    /// Why there is none.
    Invalid(Box<InvalidObject>),
    /// There is no room for it.
    Refused(Box<Refused>),
}

/// Why an object that exists is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotKept {
    /// There is no room for it.
    NoRoom(RoomLimit),
    /// This version of the agent cannot read it, or it is too large; why.
    Unreadable(String),
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom(limit) => limit.fmt(f),
            Self::Unreadable(why) => write!(f, "this version of the agent cannot read it: {why}"),
        }
    }
}

/// An object that there is no room for: there may be many, so that next to nothing is kept of each.
#[derive(Debug, Clone)]
struct Refused {
    limit: RoomLimit,
    uid: Option<Box<str>>,
    generation: Option<i64>,
}

/// Bytes that a stored object takes beside its JSON, about: its names, and its places in the store and the queue.
const OVERHEAD: usize = 256;

impl<K: Object> Stored<K> {
    /// Returns an object as it is kept.
    pub fn of(object: &Guarded<K>) -> Self {
        let metadata = object.meta();
        let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
        let name = NamespacedName::new(namespace.unwrap_or_default(), name.unwrap_or_default());
        let invalid = |error| Content::Invalid(Box::new(error));
        let content = match &object.0 {
            Ok(object) => match serde_json::to_vec(object) {
                Ok(json) => Content::Json(json.into_boxed_slice()),
                Err(error) => invalid(InvalidObject { error: error.to_string(), metadata: metadata.clone() }),
            },
            Err(error) => invalid(error.clone()),
        };
        Self { name, content, kind: PhantomData }
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
                .map_err(|error| InvalidObject { error: error.to_string(), metadata: self.metadata() }),
            Content::Invalid(invalid) => Err(InvalidObject::clone(invalid)),
            Content::Refused(refused) => {
                let Refused { limit, uid, generation } = &**refused;
                let (uid, generation) = (uid.as_deref().map(str::to_owned), *generation);
                Err(InvalidObject {
                    error: limit.to_string(),
                    metadata: ObjectMeta { uid, generation, ..self.metadata() },
                })
            }
        })
    }

    /// Returns how many bytes it takes, about.
    pub fn bytes(&self) -> usize {
        match &self.content {
            Content::Json(json) => json.len() + OVERHEAD,
            Content::Invalid(_) | Content::Refused(_) => 0,
        }
    }

    /// Returns whether it was decoded when it came.
    pub fn is_decodable(&self) -> bool {
        matches!(self.content, Content::Json(_))
    }

    /// Returns why it is not kept, if it is not.
    pub fn not_kept(&self) -> Option<NotKept> {
        match &self.content {
            Content::Json(_) => None,
            Content::Invalid(invalid) => Some(NotKept::Unreadable(invalid.error.clone())),
            Content::Refused(refused) => Some(NotKept::NoRoom(refused.limit)),
        }
    }

    /// Returns whether there was no room for it.
    pub fn is_refused(&self) -> bool {
        matches!(self.content, Content::Refused(_))
    }

    /// Returns what is kept of it where there is no room for it.
    #[must_use]
    pub fn refused(self, limit: RoomLimit) -> Self {
        let metadata = self.part::<OfObject<Identity>>().map(|object| object.metadata);
        let Identity { uid, generation } = metadata.unwrap_or_default();
        let uid = uid.map(String::into_boxed_str);
        Self { content: Content::Refused(Box::new(Refused { limit, uid, generation })), ..self }
    }

    /// Returns a part of the object, without what else it holds; none if it cannot be decoded.
    pub fn part<T: DeserializeOwned>(&self) -> Option<T> {
        match &self.content {
            Content::Json(json) => serde_json::from_slice(json).ok(),
            Content::Invalid(_) | Content::Refused(_) => None,
        }
    }

    /// Returns the UID of the object.
    pub fn read_uid(&self) -> Option<String> {
        match &self.content {
            Content::Json(_) => self.part::<OfObject<Identity>>()?.metadata.uid,
            Content::Invalid(invalid) => invalid.metadata.uid.clone(),
            Content::Refused(refused) => refused.uid.as_deref().map(str::to_owned),
        }
    }

    /// Returns the object that controls this one, if there is one.
    pub fn controller(&self) -> Option<Owner> {
        let references = match &self.content {
            Content::Invalid(invalid) => invalid.metadata.owner_references.clone()?,
            _ => self.part::<OfObject<Owners>>()?.metadata.owner_references,
        };
        let controller = references.into_iter().find(|owner| owner.controller == Some(true))?;
        Some(Owner {
            api_version: controller.api_version.into(),
            kind: controller.kind.into(),
            namespace: self.name.namespace.to_string(),
            name: controller.name,
            uid: controller.uid,
        })
    }

    /// Returns the namespace and the name of the object.
    pub fn namespaced_name(&self) -> &NamespacedName {
        &self.name
    }

    fn metadata(&self) -> ObjectMeta {
        ObjectMeta {
            namespace: Some(self.name.namespace.to_string()),
            name: Some(self.name.name.to_string()),
            ..ObjectMeta::default()
        }
    }
}

/// A part of what every object holds.
#[derive(Deserialize)]
struct OfObject<M> {
    metadata: M,
}

#[derive(Deserialize, Default)]
struct Identity {
    uid: Option<String>,
    generation: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owners {
    #[serde(default)]
    owner_references: Vec<OwnerReference>,
}

/// What the store finds an object by. Of its UID and version, which it would keep beside each, it needs none.
impl<K: Object> Lookup for Stored<K> {
    type DynamicType = ();

    type_named_as!(K);

    fn name(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&*self.name.name))
    }

    fn namespace(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&*self.name.namespace))
    }

    fn resource_version(&self) -> Option<Cow<'_, str>> {
        None
    }

    fn uid(&self) -> Option<Cow<'_, str>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{Image, Mode};

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
        assert_eq!(stored.read_uid(), image.metadata.uid);
        let reference = stored.to_object_ref(());
        assert_eq!(
            (Some(reference.name), reference.namespace),
            (image.metadata.name, image.metadata.namespace)
        );
        assert_eq!((reference.extra.uid, reference.extra.resource_version), (None, None));
    }

    #[test]
    fn an_object_names_the_one_that_controls_it_and_no_other_owner() {
        let mut image = image(Mode::Recurrent);
        let stored = |image: &Image| Stored::of(&DeserializeGuard(Ok(image.clone())));
        assert_eq!(stored(&image).controller(), None);
        let owner = Owner::of(&image);
        let other = OwnerReference { controller: None, uid: "other".into(), ..owner.controller_reference() };
        image.metadata.owner_references = Some(vec![other, owner.controller_reference()]);
        assert_eq!(stored(&image).controller(), Some(owner));
    }

    #[test]
    fn an_object_that_could_not_be_decoded_keeps_its_error_and_its_metadata() {
        let metadata = image(Mode::Recurrent).metadata;
        let invalid = InvalidObject { error: "spec.mode: unknown".to_owned(), metadata: metadata.clone() };
        let stored = Stored::<Image>::of(&DeserializeGuard(Err(invalid)));
        assert_eq!(stored.read_uid(), metadata.uid);
        let decoded = stored.decode().0.unwrap_err();
        assert_eq!((decoded.error.as_str(), decoded.metadata), ("spec.mode: unknown", metadata));
        assert_eq!(stored.not_kept(), Some(NotKept::Unreadable("spec.mode: unknown".to_owned())));
    }
}
