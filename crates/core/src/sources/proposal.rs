//! A pull request that adds tags: branch, commits, title and text, as rancher's tool words them. Pure.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::Addition;
use crate::formats::rancher::{Config, Schema};

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The branch, of whose name the last part is a hash of what is added: the same additions have the same branch.
    pub branch: String,
    /// The title.
    pub title: String,
    /// The text.
    pub body: String,
    /// The commits, oldest first.
    pub commits: Vec<Commit>,
}

/// A commit of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its message.
    pub subject: String,
    /// The inventory as it is with it.
    pub config: Config,
}

/// Returns a pull request that makes additions, which must not be empty, to an inventory.
pub fn propose(name: &str, config: &Config, additions: &[Addition]) -> Proposal {
    let noun = match config.schema {
        Schema::Images => "image",
        Schema::Artifacts => "artifact",
    };
    let mut with = config.clone();
    let commits = additions.iter().map(|addition| {
        with.add_found(addition);
        // As what is written beside it is generated of it.
        with.sort();
        let (tags, source) = (addition.tags.join(", "), addition.entry.source.as_str());
        Commit { subject: format!("Add tag(s) {tags} for {noun} {source}"), config: with.clone() }
    });
    let commits = commits.collect();
    let number: usize = additions.iter().map(|addition| addition.tags.len()).sum();
    let mut body =
        format!("This PR was created by the autoupdate workflow.\n\nIt adds the following {noun} tags:");
    for reference in additions.iter().flat_map(Addition::references) {
        let _ = write!(body, "\n- `{reference}`");
    }
    Proposal {
        branch: format!("autoupdate/{name}/{}", hash(additions)),
        title: format!("[autoupdate] Add {number} tag(s) for `{name}`"),
        body,
        commits,
    }
}

/// Returns the first 40 bits of a hash of what is added, in the letters of base 32.
fn hash(additions: &[Addition]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut hasher = Sha256::new();
    for reference in additions.iter().flat_map(Addition::references) {
        hasher.update(reference);
    }
    let digest = hasher.finalize();
    let bits = digest.iter().take(5).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let letter =
        |at: u32| char::from(LETTERS[usize::try_from(bits >> (35 - 5 * at) & 31).unwrap_or_default()]);
    (0..8).map(letter).collect()
}

#[cfg(test)]
mod tests;
