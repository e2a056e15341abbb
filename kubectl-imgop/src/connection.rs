//! The cluster that the flags and the kubeconfig mean.

use std::path::PathBuf;

use clap::Args;
use imgop_core::api::Image;
use k8s_openapi::api::core::v1::Secret;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, Config};

use crate::cluster_errors::{Call, explain};
use crate::duration::TimeLimit;
use crate::errors::CliError;
use crate::names::{parse_name, parse_namespace};
use crate::proxy::respect_no_proxy;

/// kubectl's flags for the connection.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Namespace of the Images; without it, the namespace of the context
    #[arg(short, long, value_parser = parse_namespace)]
    pub namespace: Option<String>,

    /// Context of the kubeconfig to use
    #[arg(long)]
    context: Option<String>,

    /// Cluster of the kubeconfig to use
    #[arg(long)]
    cluster: Option<String>,

    /// User of the kubeconfig to use
    #[arg(long)]
    user: Option<String>,

    /// Kubeconfig file; without it, $KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// User to impersonate
    #[arg(long = "as", value_name = "USER")]
    as_user: Option<String>,

    /// Group to impersonate; may be given several times
    #[arg(long = "as-group", value_name = "GROUP")]
    as_groups: Vec<String>,

    /// How long to wait for an answer of the API server, such as 30s; 0 means no limit
    #[arg(long, value_name = "DURATION")]
    request_timeout: Option<TimeLimit>,
}

/// A cluster that is spoken to.
#[derive(Clone)]
pub struct Cluster {
    /// Speaks to its API server.
    pub client: Client,
    /// Where things are looked for and made.
    pub namespace: String,
    /// The address of the API server.
    pub server: String,
}

impl ConnectionArgs {
    /// A client. Nothing is sent yet.
    pub async fn connect(&self) -> Result<Cluster, CliError> {
        let config = self.config().await?;
        let server = config.cluster_url.to_string();
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config)
            .map_err(|error| explain(&error, &Call::new("reach", "the cluster", &server)))?;
        Ok(Cluster { client, namespace, server })
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
            // In a pod kubectl uses the pod's own account, and so do we.
            Err(error) => match Config::incluster() {
                Ok(config) if self.names_nothing() => config,
                _ => return Err(unusable(&error)),
            },
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
        if let Some(timeout) = self.request_timeout {
            config.read_timeout = timeout.limit();
        }
        Ok(config)
    }

    fn kubeconfig(&self) -> Result<Kubeconfig, KubeconfigError> {
        if let Some(file) = &self.kubeconfig {
            return Kubeconfig::read_from(file);
        }
        // As kubectl does it, files of the list that are not there are passed over.
        let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
        let mut there = std::env::split_paths(&listed).filter(|path| path.is_file()).peekable();
        if there.peek().is_none() {
            return Kubeconfig::read();
        }
        there.try_fold(Kubeconfig::default(), |merged, path| merged.merge(Kubeconfig::read_from(path)?))
    }

    fn names_nothing(&self) -> bool {
        self.kubeconfig.is_none() && self.context.is_none() && self.cluster.is_none() && self.user.is_none()
    }
}

/// What is wrong with the kubeconfig, and what to do about it.
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
    /// The Images of the namespace.
    pub fn images(&self) -> Api<Image> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The Images of the namespace, or of all namespaces, as they are: what one of them holds that
    /// we can't read must not hide the others.
    pub fn raw_images(&self, all_namespaces: bool) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<Image>(&());
        if all_namespaces {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
        }
    }

    /// One Image.
    pub async fn image(&self, name: &str) -> Result<Image, CliError> {
        parse_name(name).map_err(CliError::usage)?;
        self.images().get(name).await.map_err(|error| self.explain("get", Some(name), &error))
    }

    /// One Secret.
    pub async fn secret(&self, name: &str) -> Result<Secret, CliError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let call = Call::new("get", "secrets", &self.server).on(Some(name), &self.namespace);
        secrets.get(name).await.map_err(|error| explain(&error, &call))
    }

    /// What a failed call for Images means for the user.
    pub fn explain(&self, verb: &str, name: Option<&str>, error: &kube::Error) -> CliError {
        explain(error, &Call::new(verb, "images.skopeo.io", &self.server).on(name, &self.namespace))
    }

    /// The same for other resources, such as `deployments.apps`.
    pub fn explain_for(&self, verb: &str, resource: &str, error: &kube::Error) -> CliError {
        explain(error, &Call::new(verb, resource, &self.server))
    }

    /// The same cluster, with another namespace unless none is given.
    #[must_use]
    pub fn in_namespace(&self, namespace: Option<&str>) -> Self {
        let namespace = namespace.unwrap_or(&self.namespace).to_owned();
        Self { namespace, ..self.clone() }
    }
}
