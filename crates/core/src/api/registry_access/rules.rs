//! What a `RegistryAccess` may say, as rules of the API server (CEL). [`crate::access`] reads the same.

use kube::core::Rule;

use crate::api::rules::{host_pattern, path_part_pattern};

/// A label of a host.
const LABEL: &str = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
/// A port.
const PORT: &str = "(:0*[1-9][0-9]{0,4})?";

/// An address in brackets is one.
const ARE_ADDRESSES: &str = "self.all(h, !h.startsWith('[') || isIP(h.substring(1, h.indexOf(']'))))";

/// Each of `hosts` is a host, or a star and the end of one.
pub(super) fn hosts() -> Rule {
    let host = host_pattern();
    Rule::new(format!("self.all(h, h.matches('^({host}|[*]([.]{LABEL})+{PORT})$')) && {ARE_ADDRESSES}")).message(
        "hosts must be hosts of registries with an optional port, such as registry.example.com or \
         registry.example.com:5000, without scheme and path; a star goes only before the first dot: *.example.com",
    )
}

/// Each of `aliases` is a host.
pub(super) fn aliases() -> Rule {
    let host = host_pattern();
    Rule::new(format!("self.all(h, h.matches('^({host})$')) && {ARE_ADDRESSES}")).message(
        "aliases must be hosts of registries with an optional port, such as registry.example.com:443, without \
         scheme, path and star",
    )
}

/// Names of one registry.
pub(super) fn aliases_of_one_host() -> Rule {
    Rule::new(
        "!has(self.aliases) || size(self.aliases) == 0 || \
         size(self.hosts) == 1 && !self.hosts[0].startsWith('*')",
    )
    .message(
        "aliases are other names of one registry: hosts must then have one host, without a star; write a \
         RegistryAccess for each registry",
    )
    .field_path(".aliases")
}

/// Each of `repositories` is a path, with or without a slash behind it, or a slash.
pub(super) fn repositories() -> Rule {
    let part = path_part_pattern();
    Rule::new(format!("self.all(r, r.matches('^(/|{part}(/{part})*/?)$'))")).message(
        "repositories must be paths without the host and in lower case: team-a/ for all within it, team-a/app for \
         one repository, / for all of the registry",
    )
}

/// None of `actions` stands twice.
pub(super) fn actions() -> Rule {
    Rule::new("size(self) < 2 || self[0] != self[1]").message("actions must be Pull, Push, or both once")
}

/// A Secret or an AWS identity.
pub(super) fn one_credential() -> Rule {
    Rule::new("!has(self.secretName) || !has(self.aws)")
        .message("secretName and aws both give credentials; leave one of them out")
        .field_path(".secretName")
}

/// Roles are assumed to create repositories.
pub(super) fn roles_that_create() -> Rule {
    Rule::new("!has(self.roles) || size(self.roles) == 0 || has(self.createRepositories) && self.createRepositories")
        .message("aws.roles are assumed to create repositories; set aws.createRepositories, or leave them out")
        .field_path(".roles")
}

/// A field names a Secret of the agent's namespace.
pub(super) fn secret_name(field: &str) -> Rule {
    Rule::new("self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message(&*format!("{field} must be the name of a Secret in the agent's namespace"))
}

/// Certificates are for what is verified.
pub(super) fn certificates_to_verify() -> Rule {
    Rule::new("!has(self.caSecretName) || !has(self.mode) || self.mode == 'Verify'")
        .message("tls.caSecretName goes with tls.mode Verify only; leave one of them out")
}

/// Each of `tokenServers` is a host.
pub(super) fn token_servers() -> Rule {
    Rule::new(format!("self.all(h, h.matches('^{LABEL}([.]{LABEL})*{PORT}$'))")).message(
        "tokenServers must be hosts with an optional port, such as auth.example.org or auth.example.org:8443, \
         without scheme and path",
    )
}

/// Each of `addresses` is a range.
pub(super) fn addresses() -> Rule {
    Rule::new("self.all(a, isCIDR(a))")
        .message("addresses must be ranges such as 10.0.0.0/8, 127.0.0.1/32 or fd00::/8")
}

/// A limit limits something.
pub(super) fn some_limit() -> Rule {
    Rule::new("has(self.concurrentRequests)")
        .message("limits must have concurrentRequests; leave limits out where nothing is limited")
}

/// A selector selects something.
pub(super) fn some_requirement() -> Rule {
    Rule::new(
        "has(self.matchLabels) && size(self.matchLabels) > 0 || \
         has(self.matchExpressions) && size(self.matchExpressions) > 0",
    )
    .message(
        "namespaceSelector must have matchLabels or matchExpressions; for every namespace write matchExpressions: \
         [{key: kubernetes.io/metadata.name, operator: Exists}]",
    )
}

/// The values that an operator needs.
pub(super) fn values_of_operator() -> Rule {
    Rule::new("(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)")
        .message("values go with the operators In and NotIn, which need at least one, and with no other")
        .field_path(".values")
}
