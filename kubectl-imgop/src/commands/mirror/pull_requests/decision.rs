//! What becomes of a proposal of which pull requests may exist. Pure.

use super::Reopen;
use super::github::{PullRequest, State};

/// What is done.
#[derive(Debug, PartialEq)]
pub enum Decision<'a> {
    /// A pull request is made.
    Make,
    /// Nothing: there is one.
    Leave(&'a PullRequest),
    /// There is one whose reviewers were not asked yet.
    AskReviewers(&'a PullRequest),
}

/// Decides by the pull requests that there are of the same branch, newest first. Who owns the code may have been asked by
/// GitHub, so that one reviewer does not mean that ours were.
pub fn decide(pulls: &[PullRequest], reopen: Reopen, has_reviewers: bool) -> Decision<'_> {
    let open = pulls.iter().find(|pull| pull.state == State::Open);
    if let Some(pull) = open {
        let is_asked = pull.requested_reviewers.len() > 1 || !has_reviewers;
        return if is_asked { Decision::Leave(pull) } else { Decision::AskReviewers(pull) };
    }
    match pulls.first() {
        Some(pull) if reopen == Reopen::Never || pulls.iter().any(|pull| pull.merged_at.is_some()) => {
            Decision::Leave(pull)
        }
        _ => Decision::Make,
    }
}

/// Returns the repository of GitHub that an address of git names: `https://github.com/o/r.git`, `git@github.com:o/r`.
pub fn repository_of(address: &str) -> Option<imgop_core::sources::GithubRepository> {
    let address = address.trim_end_matches('/');
    let address = address.strip_suffix(".git").unwrap_or(address);
    let mut parts = address.rsplit(['/', ':']);
    let (name, owner) = (parts.next()?, parts.next()?);
    parts.next()?;
    format!("{owner}/{name}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(state: State, is_merged: bool, reviewers: usize) -> PullRequest {
        PullRequest {
            number: 1,
            html_url: String::new(),
            state,
            merged_at: is_merged.then(String::new),
            requested_reviewers: (0..reviewers).map(|_| serde::de::IgnoredAny).collect(),
        }
    }

    #[test]
    fn a_closed_pull_request_keeps_away_another_one_unless_that_is_asked_for() {
        let (closed, merged) = (pull(State::Closed, false, 0), pull(State::Closed, true, 0));
        assert_eq!(decide(&[], Reopen::Never, true), Decision::Make);
        let pulls = [closed.clone()];
        assert_eq!(decide(&pulls, Reopen::Never, true), Decision::Leave(&closed));
        assert_eq!(decide(&pulls, Reopen::Closed, true), Decision::Make);
        let pulls = [closed.clone(), merged];
        assert_eq!(decide(&pulls, Reopen::Closed, true), Decision::Leave(&closed));
    }

    #[test]
    fn reviewers_of_an_open_one_are_asked_that_has_at_most_one() {
        for (reviewers, is_asked) in [(0, false), (1, false), (2, true)] {
            let pulls = [pull(State::Open, false, reviewers), pull(State::Closed, false, 0)];
            let expected =
                if is_asked { Decision::Leave(&pulls[0]) } else { Decision::AskReviewers(&pulls[0]) };
            assert_eq!(decide(&pulls, Reopen::Closed, true), expected);
            assert_eq!(decide(&pulls, Reopen::Closed, false), Decision::Leave(&pulls[0]));
        }
    }

    #[test]
    fn the_repository_is_that_of_the_remote() {
        for address in [
            "https://github.com/o/r.git",
            "https://user:pw@github.com/o/r/",
            "git@github.com:o/r.git",
            "ssh://git@h:22/o/r",
        ] {
            assert_eq!(repository_of(address).unwrap().to_string(), "o/r", "{address}");
        }
        for address in ["", "r", "o/r", "/"] {
            assert_eq!(repository_of(address), None, "{address}");
        }
    }
}
