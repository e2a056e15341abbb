//! One call, and the tokens that it tries.

use secrecy::SecretString;

use super::challenge::challenges;
use super::scope::Scopes;
use crate::credentials::{Credential, Fingerprint};
use crate::error::{Failure, Reason};
use crate::transport::Response;

/// Requests to the registry that one call may take: without authorization, with an old token, with a new
/// one; and one more for each other scope.
const MAX_ROUNDS: usize = 3;
/// Other scopes that one call may try: that of the challenge, and that for pushes.
const MAX_OTHER_SCOPES: usize = 2;

/// What a repository is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// It is read, and nothing that is sent there may change anything.
    Source,
    /// Images are pushed to it. Some registries create a repository as soon as a token for a push is fetched.
    PushTarget,
}

/// Who calls, and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) credential: Option<&'a Credential>,
    pub(crate) role: Role,
}

/// One call, which may take several requests.
pub(super) struct Call<'a> {
    pub(super) caller: Caller<'a>,
    /// The scopes of the specification.
    pub(super) scopes: &'a Scopes,
    /// The scopes that tokens are fetched for, and those before them.
    token_scopes: Vec<Scopes>,
    pub(super) refused: Option<SecretString>,
    /// Whether the scheme was learned in this call, and not in an earlier one.
    pub(super) has_learned: bool,
    /// The failure of the token server that was remembered.
    pub(super) token_failure: Option<Failure>,
    pub(super) rounds_left: usize,
    other_scopes_left: usize,
    /// Whether it writes nothing.
    pub(super) is_read: bool,
}

impl Caller<'_> {
    pub(super) fn identity(&self) -> Option<Fingerprint> {
        self.credential.map(Credential::fingerprint)
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(
        caller: Caller<'a>,
        scopes: &'a Scopes,
        token_scopes: Option<Scopes>,
        is_read: bool,
    ) -> Self {
        Self {
            caller,
            scopes,
            token_scopes: [scopes.clone()].into_iter().chain(token_scopes).collect(),
            refused: None,
            has_learned: false,
            token_failure: None,
            rounds_left: MAX_ROUNDS,
            other_scopes_left: MAX_OTHER_SCOPES,
            is_read,
        }
    }

    pub(super) fn token_scopes(&self) -> &Scopes {
        self.token_scopes.last().unwrap_or(self.scopes)
    }

    /// Lets a read go without authorization where a remembered token server refuses: this repository may
    /// have another one. Returns the failure where that cannot help.
    pub(super) fn probe(&mut self, failure: Failure) -> Result<(), Failure> {
        let is_refusal = matches!(
            failure.reason,
            Reason::Unauthorized | Reason::Forbidden | Reason::Refused | Reason::Protocol
        );
        if self.has_learned || !is_refusal || !self.is_read {
            return Err(failure);
        }
        self.token_failure = Some(failure);
        Ok(())
    }

    /// Takes other scopes for the next token, if there are any to try: that of the challenge, where it is
    /// for this repository or a spelling of it; or, for pushes and with a credential, that for pushes, as
    /// some registries say only to those who may push that a repository does not exist yet.
    pub(super) fn take_other_scopes(&mut self, response: &Response) -> bool {
        let challenges = challenges(&response.headers);
        let Some(challenge) = challenges.iter().find(|challenge| challenge.scheme == "bearer") else {
            return false;
        };
        let named = challenge.parameter("scope").and_then(|named| self.scopes.named(named));
        let may_push = self.caller.role == Role::PushTarget && self.caller.credential.is_some();
        let push = self.scopes.with_push().filter(|_| may_push);
        let untried = named.into_iter().chain(push).find(|scopes| !self.token_scopes.contains(scopes));
        let Some(scopes) = untried.filter(|_| self.other_scopes_left > 0) else { return false };
        self.token_scopes.push(scopes);
        self.refused = None;
        self.other_scopes_left -= 1;
        self.rounds_left += 1;
        true
    }
}
