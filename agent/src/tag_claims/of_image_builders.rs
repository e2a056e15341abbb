//! `ImageBuilders` that put what they build under the tags of an Image: the oldest object of a namespace keeps a tag, of
//! whichever kind it is.

use std::collections::{BTreeSet, HashMap};

use imgop_core::access::AccessPolicy;
use imgop_core::api::{Image, ImageBuilder};
use imgop_core::build::BuildRequest;
use imgop_core::copy::CopyRequest;
use imgop_registry::reference::{Repository, Tag};

use super::{BuilderDestination, is_building, is_older, name_of};
use crate::controller::Objects;

/// The `ImageBuilders` that this process watches.
pub struct BuilderClaims(Objects<ImageBuilder>);

impl BuilderClaims {
    /// Returns the claims of these `ImageBuilders`.
    pub fn new(builders: Objects<ImageBuilder>) -> Self {
        Self(builders)
    }

    /// Returns whether all `ImageBuilders` are known.
    pub fn are_known(&self) -> bool {
        self.0.are_known()
    }

    /// Returns those of a namespace that may push to a repository.
    pub fn near(&self, namespace: &str, repository: &Repository) -> impl Iterator<Item = ImageBuilder> {
        let may_meet = move |builder: &BuilderDestination| builder.may_be(repository.base_name());
        self.0.having(Some(namespace), may_meet)
    }

    /// Returns which of these tags any of them puts, in whichever namespace; all where it cannot be read what one builds.
    pub fn claimed(&self, request: &CopyRequest, tags: &[&Tag], policy: &AccessPolicy) -> BTreeSet<Tag> {
        let all = || tags.iter().map(|tag| (*tag).clone()).collect();
        if !self.0.are_all_decodable() {
            return all();
        }
        let may_meet = |builder: &BuilderDestination| builder.may_be(request.destination.base_name());
        let mut claimed = BTreeSet::new();
        for builder in self.0.having(None, may_meet) {
            let Ok(theirs) = BuildRequest::parse(&builder.spec) else {
                return all();
            };
            let here = theirs.destination.tags.into_iter().filter(|(repository, tag)| {
                policy.is_one_repository(repository, &request.destination) && tags.contains(&tag)
            });
            claimed.extend(here.map(|(_, tag)| tag));
        }
        claimed
    }

    /// Returns which of these tags belong to older `ImageBuilders` of the namespace, with the message for their failures.
    pub fn conflicts(
        &self,
        image: &Image,
        request: &CopyRequest,
        tags: &[&Tag],
        policy: &AccessPolicy,
    ) -> HashMap<Tag, String> {
        if tags.is_empty() {
            return HashMap::new();
        }
        let namespace = image.metadata.namespace.as_deref().unwrap_or_default();
        let precedes = |one: &ImageBuilder| is_building(one) && is_older(&one.metadata, &image.metadata);
        let older = self.near(namespace, &request.destination).filter(precedes);
        let mut conflicts = HashMap::new();
        for builder in older {
            let Ok(theirs) = BuildRequest::parse(&builder.spec) else { continue };
            for (repository, tag) in theirs.destination.tags {
                if policy.is_one_repository(&repository, &request.destination) && tags.contains(&&tag) {
                    let older = name_of(&builder);
                    let message = format!(
                        "{repository}:{tag} belongs to {older}, which is older and builds it; give one of them another \
                         tag or delete it"
                    );
                    conflicts.insert(tag, message);
                }
            }
        }
        conflicts
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::api::Mode;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use kube::core::DeserializeGuard;
    use kube::runtime::watcher::Event;

    use super::*;
    use crate::controller::Stored;
    use crate::image::tests::fixtures::{image, now, request};

    fn conflict(edit: impl FnOnce(&mut ImageBuilder)) -> Option<String> {
        let mut image = image(Mode::Recurrent);
        image.metadata.creation_timestamp = Some(Time(now()));
        let mut builder = crate::image_builder::tests::fixtures::builder(|spec| {
            spec.image.name = "registry.example.com:5000/mirror/argocd".into();
            spec.image.version = "v2.13.1".into();
        });
        builder.metadata.creation_timestamp = Some(Time(now() - std::time::Duration::from_hours(1)));
        edit(&mut builder);
        let (store, mut writer) = kube::runtime::reflector::store();
        writer.apply_watcher_event(&Event::Apply(Stored::of(&DeserializeGuard(Ok(builder)))));
        let claims = BuilderClaims::new(Objects::new([store]));
        let tag: Tag = "v2.13.1".parse().unwrap();
        claims.conflicts(&image, &request(&image), &[&tag], &AccessPolicy::default()).remove(&tag)
    }

    #[test]
    fn a_tag_that_an_older_image_builder_builds_is_left_alone() {
        insta::assert_snapshot!(conflict(|_| ()).unwrap(), @r#"registry.example.com:5000/mirror/argocd:v2.13.1 belongs to ImageBuilder "app", which is older and builds it; give one of them another tag or delete it"#);
        assert_eq!(conflict(|builder| builder.spec.image.version = "v3".into()), None);
        let also = conflict(|builder| {
            builder.spec.image.name = "registry.example.com:5000/mirror/other".into();
            builder.spec.image.additional_tags = vec!["registry.example.com:5000/mirror/argocd".into()];
        });
        assert!(also.is_some(), "another repository of the same registry");
        assert_eq!(conflict(|builder| builder.spec.suspend = true), None);
        assert_eq!(conflict(|builder| builder.metadata.namespace = Some("team-b".into())), None);
        let later = Time(now() + std::time::Duration::from_hours(1));
        assert_eq!(conflict(|builder| builder.metadata.creation_timestamp = Some(later)), None);
    }
}
