//! A WorkloadMirror and what it sees, without a cluster.

use std::collections::{BTreeMap, BTreeSet};

use imgop_core::api::WorkloadMirrorSpec;
use imgop_core::workloads::WorkloadRequest;
use serde_json::{Value, json};

use super::Mirrored;
use super::seen::Seen;

/// Returns the mirror `cluster` of namespace `ci`, to which another context than the current one leads. It sees nothing.
pub fn mirrored(mut spec: Value) -> Mirrored {
    spec["destination"] = json!({ "repository": "registry.corp/mirror" });
    let spec: WorkloadMirrorSpec = serde_json::from_value(spec).unwrap();
    let seen = Seen {
        namespace: "ci".to_owned(),
        used: Vec::new(),
        waiting: BTreeSet::new(),
        pods: 0,
        images: BTreeMap::new(),
        children: Vec::new(),
        targets: Vec::new(),
        node_platforms: BTreeSet::new(),
        is_complete: true,
        unseen: Vec::new(),
        notes: Vec::new(),
    };
    Mirrored {
        name: "cluster".to_owned(),
        place: " -n ci --context there".to_owned(),
        request: WorkloadRequest::parse(&spec, "ci").unwrap(),
        seen,
        failing: Vec::new(),
        has_looked_in_vain: false,
    }
}
