//! The commit that a build is of, asked of the git server without a pod. However many `ImageBuilders` name a revision,
//! it is asked for once a period with each Secret.

use std::time::Duration;

use imgop_core::build::{BuildContext, BuildFailure, BuildRequest};
use imgop_registry::cache::{Bounded, SingleFlight};
use imgop_registry::git::{GitError, is_commit};
use imgop_registry::{Credential, Unreachable};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Pass;
use super::halt::Halt;
use crate::cluster::Freshness;
use crate::cluster::secrets::BASIC_AUTH_KEYS;

/// Revisions of which the answers are kept.
const MAX_REVISIONS: usize = 10_000;
/// How long an answer is kept at most.
const MAX_TTL: Duration = Duration::from_hours(24);

/// URL, revision, and the version of the Secret: what one account sees says nothing of what another one may see.
type Key = (String, Option<String>, Option<String>);

/// What revisions are, as it was last seen.
#[derive(Default)]
pub(super) struct Commits {
    seen: Mutex<Option<Bounded<Key, (String, Instant)>>>,
    requests: SingleFlight<Key, Result<String, GitError>>,
}

impl Pass<'_> {
    /// Returns the commit that the revision is, as it was seen no longer ago than `max_age`; none where only the pod can
    /// find out: over ssh, and for a short commit.
    pub(super) async fn commit(
        &self,
        request: &BuildRequest,
        max_age: Duration,
    ) -> Result<Option<String>, Halt> {
        let BuildContext::Git { url, revision, secret, .. } = &request.context else { return Ok(None) };
        if let Some(revision) = revision.as_deref().filter(|revision| is_commit(revision)) {
            return Ok(Some(revision.to_owned()));
        }
        if url.starts_with("ssh://") {
            return Ok(None);
        }
        let (credential, version) = match secret {
            Some(name) => self.git_credential(name).await?,
            None => (None, None),
        };
        let key: Key = (url.clone(), revision.clone(), version);
        let commits = &self.builders.commits;
        let is_fresh = |(_, at): &&(String, Instant)| at.elapsed() < max_age;
        let seen = commits.seen.lock().as_ref().and_then(|seen| seen.get(&key).filter(is_fresh).cloned());
        if let Some((commit, _)) = seen {
            return Ok(Some(commit));
        }
        let registries = &self.agent().registries;
        let ask = || registries.git_commit(url, revision.as_deref(), credential.as_ref());
        let (answer, _) = commits.requests.run(&key, ask).await;
        match answer {
            Ok(commit) => {
                let mut seen = commits.seen.lock();
                let seen = seen.get_or_insert_with(|| Bounded::new(MAX_REVISIONS));
                seen.insert(key, (commit.clone(), Instant::now()), MAX_TTL);
                Ok(Some(commit))
            }
            Err(GitError::RevisionNotFound { .. }) if revision.as_deref().is_some_and(may_be_short) => {
                Ok(None)
            }
            Err(error) => Err(halt(&error)),
        }
    }

    async fn git_credential(&self, secret: &str) -> Result<(Option<Credential>, Option<String>), Halt> {
        let freshness = if self.is_asked_for { Freshness::Now } else { Freshness::Cached };
        let content = self.secret("context.git.credentials", secret, freshness).await?;
        let text = |key: &str| {
            let value = content.value(key).and_then(|value| std::str::from_utf8(value).ok());
            value.map(|value| value.trim_end_matches(['\r', '\n']).to_owned())
        };
        let [username, password] = BASIC_AUTH_KEYS.map(text);
        let credential = username
            .zip(password)
            .map(|(username, password)| Credential::Basic { username, password: password.into() });
        Ok((credential, Some(content.version.clone())))
    }
}

/// Returns whether a revision may be the beginning of a commit.
fn may_be_short(revision: &str) -> bool {
    (4..40).contains(&revision.len()) && revision.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Returns what to check where a connection failed.
fn about_connection(connection: Option<Unreachable>) -> &'static str {
    match connection {
        Some(Unreachable::Dns) => {
            "; check the name of the host in spec.context.git.url, and the DNS of the cluster"
        }
        Some(Unreachable::NoTls) => " If so, write http:// in spec.context.git.url",
        Some(Unreachable::Connect | Unreachable::Timeout) => {
            "; check host and port in spec.context.git.url, and whether pods of this cluster reach them"
        }
        Some(Unreachable::Tls | Unreachable::WantsTls | Unreachable::Interrupted) | None => "",
    }
}

fn halt(error: &GitError) -> Halt {
    let (failure, fix) = match error {
        GitError::Unauthorized(_) => (
            BuildFailure::SourceUnauthorized,
            "; name a Secret of type kubernetes.io/basic-auth in spec.context.git.credentials",
        ),
        GitError::RepositoryNotFound(_) => {
            (BuildFailure::SourceUnauthorized, "; check spec.context.git.url and credentials")
        }
        GitError::RevisionNotFound { .. } => {
            (BuildFailure::RevisionNotFound, "; name one that it has in spec.context.git.revision")
        }
        GitError::Unreachable { connection, .. } => {
            (BuildFailure::SourceUnreachable, about_connection(*connection))
        }
    };
    Halt::of(failure, format!("spec.context.git: {error}{fix}"))
}
