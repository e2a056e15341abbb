//! A pull request that adds tags: branch, commits, title and text. Pure.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::Addition;
use crate::formats::{AddError, NewEntry, TagFile, Wanted};

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
    /// The file as it is with it.
    pub file: TagFile,
}

/// What a user adds to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The file as it is with it.
    pub file: TagFile,
    /// What was not there, source and tag.
    pub tags: Vec<(String, String)>,
    /// What was there already, source and tag.
    pub known: Vec<(String, String)>,
    /// A pull request that adds it. It has no commit where nothing is added.
    pub proposal: Proposal,
}

/// Returns a pull request that makes additions, which must not be empty, to a file, as rancher's tool words it.
pub fn propose(name: &str, file: &TagFile, additions: &[Addition]) -> Proposal {
    let noun = file.noun();
    let mut with = file.clone();
    let commits = additions.iter().map(|addition| {
        with.add_found(addition);
        let (tags, source) = (addition.tags.join(", "), addition.entry.source.as_str());
        Commit { subject: format!("Add tag(s) {tags} for {noun} {source}"), file: with.clone() }
    });
    let commits = commits.collect();
    let references: Vec<String> = additions.iter().flat_map(Addition::references).collect();
    let mut body =
        format!("This PR was created by the autoupdate workflow.\n\nIt adds the following {noun} tags:");
    list(&mut body, &references);
    Proposal {
        branch: format!("autoupdate/{name}/{}", hash(&references)),
        title: format!("[autoupdate] Add {} tag(s) for `{name}`", references.len()),
        body,
        commits,
    }
}

/// Adds tags to a file as a user asks for it.
///
/// # Errors
/// Where not exactly one entry receives the tags of a source.
pub fn add_tags(file: &TagFile, all: &[Wanted], new: Option<&NewEntry>) -> Result<Added, AddError> {
    let noun = file.noun();
    let mut with = file.clone();
    let (mut tags, mut known, mut commits) = (Vec::new(), Vec::new(), Vec::new());
    for wanted in all {
        let added = with.add(wanted, new)?;
        let pair = |tag: &String| (wanted.source.clone(), tag.clone());
        known.extend(wanted.tags.iter().filter(|tag| !added.contains(tag)).map(pair));
        tags.extend(added.iter().map(pair));
        if !added.is_empty() {
            let subject = format!("Add tag(s) {} for {noun} {}", added.join(", "), wanted.source);
            commits.push(Commit { subject, file: with.clone() });
        }
    }
    let references: Vec<String> = tags.iter().map(|(source, tag)| format!("{source}:{tag}")).collect();
    let title = match commits.as_slice() {
        [only] => only.subject.clone(),
        _ => format!("Add {} {noun} tags", references.len()),
    };
    let mut body = format!("This adds the following {noun} tags:");
    list(&mut body, &references);
    let branch = format!("add/{}", hash(&references));
    Ok(Added { file: with, tags, known, proposal: Proposal { branch, title, body, commits } })
}

fn list(body: &mut String, references: &[String]) {
    for reference in references {
        let _ = write!(body, "\n- `{reference}`");
    }
}

/// Returns the first 40 bits of a hash of what is added, in the letters of base 32.
fn hash(references: &[String]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut hasher = Sha256::new();
    for reference in references {
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
