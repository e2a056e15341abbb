//! The cluster that the flags and the kubeconfig lead to.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::Args;
use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::errors::{Call, explain};
use super::proxy::respect_no_proxy;
use super::time_limit::TimeLimit;
use crate::cli_error::CliError;
use crate::kinds::object_name::parse_namespace;
use crate::output::text::shell_word;

/// kubectl's flags for the connection.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Namespace to use; by default that of the context
    #[arg(short, long, global = true, value_parser = parse_namespace)]
    pub namespace: Option<String>,

    /// Context of the kubeconfig to use
    #[arg(long, global = true)]
    context: Option<String>,

    /// Cluster of the kubeconfig to use
    #[arg(long, global = true)]
    cluster: Option<String>,

    /// User of the kubeconfig to use
    #[arg(long, global = true)]
    user: Option<String>,

    /// Kubeconfig file; by default $KUBECONFIG or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// User to impersonate
    #[arg(long = "as", global = true, value_name = "USER")]
    as_user: Option<String>,

    /// Group to impersonate; may be given several times
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    as_groups: Vec<String>,

    /// How long to wait for the API server to answer, such as 30s; 0 means no limit
    #[arg(long, global = true, value_name = "DURATION")]
    request_timeout: Option<TimeLimit>,

    /// Whether a program of the kubeconfig that logs in may neither ask nor print.
    #[arg(skip)]
    is_silent: bool,
}

/// A connection to a cluster.
#[derive(Clone)]
pub struct Cluster {
    /// The client of its API server.
    pub client: Client,
    /// The namespace to work in.
    pub namespace: String,
    /// The address of the API server.
    pub server: String,
    /// The flags that led here, ` --context x --as y`, for commands that are proposed; without the
    /// namespace.
    pub flags: String,
}

impl ConnectionArgs {
    /// Lets no program of the kubeconfig that logs in ask the user, or print.
    #[must_use]
    pub fn without_questions(self) -> Self {
        Self { is_silent: true, ..self }
    }

    /// Returns the flags that are given, for a verb that asks no cluster.
    pub fn given(&self) -> String {
        let namespace = self.namespace.as_ref().map(|namespace| format!(" -n {namespace}"));
        format!("{}{}", namespace.unwrap_or_default(), self.flags()).trim_start().to_owned()
    }

    /// Returns a client. Nothing is sent yet.
    pub async fn connect(&self) -> Result<Cluster, CliError> {
        let config = self.config().await?;
        let server = config.cluster_url.to_string();
        let namespace = config.default_namespace.clone();
        let flags = self.flags();
        let client = Client::try_from(config)
            .map_err(|error| explain(&error, &Call::new("reach", "the cluster", &server).with(&flags)))?;
        Ok(Cluster { client, namespace, server, flags })
    }

    /// Returns the flags by which kubectl too reaches the same cluster as the same user.
    fn flags(&self) -> String {
        let kubeconfig = self.kubeconfig.as_ref().map(|file| file.display().to_string());
        let given = [
            ("--kubeconfig", kubeconfig.as_ref()),
            ("--context", self.context.as_ref()),
            ("--cluster", self.cluster.as_ref()),
            ("--user", self.user.as_ref()),
            ("--as", self.as_user.as_ref()),
        ];
        let groups = self.as_groups.iter().map(|group| ("--as-group", group));
        let given = given.into_iter().filter_map(|(flag, value)| Some((flag, value?)));
        let words = given.chain(groups).map(|(flag, value)| format!(" {flag} {}", shell_word(value)));
        words.collect::<Vec<_>>().concat()
    }

    async fn config(&self) -> Result<Config, CliError> {
        let mut config = match self.kubeconfig() {
            Ok(kubeconfig) => {
                let options = KubeConfigOptions {
                    context: self.context.clone(),
                    cluster: self.cluster.clone(),
                    user: self.user.clone(),
                };
                Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|e| unusable(&e))?
            }
            // In a pod kubectl uses the pod's own ServiceAccount; so does this program.
            Err(error) if self.has_no_kubeconfig(&error, std::env::var_os("KUBECONFIG").as_deref()) => {
                Config::incluster().map_err(|_| unusable(&error))?
            }
            Err(error) => return Err(unusable(&error)),
        };
        respect_no_proxy(&mut config, |name| std::env::var(name).ok());
        if let Some(namespace) = &self.namespace {
            config.default_namespace.clone_from(namespace);
        }
        if let Some(user) = &self.as_user {
            config.auth_info.impersonate = Some(user.clone());
        }
        if !self.as_groups.is_empty() {
            config.auth_info.impersonate_groups = Some(self.as_groups.clone());
        }
        if let (true, Some(exec)) = (self.is_silent, &mut config.auth_info.exec) {
            exec.interactive_mode = Some(ExecInteractiveMode::Never);
        }
        if let Some(timeout) = self.request_timeout {
            config.read_timeout = timeout.limit();
        }
        Ok(config)
    }

    /// Reads the kubeconfig.
    pub fn kubeconfig(&self) -> Result<Kubeconfig, KubeconfigError> {
        if let Some(file) = &self.kubeconfig {
            return Kubeconfig::read_from(file);
        }
        // As in kubectl, files of the list that do not exist are skipped.
        let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
        let mut there = std::env::split_paths(&listed).filter(|path| path.is_file()).peekable();
        if there.peek().is_none() {
            return Kubeconfig::read();
        }
        there.try_fold(Kubeconfig::default(), |merged, path| merged.merge(Kubeconfig::read_from(path)?))
    }

    /// Returns whether there is no kubeconfig at all, so that the pod's own cluster may be used. One that is
    /// named and cannot be used must not lead to another cluster.
    fn has_no_kubeconfig(&self, error: &KubeconfigError, variable: Option<&OsStr>) -> bool {
        let names_nothing = self.kubeconfig.is_none()
            && self.context.is_none()
            && self.cluster.is_none()
            && self.user.is_none();
        let is_absent = match error {
            KubeconfigError::ReadConfig(why, _) => why.kind() == std::io::ErrorKind::NotFound,
            KubeconfigError::FindPath => true,
            _ => false,
        };
        names_nothing && variable.is_none_or(OsStr::is_empty) && is_absent
    }
}

/// Returns what is wrong with the kubeconfig, and what to do about it.
fn unusable(error: &KubeconfigError) -> CliError {
    let message = match error {
        KubeconfigError::ReadConfig(why, path) => format!("cannot read {}: {why}", path.display()),
        KubeconfigError::CurrentContextNotSet => "the kubeconfig names no current context".to_owned(),
        KubeconfigError::LoadContext(name) => format!("the kubeconfig has no context {name:?}"),
        KubeconfigError::LoadClusterOfContext(name) => format!("the kubeconfig has no cluster {name:?}"),
        other => format!("the kubeconfig cannot be used: {other}"),
    };
    let hint = match error {
        KubeconfigError::LoadContext(_) | KubeconfigError::CurrentContextNotSet => {
            "kubectl config get-contexts lists the contexts; choose one with --context"
        }
        _ => "name the cluster with --kubeconfig, --context or $KUBECONFIG, as for kubectl",
    };
    CliError::failed(message).hinted(hint)
}

impl Cluster {
    /// Returns ` -n ci --context x`: what a proposed command needs to lead to the same place.
    pub fn place(&self) -> String {
        format!(" -n {}{}", self.namespace, self.flags)
    }

    /// Returns the same cluster with another namespace, if one is given.
    #[must_use]
    pub fn in_namespace(&self, namespace: Option<&str>) -> Self {
        let namespace = namespace.unwrap_or(&self.namespace).to_owned();
        Self { namespace, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_there_is_no_kubeconfig_at_all_a_pod_uses_its_own_cluster() {
        use std::io::{Error, ErrorKind};
        let failed = |kind: ErrorKind| KubeconfigError::ReadConfig(Error::from(kind), "config".into());
        let nothing = ConnectionArgs::default();
        assert!(nothing.has_no_kubeconfig(&failed(ErrorKind::NotFound), None));
        assert!(nothing.has_no_kubeconfig(&KubeconfigError::FindPath, Some(OsStr::new(""))));
        let named = Some(OsStr::new("/secrets/prod.yaml"));
        assert!(!nothing.has_no_kubeconfig(&failed(ErrorKind::NotFound), named));
        for broken in [failed(ErrorKind::PermissionDenied), KubeconfigError::CurrentContextNotSet] {
            assert!(!nothing.has_no_kubeconfig(&broken, None), "{broken}");
        }
        let context = ConnectionArgs { context: Some("prod".to_owned()), ..ConnectionArgs::default() };
        assert!(!context.has_no_kubeconfig(&failed(ErrorKind::NotFound), None));
    }

    #[test]
    fn proposed_commands_repeat_how_the_cluster_was_selected() {
        let args = ConnectionArgs {
            namespace: Some("ci".to_owned()),
            context: Some("prod".to_owned()),
            kubeconfig: Some("my configs/it's".into()),
            as_user: Some("system:serviceaccount:ci:bot".to_owned()),
            as_groups: vec!["a".to_owned(), "b".to_owned()],
            ..ConnectionArgs::default()
        };
        insta::assert_snapshot!(args.flags(), @r" --kubeconfig 'my configs/it'\''s' --context prod --as system:serviceaccount:ci:bot --as-group a --as-group b");
        assert_eq!(ConnectionArgs::default().flags(), "");
    }
}
