//! How this machine reaches registries: its credentials, and what a registry's refusal means here.

mod credential_helper;
pub mod credentials;
pub mod errors;
pub mod local_access;

use imgop_registry::{Registries, Settings};

use crate::cli_error::CliError;

/// Returns the registries of this process, with the limits of its environment.
pub fn registries(no_bulk_apis: bool) -> Result<Registries, CliError> {
    let settings = Settings {
        user_agent: concat!("kubectl-imgop/", env!("CARGO_PKG_VERSION")).to_owned(),
        // Registries of local clusters have names for this machine.
        may_names_mean_loopback: true,
        ..Settings::default()
    };
    let settings = settings.with_environment(|name| std::env::var(name).ok());
    let mut settings = settings.map_err(|error| CliError::failed(error.to_string()))?;
    if no_bulk_apis {
        settings.bulk_apis.clear();
    }
    Ok(Registries::new(settings))
}
