//! What became of images that pods pull from where a mirror brings them.

use imgop_core::api::{Image, WorkloadMode, WorkloadTrigger};
use imgop_core::build::ImageReference;
use imgop_core::selection::SourceRef;
use imgop_core::workloads::{Excluded, NotMirrored, wants};

use super::Mirrored;
use super::rows::{State, of_image};

/// What became of an image that is not mirrored under another name.
pub(super) struct Pulled {
    /// The reference at the destination, where an Image brings it there.
    pub destination: Option<String>,
    pub state: State,
    pub why_not: Option<String>,
}

impl Mirrored {
    /// Returns what became of an image that pods pull from the destination, as far as that is known: an Image copies it, or
    /// pods cannot pull it.
    pub(super) fn pulled(&self, reference: &ImageReference, why: &NotMirrored) -> Option<Pulled> {
        if !matches!(why, NotMirrored::Excluded(Excluded::Destination) | NotMirrored::OnPullFailure) {
            return None;
        }
        let here = self.request.as_named_here(reference.clone());
        if !wants(&self.request, &here) {
            return None;
        }
        if let Some((image, what)) = self.copied(&here) {
            let (state, why_not) = of_image(image, what);
            return Some(Pulled { destination: Some(here.to_string()), state, why_not });
        }
        if !self.seen.waiting.contains(&here) {
            return None;
        }
        let (state, more) = self.not_copied();
        let why_not = Some(format!("{why}; pods cannot pull it{more}"));
        Some(Pulled { destination: None, state, why_not })
    }

    /// Returns what is known of an image that pods cannot pull, and that no Image copies.
    fn not_copied(&self) -> (State, String) {
        let mode = self.request.spec().mode;
        if mode != WorkloadMode::Active {
            return (State::Excluded, format!(", and mode {mode:?} copies nothing"));
        }
        if !self.request.has_trigger(WorkloadTrigger::PullFailure) {
            return (State::Excluded, ", and triggers does not have PullFailure".to_owned());
        }
        if self.has_looked_in_vain {
            return (State::Failed, ", and it is found at no origin".to_owned());
        }
        let events = format!("kubectl imgop describe workloadmirror/{}{}", self.name, self.place);
        (State::Waiting, format!("; the events of the mirror say what the agent has found: {events}"))
    }

    /// Returns whether the agent has found none of the images that pods cannot pull, where it looked for `not_found` in vain.
    pub(super) fn looked_in_vain(&self, not_found: u32) -> bool {
        // The status has their number alone: of some of them it is not known which they are. One that an Image copies by now
        // may count, too.
        let waiting = self.seen.waiting.len();
        self.seen.is_complete && usize::try_from(not_found).is_ok_and(|not_found| not_found >= waiting)
    }

    /// Returns the Image that brings an image to where it is pulled from, and what it copies.
    fn copied(&self, here: &ImageReference) -> Option<(&Image, &SourceRef)> {
        let is_meant = |one: &&SourceRef| match (&here.digest, &here.tag) {
            (Some(digest), _) => one.digest() == Some(digest),
            (None, tag) => one.name() == tag.as_ref(),
        };
        self.seen.children.iter().find_map(|child| {
            // There may be thousands: most differ in their paths.
            let to = &child.destination;
            let is_there = to.path() == here.repository.path()
                && self.request.repository_named_here(to.clone()).is_same_place(&here.repository);
            let what = child.tags.iter().filter(|_| is_there).find(is_meant)?;
            Some((self.seen.images.get(&child.name)?, what))
        })
    }
}

#[cfg(test)]
mod tests {
    use imgop_core::workloads::ChildImage;
    use serde_json::json;

    use super::*;
    use crate::workloads::testing::mirrored;

    #[test]
    fn the_command_that_shows_events_leads_to_the_mirrors_own_place() {
        let (_, why) = mirrored(json!({ "triggers": ["PullFailure"] })).not_copied();
        let command = ": kubectl imgop describe workloadmirror/cluster -n ci --context there";
        assert!(why.ends_with(command), "{why}");
    }

    #[test]
    fn what_no_origin_has_may_be_the_image_that_is_copied_by_now_and_not_the_other_one() {
        let mut mirror = mirrored(json!({ "triggers": ["PullFailure"] }));
        let waiting =
            |name: &str| format!("registry.corp/mirror/{name}:1").parse::<ImageReference>().unwrap();
        mirror.seen.waiting = ["there", "other"].into_iter().map(waiting).collect();
        let copies: Image = serde_json::from_value(json!({
            "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": "there", "namespace": "ci" },
            "spec": { "mode": "OneShot", "source": { "name": "quay.io/a/there", "tags": ["1"] },
                "destination": { "name": "registry.corp/mirror/there" } },
        }))
        .unwrap();
        mirror.seen.children.extend(ChildImage::read(&copies));
        mirror.seen.images.insert("there".to_owned(), copies);
        assert!(mirror.copied(&waiting("there")).is_some());
        assert!(!mirror.looked_in_vain(1));
        assert!(mirror.looked_in_vain(2));
    }
}
