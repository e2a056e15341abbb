//! What the agent remembers of an ImageBuilder between two passes. All of it can be lost: a restart works it out
//! again from the status, the Jobs and the registries.

use imgop_core::api::{ImageBuilder, ImageBuilderStatus};
use imgop_core::schedule::Schedule;
use jiff::Timestamp;

use super::spec_fields::SpecFields;

/// What is remembered of one ImageBuilder.
#[derive(Debug, Default)]
pub struct Memory {
    /// When the inputs are to be checked next.
    pub schedule: Schedule,
    /// Until when no build is begun that could not be begun, unless it is asked for.
    pub held_until: Option<Timestamp>,
    /// Secrets that a registry refused, or that could not be used.
    pub blocked: Option<Blocked>,
    /// Until when failures are tried again at once: a user has asked for it.
    pub reset_at: Option<Timestamp>,
    /// When all tags were last seen to show the image.
    pub tags_seen: Option<Timestamp>,
    /// The spec of the last build.
    pub built_spec: Option<Box<SpecFields>>,
    reported: Option<Box<Reported>>,
}

/// Why nothing is asked for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The versions of the Secrets that a registry refused; none if no registry was asked.
    pub secrets: Option<Vec<String>>,
    /// Since when.
    pub since: Timestamp,
    /// When the registry is asked again with the same Secrets.
    pub until: Timestamp,
}

/// What was reported last, and of which version of the object.
#[derive(Debug)]
struct Reported {
    version: Option<String>,
    status: ImageBuilderStatus,
}

impl Memory {
    /// Returns the status as it was last reported, if the watch has shown nothing newer since.
    pub fn newest_status(&self, builder: &ImageBuilder) -> ImageBuilderStatus {
        let reported = self.reported.as_ref().filter(|reported| {
            builder.metadata.resource_version.is_some()
                && reported.version == builder.metadata.resource_version
        });
        let shown = || builder.status.clone().unwrap_or_default();
        reported.map_or_else(shown, |reported| reported.status.clone())
    }

    /// Notes what is reported of this version of the object.
    pub fn reports(&mut self, builder: &ImageBuilder, status: &ImageBuilderStatus) {
        let version = builder.metadata.resource_version.clone();
        self.reported = Some(Box::new(Reported { version, status: status.clone() }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_builder::tests::fixtures::builder;

    #[test]
    fn a_watch_that_lags_behind_does_not_take_a_build_back() {
        let (mut memory, mut builder) = (Memory::default(), builder(|_| {}));
        builder.metadata.resource_version = Some("7".into());
        let begun = ImageBuilderStatus { last_generation_seen: 1, ..ImageBuilderStatus::default() };
        memory.reports(&builder, &begun);
        assert_eq!(memory.newest_status(&builder), begun);
        builder.metadata.resource_version = Some("8".into());
        assert_eq!(memory.newest_status(&builder), ImageBuilderStatus::default(), "what is shown is newer");
    }
}
