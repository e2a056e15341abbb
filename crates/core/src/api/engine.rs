//! Which program copies.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which program copies: Skopeo, in a container for each tag, or Native, the agent's own, which copies many tags in one
/// container and reads each layer once. Without it, the agent's setting COPY_ENGINE says which.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Engine {
    /// Skopeo, in a container for each tag.
    #[default]
    #[cfg_attr(feature = "clap", value(name = "Skopeo", help = "Skopeo, in a container for each tag"))]
    Skopeo,
    /// The agent's own program, in one container for many tags.
    #[cfg_attr(
        feature = "clap",
        value(name = "Native", help = "The agent's own program, in one container for many tags")
    )]
    Native,
}

impl Engine {
    /// Returns the word that stands for it in specs and settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skopeo => "Skopeo",
            Self::Native => "Native",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
