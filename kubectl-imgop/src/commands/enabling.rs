//! What `enable` and `disable` share.

use clap::Args;

use crate::cli_error::{CliError, Kind};
use crate::cluster::Cluster;
use crate::installation::enabled::{Account, Feature};
use crate::installation::find;
use crate::kinds::object_name::parse_namespace;
use crate::output::Ui;

/// What a namespace is enabled for, besides copies of Images.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct FeatureArgs {
    /// Builds of ImageBuilders
    #[arg(long)]
    builds: bool,

    /// The agent's own AWS identity, for Images with useAwsIRSA
    #[arg(long)]
    aws: bool,
}

impl FeatureArgs {
    /// Returns what the flags name; nothing without flags.
    pub fn named(self) -> Vec<Feature> {
        let flags = [(self.builds, Feature::Builds), (self.aws, Feature::Aws)];
        flags.into_iter().filter(|(is_given, _)| *is_given).map(|(_, feature)| feature).collect()
    }

    /// Returns the same with copies, which every namespace that is enabled has.
    pub fn with(self, copies: Feature) -> Vec<Feature> {
        [copies].into_iter().chain(self.named()).collect()
    }
}

/// The agent whose account is bound.
#[derive(Debug, Clone, Default, Args)]
pub struct AgentArgs {
    /// Namespace of the agent, if there are several or you may not list Deployments
    #[arg(long, value_name = "NAMESPACE", value_parser = parse_namespace)]
    agent_namespace: Option<String>,
}

impl AgentArgs {
    /// Returns the agent's service account. Who may not look for the agent works with the one of the manifests.
    pub async fn account(&self, ui: Ui, cluster: &Cluster) -> Result<Account, CliError> {
        let given = self.agent_namespace.as_deref();
        match find(cluster, given).await {
            Ok(Some(agent)) => Ok(Account::from(&agent)),
            Ok(None) => Err(CliError::failed("imgop is not installed in this cluster")
                .hinted(format!("kubectl imgop install{}", cluster.flags))),
            Err(error) if error.kind == Kind::Forbidden => {
                let default = Account::default();
                let namespace = given.map_or(default.namespace, str::to_owned);
                let account = Account { namespace, ..Account::default() };
                if given.is_none() {
                    ui.warning(&format!(
                        "taking {} for the agent, which may not be looked for: {}",
                        account.user(),
                        error.message
                    ));
                }
                Ok(account)
            }
            Err(error) => Err(error),
        }
    }
}

/// Returns that no namespace is named. That of the context is not taken: rights are given where it was said.
pub fn missing_namespace(verb: &str) -> CliError {
    CliError::usage("missing: NAMESPACE").hinted(format!("for example: kubectl imgop {verb} team-a"))
}
