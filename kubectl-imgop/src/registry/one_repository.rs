//! One repository that is asked on its own, with the credentials of this machine.

use std::path::PathBuf;

use clap::Args;
use imgop_core::api::{Side, TlsMode};
use imgop_core::copy::ObserveError;
use imgop_registry::reference::Repository;
use imgop_registry::{Access, Registries, RegistryError, RepositoryClient, Tls};

use super::credentials::LocalCredentials;
use super::errors::{ErrorContext, explain};
use super::local_access::{LocalAccessArgs, LocalCredentialArgs, Origin, Role, trusting};
use crate::cli_error::CliError;
use crate::output::Ui;
use crate::output::wording::Wording;

/// Flags for how a repository is reached.
#[derive(Debug, Clone, Default, Args)]
pub struct OneRepositoryArgs {
    #[command(flatten)]
    credentials: LocalCredentialArgs,

    /// How to secure the connection
    #[arg(
        long,
        alias = "source-tls",
        help_heading = "Registries",
        value_enum,
        ignore_case = true,
        value_name = "MODE"
    )]
    tls: Option<TlsMode>,

    /// File with additional CA certificates (PEM)
    #[arg(long, alias = "source-ca-file", value_name = "FILE", help_heading = "Registries")]
    ca_file: Option<PathBuf>,
}

impl OneRepositoryArgs {
    /// Reads the credential files.
    pub fn credentials(&self) -> Result<LocalCredentials, CliError> {
        self.credentials.read()
    }

    /// Returns how the flag secures the connection.
    pub fn tls(&self) -> Option<TlsMode> {
        self.tls
    }

    /// Returns the same flags for both sides of a copy.
    pub fn of_both_sides(&self) -> LocalAccessArgs {
        LocalAccessArgs::of_both_sides(self.credentials.clone(), self.ca_file.as_ref())
    }

    /// Returns the client of a repository.
    pub async fn client(
        &self,
        ui: Ui,
        registries: &Registries,
        local: &LocalCredentials,
        repository: &Repository,
    ) -> Result<RepositoryClient, CliError> {
        let access = self.access(ui, local, repository).await?;
        Ok(registries.repository(repository, &access))
    }

    /// Returns how a repository is reached.
    pub async fn access(
        &self,
        ui: Ui,
        local: &LocalCredentials,
        repository: &Repository,
    ) -> Result<Access, CliError> {
        let tls = match (self.tls, &self.ca_file) {
            (Some(TlsMode::SkipVerify), _) => Tls::SkipVerify,
            (Some(TlsMode::PlainHttp), _) => Tls::PlainHttp,
            (Some(TlsMode::Verify) | None, Some(file)) => trusting(file)?,
            (Some(TlsMode::Verify), None) => Tls::VerifyEverywhere,
            (None, None) => Tls::default(),
        };
        let credential = local.find(ui, repository, false).await?;
        Ok(Access { credential, tls, ..Access::default() })
    }

    /// Returns what an error of the repository means, with hints.
    pub fn explain(&self, error: RegistryError) -> CliError {
        let ca = self.ca_file.as_ref().map(|file| file.display().to_string());
        let source = Origin { ca, role: Role::Alone, ..Origin::default() };
        let context = ErrorContext {
            wording: Wording::Flags,
            source,
            destination: Origin::default(),
            copies_here: false,
        };
        let explained = explain(&ObserveError::Registry { side: Side::Source, error }, &context);
        let message = explained.message.strip_prefix("source: ").unwrap_or(&explained.message).to_owned();
        CliError { message, ..explained }
    }
}
