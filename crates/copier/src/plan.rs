//! What a destination lacks of a content, and in which order it gets that. Pure.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::hash::BuildHasher;

use imgop_registry::BlobDescriptor;
use imgop_registry::reference::Digest;

use crate::tree::Tree;

/// A blob that a destination needs.
pub type PlannedBlob = BlobDescriptor;

/// What a destination gets of a content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Its blobs, each once, the largest first: the last one to arrive should be small.
    pub blobs: Vec<PlannedBlob>,
    /// The manifests below the root, in steps: those of one step name only those of steps before.
    pub steps: Vec<Vec<Digest>>,
}

/// Works out what a destination gets that has the contents `present`, with all that they name.
pub fn plan<S: BuildHasher>(tree: &Tree, present: &HashSet<Digest, S>) -> Plan {
    let mut plan = Plan::default();
    let (mut heights, mut seen) = (std::collections::HashMap::new(), HashSet::new());
    height(tree, &tree.root, present, &mut heights);
    let mut needed: Vec<(usize, &Digest)> =
        heights.iter().map(|(digest, height)| (*height, *digest)).collect();
    needed.sort_unstable();
    for (height, digest) in needed {
        let Some(node) = tree.nodes.get(digest) else { continue };
        plan.blobs.extend(node.blobs.iter().filter(|blob| seen.insert(&blob.digest)).cloned());
        if *digest == tree.root {
            continue;
        }
        plan.steps.resize(plan.steps.len().max(height + 1), Vec::new());
        plan.steps[height].push(digest.clone());
    }
    plan.blobs.sort_by_key(|blob| (blob.is_config, Reverse(blob.size)));
    plan
}

/// Returns how many levels of manifests a destination needs below this one; none if it has it.
fn height<'a, S: BuildHasher>(
    tree: &'a Tree,
    digest: &'a Digest,
    present: &HashSet<Digest, S>,
    heights: &mut std::collections::HashMap<&'a Digest, usize>,
) -> Option<usize> {
    if present.contains(digest) {
        return None;
    }
    if let Some(known) = heights.get(digest) {
        return Some(*known);
    }
    let node = tree.nodes.get(digest)?;
    // A manifest cannot name itself, however deep: it would have to hold its own digest.
    let below = node.children.iter().filter_map(|child| height(tree, child, present, heights)).max();
    let own = below.map_or(0, |below| below + 1);
    heights.insert(digest, own);
    Some(own)
}

#[cfg(test)]
mod tests {
    use imgop_registry::Manifest;
    use proptest::prelude::*;

    use super::*;
    use crate::tree::Node;

    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

    fn image(blobs: &[u8]) -> Manifest {
        let blob = |n: &u8| format!(r#"{{"digest":"{}","size":{n}}}"#, Digest::of(&[*n]));
        let layers: Vec<String> = blobs.iter().map(blob).collect();
        let text = format!(r#"{{"config":{},"layers":[{}]}}"#, blob(&200), layers.join(","));
        Manifest::new(IMAGE, text.into())
    }

    fn index(children: &[&Manifest]) -> Manifest {
        let entry = |child: &&Manifest| {
            format!(r#"{{"digest":"{}","size":1,"mediaType":"{}"}}"#, child.digest, child.media_type)
        };
        let entries: Vec<String> = children.iter().map(entry).collect();
        Manifest::new(INDEX, format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(",")).into())
    }

    fn tree(root: &Manifest, below: &[&Manifest]) -> Tree {
        let mut tree = Tree::new(Node::new(root.clone()).unwrap());
        for manifest in below {
            tree.nodes.insert(manifest.digest.clone(), Node::new((*manifest).clone()).unwrap());
        }
        tree
    }

    #[test]
    fn children_come_before_parents_and_each_blob_once_the_largest_first() {
        let (a, b) = (image(&[1, 9]), image(&[9, 5]));
        let inner = index(&[&a]);
        let root = index(&[&inner, &b, &a]);
        let plan = plan(&tree(&root, &[&a, &b, &inner]), &HashSet::new());
        let sizes: Vec<u64> = plan.blobs.iter().map(|blob| blob.size).collect();
        assert_eq!(sizes, [9, 5, 1, 200], "the configuration last");
        let mut first = vec![a.digest, b.digest];
        first.sort();
        assert_eq!(plan.steps, [first, vec![inner.digest]]);
    }

    #[test]
    fn what_the_destination_has_is_left_out_with_all_that_it_names() {
        let (a, b) = (image(&[1]), image(&[2]));
        let root = index(&[&a, &b]);
        let there = HashSet::from([a.digest.clone()]);
        let plan = plan(&tree(&root, &[&b]), &there);
        assert_eq!(plan.steps, [vec![b.digest]]);
        assert_eq!(plan.blobs.iter().map(|blob| blob.size).collect::<Vec<_>>(), [2, 200]);
    }

    #[test]
    fn a_layer_that_no_registry_keeps_is_not_copied() {
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let layer = |urls: &str| format!(r#"{{"digest":"{a}","size":1,"mediaType":"{foreign}"{urls}}}"#);
        let of = |layer: String| {
            let text = format!(r#"{{"config":{{"digest":"{b}","size":1}},"layers":[{layer}]}}"#);
            plan(&tree(&Manifest::new(IMAGE, text.into()), &[]), &HashSet::new()).blobs.len()
        };
        assert_eq!(of(layer(r#","urls":["https://example.com/a"]"#)), 1);
        assert_eq!(of(layer("")), 2, "it can be nowhere else");
    }

    proptest! {
        #[test]
        fn whatever_is_nested_every_manifest_follows_what_it_names(edges in proptest::collection::vec(proptest::collection::vec(0_usize..20, 0..4), 1..20)) {
            let mut manifests: Vec<Manifest> = Vec::new();
            for (n, below) in edges.iter().enumerate() {
                let below: Vec<&Manifest> = below.iter().filter_map(|child| manifests.get(*child)).collect();
                let made = if below.is_empty() { image(&[u8::try_from(n).unwrap()]) } else { index(&below) };
                manifests.push(made);
            }
            let all: Vec<&Manifest> = manifests.iter().collect();
            let tree = tree(&manifests[manifests.len() - 1], &all);
            let plan = plan(&tree, &HashSet::new());
            let mut put: HashSet<Digest> = HashSet::new();
            for step in plan.steps {
                for digest in &step {
                    prop_assert!(tree.nodes[digest].children.iter().all(|child| put.contains(child)));
                }
                put.extend(step);
            }
            prop_assert!(tree.nodes[&tree.root].children.iter().all(|child| put.contains(child)));
        }
    }
}
