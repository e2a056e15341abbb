//! The scopes of tokens (distribution, "Token Scope Documentation").

use std::fmt;

/// Bytes of a scope that a challenge names; a repository has up to 255.
const MAX_NAMED_BYTES: usize = 512;

/// What a request does in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actions {
    Pull,
    PullPush,
    /// To delete, where the registry has a right of its own for that.
    PullPushDelete,
}

/// The right to some actions in one repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    repository: String,
    /// As they are sent: ours, or those of a challenge, such as `metadata_read`.
    actions: String,
}

/// The scopes of one token, of which a mount needs two.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scopes(Vec<Scope>);

impl Scope {
    pub(crate) fn new(repository: &str, actions: Actions) -> Self {
        Self { repository: repository.to_owned(), actions: actions.as_str().to_owned() }
    }

    /// Parses the scope that a challenge names. Returns `None` for one that is not for a repository.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("repository:").filter(|_| text.len() <= MAX_NAMED_BYTES)?;
        let (repository, actions) = rest.split_once(':')?;
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_,*".contains(&b);
        let is_scope = actions.bytes().all(is_plain) && !repository.contains(char::is_whitespace);
        is_scope.then(|| Self { repository: repository.to_owned(), actions: actions.to_owned() })
    }

    /// Whether both are for one repository, be its name longer by a prefix here: proxies add `library/` or a
    /// project. GHCR's placeholder `repository:user/image:pull` is not.
    fn is_spelling_of(&self, other: &Self) -> bool {
        let longer = self.repository.strip_suffix(&other.repository);
        longer.is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('/'))
    }
}

impl Scopes {
    pub(crate) fn two(first: Scope, second: Scope) -> Self {
        Self(vec![first, second])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Returns the scope that a challenge names, where it is for this repository.
    pub(super) fn named(&self, text: &str) -> Option<Self> {
        let [own] = &self.0[..] else { return None };
        Scope::parse(text).filter(|named| named.is_spelling_of(own)).map(Self::from)
    }

    /// Returns the same with the right to push, if it is the right to pull from one repository.
    pub(super) fn with_push(&self) -> Option<Self> {
        let [own] = &self.0[..] else { return None };
        let is_pull = own.actions == Actions::Pull.as_str();
        is_pull.then(|| Scope::new(&own.repository, Actions::PullPush).into())
    }
}

impl Actions {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::PullPush => "pull,push",
            Self::PullPushDelete => "pull,push,delete",
        }
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self(vec![scope])
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "repository:{}:{}", self.repository, self.actions)
    }
}

/// One list, with a blank between two, as a POST sends it.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scopes: Vec<String> = self.iter().map(ToString::to_string).collect();
        f.write_str(&scopes.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_taken_from_a_challenge_for_the_same_repository_alone() {
        let own = Scopes::from(Scope::new("team/app", Actions::Pull));
        for named in
            ["repository:team/app:pull", "repository:mirror/team/app:pull,push", "repository:team/app:*"]
        {
            assert_eq!(own.named(named).unwrap().to_string(), named);
        }
        for other in
            ["repository:user/image:pull", "repository:xteam/app:pull", "registry:catalog:*", "", "x"]
        {
            assert_eq!(own.named(other), None, "{other}");
        }
        assert_eq!(own.named("repository:team/app:pull repository:b:pull"), None);
        assert_eq!(own.with_push().unwrap().to_string(), "repository:team/app:pull,push");
        assert_eq!(own.with_push().unwrap().with_push(), None);
    }
}
