//! An object of which only a part ever stands in memory.

use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::decode::{OnlyMetadata, decoding_error};

/// Writes the functions of `Resource` and `Lookup` that name a type: it has the names of kind `K`.
macro_rules! type_named_as {
    ($K:ident) => {
        fn kind((): &()) -> std::borrow::Cow<'_, str> {
            $K::kind(&())
        }

        fn group((): &()) -> std::borrow::Cow<'_, str> {
            $K::group(&())
        }

        fn version((): &()) -> std::borrow::Cow<'_, str> {
            $K::version(&())
        }

        fn plural((): &()) -> std::borrow::Cow<'_, str> {
            $K::plural(&())
        }
    };
}
pub(crate) use type_named_as;

/// An object of kind `K`, read as a `T`.
#[derive(Debug)]
pub struct View<K, T> {
    /// What the watch needs of it.
    metadata: ObjectMeta,
    /// What is read of it.
    pub object: T,
    kind: PhantomData<fn() -> K>,
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
        let object = serde_json::from_str(json);
        let object = object.map_err(|_| D::Error::custom(decoding_error::<T>(json.as_bytes())))?;
        Ok(Self { metadata, object, kind: PhantomData })
    }
}

impl<K: Resource<DynamicType = ()>, T> Resource for View<K, T> {
    type DynamicType = ();
    type Scope = K::Scope;

    type_named_as!(K);

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
