//! The plugin as its users run it: the real program, without a cluster and with a fake registry.
//!
//! What needs an API server is tested by the workspace's `tests` crate.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests; clippy knows only functions with #[test]"
)]

mod build;
mod build_check;
#[cfg(unix)]
mod build_dialog;
mod build_inputs;
#[cfg(unix)]
mod build_pushed;
mod build_submitted;
mod builders;
mod cluster;
mod completion;
mod cookbook;
mod copy;
#[cfg(unix)]
mod copy_dialog;
#[cfg(unix)]
mod copy_interrupted;
mod copy_local;
#[cfg(unix)]
mod copy_tls;
mod credentials;
mod default_destination;
mod errors;
mod fake_cluster;
mod help;
mod history;
mod installation;
mod leading;
mod lists;
mod logs;
mod logs_lent;
mod migrate;
mod mirror;
#[cfg(unix)]
mod mirror_update;
#[cfg(unix)]
mod mirror_update_charts;
mod near_names;
#[cfg(unix)]
mod not_enabled;
#[cfg(unix)]
mod picking;
mod preview;
mod preview_arguments;
mod preview_details;
mod preview_failures;
mod preview_files;
mod preview_images;
mod preview_platforms;
mod preview_prune;
mod program;
mod registry_verbs;
mod retry;
mod run_builds;
mod run_files;
#[cfg(unix)]
mod run_watch;
mod schedules;
mod schemas;
mod sync_json;
#[cfg(unix)]
mod terminal;
mod verify;
mod workloads;
mod workloads_plan;
mod workloads_preview;
mod workloads_verify;
