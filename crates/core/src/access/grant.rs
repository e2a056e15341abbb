//! One `RegistryAccess`, parsed.

use std::collections::BTreeMap;
use std::fmt;

use imgop_registry::reference::{RegistryHost, Repository};
use ipnet::IpNet;

use super::host_pattern::{HostMatch, HostPattern};
use super::repository_prefix::{RepositoryMatch, RepositoryPrefix};
use crate::api::{
    DefaultDestination, NamespaceSelector, RegistryAccessSpec, RegistryAction, RegistryLimits, SharedAws,
    SharedTls,
};
use crate::spec_error::{Problems, SpecError};

/// What one object grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The name of the object.
    pub name: String,
    /// The Secret of the agent's namespace that is lent.
    pub secret_name: Option<String>,
    /// How connections are secured.
    pub tls: Option<SharedTls>,
    /// The AWS identity that is lent.
    pub aws: Option<SharedAws>,
    /// Hosts that may be sent credentials for tokens, in lower case.
    pub token_servers: Vec<String>,
    /// Where the registries may be.
    pub addresses: Vec<IpNet>,
    /// Where images of the namespaces go that name no registry as their destination.
    pub default_destination: Option<DefaultDestination>,
    pub(super) actions: Vec<RegistryAction>,
    pub(super) hosts: Vec<HostPattern>,
    aliases: Vec<RegistryHost>,
    pub(super) repositories: Vec<RepositoryPrefix>,
    pub(super) namespaces: Option<NamespaceSelector>,
    /// The namespaces of the default: it lends nothing, so that mistakes elsewhere do not send images to another place.
    pub(super) defaulted: Option<NamespaceSelector>,
    /// What is asked of its registries at most.
    pub(super) limits: RegistryLimits,
}

/// How well a grant fits a repository; what fits better is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Match {
    host: HostMatch,
    repository: RepositoryMatch,
}

/// A field of a `RegistryAccess`, as in its spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantField(&'static str);

/// What is wrong with a `RegistryAccess`.
pub type GrantError = SpecError<GrantField>;

impl fmt::Display for GrantField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Match {
    /// Returns the repositories that it is about, as far as one of them shows them.
    pub(super) fn scope(self, repository: &Repository) -> String {
        format!("{}/{}", repository.host(), self.repository.part_of(repository.path()))
    }
}

impl Grant {
    /// Parses an object. One with mistakes selects no namespace, lends nothing, and goes before all others of its
    /// hosts: which repositories it was to keep for whom is not known.
    pub fn parse(name: &str, spec: &RegistryAccessSpec) -> (Self, Option<GrantError>) {
        let mut problems = Problems::default();
        let grant = Self {
            name: name.to_owned(),
            secret_name: spec.secret_name.clone(),
            tls: spec.tls.clone(),
            aws: spec.aws.clone(),
            token_servers: spec.token_servers.iter().map(|host| host.to_ascii_lowercase()).collect(),
            addresses: parsed("addresses", &spec.addresses, &mut problems),
            actions: spec.actions.clone(),
            hosts: parsed("hosts", &spec.hosts, &mut problems),
            aliases: parsed("aliases", &spec.aliases, &mut problems),
            repositories: parsed("repositories", &spec.repositories, &mut problems),
            namespaces: spec.namespace_selector.clone(),
            default_destination: spec.default_destination.clone(),
            defaulted: spec.namespace_selector.clone(),
            limits: spec.limits.unwrap_or_default(),
        };
        let has_one_name = matches!(grant.hosts.as_slice(), [HostPattern::Exact(_)]);
        if !grant.aliases.is_empty() && !has_one_name {
            let message = "these are names of one registry; write one host without a star into spec.hosts";
            problems.report(GrantField("aliases"), message.to_owned());
        }
        if grant.secret_name.is_some() && grant.aws.is_some() {
            let message = "spec.aws gives credentials as well; leave one of them out";
            problems.report(GrantField("secretName"), message.to_owned());
        }
        if problems.0.is_empty() {
            return (grant, None);
        }
        let locked = Self {
            secret_name: None,
            tls: None,
            aws: None,
            token_servers: Vec::new(),
            addresses: Vec::new(),
            repositories: vec![RepositoryPrefix::Unknown],
            namespaces: None,
            ..grant
        };
        (locked, Some(SpecError { problems: problems.0 }))
    }

    /// Returns whether a namespace with these labels is selected.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.namespaces.as_ref().is_some_and(|namespaces| namespaces.selects(labels))
    }

    /// Returns the default destination of a namespace with these labels, if it gives one.
    pub(super) fn default_of(&self, labels: &BTreeMap<String, String>) -> Option<&DefaultDestination> {
        let selects = |namespaces: &NamespaceSelector| namespaces.selects(labels);
        self.default_destination.as_ref().filter(|_| self.defaulted.as_ref().is_some_and(selects))
    }

    /// Returns how well it fits a path in the registry with these names.
    pub(super) fn fit(&self, names: &[RegistryHost], path: &str) -> Option<Match> {
        let is_docker_hub = names.iter().any(RegistryHost::is_docker_hub);
        let host = self.hosts.iter().filter_map(|pattern| pattern.fit(names)).max()?;
        let fitting = self.repositories.iter().filter_map(|prefix| prefix.fit(path, is_docker_hub));
        Some(Match { host, repository: fitting.max()? })
    }

    /// Returns whether it is about some repository of the registry with these names.
    pub(super) fn is_of_registry(&self, names: &[RegistryHost]) -> bool {
        self.hosts.iter().any(|pattern| pattern.fit(names).is_some())
    }

    /// Returns the hosts that it names in full, each a registry of its own.
    pub fn named_hosts(&self) -> impl Iterator<Item = &RegistryHost> {
        self.hosts.iter().filter_map(|pattern| match pattern {
            HostPattern::Exact(host) => Some(host),
            HostPattern::Within { .. } => None,
        })
    }

    /// Returns whether it gives something to namespaces, and not the same as another one.
    pub(super) fn gives_more_than(&self, other: &Self) -> bool {
        let given = |grant: &Self| {
            let (tls, servers) = (grant.tls.clone(), grant.token_servers.clone());
            (grant.secret_name.clone(), grant.aws.clone(), tls, servers, grant.addresses.clone())
        };
        given(self) != given(other) && given(self) != (None, None, None, Vec::new(), Vec::new())
    }

    /// Returns the names of the one registry that it names in several ways.
    pub(super) fn names(&self) -> Vec<RegistryHost> {
        if self.aliases.is_empty() || self.hosts.len() != 1 {
            return Vec::new();
        }
        self.named_hosts().chain(&self.aliases).cloned().collect()
    }
}

/// Returns what can be read of a list, and reports the rest.
fn parsed<T>(field: &'static str, texts: &[String], problems: &mut Problems<GrantField>) -> Vec<T>
where
    T: std::str::FromStr<Err: fmt::Display>,
{
    texts.iter().filter_map(|text| problems.keep(GrantField(field), text.parse())).collect()
}
