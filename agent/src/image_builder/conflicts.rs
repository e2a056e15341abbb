//! Which object of a namespace keeps a tag that several want: the oldest, be it an ImageBuilder or an Image. Between
//! namespaces neither keeps it, and that is said.

use std::collections::BTreeSet;

use imgop_core::access::AccessPolicy;
use imgop_core::api::{Image, ImageBuilder};
use imgop_core::build::{BuildFailure, BuildRequest};
use imgop_core::copy::{CopyRequest, holds_claims};
use imgop_core::creation::{CreateField, Creation, YieldedPolicy};
use imgop_core::time::saturating_add;
use imgop_registry::reference::{Repository, Tag};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

use super::halt::Halt;
use super::{Pass, SHORT_INTERVAL};
use crate::controller::READY_WITHOUT_SOME_AFTER;
use crate::tag_claims::{
    BuilderDestination, ImageDestination, dispute_message, is_building, is_older, name_of, other_creations,
};

/// A tag of a build that another object keeps, and which one that is.
type Kept<'r> = (&'r Repository, &'r Tag, String);

impl Pass<'_> {
    /// Fails if an older object of the namespace keeps one of the tags. Between namespaces an administrator decides.
    pub(super) fn no_conflict(&self, request: &BuildRequest) -> Result<(), Halt> {
        if self.awaits_others() {
            return Err(Halt::Postponed(SHORT_INTERVAL));
        }
        let base_names = || request.destination.tags.iter().map(|(repository, _)| repository.base_name());
        let (builders, images) = (&self.builders.builders, &self.builders.images);
        let here = Some(self.namespace());
        let mut builders =
            builders.having(here, |other: &BuilderDestination| base_names().any(|name| other.may_be(name)));
        let mut images =
            images.having(here, |other: &ImageDestination| base_names().any(|name| other.may_be(name)));
        let policy = self.agent().policies.latest();
        let older = builders
            .find_map(|other| self.kept_by_builder(&other, request, &policy))
            .or_else(|| images.find_map(|other| self.kept_by_image(&other, request, &policy)));
        let Some((repository, tag, older)) = older else { return Ok(()) };
        let message = format!(
            "{repository}:{tag} belongs to {older}, which is older; give one of them another tag or delete it"
        );
        Err(Halt::of(BuildFailure::DestinationConflict, message))
    }

    /// Returns whether ImageBuilders and Images may be known in a moment that want the same tags or another policy. A
    /// namespace that cannot be watched must not stop all others, so this has an end.
    fn awaits_others(&self) -> bool {
        let is_early = self.now < saturating_add(self.agent().started, READY_WITHOUT_SOME_AFTER);
        is_early && !(self.builders.builders.are_known() && self.builders.images.are_known())
    }

    /// Returns the policies of a repository that are set for other objects of the namespace.
    pub(super) fn yielded(&self, repository: &Repository, creation: &Creation) -> Vec<YieldedPolicy> {
        let (own, here, name) = (&self.builder.metadata, Some(self.namespace()), repository.base_name());
        let images = self.builders.images.having(here, |other: &ImageDestination| other.may_be(name));
        let builders = self.builders.builders.having(here, |other: &BuilderDestination| other.may_be(name));
        let policies = &self.agent().policies;
        let may_create =
            |other: &Creation| policies.refuses_creation(self.namespace(), repository, other) != Some(true);
        creation.yielded(&other_creations(own, repository, &policies.latest(), may_create, images, builders))
    }

    /// Returns what is said of own policies that are not set for them; as long as it is not known what others want or may,
    /// what was said before. Each begins with `spec.`.
    pub(super) fn unset_policies(&self, request: &BuildRequest) -> Vec<String> {
        let Some(creation) = &request.destination.create else { return Vec::new() };
        let (repositories, policies) = (request.destination.repositories(), &self.agent().policies);
        let is_known = |repository: &&Repository| {
            policies.refuses_creation(self.namespace(), repository, creation).is_some()
        };
        if self.awaits_others() || !repositories.iter().all(is_known) {
            return self.said_of_policies(creation);
        }
        let of = |repository: &Repository| {
            let yielded = self.yielded(repository, creation);
            yielded
                .iter()
                .filter_map(|policy| policy.message(CreateField::Image, repository))
                .collect::<Vec<_>>()
        };
        repositories.into_iter().flat_map(of).collect()
    }

    /// Returns what the status says of the policies that the spec still has.
    fn said_of_policies(&self, creation: &Creation) -> Vec<String> {
        let fields: Vec<String> =
            creation.policy_fields().map(|field| format!("{}.{field} ", CreateField::Image)).collect();
        let is_of_them = |warning: &&String| fields.iter().any(|field| warning.starts_with(field));
        self.status.warnings.iter().filter(is_of_them).cloned().collect()
    }

    /// Returns what is said of tags that objects of other namespaces put as well. Those that administrators keep from
    /// writing there put none.
    pub(super) fn dispute(&self, request: &BuildRequest) -> Option<String> {
        let policies = &self.agent().policies;
        let policy = policies.latest();
        let tags = &request.destination.tags;
        let base_names = || tags.iter().map(|(repository, _)| repository.base_name());
        let (builders, images) = (&self.builders.builders, &self.builders.images);
        let may_write = |other: &ObjectMeta, repository: &Repository| {
            let namespace = other.namespace.as_deref().unwrap_or_default();
            namespace != self.namespace() && !policies.refuses_push(namespace, repository)
        };
        let mut disputed = BTreeSet::new();
        let mut dispute = |other: &ObjectMeta, puts: &dyn Fn(&Repository, &Tag) -> bool| {
            let theirs = tags.iter().filter(|(of, tag)| puts(of, tag) && may_write(other, of));
            disputed.extend(theirs.map(|(_, tag)| tag.clone()));
        };
        let everywhere = |other: &BuilderDestination| base_names().any(|name| other.may_be(name));
        for other in builders.having(None, everywhere).filter(is_building) {
            let Ok(theirs) = BuildRequest::parse(&other.spec) else { continue };
            dispute(&other.metadata, &|repository, tag| {
                let theirs = &theirs.destination.tags;
                theirs.iter().any(|(of, named)| named == tag && policy.is_one_repository(of, repository))
            });
        }
        let everywhere = |other: &ImageDestination| base_names().any(|name| other.may_be(name));
        for other in images.having(None, everywhere).filter(holds_claims) {
            let Ok(theirs) = CopyRequest::parse(&other.spec) else { continue };
            dispute(&other.metadata, &|repository, tag| {
                theirs.claim(tag).is_some() && policy.is_one_repository(&theirs.destination, repository)
            });
        }
        dispute_message(&disputed)
    }

    /// Returns the first tag that another ImageBuilder keeps.
    fn kept_by_builder<'r>(
        &self,
        other: &ImageBuilder,
        request: &'r BuildRequest,
        policy: &AccessPolicy,
    ) -> Option<Kept<'r>> {
        if !is_building(other) || !self.is_older(other) {
            return None;
        }
        let theirs = BuildRequest::parse(&other.spec).ok()?.destination.tags;
        let keeps = |repository: &Repository, tag: &Tag| {
            theirs.iter().any(|(of, named)| named == tag && policy.is_one_repository(of, repository))
        };
        let (repository, tag) = request.destination.tags.iter().find(|(of, tag)| keeps(of, tag))?;
        Some((repository, tag, name_of(other)))
    }

    /// Returns the first tag that an Image keeps.
    fn kept_by_image<'r>(
        &self,
        other: &Image,
        request: &'r BuildRequest,
        policy: &AccessPolicy,
    ) -> Option<Kept<'r>> {
        if other.spec.suspend || !self.is_older(other) {
            return None;
        }
        let theirs = CopyRequest::parse(&other.spec).ok()?;
        let keeps = |of: &Repository, tag: &Tag| {
            theirs.claim(tag).is_some() && policy.is_one_repository(&theirs.destination, of)
        };
        let (repository, tag) = request.destination.tags.iter().find(|(of, tag)| keeps(of, tag))?;
        Some((repository, tag, name_of(other)))
    }

    /// Returns whether another object is older than this one, and not being deleted.
    fn is_older<K: Resource>(&self, other: &K) -> bool {
        let (own, other) = (&self.builder.metadata, other.meta());
        let is_gone = other.deletion_timestamp.is_some() || own.uid == other.uid;
        !is_gone && is_older(other, own)
    }
}
