//! `kubectl imgop`: creates, previews, lists and triggers imgop's resources.
//!
//! Each folder uses only those below it:
//!
//! ```text
//! commands      one verb a file
//! local_copy    copies that this process carries out
//! local_build   builds on this machine
//! preview       what a copy would do          description   one object on a page
//! verification  whether both sides are equal
//! workloads     what WorkloadMirrors see, and make of it
//! diagnosis     what keeps imgop from working
//! args          the flags of each kind        complete      what a shell is offered
//! registry      how this machine reaches registries
//! installation  what is installed in the cluster, and how that is changed
//! cluster       the API server: any kind is found, applied, watched and waited for
//! manifests     what an installation consists of
//! kinds         what each kind looks like: one file a kind
//! prompts       questions on a terminal, for any verb
//! output        the only printing             cli_error     the one error and its exit codes
//! interrupts    when Ctrl-C ends it
//! ```
//!
//! What a preview shows is worked out by `imgop-core`, by the code that the agent runs too.

mod args;
mod build_check;
mod cli;
mod cli_error;
mod cluster;
mod commands;
mod complete;
mod description;
mod diagnosis;
#[cfg(test)]
mod documents;
mod installation;
mod interrupts;
mod kinds;
mod local_build;
mod local_copy;
mod manifests;
mod output;
mod preview;
mod prompts;
mod registry;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod second_kind;
#[cfg(test)]
mod verb_pages;
mod verification;
mod workloads;

fn main() -> std::process::ExitCode {
    // Fails only when a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::main()
}
