//! Tags that Images of several namespaces give other content. Neither keeps them; how often each overwrites what the
//! other put is bounded, and both are told.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use imgop_core::copy::CopyRequest;
use imgop_core::time::saturating_add;
use imgop_registry::reference::Tag;
use jiff::Timestamp;
use parking_lot::Mutex;

/// How long a tag that Images of two namespaces give different content is left as the other one put it. Each of them
/// overwrites the other's once in this time, and once after a restart.
const DISPUTED_INTERVAL: Duration = Duration::from_hours(1);

/// Who ends a dispute, for messages.
const WHO_DECIDES: &str = "one of them has another destination or an administrator decides with a RegistryAccess who may \
     write there";

/// When disputed tags were put, by the UID of the Image. A restart forgets it.
#[derive(Debug, Default)]
pub struct Disputes(Mutex<HashMap<String, HashMap<Tag, Timestamp>>>);

impl Disputes {
    /// Records that a disputed tag was put for an Image.
    pub fn record(&self, uid: &str, tag: &Tag, now: Timestamp) {
        self.0.lock().entry(uid.to_owned()).or_default().insert(tag.clone(), now);
    }

    /// Returns which of these disputed tags are left alone for now, since they were put not long ago, with the message
    /// for their failures.
    pub fn left_alone(
        &self,
        uid: &str,
        request: &CopyRequest,
        disputed: &BTreeSet<Tag>,
        now: Timestamp,
    ) -> HashMap<Tag, String> {
        let mut all = self.0.lock();
        let Some(put) = all.get_mut(uid) else { return HashMap::new() };
        put.retain(|tag, at| disputed.contains(tag) && now < saturating_add(*at, DISPUTED_INTERVAL));
        let message = |tag: &Tag| {
            format!(
                "{}:{tag} was put here less than an hour ago, and an object of another namespace has given it other \
                 content since; each may overwrite the other's once an hour, until {WHO_DECIDES}",
                request.destination
            )
        };
        put.keys().map(|tag| (tag.clone(), message(tag))).collect()
    }

    /// Drops what was put for Images that do not exist any more.
    pub fn evict(&self, exists: impl Fn(&str) -> bool) {
        self.0.lock().retain(|uid, _| exists(uid));
    }
}

/// Returns what is reported of tags that Images of other namespaces give other content. Those are not named: a tenant
/// must not learn of them.
pub fn dispute_message(disputed: &BTreeSet<Tag>) -> Option<String> {
    let first = disputed.first()?;
    let others = match disputed.len() {
        1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    Some(format!(
        "objects of other namespaces give {first}{others} other content, and each overwrites what the other put, until \
         {WHO_DECIDES}"
    ))
}

#[cfg(test)]
mod tests {
    use imgop_core::api::Mode;

    use super::*;
    use crate::image::tests::fixtures::{image, now, request};

    #[test]
    fn a_disputed_tag_is_overwritten_once_an_hour_by_each() {
        let (disputes, request) = (Disputes::default(), request(&image(Mode::Recurrent)));
        let tag: Tag = "v2.13.1".parse().unwrap();
        let tags = BTreeSet::from([tag.clone()]);
        let left_alone = |now| disputes.left_alone("uid", &request, &tags, now);
        assert!(left_alone(now()).is_empty(), "it was not put yet");
        disputes.record("uid", &tag, now());
        let soon = now() + Duration::from_mins(59);
        insta::assert_snapshot!(left_alone(soon)[&tag], @"registry.example.com:5000/mirror/argocd:v2.13.1 was put here less than an hour ago, and an object of another namespace has given it other content since; each may overwrite the other's once an hour, until one of them has another destination or an administrator decides with a RegistryAccess who may write there");
        assert!(disputes.left_alone("other", &request, &tags, soon).is_empty());
        assert!(left_alone(now() + Duration::from_hours(1)).is_empty());
        disputes.record("uid", &tag, now());
        let none = disputes.left_alone("uid", &request, &BTreeSet::new(), soon);
        assert!(none.is_empty(), "the other one is gone");
        disputes.evict(|_| false);
        assert!(disputes.0.lock().is_empty());
    }
}
