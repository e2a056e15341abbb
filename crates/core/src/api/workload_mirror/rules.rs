//! The grammars of a WorkloadMirror's spec. What they cannot say, [`crate::workloads::WorkloadRequest`] does.

use kube::core::Rule;

use crate::api::rules::{host_pattern, path_part_pattern};

/// A tag.
pub(super) const TAG: &str = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$";

/// The name of a namespace, of which some characters may be any.
pub(super) const NAMESPACE_GLOB: &str = "^[a-z0-9*?]([a-z0-9*?-]*[a-z0-9*?])?$";

/// A registry, with or without the beginning of a path. A slash at the end says nothing more.
pub(super) fn repository_pattern() -> String {
    format!("^({})(/{})*/?$", host_pattern(), path_part_pattern())
}

/// A prefix has no words but those that stand for something (see [`crate::workloads::Prefix`]).
pub(super) fn prefix() -> Rule {
    Rule::new(
        "self.matches('^[a-z0-9._/-]*([$](namespace|podname|container_name|arch|registry)([./-][a-z0-9._/-]*)?)*$')",
    )
    .message(
        "destination.prefix must be of lower-case letters, digits, dots, dashes and slashes, and of $namespace, $podname, \
         $container_name, $arch and $registry, each followed by a slash, a dot or a dash, or by nothing",
    )
}

/// A list goes with the mode that reads it.
pub(super) fn list_of_platforms() -> Rule {
    Rule::new("(has(self.mode) && self.mode == 'List') == (has(self.list) && size(self.list) > 0)").message(
        "platforms.list goes with platforms.mode List, and List needs at least one platform, such as linux/amd64",
    )
}
