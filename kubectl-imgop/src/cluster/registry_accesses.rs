//! What administrators say of registries, as far as the user may read it: which destinations they keep from a namespace,
//! and where its images go by default. Without the right to read it nothing is said: the agent decides all the same.

use std::cell::RefCell;
use std::collections::BTreeMap;

use imgop_core::access::{AccessPolicy, Borrower, Decision, Grant};
use imgop_core::api::{RegistryAccess, RegistryAction};
use imgop_core::default_destination::{
    Completed, Completion, Defaults, DefaultsError, IncompleteDestination, WithDestination, complete,
};
use imgop_registry::reference::Repository;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ListParams, PartialObjectMeta, Request};
use kube::{Api, Resource};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::answering::{AnsweringCluster, CallError};
use super::connection::Cluster;
use crate::cli_error::CliError;
use crate::output::Ui;

/// Labels of a namespace; none where they may not be read.
type Labels = Option<BTreeMap<String, String>>;

/// The `RegistryAccesses` of a cluster, requested once.
pub struct RegistryAccesses<'a> {
    cluster: &'a AnsweringCluster,
    policy: OnceCell<Result<AccessPolicy, CallError>>,
    labels: RefCell<BTreeMap<String, Labels>>,
}

/// Fails where the agent would refuse to push to one of these repositories for the namespace. Where the user may not read
/// what decides that, this is said.
///
/// # Errors
/// That says who keeps the namespace from it.
pub async fn refuse_where_not_allowed<'d>(
    ui: Ui,
    cluster: &Cluster,
    destinations: impl IntoIterator<Item = &'d Repository>,
) -> Result<(), CliError> {
    let answering = AnsweringCluster::new(Ok(cluster.clone()));
    let accesses = RegistryAccesses::new(&answering);
    for destination in destinations {
        if let Some(refusal) = accesses.refusal(None, destination).await {
            return Err(refusal);
        }
    }
    accesses.note_unknown(ui);
    Ok(())
}

impl<'a> RegistryAccesses<'a> {
    /// Returns those of this cluster. Nothing is requested yet.
    pub fn new(cluster: &'a AnsweringCluster) -> Self {
        Self { cluster, policy: OnceCell::new(), labels: RefCell::default() }
    }

    /// Returns the default destination of a namespace, or of that of the flags.
    ///
    /// # Errors
    /// If administrators contradict each other.
    pub async fn default_destination(
        &self,
        namespace: Option<&str>,
    ) -> Result<Option<Defaults>, DefaultsError> {
        let Some((policy, namespace, labels)) = self.of_namespace(namespace).await else { return Ok(None) };
        policy.default_destination(Borrower { namespace: &namespace, labels: &labels }, None)
    }

    /// Returns an object with the default destination of its namespace in the place of what its spec leaves open.
    ///
    /// # Errors
    /// If it names no registry, and no default that the user may read says which.
    pub async fn completed<K: WithDestination + Resource>(
        &self,
        object: K,
    ) -> Result<(K, Option<Completion>), CliError> {
        let namespace =
            object.meta().namespace.clone().or_else(|| self.cluster.namespace().map(str::to_owned));
        let defaults = self.default_destination(namespace.as_deref()).await;
        let defaults = defaults.as_ref().map(Option::as_ref);
        match complete(&object, namespace.as_deref().unwrap_or_default(), defaults) {
            Ok(Completed { object: completed, completion }) => Ok((completed.into_owned(), completion)),
            Err(error) => Err(self.incomplete(&error)),
        }
    }

    /// Returns the repository with this path below the default destination of the namespace of the flags, and whose
    /// default it is.
    ///
    /// # Errors
    /// If administrators contradict each other, or there cannot be such a repository.
    pub async fn below_default(&self, path: &str) -> Result<Option<(Repository, String)>, CliError> {
        let failed =
            |error: String| CliError::failed(format!("the default destination cannot be used: {error}"));
        let defaults = self.default_destination(None).await.map_err(|error| failed(error.to_string()))?;
        let Some(defaults) = defaults else { return Ok(None) };
        let namespace = self.cluster.namespace().unwrap_or_default();
        let repository = defaults.prefix.repository(namespace, path);
        let repository = repository.map_err(|error| failed(error.to_string()))?;
        Ok(Some((repository, defaults.origin.to_string())))
    }

    /// Returns why the agent refuses to push to a repository for a namespace, or for that of the flags; none where it does
    /// not, or where that is not known.
    pub async fn refusal(&self, namespace: Option<&str>, destination: &Repository) -> Option<CliError> {
        let (policy, namespace, labels) = self.of_namespace(namespace).await?;
        let borrower = Borrower { namespace: &namespace, labels: &labels };
        match policy.decide(borrower, destination, RegistryAction::Push) {
            Ok(Decision::NotSelected { scope }) => Some(
                CliError::failed(format!(
                    "namespace {namespace:?} may not write to {destination}: an administrator keeps {scope} for other \
                     namespaces"
                ))
                .hinted(
                    "choose another destination, or ask an administrator for a RegistryAccess with the action Push that \
                     selects this namespace",
                ),
            ),
            // What this version cannot read, the agent may.
            Ok(_) | Err(_) => None,
        }
    }

    /// Says that the user may not read what decides who may write to a destination, if that is so.
    pub fn note_unknown(&self, ui: Ui) {
        let only_the_agent = "so only the agent knows whether this namespace may write to the destination";
        if let Some(Err(CallError::Refused(status, why))) = self.policy.get()
            && status.code == 403
        {
            ui.note(&format!("RegistryAccesses may not be read, {only_the_agent}: {why}"));
        } else if let Some((namespace, _)) = self.labels.borrow().iter().find(|(_, labels)| labels.is_none())
        {
            ui.note(&format!("the labels of namespace {namespace} may not be read, {only_the_agent}"));
        }
    }

    /// Returns the error of an object without a destination, with why no default is known.
    fn incomplete(&self, error: &IncompleteDestination) -> CliError {
        let failed = CliError::failed(error.to_string());
        match self.policy.get() {
            Some(Err(CallError::Refused(_, why))) => failed.hinted(format!(
                "RegistryAccesses may give this namespace one, which is not known here: {why}"
            )),
            Some(Err(CallError::NoAnswer(why))) => {
                failed.hinted(format!("the cluster was not asked for one: {why}"))
            }
            _ => failed,
        }
    }

    /// Returns all of them, a namespace and its labels, where all that may be read.
    async fn of_namespace(
        &self,
        namespace: Option<&str>,
    ) -> Option<(&AccessPolicy, String, BTreeMap<String, String>)> {
        let policy = self.policy().await?;
        if policy.is_empty() {
            return None;
        }
        let namespace = namespace.or(self.cluster.namespace())?.to_owned();
        let known = self.labels.borrow().get(&namespace).cloned();
        let labels = if let Some(known) = known {
            known
        } else {
            let labels = self.labels_of(&namespace).await;
            self.labels.borrow_mut().insert(namespace.clone(), labels.clone());
            labels
        };
        Some((policy, namespace, labels?))
    }

    /// Returns all of them, if they may be read.
    pub async fn policy(&self) -> Option<&AccessPolicy> {
        self.policy.get_or_init(|| self.read()).await.as_ref().ok()
    }

    async fn read(&self) -> Result<AccessPolicy, CallError> {
        // As values: one that cannot be decoded hides no others, and an answer that makes no sense ends no command.
        let listed = self.cluster.ask(None, ("list", "registryaccesses.imgop.io"), async |cluster| {
            let list = Request::new(RegistryAccess::url_path(&(), None)).list(&ListParams::default());
            cluster.client.request::<Value>(list.map_err(kube::Error::BuildRequest)?).await
        });
        let mut listed = listed.await?;
        let Some(items) = listed.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take) else {
            return Err(CallError::NoAnswer("the list of RegistryAccesses cannot be read".to_owned()));
        };
        let (mut grants, mut unreadable) = (Vec::new(), Vec::new());
        for item in items {
            let name = item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            match serde_json::from_value::<RegistryAccess>(item) {
                Ok(access) => grants.push(Grant::parse(&name, &access.spec).0),
                Err(_) => unreadable.push(name),
            }
        }
        Ok(AccessPolicy::new(grants, unreadable))
    }

    async fn labels_of(&self, namespace: &str) -> Labels {
        let found = self.cluster.ask(Some(namespace), ("get", "namespaces"), async |cluster| {
            let all: Api<Namespace> = Api::all(cluster.client.clone());
            all.get_metadata(namespace).await
        });
        let found: PartialObjectMeta<Namespace> = found.await.ok()?;
        Some(found.metadata.labels.unwrap_or_default())
    }
}
