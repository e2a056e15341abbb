//! An inventory of the size of rancher's: 262 entries and 2,645 tags, of which 718 Images and 7,526 rows come.

use imgop_core::api::{ImageMirrorSpec, MirrorEntry, MirrorSource, MirrorTarget, Tls, TlsMode};

use crate::registries::Registries;

/// Where entries go to, as numbers of the targets, and how many tags each has.
const SHAPES: [(usize, &[usize], usize); 8] = [
    (28, &[0], 6),
    (1, &[1], 6),
    (1, &[2], 6),
    (3, &[1, 2], 6),
    (2, &[0, 2], 6),
    (2, &[0, 1], 6),
    (1, &[0, 1], 7),
    (224, &[0, 1, 2], 10),
];
/// The last entries that have one tag more.
const WITH_ONE_MORE: usize = 176;
/// Pairs of the last entries that share a destination.
const SHARED: usize = 15;
/// The targets.
pub const TARGETS: usize = 3;

/// What is mirrored.
pub struct Inventory(Vec<Entry>);

/// One of its entries.
pub struct Entry {
    /// The path of the source.
    pub source: String,
    /// The name at the targets.
    pub name: String,
    pub tags: Vec<String>,
    pub targets: Vec<usize>,
}

impl Inventory {
    /// Returns one of that size.
    pub fn of_ranchers_size() -> Self {
        let shapes = SHAPES.iter().flat_map(|(count, targets, tags)| {
            (0..*count).map(move |nth| {
                (targets.to_vec(), tags + usize::from(*tags == 10 && nth < WITH_ONE_MORE), *tags == 10, nth)
            })
        });
        let entry = |(number, (targets, tags, is_last, nth)): (usize, (Vec<usize>, usize, bool, usize))| {
            // Two sources of one destination have no tag in common.
            let (name, minor) = match nth {
                _ if is_last && nth < SHARED => (format!("shared-{nth}"), 0),
                _ if is_last && nth < 2 * SHARED => (format!("shared-{}", nth - SHARED), 1),
                _ => (format!("mirrored-tools-widget{number}"), 0),
            };
            Entry {
                source: format!("tools/widget{number}"),
                name,
                tags: (0..tags).map(|patch| format!("v1.{minor}.{patch}")).collect(),
                targets,
            }
        };
        Self(shapes.enumerate().map(entry).collect())
    }

    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// How many Images it becomes.
    pub fn children(&self) -> usize {
        self.0.iter().map(|entry| entry.targets.len()).sum()
    }

    /// How many tags at all targets together.
    pub fn rows(&self) -> usize {
        self.0.iter().map(|entry| entry.targets.len() * entry.tags.len()).sum()
    }

    /// Returns to how many targets an entry of the spec goes.
    pub fn targets_of(&self, entry: &MirrorEntry) -> usize {
        let of = self.0.iter().find(|one| entry.source.ends_with(&one.source));
        of.map_or(0, |one| one.targets.len())
    }

    /// Returns the spec of its ImageMirror.
    pub fn spec(&self, registries: &Registries) -> ImageMirrorSpec {
        let plain = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };
        let target = |target| MirrorTarget {
            repository: registries.target(target),
            default: true,
            tls: Some(plain.clone()),
            ..MirrorTarget::default()
        };
        let entry = |entry: &Entry| MirrorEntry {
            source: format!("{}/{}", registries.source(), entry.source),
            tags: entry.tags.clone(),
            target_name: Some(entry.name.clone()),
            targets: if entry.targets.len() == TARGETS {
                Vec::new()
            } else {
                entry.targets.iter().map(|target| registries.target(*target)).collect()
            },
            ..MirrorEntry::default()
        };
        ImageMirrorSpec {
            targets: (0..TARGETS).map(target).collect(),
            entries: self.0.iter().map(entry).collect(),
            sources: vec![MirrorSource {
                registry: registries.source(),
                tls: plain.clone(),
                ..MirrorSource::default()
            }],
            frequency: "24h".to_owned(),
            ..ImageMirrorSpec::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_of_the_size_that_it_says() {
        let inventory = Inventory::of_ranchers_size();
        let tags: usize = inventory.entries().iter().map(|entry| entry.tags.len()).sum();
        assert_eq!((inventory.entries().len(), tags), (262, 2_645));
        assert_eq!((inventory.children(), inventory.rows()), (718, 7_526));
        let repositories = |wanted: &[usize]| {
            let of = |entry: &Entry| {
                entry.targets.iter().map(|target| (*target, entry.name.clone())).collect::<Vec<_>>()
            };
            let all: BTreeSet<_> = inventory.entries().iter().flat_map(of).collect();
            all.into_iter().filter(|(target, _)| wanted.contains(target)).count()
        };
        assert_eq!((repositories(&[0]), repositories(&[0, 1, 2])), (242, 673));
    }
}
