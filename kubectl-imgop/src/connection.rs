//! The cluster that the flags and the kubeconfig mean.

use std::path::PathBuf;

use clap::Args;
use imgop_core::api::Image;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::{ApiResource, DeserializeGuard, DynamicObject};
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

/// An Image, or one that this version cannot read.
pub type GuardedImage = DeserializeGuard<Image>;

/// A cluster that is spoken to.
#[derive(Clone)]
pub struct Cluster {
    /// Speaks to its API server.
    pub client: Client,
    /// Where things are looked for and made.
    pub namespace: String,
    /// The address of the API server.
    pub server: String,
    /// The flags that led here, ` --context x --as y`, for commands that are proposed. The namespace is
    /// not among them.
    pub flags: String,
}

impl ConnectionArgs {
    /// A client. Nothing is sent yet.
    pub async fn connect(&self) -> Result<Cluster, CliError> {
        let config = self.config().await?;
        let server = config.cluster_url.to_string();
        let namespace = config.default_namespace.clone();
        let flags = self.flags();
        let client = Client::try_from(config)
            .map_err(|error| explain(&error, &Call::new("reach", "the cluster", &server).with(&flags)))?;
        Ok(Cluster { client, namespace, server, flags })
    }

    /// The flags that kubectl needs too to speak to the same cluster as the same user.
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

    /// The Images of the namespace; one that we can't read comes as its name and what is wrong with it.
    pub fn guarded_images(&self) -> Api<GuardedImage> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Says that an Image can't be read.
    pub fn unreadable(&self, name: &str, why: &str) -> CliError {
        CliError::failed(format!("{name} cannot be read: {why}")).hinted(format!(
            "the CRD may be of another version of imgop; kubectl imgop version{} shows both",
            self.flags
        ))
    }

    /// One Image as it is, whatever it holds.
    pub async fn raw_image(&self, name: &str) -> Result<DynamicObject, CliError> {
        parse_name(name).map_err(CliError::usage)?;
        self.raw_images(false).get(name).await.map_err(|error| self.explain("get", Some(name), &error))
    }

    /// One Image.
    pub async fn image(&self, name: &str) -> Result<Image, CliError> {
        parse_name(name).map_err(CliError::usage)?;
        self.images().get(name).await.map_err(|error| self.explain("get", Some(name), &error))
    }

    /// Says so if the namespace does not exist. Who may not look has no answer, and no error.
    pub async fn check_namespace(&self) -> Result<(), CliError> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        match namespaces.get_metadata_opt(&self.namespace).await {
            Ok(None) => Err(CliError::failed(format!("there is no namespace {}", self.namespace))
                .hinted(format!("kubectl get namespaces{} lists those that are there", self.flags))),
            Ok(Some(_)) | Err(_) => Ok(()),
        }
    }

    /// One Secret.
    pub async fn secret(&self, name: &str) -> Result<Secret, CliError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let call = self.call("get", "secrets").on(Some(name), &self.namespace);
        secrets.get(name).await.map_err(|error| explain(&error, &call))
    }

    /// What a failed call for Images means for the user.
    pub fn explain(&self, verb: &str, name: Option<&str>, error: &kube::Error) -> CliError {
        explain(error, &self.call(verb, "images.skopeo.io").on(name, &self.namespace))
    }

    /// The same for Images of all namespaces.
    pub fn explain_for_all(&self, verb: &str, error: &kube::Error) -> CliError {
        explain(error, &self.call(verb, "images.skopeo.io").in_all_namespaces())
    }

    /// The same for other resources of the namespace, such as `jobs.batch`.
    pub fn explain_in_namespace(&self, verb: &str, resource: &str, error: &kube::Error) -> CliError {
        explain(error, &self.call(verb, resource).on(None, &self.namespace))
    }

    /// The same for resources of all namespaces, such as `deployments.apps`.
    pub fn explain_for(&self, verb: &str, resource: &str, error: &kube::Error) -> CliError {
        explain(error, &self.call(verb, resource).in_all_namespaces())
    }

    fn call<'a>(&'a self, verb: &'a str, resource: &'a str) -> Call<'a> {
        Call::new(verb, resource, &self.server).with(&self.flags)
    }

    /// ` -n ci --context x`: what a proposed command needs to mean the same place.
    pub fn place(&self) -> String {
        format!(" -n {}{}", self.namespace, self.flags)
    }

    /// The same cluster, with another namespace unless none is given.
    #[must_use]
    pub fn in_namespace(&self, namespace: Option<&str>) -> Self {
        let namespace = namespace.unwrap_or(&self.namespace).to_owned();
        Self { namespace, ..self.clone() }
    }
}

/// A word as a shell takes it.
fn shell_word(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&b);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposed_commands_repeat_how_the_cluster_was_meant() {
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
