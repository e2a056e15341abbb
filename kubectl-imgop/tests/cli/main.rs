//! The plugin as its users run it: the real program, without a cluster and with a fake registry.
//!
//! What needs an API server is tested by the workspace's `tests` crate.

mod copy;
mod credentials;
mod errors;
mod fake_registry;
mod help;
mod krew;
mod preview;
mod preview_files;
mod program;
