//! How much of one content is copied part by part.

use std::fmt;

use super::EngineFields;
use crate::api::Engine;

/// Parts that are a container each.
const CONTAINERS: usize = 32;
/// Parts whose list stands in one Job: as many entries as are read of an index.
const ITEMS: usize = 200;

/// How many manifests of one content may be copied one by one, where only some platforms are wanted or referrers are
/// copied: as many as that which copies them takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxParts {
    /// Each is a container of a Job, as with the engine Skopeo; and where it can be said that Native copies more.
    Containers(EngineFields),
    /// One container copies all of them, as with the engine Native.
    OneContainer,
    /// No Job copies them.
    NoJob,
}

impl MaxParts {
    /// Whether there are no more parts of a content than there may be.
    pub fn is_enough_for(self, parts: usize) -> bool {
        parts <= self.number()
    }

    /// Returns how many there may be.
    pub(super) fn number(self) -> usize {
        match self {
            Self::Containers(_) => CONTAINERS,
            Self::OneContainer => ITEMS,
            Self::NoJob => usize::MAX,
        }
    }
}

impl Default for MaxParts {
    fn default() -> Self {
        Self::Containers(EngineFields::default())
    }
}

impl From<Option<Engine>> for MaxParts {
    /// Returns how many there may be where a spec says this of its engine and no setting is known.
    fn from(written: Option<Engine>) -> Self {
        match written {
            Some(Engine::Native) => Self::OneContainer,
            Some(Engine::Skopeo) | None => Self::Containers(written.into()),
        }
    }
}

impl fmt::Display for MaxParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Containers(fields) => {
                write!(f, "the engine Skopeo copies at most {CONTAINERS}, and Native {ITEMS} ({fields})")
            }
            Self::OneContainer => write!(f, "a Job copies at most {ITEMS}"),
            Self::NoJob => f.write_str("all are copied"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_skopeo_names_the_setting_of_the_agent_only_where_the_spec_names_no_engine() {
        let of = |written: Option<Engine>| MaxParts::from(written).to_string();
        insta::assert_snapshot!(of(None), @"the engine Skopeo copies at most 32, and Native 200 (spec.engine, or COPY_ENGINE_FALLBACK of the agent)");
        insta::assert_snapshot!(of(Some(Engine::Skopeo)), @"the engine Skopeo copies at most 32, and Native 200 (spec.engine)");
    }
}
