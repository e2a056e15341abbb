//! The object that Jobs, Secrets and events belong to, whatever its kind.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;

/// The object that something belongs to, of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Its API version, such as `skopeo.io/v1alpha1`.
    pub api_version: Cow<'static, str>,
    /// Its kind.
    pub kind: Cow<'static, str>,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID, which no other object ever has.
    pub uid: String,
}

impl Owner {
    /// Returns the owner that an object is. What has no name, namespace or UID yet owns nothing that could be
    /// found by it: the parts are empty then.
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        let metadata = object.meta();
        Self {
            api_version: K::api_version(&()),
            kind: K::kind(&()),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
        }
    }

    /// Returns whether this is an object of that kind, in whichever version.
    pub fn is_a<K: Resource<DynamicType = ()>>(&self) -> bool {
        // The core group has no name: its API version is the version alone.
        let group = self.api_version.rsplit_once('/').map_or("", |(group, _)| group);
        self.kind == K::kind(&()) && group == K::group(&())
    }

    /// Returns the reference that makes Kubernetes delete what carries it together with this owner.
    pub fn controller_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: self.api_version.clone().into_owned(),
            kind: self.kind.clone().into_owned(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            // To block the owner's deletion would need a right to its finalizers where that is enforced.
            block_owner_deletion: None,
        }
    }

    /// Returns the reference that events carry.
    pub fn object_reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(self.api_version.clone().into_owned()),
            kind: Some(self.kind.clone().into_owned()),
            namespace: Some(self.namespace.clone()),
            name: Some(self.name.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectReference::default()
        }
    }
}

/// Returns whether an object has this controller: labels can be forged, the owner's UID is not known to others.
pub fn is_controlled_by<K: Resource>(object: &K, uid: &str) -> bool {
    controller_of(object).is_some_and(|owner| owner.uid == uid)
}

/// Returns the controller of an object. There is at most one.
pub fn controller_of<K: Resource>(object: &K) -> Option<&OwnerReference> {
    object.owner_references_slice().iter().find(|owner| owner.controller == Some(true))
}

/// The owner references of an object, borrowed.
trait OwnerReferences {
    fn owner_references_slice(&self) -> &[OwnerReference];
}

impl<K: Resource> OwnerReferences for K {
    fn owner_references_slice(&self) -> &[OwnerReference] {
        self.meta().owner_references.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::Image;

    use super::*;

    #[test]
    fn an_owner_is_of_its_kind_in_whichever_version_its_reference_was_written() {
        let owner = |api_version: &str| Owner {
            api_version: api_version.to_owned().into(),
            kind: "Image".into(),
            namespace: String::new(),
            name: String::new(),
            uid: String::new(),
        };
        assert!(owner("skopeo.io/v1alpha1").is_a::<Image>());
        assert!(owner("skopeo.io/v1beta1").is_a::<Image>());
        assert!(!owner("example.com/v1alpha1").is_a::<Image>());
        assert!(!owner("v1").is_a::<Image>());
    }
}
