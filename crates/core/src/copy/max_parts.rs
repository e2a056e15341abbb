//! How much of one content is copied part by part.

use std::fmt;

use crate::api::Engine;

/// Parts that are a container each.
const CONTAINERS: usize = 32;
/// Parts whose list stands in one Job: as many entries as are read of an index.
const ITEMS: usize = 200;

/// How many manifests of one content may be copied one by one, where only some platforms are wanted or referrers are
/// copied: as many as that which copies them takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MaxParts {
    /// Each is a container of a Job, as with the engine Skopeo.
    #[default]
    Containers,
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
            Self::Containers => CONTAINERS,
            Self::OneContainer => ITEMS,
            Self::NoJob => usize::MAX,
        }
    }
}

impl From<Engine> for MaxParts {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Skopeo => Self::Containers,
            Engine::Native => Self::OneContainer,
        }
    }
}

impl fmt::Display for MaxParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Containers => {
                write!(
                    f,
                    "the engine Skopeo copies at most {CONTAINERS}, and Native {ITEMS} (spec.engine, or COPY_ENGINE_FALLBACK of \
                     the agent)"
                )
            }
            Self::OneContainer => write!(f, "a Job copies at most {ITEMS}"),
            Self::NoJob => f.write_str("all are copied"),
        }
    }
}
