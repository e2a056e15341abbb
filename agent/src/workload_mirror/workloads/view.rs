//! An object of Kubernetes, of which only what core reads of it ever stands in memory.

use std::borrow::Cow;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An object of kind `K`, read as a `T`.
#[derive(Debug)]
pub(super) struct View<K, T> {
    /// What the watch needs of it.
    metadata: ObjectMeta,
    pub object: T,
    kind: PhantomData<fn() -> K>,
}

#[derive(Deserialize)]
struct OnlyMetadata {
    #[serde(default)]
    metadata: ObjectMeta,
}

// Derived, it would ask the kind for the same.
impl<K, T: Clone> Clone for View<K, T> {
    fn clone(&self) -> Self {
        Self { metadata: self.metadata.clone(), object: self.object.clone(), kind: PhantomData }
    }
}

impl<'de, K, T: DeserializeOwned> Deserialize<'de> for View<K, T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(from)?.get();
        let OnlyMetadata { metadata } = serde_json::from_str(json).map_err(D::Error::custom)?;
        let object = serde_json::from_str(json).map_err(D::Error::custom)?;
        Ok(Self { metadata, object, kind: PhantomData })
    }
}

impl<K: Resource<DynamicType = ()>, T> Resource for View<K, T> {
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
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
