//! What the refs of a git repository point to, asked of its server over HTTP: one GET and one POST, and no clone
//! (git's Documentation/gitprotocol-http and gitprotocol-v2). Nothing else of git is here.

mod advertisement;
mod pkt_line;

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use url::Url;

use crate::auth::authorization;
use crate::credentials::{Access, Credential, basic};
use crate::error::{Failure, Reason, Unreachable};
use crate::transport::{Http, Request, Response};
use advertisement::{Advertisement, Refs};

/// Bytes of a list of refs. With prefixes it has a few lines; servers of protocol 0 send all of them.
const MAX_BYTES: usize = 4 << 20;

/// Why a server does not say what a revision is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// The credentials are refused, or some are wanted.
    #[error("{0} refuses the credentials, or wants some")]
    Unauthorized(String),
    /// There is no such repository, or these credentials may not see it.
    #[error("{0} has no such repository, or these credentials may not see it")]
    RepositoryNotFound(String),
    /// The repository has no such branch or tag.
    #[error("{url} has no branch and no tag {revision:?}")]
    RevisionNotFound {
        /// The repository.
        url: String,
        /// The revision.
        revision: String,
    },
    /// The server does not answer, or not as a git server.
    #[error("{url}: {why}")]
    Unreachable {
        /// The repository.
        url: String,
        /// Why.
        why: String,
        /// Where the connection failed; none if there was an answer.
        connection: Option<Unreachable>,
    },
}

/// Returns whether a text is a whole commit, which nothing moves.
pub fn is_commit(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64) && revision.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns the commit that a revision is, as git finds it: a whole ref first, then a tag, then a branch; without a
/// revision the default branch. Of an annotated tag it is the commit that the tag is of.
pub(crate) async fn commit(
    http: &Http,
    url: &str,
    revision: Option<&str>,
    credential: Option<&Credential>,
) -> Result<String, GitError> {
    let unreachable =
        |why: String, connection| GitError::Unreachable { url: url.to_owned(), why, connection };
    let base: Url = url.parse().map_err(|_| unreachable("it is no URL".to_owned(), None))?;
    let names = candidates(revision);
    let header = match credential {
        Some(Credential::Basic { username, password }) => {
            authorization("Basic", &basic(username, password)).ok()
        }
        _ => None,
    };
    let asked = Asked { http, base: &base, authorization: header };
    let refs = asked.refs(&names).await.map_err(|failure| match failure.reason {
        Reason::Unauthorized | Reason::Forbidden => GitError::Unauthorized(url.to_owned()),
        Reason::RepositoryNotFound => GitError::RepositoryNotFound(url.to_owned()),
        Reason::Unreachable(connection) => unreachable(failure.to_string(), Some(connection)),
        _ => unreachable(failure.to_string(), None),
    })?;
    let found = names.iter().find_map(|name| refs.commit(name));
    found.ok_or_else(|| GitError::RevisionNotFound {
        url: url.to_owned(),
        revision: revision.unwrap_or("HEAD").to_owned(),
    })
}

/// Returns the refs that a revision may name; the first one that exists is selected.
fn candidates(revision: Option<&str>) -> Vec<String> {
    match revision {
        None => vec!["HEAD".to_owned()],
        Some(name) if name == "HEAD" || name.starts_with("refs/") => vec![name.to_owned()],
        Some(name) => ["refs/", "refs/tags/", "refs/heads/"].map(|prefix| format!("{prefix}{name}")).to_vec(),
    }
}

/// A repository that is asked.
struct Asked<'a> {
    http: &'a Http,
    base: &'a Url,
    authorization: Option<HeaderValue>,
}

impl Asked<'_> {
    async fn refs(&self, names: &[String]) -> Result<Refs, Failure> {
        let mut url = self.below("info/refs");
        url.query_pairs_mut().append_pair("service", "git-upload-pack");
        let advertised = self.send(Request::get(url, MAX_BYTES)).await?;
        match advertisement::read(&advertised.body)? {
            Advertisement::Refs(refs) => Ok(refs),
            Advertisement::Version2 => {
                let mut request = Request::get(self.below("git-upload-pack"), MAX_BYTES);
                request.method = Method::POST;
                let media_type = HeaderValue::from_static("application/x-git-upload-pack-request");
                request.body = Some((media_type, advertisement::ls_refs(names).into()));
                Refs::of_version_2(&self.send(request).await?.body)
            }
        }
    }

    fn below(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let whole = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&whole);
        url
    }

    async fn send(&self, mut request: Request) -> Result<Response, Failure> {
        request.git_protocol = Some("version=2");
        request.authorization.clone_from(&self.authorization);
        let channel = self.http.channel(self.base.clone(), &Access::default(), None)?;
        let response = self.http.send(&channel, &request).await?;
        let refused = |reason, what: &str| Err(Failure::new(reason, what).with_status(response.status));
        match response.status {
            StatusCode::OK => Ok(response),
            StatusCode::UNAUTHORIZED => refused(Reason::Unauthorized, "it refuses the credentials"),
            StatusCode::FORBIDDEN => refused(Reason::Forbidden, "it refuses the credentials"),
            StatusCode::NOT_FOUND => refused(Reason::RepositoryNotFound, "it has no such repository"),
            StatusCode::TOO_MANY_REQUESTS => {
                refused(Reason::RateLimited { retry_after: None }, "it wants fewer requests")
            }
            _ => refused(Reason::Unavailable, "it answers with an error"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_tag_before_it_is_a_branch_and_a_whole_ref_is_itself() {
        assert_eq!(candidates(Some("same")), ["refs/same", "refs/tags/same", "refs/heads/same"]);
        assert_eq!(candidates(Some("refs/heads/same")), ["refs/heads/same"]);
        assert_eq!(candidates(None), ["HEAD"]);
        assert!(is_commit(&"a1".repeat(20)) && !is_commit("a1a1") && !is_commit(&"A1".repeat(20)));
    }
}
