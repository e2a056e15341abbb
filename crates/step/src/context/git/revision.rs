//! Which ref or commit a revision means.

/// The shortest beginning of a commit that is taken for one.
const SHORTEST_COMMIT: usize = 4;
/// The digits of a commit, with SHA-1 and with SHA-256.
const WHOLE_COMMITS: [usize; 2] = [40, 64];

/// What a revision means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A ref of this whole name.
    Ref(String),
    /// A commit.
    Commit(String),
    /// The beginning of a commit.
    ShortCommit(String),
}

/// The refs that a server has, as far as it was asked for them.
#[derive(Debug, Default)]
pub struct Advertised(Vec<String>);

impl Advertised {
    /// Reads the output of `git ls-remote`.
    pub fn read(text: &str) -> Self {
        Self(text.lines().filter_map(|line| Some(line.split_once('\t')?.1.to_owned())).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }
}

/// Returns the patterns that `git ls-remote` is given: it compares the last parts of names.
pub fn patterns(revision: Option<&str>) -> Vec<&str> {
    match revision {
        // Nothing is asked of the refs.
        Some(revision) if is_whole_commit(revision) => vec!["HEAD"],
        Some(revision) => vec![revision],
        None => vec!["HEAD"],
    }
}

/// Returns what a revision means, as git and the agent understand it. A whole name means just that, also without
/// `refs/`; otherwise a tag goes before a branch, and both before the beginning of a commit. A whole commit is always
/// one, as it is for git.
pub fn choose(revision: Option<&str>, advertised: &Advertised) -> Option<Found> {
    let Some(revision) = revision else {
        return advertised.has("HEAD").then(|| Found::Ref("HEAD".to_owned()));
    };
    if is_whole_commit(revision) {
        return Some(Found::Commit(revision.to_ascii_lowercase()));
    }
    let names = if revision.starts_with("refs/") || revision == "HEAD" {
        vec![revision.to_owned()]
    } else {
        vec![format!("refs/{revision}"), format!("refs/tags/{revision}"), format!("refs/heads/{revision}")]
    };
    let name = names.into_iter().find(|name| advertised.has(name));
    let is_short = revision.len() >= SHORTEST_COMMIT && is_hex(revision);
    name.map(Found::Ref).or_else(|| is_short.then(|| Found::ShortCommit(revision.to_ascii_lowercase())))
}

fn is_whole_commit(text: &str) -> bool {
    WHOLE_COMMITS.contains(&text.len()) && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(revision: &str) -> Option<Found> {
        let names = [
            "HEAD",
            "refs/heads/main",
            "refs/heads/same",
            "refs/tags/same",
            "refs/tags/v2",
            "refs/tags/v2^{}",
            "refs/heads/abcd",
            "refs/pull/7/head",
            "refs/heads/team/main",
            "refs/heads/heads/same",
            "refs/tags/pull/7/head",
        ];
        let lines: Vec<String> = names.iter().map(|name| format!("{}\t{name}", "0".repeat(40))).collect();
        choose(Some(revision).filter(|text| !text.is_empty()), &Advertised::read(&lines.join("\n")))
    }

    #[test]
    fn each_way_to_name_a_revision_means_one_thing() {
        let of = |name: &str| Some(Found::Ref(name.to_owned()));
        assert_eq!(chosen(""), of("HEAD"));
        assert_eq!(chosen("main"), of("refs/heads/main"));
        assert_eq!(chosen("same"), of("refs/tags/same"), "a tag goes before a branch");
        assert_eq!(chosen("refs/heads/same"), of("refs/heads/same"));
        assert_eq!(chosen("heads/same"), of("refs/heads/same"), "as over https, where the agent asks");
        assert_eq!(chosen("pull/7/head"), of("refs/pull/7/head"));
        assert_eq!(chosen("v2"), of("refs/tags/v2"));
        assert_eq!(chosen("refs/pull/7/head"), of("refs/pull/7/head"));
        assert_eq!(chosen("abcd"), of("refs/heads/abcd"), "a name goes before the beginning of a commit");
        assert_eq!(chosen("ABCDE"), Some(Found::ShortCommit("abcde".to_owned())));
        let commit = "AB".repeat(20);
        assert_eq!(chosen(&commit), Some(Found::Commit(commit.to_lowercase())));
        for none in ["none", "refs/heads/none", "refs/tags/main", "abc"] {
            assert_eq!(chosen(none), None, "{none}");
        }
    }
}
