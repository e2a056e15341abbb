//! How this machine reaches registries: its credentials, and what a registry's refusal means here.

mod credential_helper;
pub mod credentials;
pub mod errors;
pub mod local_access;
pub mod one_repository;

use imgop_registry::{LoopbackAddresses, Registries, Settings};

use crate::cli_error::CliError;

/// How many requests a registry that refuses none receives at once. The first ones are few, and a 429 makes them fewer.
const REQUESTS_AT_ONCE: usize = 16;

/// Returns the registries of this process, with the limits of its environment.
pub fn registries(no_bulk_apis: bool) -> Result<Registries, CliError> {
    let mut settings = settings()?;
    if no_bulk_apis {
        settings.bulk_apis.clear();
    }
    Ok(Registries::new(settings))
}

/// Returns the settings of this program, with the limits of its environment.
pub fn settings() -> Result<Settings, CliError> {
    let settings = Settings {
        user_agent: concat!("kubectl-imgop/", env!("CARGO_PKG_VERSION")).to_owned(),
        // Registries of local clusters have names for this machine.
        loopback: LoopbackAddresses::Named,
        concurrency_per_registry: REQUESTS_AT_ONCE,
        ..Settings::default()
    };
    let settings = settings.with_environment(|name| std::env::var(name).ok());
    settings.map_err(|error| CliError::failed(error.to_string()))
}
