//! What became of an object, in one word.

use serde::{Deserialize, Serialize};

/// What became of the last sync or build (the names are image-operator's).
///
/// An open list in the schema: agent, plugin and CRD may be of neighbouring versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Phase {
    /// Nothing was done yet.
    Pending,
    /// Copies are running, or a build is.
    Running,
    /// Every tag is at the destination.
    Completed,
    /// At least one tag is not.
    Failed,
    /// A word of another version of the agent.
    #[serde(other)]
    Unknown,
}
