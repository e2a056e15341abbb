//! Which object keeps a tag that several want: the oldest, be it an ImageBuilder or an Image.

use imgop_core::api::{BuiltImageStatus, Image, ImageBuilder};
use imgop_core::build::{BuildFailure, BuildRequest};
use imgop_core::copy::CopyRequest;
use imgop_core::time::saturating_add;
use imgop_registry::reference::{Repository, Tag};
use kube::Resource;

use super::halt::Halt;
use super::{Pass, SHORT_INTERVAL};
use crate::controller::READY_WITHOUT_SOME_AFTER;
use crate::tag_claims::{BuilderDestination, ImageDestination, is_older};

/// A tag of a build that another object keeps, and which one that is.
type Kept<'r> = (&'r Repository, &'r Tag, String);

impl Pass<'_> {
    /// Fails if an older object of the namespace keeps one of the tags, or an older ImageBuilder of another one that
    /// has pushed there.
    pub(super) fn no_conflict(&self, request: &BuildRequest) -> Result<(), Halt> {
        // A namespace that cannot be watched must not stop all others, so this has an end.
        let is_early = self.now < saturating_add(self.agent().started, READY_WITHOUT_SOME_AFTER);
        let are_known = self.builders.builders.are_known() && self.builders.images.are_known();
        if is_early && !are_known {
            return Err(Halt::Postponed(SHORT_INTERVAL));
        }
        let base_names = || request.destination.tags.iter().map(|(repository, _)| repository.base_name());
        let (builders, images) = (&self.builders.builders, &self.builders.images);
        let mut builders =
            builders.having(None, |other: &BuilderDestination| base_names().any(|name| other.may_be(name)));
        let mut images = images.having(Some(self.namespace()), |other: &ImageDestination| {
            base_names().any(|name| other.may_be(name))
        });
        let older = builders
            .find_map(|other| self.kept_by_builder(&other, request))
            .or_else(|| images.find_map(|other| self.kept_by_image(&other, request)));
        let Some((repository, tag, older)) = older else { return Ok(()) };
        let message = format!(
            "{repository}:{tag} belongs to {older}, which is older; give one of them another tag or delete it"
        );
        Err(Halt::of(BuildFailure::DestinationConflict, message))
    }

    /// Returns the first tag that another ImageBuilder keeps.
    fn kept_by_builder<'r>(&self, other: &ImageBuilder, request: &'r BuildRequest) -> Option<Kept<'r>> {
        let is_here = self.is_older_here(other)?;
        let image = other.status.as_ref().and_then(|status| status.image.as_ref());
        if other.spec.suspend || !is_here && image.is_none() {
            return None;
        }
        let theirs = BuildRequest::parse(&other.spec).ok()?.destination.tags;
        let keeps = |repository: &Repository, tag: &Tag| {
            let is_theirs = theirs.iter().any(|(of, named)| of.is_same_place(repository) && named == tag);
            is_theirs && (is_here || image.is_some_and(|image| has_pushed_to(image, repository)))
        };
        let (repository, tag) = request.destination.tags.iter().find(|(of, tag)| keeps(of, tag))?;
        Some((repository, tag, name_of(other, is_here)))
    }

    /// Returns the first tag that an Image keeps.
    fn kept_by_image<'r>(&self, other: &Image, request: &'r BuildRequest) -> Option<Kept<'r>> {
        let is_here = self.is_older_here(other)?;
        if !is_here || other.spec.suspend {
            return None;
        }
        let theirs = CopyRequest::parse(&other.spec).ok()?;
        let keeps =
            |of: &Repository, tag: &Tag| theirs.destination.is_same_place(of) && theirs.claim(tag).is_some();
        let (repository, tag) = request.destination.tags.iter().find(|(of, tag)| keeps(of, tag))?;
        Some((repository, tag, name_of(other, is_here)))
    }

    /// Returns whether another object is of this namespace; none if it is this one, younger, or being deleted.
    fn is_older_here<K: Resource>(&self, other: &K) -> Option<bool> {
        let (own, other) = (&self.builder.metadata, other.meta());
        let is_gone = other.deletion_timestamp.is_some() || own.uid == other.uid;
        (!is_gone && is_older(other, own)).then(|| other.namespace == own.namespace)
    }
}

/// Returns whether an image was pushed to this repository. What its object's spec names by now proves nothing.
fn has_pushed_to(image: &BuiltImageStatus, repository: &Repository) -> bool {
    let tags = image.tags.iter().chain(&image.earlier_tags);
    let elsewhere = tags.filter_map(|tag| tag.rsplit_once(':')).map(|(name, _)| name);
    let mut names = image.repository.as_deref().into_iter().chain(elsewhere);
    names.any(|name| name.parse::<Repository>().is_ok_and(|of| of.is_same_place(repository)))
}

fn name_of<K: Resource<DynamicType = ()>>(other: &K, is_here: bool) -> String {
    let kind = K::kind(&());
    match other.meta().name.as_deref().filter(|_| is_here) {
        Some(name) => format!("{kind} {name:?}"),
        None => format!("an {kind} of another namespace"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_of_another_namespace_is_kept_only_where_its_image_was_pushed() {
        let image = BuiltImageStatus {
            repository: Some("registry.example.com/team-a/app".into()),
            tags: vec!["v1".into(), "registry.example.com:443/team-a/copy:v1".into()],
            earlier_tags: vec!["registry.example.com/team-a/mirror:v1".into()],
            ..BuiltImageStatus::default()
        };
        let pushed_to = |name: &str| has_pushed_to(&image, &name.parse().unwrap());
        assert!(
            pushed_to("registry.example.com/team-a/app") && pushed_to("registry.example.com/team-a/copy")
        );
        assert!(pushed_to("registry.example.com/team-a/mirror"), "though it shows another image yet");
        assert!(!pushed_to("registry.example.com/team-b/app"), "whatever its spec names by now");
        assert!(!has_pushed_to(&BuiltImageStatus::default(), &"a.example/b".parse().unwrap()));
    }
}
