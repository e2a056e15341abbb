//! What a verb changes in a file, as `-o` prints it.

use imgop_core::sources::Proposal;
use schemars::JsonSchema;
use serde::Serialize;

use super::pull_requests::Proposed;

/// The version of the document.
const API_VERSION: &str = "imgop.mirror-changes/v1";

/// What `mirror add` and `mirror update` change in a file.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.mirror-changes/v1")]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// The version of the document.
    api_version: &'static str,
    /// The file.
    file: String,
    /// The changes: of `mirror update` one for each entry of SOURCES, of `mirror add` one.
    #[serde(rename = "changes")]
    pub all: Vec<Change>,
}

/// One change.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The entry of SOURCES that asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The tags that the file lacks, or lacked, as SOURCE:TAG.
    pub tags: Vec<String>,
    /// Whether they are in the file now.
    pub written: bool,
    /// The tags that were asked for and are there already.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub present: Vec<String>,
    /// The branch that a pull request of these tags has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The pull request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<Proposed>,
    /// Why not all of it is known, or done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub problems: Vec<String>,
    /// What is worth a look.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub warnings: Vec<String>,
}

impl Changes {
    /// Returns the document of these changes.
    pub fn new(file: String, changes: Vec<Change>) -> Self {
        Self { api_version: API_VERSION, file, all: changes }
    }

    /// Returns how many changes have a problem.
    pub fn failed(&self) -> usize {
        self.all.iter().filter(|change| !change.problems.is_empty()).count()
    }

    /// Returns whether tags are missing.
    pub fn has_tags(&self) -> bool {
        self.all.iter().any(|change| !change.tags.is_empty())
    }
}

impl Change {
    /// Adds the branch of a pull request, unless nothing is added.
    #[must_use]
    pub fn on_branch(self, proposal: &Proposal) -> Self {
        let branch = (!proposal.commits.is_empty()).then(|| proposal.branch.clone());
        Self { branch, ..self }
    }
}
