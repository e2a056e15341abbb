//! Whether a destination has what its source has: digests of both sides, the manifests of each platform, and
//! every layer where that is asked for.

mod check;
mod completeness;
mod page;

use imgop_registry::reference::Digest;
use schemars::JsonSchema;
use serde::Serialize;

pub use check::{Depth, verify};
pub use completeness::lacks_content;
pub use page::print;

/// The version of the document.
const API_VERSION: &str = "imgop.verify/v1";

/// What was compared.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "imgop.verify/v1")]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// The version of the document.
    api_version: &'static str,
    /// The source repository.
    pub source: String,
    /// The destination repository.
    pub destination: String,
    /// The tag, pattern or digest.
    pub version: String,
    /// The tags and what refers to them, newest version first.
    pub tags: Vec<VerifiedTag>,
}

/// One tag.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedTag {
    /// The tag, or the digest, at the source.
    pub tag: String,
    /// The tag at the destination.
    pub destination_tag: String,
    /// What was found.
    pub result: Verdict,
    /// What the source has.
    #[schemars(with = "Option<String>")]
    pub source_digest: Option<Digest>,
    /// What the destination has.
    #[schemars(with = "Option<String>")]
    pub destination_digest: Option<Digest>,
    /// The images of an index, each with whether the destination has it whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub platforms: Vec<VerifiedPlatform>,
    /// How many different configurations and layers the destination has of it, where those were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<usize>,
    /// The content that this refers to, if it is a referrer and no selected tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub referrer_of: Option<Digest>,
    /// Why it is not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One image of an index.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedPlatform {
    /// What it runs on.
    pub platform: String,
    /// Its digest.
    #[schemars(with = "String")]
    pub digest: Digest,
    /// What the destination lacks of it; nothing if it is whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
}

/// What was found of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The destination has it whole.
    Verified,
    /// The destination has other content.
    Differs,
    /// The destination does not have it.
    Missing,
    /// The destination has its tag, and lacks some of its content.
    Incomplete,
    /// The source does not have it, or for none of the selected platforms.
    NotAtSource,
    /// A registry could not be asked, or what it has could not be read.
    NotChecked,
}

impl VerifiedTag {
    /// Returns whether it is not known.
    pub fn is_unknown(&self) -> bool {
        self.result == Verdict::NotChecked
    }
}

impl Verification {
    /// Returns how many tags have this result.
    pub fn number(&self, result: Verdict) -> usize {
        self.tags.iter().filter(|tag| tag.result == result).count()
    }

    /// Returns whether something is certain to be wrong.
    pub fn has_differences(&self) -> bool {
        use Verdict::{Differs, Incomplete, Missing, NotAtSource};
        [Differs, Missing, Incomplete, NotAtSource].into_iter().any(|result| self.number(result) > 0)
    }
}
