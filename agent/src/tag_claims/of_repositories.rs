//! Objects of a namespace that create one repository: the oldest one of whichever kind sets its policies.

use std::cmp::Ordering;

use imgop_core::access::AccessPolicy;
use imgop_core::api::{Image, ImageBuilder};
use imgop_core::build::BuildRequest;
use imgop_core::copy::{CopyRequest, holds_claims};
use imgop_core::creation::{Creation, OtherCreation};
use imgop_registry::reference::Repository;
use kube::Resource;
use kube::api::ObjectMeta;

use super::is_older;

/// Returns what objects that are older than this one, and of its namespace, say of a repository that they create: the oldest
/// first. What is suspended or being deleted says nothing.
pub fn older_creations(
    this: &ObjectMeta,
    repository: &Repository,
    policy: &AccessPolicy,
    images: impl Iterator<Item = Image>,
    builders: impl Iterator<Item = ImageBuilder>,
) -> Vec<OtherCreation> {
    let precedes = |other: &ObjectMeta| {
        other.namespace == this.namespace && other.deletion_timestamp.is_none() && is_older(other, this)
    };
    let is_here = |other: &Repository| policy.is_one_repository(other, repository);
    let mut older = Vec::new();
    for image in images.filter(|image| precedes(&image.metadata) && holds_claims(image)) {
        let request = CopyRequest::parse(&image.spec).ok().filter(|request| is_here(&request.destination));
        older.extend(request.and_then(|request| of(&image, request.create)));
    }
    for builder in builders.filter(|builder| precedes(&builder.metadata) && !builder.spec.suspend) {
        let request = BuildRequest::parse(&builder.spec).ok();
        let request = request.filter(|request| request.destination.repositories().into_iter().any(is_here));
        older.extend(request.and_then(|request| of(&builder, request.destination.create)));
    }
    older.sort_by(|(one, _), (other, _)| match (is_older(one, other), is_older(other, one)) {
        (true, _) => Ordering::Less,
        (_, true) => Ordering::Greater,
        _ => Ordering::Equal,
    });
    older.into_iter().map(|(_, creation)| creation).collect()
}

fn of<K: Resource<DynamicType = ()>>(
    object: &K,
    creation: Option<Box<Creation>>,
) -> Option<(ObjectMeta, OtherCreation)> {
    let metadata = object.meta();
    let object = format!("{} {:?}", K::kind(&()), metadata.name.as_deref().unwrap_or_default());
    Some((metadata.clone(), OtherCreation { object, creation: *creation? }))
}
