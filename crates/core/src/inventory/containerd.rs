//! An inventory as containerd reads it: `hosts.toml`, by which nodes ask the targets first.
//!
//! containerd replaces the host and what stands before the path, and nothing else
//! (<https://github.com/containerd/containerd/blob/main/docs/hosts.md>): a repository whose path is another one at the
//! target cannot be found that way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use imgop_registry::reference::Repository;

use super::read::Inventory;
use crate::api::{MirrorTarget, TlsMode};

/// What nodes are told, and what they cannot be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerdHosts {
    /// The text of `hosts.toml` for each registry that images come from.
    pub files: BTreeMap<String, String>,
    /// Source and destination of what these files do not cover, sorted.
    pub uncovered: BTreeSet<(String, String)>,
    /// Registries whose certificate comes from a Secret: nodes need a file with it.
    pub needs_ca: BTreeSet<String>,
}

/// A place that holds all repositories of a registry under their own paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mirror {
    /// The place of the target in the inventory: the first one is asked first.
    target: usize,
    url: String,
    skip_verify: bool,
}

impl Inventory {
    /// Returns what containerd can be told of it.
    pub fn containerd_hosts(&self) -> ContainerdHosts {
        let mut hosts = ContainerdHosts::default();
        let mut mirrors: BTreeMap<&str, (&Repository, BTreeSet<Mirror>)> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| !entry.excluded) {
            for (target, _, destination) in &entry.destinations {
                if entry.source.is_same_place(destination) {
                    continue;
                }
                let Some(prefix) = prefix(&entry.source, destination) else {
                    hosts.uncovered.insert((entry.source.to_string(), destination.to_string()));
                    continue;
                };
                let found = mirrors.entry(entry.source.host().as_str());
                let (_, found) = found.or_insert_with(|| (&entry.source, BTreeSet::new()));
                let of_target = &self.targets[*target];
                if of_target.tls.as_ref().is_some_and(|tls| tls.ca_secret_name.is_some()) {
                    hosts.needs_ca.insert(destination.host().to_string());
                }
                found.insert(Mirror {
                    target: *target,
                    url: url(of_target, destination, prefix),
                    skip_verify: tls_mode(of_target) == TlsMode::SkipVerify,
                });
            }
        }
        for (host, (source, mirrors)) in mirrors {
            hosts.files.insert(host.to_owned(), file(source, &mirrors));
        }
        hosts
    }
}

/// Returns what stands before the source's path at the destination; nothing if that path is another one there.
fn prefix<'a>(source: &Repository, destination: &'a Repository) -> Option<&'a str> {
    let before = destination.path().strip_suffix(source.path())?;
    if before.is_empty() { Some("") } else { before.strip_suffix('/') }
}

fn tls_mode(target: &MirrorTarget) -> TlsMode {
    target.tls.as_ref().map(|tls| tls.mode).unwrap_or_default()
}

fn url(target: &MirrorTarget, destination: &Repository, prefix: &str) -> String {
    let scheme = if tls_mode(target) == TlsMode::PlainHttp { "http" } else { "https" };
    let slash = if prefix.is_empty() { "" } else { "/" };
    format!("{scheme}://{}/v2{slash}{prefix}", destination.host().api_host())
}

/// The text of one file. Hosts and paths have no characters that TOML would have to escape.
fn file(source: &Repository, mirrors: &BTreeSet<Mirror>) -> String {
    let mut text = format!("server = \"https://{}\"\n", source.host().api_host());
    let mut written = BTreeSet::new();
    for Mirror { url, skip_verify, .. } in mirrors {
        if !written.insert(url) {
            continue;
        }
        let _ = write!(
            text,
            "\n[host.\"{url}\"]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n"
        );
        if *skip_verify {
            text.push_str("  skip_verify = true\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ImageMirrorSpec, MirrorEntry, MirrorNaming, Tls};

    fn entry(source: &str) -> MirrorEntry {
        MirrorEntry { source: source.to_owned(), tags: vec!["1".to_owned()], ..MirrorEntry::default() }
    }

    fn hosts(template: &str, targets: Vec<MirrorTarget>, sources: &[&str]) -> ContainerdHosts {
        let spec = ImageMirrorSpec {
            targets,
            entries: sources.iter().map(|source| entry(source)).collect(),
            naming: MirrorNaming { template: Some(template.to_owned()), rules: Vec::new() },
            ..ImageMirrorSpec::default()
        };
        Inventory::read(&spec, &[]).unwrap().containerd_hosts()
    }

    fn target(repository: &str, mode: TlsMode) -> MirrorTarget {
        let tls = Some(Tls { mode, ca_secret_name: None });
        MirrorTarget { repository: repository.to_owned(), default: true, tls, ..MirrorTarget::default() }
    }

    #[test]
    fn a_registry_whose_paths_stay_has_a_file_that_names_the_targets_in_their_order() {
        let targets = vec![
            target("z.corp/mirror", TlsMode::Verify),
            target("a.corp:5000", TlsMode::PlainHttp),
            target("b.corp", TlsMode::SkipVerify),
        ];
        let hosts = hosts("{registry}/{path}", targets, &["quay.io/a/b", "quay.io/c/d", "nginx"]);
        assert!(hosts.uncovered.is_empty() && hosts.needs_ca.is_empty());
        let files: Vec<String> = hosts.files.iter().map(|(host, text)| format!("# {host}\n{text}")).collect();
        insta::assert_snapshot!(files.join("\n"));
    }

    #[test]
    fn a_repository_with_another_path_at_the_target_is_named_as_not_covered() {
        let hosts = hosts("mirrored-{org}-{name}", vec![target("a.corp", TlsMode::Verify)], &["quay.io/a/b"]);
        assert!(hosts.files.is_empty());
        let uncovered = ("quay.io/a/b".to_owned(), "a.corp/mirrored-a-b".to_owned());
        assert_eq!(hosts.uncovered, BTreeSet::from([uncovered]));
    }

    #[test]
    fn a_path_that_only_ends_alike_is_another_one() {
        let source: Repository = "quay.io/a/b".parse().unwrap();
        for (destination, expected) in
            [("x.corp/a/b", Some("")), ("x.corp/m/a/b", Some("m")), ("x.corp/za/b", None), ("x.corp/b", None)]
        {
            let destination: Repository = destination.parse().unwrap();
            assert_eq!(prefix(&source, &destination), expected);
        }
    }
}
