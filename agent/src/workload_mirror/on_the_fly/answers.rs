//! What became of looks for images that pods cannot pull, and what is said of it.

use std::time::Duration;

use imgop_core::api::conditions::reasons;
use imgop_core::build::ImageReference;
use imgop_core::text::shorten;
use imgop_core::workloads::FoundOrigin;
use jiff::Timestamp;

use super::OnTheFly;
use crate::workload_mirror::Pass;
use crate::workload_mirror::unasked::Unasked;

/// Bytes of the name of an image where why it cannot be looked for follows.
const MAX_NAME_BYTES: usize = 250;
/// What conditions say of images that a registry may have that could not be asked. Their number follows.
pub(in crate::workload_mirror) const OF_UNASKED: &str = "; images that pods cannot pull and that are looked for again and \
    again, as it is not known where they are: ";

/// What became of a look for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The destination has it.
    There,
    /// An Image that is there was asked to look at once.
    Asked,
    /// An origin has it.
    Found,
    /// No origin has it.
    Nowhere,
    /// A registry that may have it could not be asked.
    Unasked(Unasked),
    /// The limits of its namespaces left no room.
    Limited,
}

impl Answer {
    /// Whether it says the same as an earlier one, if not in the same words.
    pub(super) fn is_as(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Unasked(now), Self::Unasked(before)) => {
                now.reason == before.reason && now.host == before.host
            }
            _ => self == before,
        }
    }

    fn unasked(&self) -> Option<&Unasked> {
        if let Self::Unasked(unasked) = self { Some(unasked) } else { None }
    }
}

/// What is known of what pods cannot pull.
#[derive(Debug, Default)]
pub(in crate::workload_mirror) struct Pulls {
    /// What origins have.
    pub found: Vec<FoundOrigin>,
    /// Images that no origin has.
    pub not_found: usize,
    /// Images for which the limits of their namespaces left no room.
    pub limited: usize,
    /// Images that a registry may have that could not be asked, and why that of the first of them could not be.
    pub unasked: usize,
    pub first_unasked: Option<Unasked>,
    /// When the next look is.
    pub wait: Option<Duration>,
}

impl Pulls {
    /// Returns what conditions say besides of images that are not copied.
    pub(in crate::workload_mirror) fn notes(&self) -> String {
        let limited = (self.limited > 0).then(|| {
            format!(
                "; images that pods cannot pull and that wait, as no more are copied for a namespace in an hour \
                 (spec.limits.perNamespacePerHour): {}",
                self.limited
            )
        });
        let unasked = self.first_unasked.as_ref();
        let unasked =
            unasked.map(|first| format!("{OF_UNASKED}{}; the first: {}", self.unasked, first.message));
        limited.into_iter().chain(unasked).collect()
    }
}

impl OnTheFly {
    /// Has what is nowhere, and what could not be asked for, looked for now and as often as if it were missing since now.
    pub(in crate::workload_mirror) fn look_again(&mut self, now: Timestamp) {
        for look in self.looks.values_mut() {
            if matches!(look.answer, Answer::Unasked(_) | Answer::Nowhere) {
                (look.next, look.times) = (now, 0);
            }
        }
    }

    /// Whether an answer was given for another image, too: of a registry that cannot be asked, one event says it for all.
    pub(super) fn has_said(&self, answer: &Answer) -> bool {
        answer.unasked().is_some() && self.looks.values().any(|look| answer.is_as(&look.answer))
    }

    /// Returns what all looks came to. `wait` is how long it is until the next one.
    pub(super) fn pulls(&self, wait: Option<Duration>) -> Pulls {
        let count = |answer: &Answer| self.looks.values().filter(|look| look.answer == *answer).count();
        let unasked = || self.looks.values().filter_map(|look| look.answer.unasked());
        Pulls {
            found: self.looks.values().filter_map(|look| look.found.clone()).collect(),
            not_found: count(&Answer::Nowhere),
            limited: count(&Answer::Limited),
            unasked: unasked().count(),
            first_unasked: unasked().next().cloned(),
            wait,
        }
    }
}

impl Pass<'_> {
    /// Says in an event what a look came to, and in the log what keeps it from coming to anything. `is_said` is whether it
    /// was said of another image.
    pub(super) async fn tell(&self, reference: &ImageReference, answer: &Answer, is_said: bool) {
        let (reason, note) = match answer {
            Answer::There => (
                reasons::IMAGE_IS_THERE,
                format!("a pod cannot pull {reference}, and the destination has it: see the pod's events"),
            ),
            Answer::Nowhere => (
                reasons::ORIGIN_NOT_FOUND,
                format!(
                    "a pod cannot pull {reference}, and no origin has it; it is looked for again and again"
                ),
            ),
            Answer::Unasked(Unasked { reason, message, .. }) => {
                let (name, namespace) = (self.name(), self.namespace());
                if is_said {
                    tracing::debug!(name, namespace, image = %reference, reason, "nor can this image be looked for");
                    return;
                }
                tracing::warn!(
                    name,
                    namespace,
                    image = %reference,
                    reason,
                    detail = message,
                    "cannot look for an image that a pod cannot pull; trying again"
                );
                let image = reference.to_string();
                let image = shorten(&image, MAX_NAME_BYTES);
                let what = "it is looked for again and again, as it is not known where it is";
                (*reason, format!("a pod cannot pull {image}; {what}: {message}"))
            }
            Answer::Limited => (
                reasons::ORIGIN_LIMIT_REACHED,
                format!(
                    "a pod cannot pull {reference}: more than limits.perNamespacePerHour ({}) were copied for its \
                     namespace",
                    self.mirror.spec.limits.per_namespace_per_hour
                ),
            ),
            Answer::Asked | Answer::Found => return,
        };
        self.agent().events.warn(&self.owner, reason, "LookForOrigin", note).await;
    }
}
