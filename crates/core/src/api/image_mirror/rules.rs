//! The grammars of an ImageMirror's spec. Fields of entries have patterns and no rules in CEL: 5,000 entries of 1,000 tags
//! would go beyond what the API server lets rules cost. What they cannot say, [`crate::inventory`] does.

use kube::core::Rule;

use crate::api::rules::{host_pattern, name_pattern, path_part_pattern};

/// A tag.
pub(super) const TAG: &str = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$";

/// A tag, a tag with a digest, a digest, a pattern, a range or a star, as far as one expression can tell.
pub(super) const TAG_OR_VERSION: &str = "^([A-Za-z0-9_][A-Za-z0-9._*-]{0,127}(@sha256:[0-9a-f]{64})?|[*]([.*A-Za-z0-9_-]{0,127})|sha256:[0-9a-f]{64}|[<>=~^, vA-Za-z0-9._-]+)$";

/// The path of a repository below a target.
pub(super) const NAME: &str = "^[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*$";

/// A template of names.
pub(super) const TEMPLATE: &str = "^([a-z0-9._/-]|[{](registry|path|org|name)[}])+$";

/// The name of a chart, or its address in a registry.
pub(super) const CHART: &str = "^(oci://[a-z0-9][A-Za-z0-9._:/-]*|[A-Za-z0-9][A-Za-z0-9._-]*)$";

/// A source: the name of a repository.
pub(super) fn source_pattern() -> String {
    name_pattern()
}

/// A registry, with or without the beginning of a path.
pub(super) fn target_pattern() -> String {
    format!("^({})(/{})*$", host_pattern(), path_part_pattern())
}

/// A registry.
pub(super) fn host() -> String {
    format!("^({})$", host_pattern())
}

/// There is an entry, or a file that may have some.
pub(super) fn something_to_mirror() -> Rule {
    Rule::new("has(self.targets) && size(self.targets) > 0 || has(self.from) && size(self.from) > 0").message(
        "targets must have at least one repository, such as registry.example.com/mirror; files in from may bring their own",
    )
}

/// One place announces new versions.
pub(super) fn one_update_source() -> Rule {
    let rule = "[has(self.githubRelease), has(self.githubFile), has(self.registry), has(self.helmChart)].filter(given, given).size() == 1";
    Rule::new(rule)
        .message("updates[].from must have one of githubRelease, githubFile, registry and helmChart")
}

/// Charts are all in one repository, or all in registries.
pub(super) fn charts_of_one_place() -> Rule {
    Rule::new("self.charts.all(chart, has(self.repository) != chart.name.startsWith('oci://'))").message(
        "updates[].from.helmChart.charts[].name is a name where repository is given, and else an address that begins with oci://",
    )
}
