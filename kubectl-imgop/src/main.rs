//! `kubectl imgop`: creates, previews, lists and triggers imgop's `Image` resources.
//!
//! One file a verb under [`commands`]. Only [`ui`] prints, only [`errors`] decides exit codes, and
//! what a preview shows is worked out by `imgop-core`, as the agent does it.

mod access;
mod age;
mod changes;
mod cli;
mod cluster_errors;
mod commands;
mod completion;
mod connection;
mod credential_helper;
mod credentials;
mod description;
mod duration;
mod errors;
mod image_args;
mod image_list;
mod image_watch;
mod job_tags;
mod names;
mod output;
mod preview;
mod progress;
mod proxy;
mod registry_errors;
mod table;
mod text;
mod ui;
mod wait;
mod waiting;
mod which_images;
mod wording;

fn main() -> std::process::ExitCode {
    // Fails only when a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::main()
}
