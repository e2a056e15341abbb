//! What is known of a push before one: the Secrets that it needs, and what the registry answers.

use imgop_core::api::{BuildSecret, Side};
use imgop_core::build::Destination;
use imgop_core::copy::ObserveError;
use imgop_registry::{Reason, RegistryError, Unreachable};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::bases::Bases;
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::registry::errors::{ErrorContext, explain};
use crate::registry::local_access::{AccessSources, Endpoint, Origin, Role};

/// What is known of a push. A registry says only then whether it takes an image.
#[derive(Debug)]
pub enum Pushing {
    /// The registry answers, with the access of the spec.
    Answered,
    /// It cannot succeed.
    Impossible(CliError),
    /// This machine does not know: it has not read what the spec names.
    NotKnown(String),
}

impl Bases<'_> {
    /// Asks the registry for the first tag in each repository that would be written to.
    pub async fn destination(&self, destination: &Destination) -> Pushing {
        let mut asked = Vec::new();
        for (repository, tag) in &destination.tags {
            if asked.contains(&repository) {
                continue;
            }
            asked.push(repository);
            let endpoint = Endpoint {
                side: Side::Destination,
                namespace: self.namespace,
                repository,
                spec: self.spec.image.endpoint(),
                tls_flag: None,
                is_of_cluster: self.is_of_cluster,
            };
            let reached = match self.sources.reach(endpoint).await {
                Ok(reached) => reached,
                Err(error) => return Pushing::Impossible(error),
            };
            let client = self.registries.repository(repository, &reached.access);
            if let Err(error) = client.head(&tag.clone().into()).await {
                match self.judged(error, reached.origin) {
                    Pushing::Answered => {}
                    other => return other,
                }
            }
        }
        Pushing::Answered
    }

    /// Returns what is wrong with the Secrets that steps mount. One that may not be read here may be right.
    pub async fn wrong_secrets(&self, own: Option<&str>) -> Vec<String> {
        let mut wrong = Vec::new();
        let AccessSources { cluster, .. } = &self.sources;
        for BuildSecret { id, secret_name, .. } in &self.spec.secrets {
            if own == Some(secret_name.as_str()) {
                continue;
            }
            let get = async |cluster: &Cluster| {
                Api::<Secret>::namespaced(cluster.client.clone(), &cluster.namespace).get(secret_name).await
            };
            let found = cluster.ask(self.namespace, ("get", "secrets"), get).await;
            if found.is_err_and(|error| error.is_not_found()) {
                wrong.push(format!("secret {id} is in Secret {secret_name}, which does not exist"));
            }
        }
        wrong
    }

    fn judged(&self, error: RegistryError, origin: Origin) -> Pushing {
        let is_read = origin.is_of_secret || origin.secret.is_none() && !self.spec.image.use_aws_irsa;
        let knows_ca = origin.ca.is_some() || origin.ca_secret.is_none();
        let is_of_this_machine = match error.reason() {
            Reason::Unauthorized | Reason::Forbidden => !is_read,
            Reason::Unreachable(Unreachable::Tls) => !knows_ca,
            // The push makes it, or is refused then.
            Reason::RepositoryNotFound => return Pushing::Answered,
            _ => false,
        };
        let destination = Origin { role: Role::Pushed, ..origin };
        let context = ErrorContext {
            wording: self.wording,
            source: Origin::default(),
            destination,
            copies_here: false,
        };
        let explained = explain(&ObserveError::Registry { side: Side::Destination, error }, &context);
        if is_of_this_machine { Pushing::NotKnown(explained.message) } else { Pushing::Impossible(explained) }
    }
}
