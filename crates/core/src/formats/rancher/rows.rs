//! A configuration to its rows: which reference is copied to which.

use super::{Config, Entry, Target, TargetKey};

/// One reference that is copied to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `SOURCE:TAG`, as it is written.
    pub source: String,
    /// `TARGET/NAME:TAG`.
    pub target: String,
}

/// The rows of a configuration, in the order in which the original writes them: entry by entry, repository by
/// repository, tag by tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows(pub Vec<Row>);

impl Config {
    /// Returns which reference is copied to which.
    pub fn rows(&self) -> Rows {
        let mut rows = Vec::new();
        for entry in &self.entries {
            let (source, name) = (entry.source.as_str(), entry.effective_name());
            for target in self.repositories.iter().filter(|target| target.takes(entry)) {
                let destination = format!("{}/{name}", target.base_url);
                if without_docker_hub(source) == without_docker_hub(&destination) {
                    continue;
                }
                rows.extend(entry.mirrored_tags().map(|tag| Row {
                    source: format!("{source}:{tag}"),
                    target: format!("{destination}:{tag}"),
                }));
            }
        }
        Rows(rows)
    }
}

impl Target {
    /// Whether an entry goes there.
    pub(super) fn takes(&self, entry: &Entry) -> bool {
        let is_named = entry.targets.contains(&self.base_url);
        match self.key {
            TargetKey::DefaultTarget if entry.targets.is_empty() => self.is_default,
            TargetKey::DefaultTarget => is_named,
            TargetKey::Target => self.is_default && (entry.targets.is_empty() || is_named),
        }
    }
}

fn without_docker_hub(reference: &str) -> &str {
    reference.strip_prefix("docker.io/").unwrap_or(reference)
}
