//! What a build is made from, as one hash.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use imgop_registry::oci::PlatformSelector;
use imgop_registry::reference::{Digest, ReferenceError};
use serde_json::json;

use super::{BuildRequest, ImageReference};

/// A hash of all that a build is made from. The same key means the same image, as far as the Dockerfile's commands
/// give the same twice. The Job's image is no part of it, or each new version of the agent would build everything
/// again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildKey {
    /// What is hashed, and how; none of the first agents, which wrote none.
    version: Option<String>,
    hash: Digest,
}

/// The version of keys that this agent writes. Another one whenever the same inputs get another hash than before.
const VERSION: &str = "v2";

impl fmt::Display for BuildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{version}-{}", self.hash),
            None => self.hash.fmt(f),
        }
    }
}

impl FromStr for BuildKey {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (version, hash) = match text.split_once('-') {
            Some((version, hash)) => (Some(version.to_owned()), hash),
            None => (None, text),
        };
        Ok(Self { version, hash: hash.parse()? })
    }
}

/// What a build is made from beside its request, as it was observed last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedInputs {
    /// The commit that the revision is.
    pub commit: Option<String>,
    /// The digest of the Dockerfile's text.
    pub dockerfile: Option<Digest>,
    /// The digest of the files of the context's ConfigMap, or of the image that is the context.
    pub context: Option<Digest>,
    /// The digest of the values that arguments take from ConfigMaps.
    pub arguments: Option<Digest>,
    /// What the images that the Dockerfile names show, the same for all platforms.
    pub bases: BTreeMap<ImageReference, Digest>,
}

impl ObservedInputs {
    /// Returns these inputs, with those of an earlier build where none were observed: what is known only from within a
    /// build is taken for unchanged.
    #[must_use]
    pub fn or(&self, earlier: &Self) -> Self {
        Self {
            commit: self.commit.clone().or_else(|| earlier.commit.clone()),
            dockerfile: self.dockerfile.clone().or_else(|| earlier.dockerfile.clone()),
            context: self.context.clone().or_else(|| earlier.context.clone()),
            arguments: self.arguments.clone().or_else(|| earlier.arguments.clone()),
            bases: self.bases.clone(),
        }
    }

    /// Returns of these inputs what is known before the first pod and never changes during a build: a pod finds out
    /// commit, Dockerfile and base images where the agent cannot.
    #[must_use]
    pub fn known_before_pods(&self) -> Self {
        let Self { context, arguments, .. } = self.clone();
        Self { context, arguments, ..Self::default() }
    }
}

impl BuildKey {
    /// Returns whether this key is of other inputs than that one. Of two that different versions of the agent have
    /// written nothing is known, so that they are not.
    pub fn is_of_others_than(&self, other: &Self) -> bool {
        self.version == other.version && self.hash != other.hash
    }

    /// Returns the key of a request with these inputs. Secrets count by their names alone.
    pub fn new(request: &BuildRequest, inputs: &ObservedInputs) -> Self {
        let platforms: Vec<String> = request.platforms.iter().map(PlatformSelector::to_string).collect();
        let bases: BTreeMap<String, &str> =
            inputs.bases.iter().map(|(image, digest)| (image.to_string(), digest.as_str())).collect();
        let text = json!({
            "platforms": platforms,
            "file": request.dockerfile,
            "from": request.context,
            "subPath": request.sub_path,
            "target": request.target,
            "arguments": request.arguments,
            "labels": request.labels,
            "annotations": request.annotations,
            "format": request.format,
            "timestamp": request.timestamp,
            "secrets": request.secrets,
            "commit": inputs.commit,
            "dockerfile": inputs.dockerfile,
            "context": inputs.context,
            "argumentValues": inputs.arguments,
            "bases": bases,
        });
        Self { version: Some(VERSION.to_owned()), hash: Digest::of(text.to_string().as_bytes()) }
    }
}

/// What changed between two observations, in one line; none if nothing did.
pub(super) fn source_changes(old: &ObservedInputs, new: &ObservedInputs) -> Option<String> {
    let short =
        |text: &Option<String>| text.as_deref().unwrap_or("none").chars().take(12).collect::<String>();
    if old.commit != new.commit {
        return Some(format!("commit {} → {}", short(&old.commit), short(&new.commit)));
    }
    let short = |digest: &Option<Digest>| digest.as_ref().map_or("none", Digest::short).to_owned();
    if old.dockerfile != new.dockerfile {
        return Some(format!("Dockerfile {} → {}", short(&old.dockerfile), short(&new.dockerfile)));
    }
    if old.context != new.context {
        return Some(format!("context {} → {}", short(&old.context), short(&new.context)));
    }
    let changed = old.arguments != new.arguments;
    changed.then(|| format!("buildArgs {} → {}", short(&old.arguments), short(&new.arguments)))
}

/// Which base images moved between two observations, in one line; none if none did. One that was not there before,
/// or is no longer, did not move: another Dockerfile names others.
pub(super) fn base_changes(old: &ObservedInputs, new: &ObservedInputs) -> Option<String> {
    let moved: Vec<String> = new
        .bases
        .iter()
        .filter(|(image, _)| !image.is_pinned())
        .filter_map(|(image, digest)| {
            let before = old.bases.get(image).filter(|before| *before != digest)?;
            Some(format!("{image} {} → {}", before.short(), digest.short()))
        })
        .collect();
    (!moved.is_empty()).then(|| moved.join(", "))
}
