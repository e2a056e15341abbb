//! How an object of arguments is submitted.

use clap::{Args, ValueEnum};

/// Flags of verbs that create or update an object.
#[derive(Debug, Clone, Default, Args)]
pub struct SubmitArgs {
    /// Only print what would be submitted (client), or have the API server check it too (server)
    #[arg(long, value_enum, value_name = "WHERE", require_equals = true, num_args = 0..=1,
        default_missing_value = "client")]
    pub dry_run: Option<DryRun>,

    /// Take over fields that other managers own
    #[arg(long)]
    pub force_conflicts: bool,
}

/// Where a dry run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Submit it (the default)
    None,
    /// Send nothing to the cluster
    Client,
    /// The API server validates it without storing it
    Server,
}

impl DryRun {
    /// Returns what is added to the report of what was done.
    pub fn remark(dry_run: Option<Self>) -> &'static str {
        match dry_run {
            Some(Self::Client) => " (dry run)",
            Some(Self::Server) => " (server dry run)",
            Some(Self::None) | None => "",
        }
    }
}
