//! Who may do what at registries: what the [`RegistryAccess`](crate::api::RegistryAccess) objects of a cluster lend to a
//! namespace, and where they keep it from writing. Pure: no clock, no network, no cluster.
//!
//! 1. Of all objects that name the action, those decide that fit the repository best: a host that is written in
//!    full before one behind a star, then a repository by its name before one by its prefix, a longer prefix before
//!    a shorter one. What an object says of a registry holds under each of its aliases.
//! 2. If none of them selects the namespace, nothing is lent; to push is refused then.
//! 3. If several do, the one lends whose name comes first, and the decision names the others.
//!
//! Where no object fits, a namespace has what its own Secrets give it.

mod grant;
mod host_pattern;
mod limits;
mod mistakes;
mod repository_prefix;

use std::collections::BTreeMap;

use imgop_registry::reference::{RegistryHost, Repository};

use crate::api::RegistryAction;
use crate::default_destination::{Defaults, DefaultsError};
use grant::Match;
pub use grant::{Grant, GrantError, GrantField};
pub(crate) use host_pattern::{HostMatch, HostPattern};
pub use limits::ConcurrencyLimit;
pub use mistakes::Mistake;

/// All that administrators have granted. It is made of all objects of a cluster, or there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessPolicy {
    /// By their names.
    grants: BTreeMap<String, Grant>,
    /// The names of objects that could not be decoded: what they keep others from is not known.
    unreadable: Vec<String>,
}

/// A namespace that something is lent to.
#[derive(Debug, Clone, Copy)]
pub struct Borrower<'a> {
    /// Its name.
    pub namespace: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// What a namespace may have at a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<'a> {
    /// No object is about this: the namespace has its own Secrets.
    Ungoverned,
    /// An object lends what it holds, and allows to push if that was asked.
    Granted {
        /// The object.
        grant: &'a Grant,
        /// Objects that fit as well, select the namespace, and come later by their names.
        also: Vec<&'a str>,
    },
    /// Objects are about this, and none selects the namespace. It may pull with its own Secrets, and not push.
    NotSelected {
        /// What they are about, as far as the asked repository shows it: `registry.example.com/team-b/`.
        scope: String,
    },
}

/// Why nothing can be decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// What an object forbids is not known.
    #[error(
        "some RegistryAccess of this cluster cannot be read, so it is not known what is allowed; an administrator \
         has to correct or delete it"
    )]
    Unreadable(Vec<String>),
}

impl AccessPolicy {
    /// Returns what these objects grant. `unreadable` are the names of those that could not be decoded.
    pub fn new(grants: impl IntoIterator<Item = Grant>, unreadable: Vec<String>) -> Self {
        let grants = grants.into_iter().map(|grant| (grant.name.clone(), grant)).collect();
        Self { grants, unreadable }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty() && self.unreadable.is_empty()
    }

    /// Returns all grants, by their names.
    pub fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.values()
    }

    /// Returns whether any object is about an action at a repository: only then the labels of a namespace decide.
    ///
    /// # Errors
    /// Where an object cannot be read, whatever the others say.
    pub fn governs(&self, repository: &Repository, action: RegistryAction) -> Result<bool, PolicyError> {
        self.readable().map(|()| !self.best(repository, action).is_empty())
    }

    /// Returns what a namespace may have at a repository for an action.
    ///
    /// # Errors
    /// Where an object cannot be read, whatever the others say.
    pub fn decide(
        &self,
        borrower: Borrower<'_>,
        repository: &Repository,
        action: RegistryAction,
    ) -> Result<Decision<'_>, PolicyError> {
        self.readable()?;
        let best = self.best(repository, action);
        let Some((matched, _)) = best.first() else { return Ok(Decision::Ungoverned) };
        let mut selecting =
            best.iter().map(|(_, grant)| *grant).filter(|grant| grant.selects(borrower.labels));
        Ok(match selecting.next() {
            Some(grant) => {
                Decision::Granted { grant, also: selecting.map(|other| other.name.as_str()).collect() }
            }
            None => Decision::NotSelected { scope: matched.scope(repository) },
        })
    }

    /// Whether some object gives namespaces a default destination.
    pub fn gives_defaults(&self) -> bool {
        self.grants.values().any(|grant| grant.default_destination.is_some())
    }

    /// Returns the default destination of a namespace: that which objects give it, else that of all namespaces.
    ///
    /// # Errors
    /// Where objects contradict each other, or one cannot be used or read.
    pub fn default_destination(
        &self,
        borrower: Borrower<'_>,
        of_all: Option<&Defaults>,
    ) -> Result<Option<Defaults>, DefaultsError> {
        self.readable()?;
        let given = self.grants.values();
        let given = given.filter_map(|grant| Some((grant.name.as_str(), grant.default_of(borrower.labels)?)));
        Defaults::of_namespace(given, of_all)
    }

    fn readable(&self) -> Result<(), PolicyError> {
        match self.unreadable.as_slice() {
            [] => Ok(()),
            names => Err(PolicyError::Unreadable(names.to_vec())),
        }
    }

    /// Returns the grants that fit best, by their names.
    fn best(&self, repository: &Repository, action: RegistryAction) -> Vec<(Match, &Grant)> {
        let names = self.names_of(repository.host());
        let of_action = self.grants.values().filter(|grant| grant.actions.contains(&action));
        let mut fitting: Vec<(Match, &Grant)> =
            of_action.filter_map(|grant| Some((grant.fit(&names, repository.path())?, grant))).collect();
        if let Some(best) = fitting.iter().map(|(matched, _)| *matched).max() {
            fitting.retain(|(matched, _)| *matched == best);
        }
        fitting
    }

    /// Returns whether two hosts are names of one registry, as far as administrators have said so.
    pub fn is_one_registry(&self, host: &RegistryHost, other: &RegistryHost) -> bool {
        self.names_of(host).iter().any(|name| name.is_same_place(other))
    }

    /// Returns whether both are one repository, under whichever names of its registry.
    pub fn is_one_repository(&self, one: &Repository, other: &Repository) -> bool {
        one.path() == other.path() && self.is_one_registry(one.host(), other.host())
    }

    /// Returns all names of the registry that a host is a name of, itself first.
    pub fn names_of(&self, host: &RegistryHost) -> Vec<RegistryHost> {
        let mut names = vec![host.clone()];
        let of_grants = self.grants.values().map(Grant::names);
        let mut others: Vec<Vec<RegistryHost>> = of_grants.filter(|hosts| hosts.len() > 1).collect();
        loop {
            let is_one = |other: &Vec<RegistryHost>| {
                other.iter().any(|host| names.iter().any(|name| name.is_same_place(host)))
            };
            let (found, left): (Vec<_>, Vec<_>) = others.into_iter().partition(is_one);
            if found.is_empty() {
                return names;
            }
            names.extend(found.into_iter().flatten());
            others = left;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
