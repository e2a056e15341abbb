//! What imgop's integration tests share: a real API server or a whole cluster, namespaces,
//! `kubectl`, the test registries and waiting.
//!
//! `tests/tests/api_server` starts etcd and kube-apiserver by itself, `tests/tests/registries` eight
//! registries. `tests/tests/end_to_end` needs the cluster that `tests/testbed/up` brings up; without one
//! its tests fail and say so, because a test that is skipped proves nothing.

pub mod agent_process;
pub mod api_server;
pub mod audit;
pub mod builds;
pub mod connect;
pub mod dashboard;
pub mod elected_agents;
pub mod environment;
pub mod examples;
pub mod helm;
pub mod image_operator;
pub mod kubectl;
pub mod leaks;
pub mod lent;
pub mod namespace;
pub mod pod_changes;
pub mod programs;
pub mod prometheus;
pub mod registry;
pub mod supervised;
pub mod tenant;
pub mod test_cluster;
pub mod tries;
pub mod wait;
pub mod workloads;

use std::path::{Path, PathBuf};

/// The scripts of `tests/testbed`.
pub fn testbed_scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testbed")
}

/// The repository.
pub fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
