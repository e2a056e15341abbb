//! Which Image a tag of a destination belongs to, where several select it.
//!
//! Two that put different content under one tag would overwrite each other for ever, so within a namespace the tag
//! belongs to the oldest Image that selects it. Between namespaces that is an administrator's decision
//! ([`crate::access`]): nothing that a tenant can write gives him a tag. Where none was made, both write
//! (docs/decisions/0020-administrators-decide-between-namespaces.md).

use std::collections::{BTreeSet, HashMap};

use imgop_registry::oci::{Platforms, subject_of};
use imgop_registry::reference::{ManifestRef, Repository, Tag};
use jiff::Timestamp;

use super::{CopyRequest, Naming};
use crate::access::AccessPolicy;
use crate::api::{Image, Mode, Phase, Referrers};
use crate::selection::{Filter, Version};

/// An older Image, and what it asks for.
#[derive(Debug)]
pub struct OlderImage<'a> {
    /// The Image.
    pub image: &'a Image,
    /// What it asks for.
    pub request: CopyRequest,
}

impl<'a> OlderImage<'a> {
    /// Returns those of the same namespace that write to this destination and came before this one, the oldest first.
    pub fn all(
        image: &Image,
        destination: &Repository,
        others: impl Iterator<Item = &'a Image>,
        policy: &AccessPolicy,
    ) -> Vec<Self> {
        let mut older_images: Vec<Self> =
            others.filter_map(|other| Self::of(image, destination, other, policy)).collect();
        older_images.sort_by(|a, b| age(a.image).cmp(&age(b.image)));
        older_images
    }

    /// Returns another Image, if it writes to this destination and came before this one.
    fn of(image: &Image, destination: &Repository, other: &'a Image, policy: &AccessPolicy) -> Option<Self> {
        let is_here = image.metadata.namespace == other.metadata.namespace;
        if !is_here || age(other) >= age(image) {
            return None;
        }
        Some(Self { image: other, request: request_to(destination, other, policy)? })
    }

    /// Returns whether it puts other content under this tag than the request would. The same tag of the same
    /// source is the same content, whichever Image copies it.
    pub fn conflicts_with(&self, request: &CopyRequest, tag: &Tag, policy: &AccessPolicy) -> bool {
        has_other_content(&self.request, request, tag, policy)
    }

    /// Returns the message that the tag is this Image's.
    pub fn conflict_message(&self, request: &CopyRequest, tag: &Tag) -> String {
        let place = format!("{}:{tag}", self.request.destination);
        let (name, theirs) = (self.image.metadata.name.as_deref().unwrap_or_default(), &self.request);
        let content = if !theirs.source.is_same_place(&request.source) {
            format!("copies it from {}", theirs.source)
        } else if theirs.platforms == request.platforms {
            format!("copies {} of {} there", theirs.version, theirs.source)
        } else if theirs.platforms == Platforms::default() {
            "copies it for all platforms".to_owned()
        } else {
            format!("copies it for {}", theirs.platforms)
        };
        format!(
            "{place} belongs to Image {name:?}, which is older and {content}; give one of them another destination \
             or delete it"
        )
    }
}

/// Returns which of these tags belong to older Images of the namespace, with the message for people. A tag that is
/// named after a content must have been put by the claimant itself, which need not have that content: `wrote` tells.
/// Names of one registry, as `policy` has them, lead to one destination.
pub fn conflicts<'a>(
    image: &Image,
    request: &CopyRequest,
    tags: &[&Tag],
    others: impl Iterator<Item = &'a Image>,
    policy: &AccessPolicy,
    wrote: impl Fn(&OlderImage<'_>, &Tag) -> bool,
) -> HashMap<Tag, String> {
    if tags.is_empty() {
        return HashMap::new();
    }
    let older_images = OlderImage::all(image, &request.destination, others, policy);
    let conflict = |tag: &&Tag| {
        let claims = |older: &&OlderImage<'_>| {
            older.conflicts_with(request, tag, policy) && (subject_of(tag).is_none() || wrote(older, tag))
        };
        let older = older_images.iter().find(claims)?;
        Some((Tag::clone(tag), older.conflict_message(request, tag)))
    };
    tags.iter().filter_map(conflict).collect()
}

/// Returns the tags that Images of other namespaces give other content at this destination. Neither keeps them.
pub fn disputed<'a, 't>(
    image: &Image,
    request: &CopyRequest,
    tags: impl Iterator<Item = &'t Tag>,
    others: impl Iterator<Item = &'a Image>,
    policy: &AccessPolicy,
) -> BTreeSet<Tag> {
    let elsewhere = others.filter(|other| other.metadata.namespace != image.metadata.namespace);
    let theirs: Vec<CopyRequest> =
        elsewhere.filter_map(|other| request_to(&request.destination, other, policy)).collect();
    let is_disputed = |tag: &&Tag| {
        let is_other = |theirs: &CopyRequest| has_other_content(theirs, request, tag, policy);
        subject_of(tag).is_none() && theirs.iter().any(is_other)
    };
    tags.filter(is_disputed).cloned().collect()
}

/// Returns whether one request puts a tag, and not with what the other one puts under it.
fn has_other_content(theirs: &CopyRequest, own: &CopyRequest, tag: &Tag, policy: &AccessPolicy) -> bool {
    let Some(theirs) = theirs.claim(tag) else { return false };
    !own.claim(tag).is_some_and(|own| own.is_same(&theirs, policy))
}

/// Returns what an Image asks for, if it still writes to this destination.
fn request_to(destination: &Repository, other: &Image, policy: &AccessPolicy) -> Option<CopyRequest> {
    // Of thousands of Images few have the same last part, so that few are parsed.
    let last_part = destination.path().rsplit('/').next()?;
    let may_meet = other.spec.destination.name.rsplit('/').next() == Some(last_part);
    if !may_meet || !holds_claims(other) {
        return None;
    }
    // The expressions of a spec take longer to read than all the rest.
    let theirs: Repository = other.spec.destination.name.parse().ok()?;
    if policy.is_one_repository(&theirs, destination) { CopyRequest::parse(&other.spec).ok() } else { None }
}

/// Returns what orders Images: the older first, of two of one second the one with the lower UID.
fn age(image: &Image) -> (Option<Timestamp>, Option<&str>) {
    (image.metadata.creation_timestamp.as_ref().map(|at| at.0), image.metadata.uid.as_deref())
}

/// Returns whether an Image still writes. Only a decision of its users ends that: one that cannot write for
/// a while, such as with an expired password, would come back and overwrite what came after it.
pub fn holds_claims(image: &Image) -> bool {
    if image.spec.suspend || image.metadata.deletion_timestamp.is_some() {
        return false;
    }
    let Some(status) = &image.status else { return true };
    let is_current = status.observed_generation == image.metadata.generation;
    let is_done = image.spec.mode == Mode::OneShot && status.phase == Some(Phase::Completed);
    !(is_current && is_done)
}

/// What a request puts under a tag at its destination.
#[derive(Debug, Clone)]
pub struct TagClaim<'a> {
    source: &'a Repository,
    what: What<'a>,
    /// None for what refers to a content: that is the same for all platforms.
    platforms: Option<&'a Platforms>,
}

impl TagClaim<'_> {
    /// Returns whether both are the same content, whichever name of its registry each takes it from.
    pub fn is_same(&self, other: &Self, policy: &AccessPolicy) -> bool {
        self.what == other.what
            && self.platforms == other.platforms
            && policy.is_one_repository(self.source, other.source)
    }
}

/// What exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What<'a> {
    One(ManifestRef),
    /// The newest tag of a version, with candidates or without.
    Newest(&'a Version, &'a Filter, bool),
}

impl CopyRequest {
    /// Returns what this request puts under a tag of its destination, whether the source has it or not;
    /// `None` if it never writes that tag. `select.latest` does not count: what is among the newest changes.
    ///
    /// A tag that is named after a content (`sha256-…`) is claimed by every request that copies referrers:
    /// the content may be one of its tags.
    pub fn claim(&self, tag: &Tag) -> Option<TagClaim<'_>> {
        if self.referrers == Referrers::All && subject_of(tag).is_some() {
            let what = What::One(tag.clone().into());
            return Some(TagClaim { source: &self.source, what, platforms: None });
        }
        let what = match (&self.naming, &self.version) {
            (Naming::Fixed(fixed), _) if fixed != tag => return None,
            (Naming::Fixed(_), Version::Exact(exact)) => What::One(exact.clone().into()),
            (Naming::Fixed(_), Version::Digest(digest)) => What::One(digest.clone().into()),
            (Naming::Fixed(_), version) => What::Newest(version, &self.filter, self.candidates),
            (Naming::Keep, Version::Tags(tags)) => What::One(tags.named(tag)?.asked_for()),
            (Naming::Template { .. }, Version::Tags(tags)) => {
                What::One(tags.named(&self.naming.original(tag)?)?.asked_for())
            }
            (Naming::Keep, _) => What::One(self.if_selected(tag.clone())?),
            (Naming::Template { .. }, _) => What::One(self.if_selected(self.naming.original(tag)?)?),
        };
        Some(TagClaim { source: &self.source, what, platforms: Some(&self.platforms) })
    }

    /// Returns the tag, if this request selects it.
    fn if_selected(&self, tag: Tag) -> Option<ManifestRef> {
        self.selects(&tag).then_some(ManifestRef::Tag(tag))
    }

    /// Returns whether this request selects a tag of its source, be it there or not, whatever `select.latest`
    /// is.
    pub fn selects(&self, tag: &Tag) -> bool {
        let text = tag.as_str();
        let chosen = !self.version.is_selector()
            || self.filter.includes(text) && self.filter.excluded_by(text).is_none();
        chosen && self.version.selects_with(tag, self.candidates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ImageSpec, Select};
    use crate::copy::fixtures::spec;

    fn request(source: &str, version: &str, edit: impl FnOnce(&mut ImageSpec)) -> CopyRequest {
        let mut spec = spec(source, version);
        edit(&mut spec);
        CopyRequest::parse(&spec).unwrap()
    }

    fn plain(version: &str) -> CopyRequest {
        request("quay.io/a/b", version, |_| {})
    }

    /// Whether both put the same content under a tag.
    fn is_same(one: &CopyRequest, other: &CopyRequest, tag: &Tag) -> bool {
        one.claim(tag).unwrap().is_same(&other.claim(tag).unwrap(), &AccessPolicy::default())
    }

    fn claims(request: &CopyRequest, tag: &str) -> bool {
        request.claim(&tag.parse().unwrap()).is_some()
    }

    #[test]
    fn only_tags_that_are_selected_are_claimed() {
        assert!(claims(&plain("v2.13.x"), "v2.13.7") && !claims(&plain("v2.13.x"), "v2.14.0"));
        assert!(claims(&plain("v1"), "v1") && !claims(&plain("v1"), "v2"));
        assert!(!claims(&plain("v2.13.x"), "v2.13.7-rc1"));
        let candidates = request("quay.io/a/b", "v2.13.x", |s| s.allow_candidate_release = true);
        assert!(claims(&candidates, "v2.13.7-rc1"));
        let narrowed = request("quay.io/a/b", "v2.13.x", |s| {
            s.source.select = Some(Select { exclude: vec![".*\\.7".into()], ..Select::default() });
        });
        assert!(!claims(&narrowed, "v2.13.7") && claims(&narrowed, "v2.13.8"));
    }

    #[test]
    fn tags_one_by_one_are_claimed_with_the_content_that_they_are_given() {
        let digest = imgop_registry::reference::Digest::of(b"a");
        let of = |tags: &[&str], version: Option<&str>| {
            request("quay.io/a/b", "", |s| {
                s.source.tags = tags.iter().map(ToString::to_string).collect();
                s.destination.version = version.map(str::to_owned);
            })
        };
        let pinned = format!("1.1@{digest}");
        let (plain_tags, with_content) = (of(&["1.0", "1.1"], None), of(&["1.0", &pinned], None));
        assert!(claims(&plain_tags, "1.1") && !claims(&plain_tags, "1.2"));
        assert!(is_same(&plain_tags, &with_content, &"1.0".parse().unwrap()));
        assert!(!is_same(&plain_tags, &with_content, &"1.1".parse().unwrap()), "the tag may move");
        let pin = of(&[digest.as_str()], None);
        assert!(claims(&pin, &format!("pin-sha256-{}", digest.hex())));
        let named = of(&["1.0"], Some("corp-{tag}"));
        assert!(claims(&named, "corp-1.0") && !claims(&named, "1.0"));
    }

    #[test]
    fn a_template_claims_what_it_makes() {
        let named = request("quay.io/a/b", "v2.13.x", |s| {
            s.destination.version = Some("corp-{tag}".into());
        });
        assert!(claims(&named, "corp-v2.13.1") && !claims(&named, "v2.13.1") && !claims(&named, "corp-v3"));
    }

    #[test]
    fn other_platforms_of_the_same_tag_are_a_conflict() {
        let tag = "v1".parse().unwrap();
        let of = |platforms: &[&str]| {
            let platforms = platforms.iter().map(ToString::to_string).collect();
            request("quay.io/a/b", "v1", |spec| spec.platforms = platforms)
        };
        assert!(!is_same(&of(&["linux/amd64"]), &of(&["linux/arm64"]), &tag));
        assert!(!is_same(&of(&["linux/amd64"]), &of(&[]), &tag));
        let twice = of(&["linux/arm64", "linux/amd64"]);
        assert!(is_same(&of(&["linux/amd64", "linux/arm64"]), &twice, &tag));
    }

    #[test]
    fn what_refers_to_a_content_is_claimed_where_it_is_copied() {
        let tag = format!("{}.sig", imgop_registry::reference::Digest::of(b"a").as_str().replace(':', "-"));
        let with = |source: &str, platforms: &[&str]| {
            request(source, "v2.13.x", |s| {
                s.referrers = crate::api::Referrers::All;
                s.platforms = platforms.iter().map(ToString::to_string).collect();
            })
        };
        assert!(!claims(&plain("v2.13.x"), &tag) && claims(&with("quay.io/a/b", &[]), &tag));
        let tag = tag.parse().unwrap();
        assert!(!is_same(&with("quay.io/a/b", &[]), &with("quay.io/a/c", &[]), &tag));
        assert!(is_same(&with("quay.io/a/b", &[]), &with("quay.io/a/b", &["linux/arm64"]), &tag));
    }

    #[test]
    fn the_same_tag_of_the_same_source_is_no_conflict() {
        let tag = "v2.13.1".parse().unwrap();
        assert!(is_same(&plain("v2.13.x"), &plain(">=2.13 <3"), &tag));
        let spelled = request("quay.io:443/a/b", "v2.13.x", |_| {});
        assert!(is_same(&plain("v2.13.x"), &spelled, &tag));
        let other = request("quay.io/a/other", "v2.13.x", |_| {});
        assert!(!is_same(&plain("v2.13.x"), &other, &tag));
        let stable = |version: &str| {
            request("quay.io/a/b", version, |s| s.destination.version = Some("stable".into()))
        };
        let tag = "stable".parse().unwrap();
        assert!(!is_same(&stable("v1"), &stable("v2"), &tag));
        assert!(is_same(&stable("v1"), &stable("v1"), &tag));
        let newest = |candidates| {
            request("quay.io/a/b", "v1.x", |s| {
                s.destination.version = Some("stable".into());
                s.source.select = Some(Select { latest: Some(1), ..Select::default() });
                s.allow_candidate_release = candidates;
            })
        };
        assert!(!is_same(&newest(true), &newest(false), &tag));
    }
}
