//! One call, and the tokens that it tries.

use secrecy::SecretString;

use super::challenge::challenges;
use crate::credentials::{Credential, Fingerprint};
use crate::error::{Failure, Reason};
use crate::transport::Response;

/// Requests that one call may take: without authorization, with an old token, with a new one.
const MAX_ROUNDS: usize = 3;

/// One call, which may take several requests.
pub(super) struct Call<'a> {
    pub(super) credential: Option<&'a Credential>,
    /// The scope of the specification.
    pub(super) scope: &'a str,
    /// The scope that tokens are fetched for, and those before it.
    token_scopes: Vec<String>,
    pub(super) refused: Option<SecretString>,
    /// Whether the scheme was learned in this call, and not in an earlier one.
    pub(super) has_learned: bool,
    /// The failure of the token server that was remembered.
    pub(super) token_failure: Option<Failure>,
    pub(super) rounds_left: usize,
    /// Whether it writes nothing.
    pub(super) is_read: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        credential: Option<&'a Credential>,
        scope: &'a str,
        token_scope: Option<String>,
        is_read: bool,
    ) -> Self {
        Self {
            credential,
            scope,
            token_scopes: [scope.to_owned()].into_iter().chain(token_scope).collect(),
            refused: None,
            has_learned: false,
            token_failure: None,
            rounds_left: MAX_ROUNDS,
            is_read,
        }
    }

    pub(super) fn identity(&self) -> Option<Fingerprint> {
        self.credential.map(Credential::fingerprint)
    }

    pub(super) fn token_scope(&self) -> &str {
        self.token_scopes.last().map_or(self.scope, String::as_str)
    }

    /// Lets the request go without authorization where a remembered token server refuses: this repository may
    /// have another one. Returns the failure where that cannot help.
    pub(super) fn probe(&mut self, failure: Failure) -> Result<(), Failure> {
        let is_refusal = matches!(
            failure.reason,
            Reason::Unauthorized | Reason::Forbidden | Reason::Refused | Reason::Protocol
        );
        if self.has_learned || !is_refusal {
            return Err(failure);
        }
        self.token_failure = Some(failure);
        Ok(())
    }

    /// Takes another scope for the next token, if the challenge calls for one: that of the challenge, where
    /// it is for this repository or a spelling of it; or, with a credential, that for pushes, as some
    /// registries say only to those who may push that a repository does not exist yet.
    pub(super) fn take_other_scope(&mut self, response: &Response) -> bool {
        let challenges = challenges(&response.headers);
        let Some(challenge) = challenges.iter().find(|challenge| challenge.scheme == "bearer") else {
            return false;
        };
        let named = challenge.parameter("scope").filter(|named| is_spelling_of(named, self.scope));
        let is_insufficient = challenge.parameter("error") == Some("insufficient_scope");
        let may_push = self.credential.is_some() && is_insufficient && !self.scope.contains(' ');
        let push = self.scope.strip_suffix(":pull").filter(|_| may_push);
        let candidates =
            named.map(str::to_owned).into_iter().chain(push.map(|scope| format!("{scope}:pull,push")));
        let untried = candidates.into_iter().find(|scope| !self.token_scopes.contains(scope));
        let Some(scope) = untried else { return false };
        self.token_scopes.push(scope);
        self.refused = None;
        self.rounds_left += 1;
        true
    }
}

/// Whether a scope is for the repository of another one, be its name longer by a prefix: proxies add
/// `library/` or a project. GHCR's placeholder `repository:user/image:pull` is not.
fn is_spelling_of(named: &str, scope: &str) -> bool {
    let repository = |scope: &str| {
        let (name, actions) = scope.strip_prefix("repository:")?.split_once(':')?;
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_,*".contains(&b);
        actions.bytes().all(is_plain).then(|| name.to_owned())
    };
    let (Some(named), Some(own)) = (repository(named), repository(scope)) else { return false };
    named == own || named.ends_with(&format!("/{own}"))
}
