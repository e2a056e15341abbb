//! End-to-end tests on a whole Kubernetes: a real agent, real Jobs with Skopeo (or, with
//! `IMGOP_TEST_ENGINE=Native`, of the agent's own program), real registries.
//!
//! They run side by side, each with a namespace and repositories of its own. What disturbs the
//! agent is in `tests/tests/disruption`.

mod builds;
mod conflicts;
mod containerd_hosts;
mod copying;
mod dialog;
mod doctor;
mod edits;
mod engines;
mod exact_tags;
mod failures;
mod image_mirrors;
mod image_operator;
mod jobs;
mod lent;
mod mounts;
mod nested_indexes;
mod platforms;
mod plugin;
mod preview;
mod referrers;
mod registry_verbs;
mod verbs;
mod workloads;
