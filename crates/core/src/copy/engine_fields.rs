//! Where it can be said that Native copies what Skopeo cannot.

use std::fmt;

use crate::api::Engine;

/// The fields that let Native copy what Skopeo cannot, for messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineFields {
    /// The spec alone. It names Skopeo, and the agent's setting is for those that name no engine.
    Spec,
    /// The spec, or the agent's setting: the spec names no engine.
    #[default]
    SpecOrSetting,
}

impl From<Option<Engine>> for EngineFields {
    /// Returns the fields where a spec says this of its engine.
    fn from(written: Option<Engine>) -> Self {
        if written.is_some() { Self::Spec } else { Self::SpecOrSetting }
    }
}

impl fmt::Display for EngineFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spec => "spec.engine",
            Self::SpecOrSetting => "spec.engine, or COPY_ENGINE_FALLBACK of the agent",
        })
    }
}
