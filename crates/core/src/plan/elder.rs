//! Older Images that mean the same tags of the same destination.
//!
//! Two that put different content under one tag would overwrite each other for ever. So a tag belongs to the
//! oldest Image that means it (reliability.md §2, I2).

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::CopyRequest;
use crate::api::{Image, Mode, Phase};
use imgop_registry::oci::Platforms;
use imgop_registry::reference::Repository;
use imgop_registry::reference::Tag;

/// An older Image, and what it asks for.
#[derive(Debug)]
pub struct OlderImage<'a> {
    /// The Image.
    pub image: &'a Image,
    /// What it asks for.
    pub request: CopyRequest,
}

impl<'a> OlderImage<'a> {
    /// Those among others that write to this destination and came before this one, the oldest first.
    pub fn all(
        image: &Image,
        destination: &Repository,
        others: impl Iterator<Item = &'a Image>,
    ) -> Vec<Self> {
        let mut older_images: Vec<Self> = others.filter_map(|other| Self::of(image, destination, other)).collect();
        older_images.sort_by(|a, b| age(a.image).cmp(&age(b.image)));
        older_images
    }

    /// Another Image, if it writes to this destination and came before this one.
    fn of(image: &Image, destination: &Repository, other: &'a Image) -> Option<Self> {
        // Of thousands of Images few have the same last part, so that few are parsed.
        let last_part = destination.path().rsplit('/').next()?;
        let may_meet = other.spec.destination.name.rsplit('/').next() == Some(last_part);
        if !may_meet || age(other) >= age(image) || !holds_claims(other) {
            return None;
        }
        let request = CopyRequest::parse(&other.spec).ok()?;
        request.destination.is_same_place(destination).then_some(Self { image: other, request })
    }

    /// Whether it puts other content under this tag than the request would. The same tag of the same source
    /// is the same content, whoever copies it.
    pub fn contests(&self, request: &CopyRequest, tag: &Tag) -> bool {
        self.request.claim(tag).is_some_and(|theirs| request.claim(tag).as_ref() != Some(&theirs))
    }

    /// Says that the tag is its own. Other namespaces are nobody's business, so their Images are not named.
    pub fn keeps(&self, image: &Image, request: &CopyRequest, tag: &Tag) -> String {
        let place = format!("{}:{tag}", self.request.destination);
        if image.namespace() != self.image.namespace() {
            return format!(
                "{place} belongs to an Image of another namespace, which is older; give this one another destination"
            );
        }
        let (name, theirs) = (self.image.name_any(), &self.request);
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

/// What orders Images: the older first, of two of one second the one with the lower UID.
fn age(image: &Image) -> (Option<Timestamp>, Option<&str>) {
    (image.creation_timestamp().map(|at| at.0), image.metadata.uid.as_deref())
}

/// Whether an Image still writes. Only what somebody decided ends that: one that cannot write for a
/// while, such as with an expired password, would come back and overwrite who took over.
fn holds_claims(image: &Image) -> bool {
    if image.spec.suspend || image.metadata.deletion_timestamp.is_some() {
        return false;
    }
    let Some(status) = &image.status else { return true };
    let is_current = status.observed_generation == image.metadata.generation;
    let is_done = image.spec.mode == Mode::OneShot && status.phase == Some(Phase::Completed);
    !(is_current && is_done)
}
