//! What the object of an Image records: which of its tags are done, and whether it is due.

use std::time::Duration;

use jiff::Timestamp;

use super::{CopyRequest, Known, first_seen};
use crate::api::{Image, ImageStatus, Mode};
use crate::schedule::Candidate;
use crate::time::clamp_ahead;

impl Known {
    /// Returns what the status of an Image records of its tags. What was copied from elsewhere, to elsewhere or
    /// for other platforms does not count. No time is in the future: a status may be written by others, or by a
    /// clock that was ahead.
    pub fn recorded(image: &Image, request: &CopyRequest, now: Timestamp) -> Self {
        let mut known = Self { now, ..Self::default() };
        let Some(status) = &image.status else { return known };
        known.first_seen = first_seen(&status.waiting);
        known.first_seen.values_mut().for_each(|seen| seen.at = clamp_ahead(seen.at, now, Duration::ZERO));
        // Another spec may want an older one.
        if status.observed_generation == image.metadata.generation {
            known.newest = status.set_from.as_deref().and_then(|tag| tag.parse().ok());
        }
        let is_same =
            status.synced_from.as_ref().is_none_or(|from| *from == request.synced_from(&image.spec));
        if request.mode == Mode::OnceByTag && is_same {
            known.already_synced =
                status.tag_already_synced.iter().filter_map(|tag| tag.parse().ok()).collect();
        }
        known
    }
}

impl<'a> From<&'a Image> for Candidate<'a> {
    fn from(image: &'a Image) -> Self {
        let status = image.status.as_ref();
        Self {
            once: image.spec.mode == Mode::OneShot,
            awaited: status.and_then(awaited),
            ..Self::of(image, status.and_then(|status| status.last_sync_time.as_ref()))
        }
    }
}

/// Returns when a tag is old enough that was too young.
fn awaited(status: &ImageStatus) -> Option<Timestamp> {
    status.waiting.iter().map(|waiting| waiting.until.0).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::WaitingTag;
    use crate::copy::fixtures::{now, spec};
    use imgop_registry::reference::Digest;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn recorded(mode: Mode, edit: impl FnOnce(&mut Image)) -> Known {
        let mut image = Image::new("app", spec("quay.io/a/b", "1.x"));
        image.spec.mode = mode;
        image.status =
            Some(ImageStatus { tag_already_synced: vec!["1.0".to_owned()], ..ImageStatus::default() });
        edit(&mut image);
        let request = CopyRequest::parse(&image.spec).unwrap();
        Known::recorded(&image, &request, now())
    }

    #[test]
    fn tags_are_synced_in_mode_once_by_tag_and_from_the_same_source_alone() {
        let synced = |mode, edit: fn(&mut Image)| recorded(mode, edit).already_synced.len();
        assert_eq!((synced(Mode::OnceByTag, |_| {}), synced(Mode::Recurrent, |_| {})), (1, 0));
        let elsewhere: fn(&mut Image) =
            |image| image.status.as_mut().unwrap().synced_from = Some("quay.io/other".to_owned());
        assert_eq!(synced(Mode::OnceByTag, elsewhere), 0);
    }

    #[test]
    fn what_a_fixed_tag_was_set_from_is_known_while_the_spec_is_the_same() {
        let newest = |generation| {
            let known = recorded(Mode::Recurrent, |image| {
                image.metadata.generation = Some(2);
                let status = image.status.as_mut().unwrap();
                (status.observed_generation, status.set_from) = (Some(generation), Some("1.1".to_owned()));
            });
            known.newest
        };
        assert_eq!((newest(2), newest(1)), (Some("1.1".parse().unwrap()), None));
    }

    #[test]
    fn a_tag_that_was_first_seen_in_the_future_was_first_seen_now() {
        let known = recorded(Mode::Recurrent, |image| {
            let ahead = Time(now() + Duration::from_hours(9));
            let waiting = WaitingTag {
                tag: "1.0".to_owned(),
                digest: Digest::of(b"a").to_string(),
                since: ahead.clone(),
                until: ahead,
            };
            image.status.as_mut().unwrap().waiting = vec![waiting];
        });
        assert_eq!(known.first_seen.into_values().next().unwrap().at, now());
    }
}
