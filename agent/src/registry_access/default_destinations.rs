//! Where images of a namespace go that name no registry as their destination.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use imgop_core::access::Borrower;
use imgop_core::api::DefaultedDestination;
use imgop_core::default_destination::{
    Completed, Completion, Defaults, DefaultsError, WithDestination, complete,
};
use imgop_registry::reference::Repository;
use kube::Resource;

use super::AccessError;
use super::policies::Policies;
use crate::cluster::Freshness;

/// How often an object that has nothing else to wait for is looked at again, as its default may be another one.
pub const DEFAULTS_INTERVAL: Duration = Duration::from_mins(10);

/// The default destinations of all namespaces.
pub struct DefaultDestinations {
    policies: Policies,
    of_all: Option<Defaults>,
}

impl DefaultDestinations {
    /// Returns those of these policies; namespaces to which they give none have that of all.
    pub fn new(policies: Policies, of_all: Option<Defaults>) -> Self {
        Self { policies, of_all }
    }

    /// Returns an object with what its spec leaves open of its destination.
    ///
    /// # Errors
    /// If it names no registry, and no default destination is known.
    pub async fn complete<'a, K: WithDestination + Resource>(
        &self,
        object: &'a K,
        freshness: Freshness,
    ) -> Result<Completed<'a, K>, AccessError> {
        let namespace = object.meta().namespace.as_deref().unwrap_or_default();
        let defaults = match self.of(namespace, freshness).await {
            Ok(defaults) => defaults,
            Err(error) if Repository::names_registry(object.written_destination()) => {
                // Whether it may be written to is asked later, and then not known either.
                tracing::debug!(%error, "the default destination is not known");
                Ok(None)
            }
            Err(error) => return Err(error),
        };
        Ok(complete(object, namespace, defaults.as_ref().map(Option::as_ref))?)
    }

    /// Returns an object likewise, as it is if that fails, and why. What users wait for is asked now.
    pub async fn complete_if_possible<'a, K: WithDestination + Resource>(
        &self,
        object: &'a K,
        is_new: bool,
    ) -> (Completed<'a, K>, Option<AccessError>) {
        let freshness = if is_new { Freshness::Now } else { Freshness::Cached };
        match self.complete(object, freshness).await {
            Ok(completed) => (completed, None),
            Err(why) => (Completed { object: Cow::Borrowed(object), completion: None }, Some(why)),
        }
    }

    /// Returns an object likewise, without asking: by the labels that a pass last read of its namespace, else by the default
    /// of all. It is as it is if there is nothing to complete it with: then it is acted on nowhere.
    pub fn completed<K: WithDestination + Resource>(&self, object: K) -> K {
        let namespace = object.meta().namespace.as_deref().unwrap_or_default();
        let policy = self.policies.latest();
        let labels = self.policies.known_labels(namespace).filter(|_| policy.gives_defaults());
        let defaults = match labels {
            Some(labels) => policy
                .default_destination(Borrower { namespace, labels: &labels }, self.of_all.as_ref())
                .unwrap_or_default(),
            None => self.of_all.clone(),
        };
        match complete(&object, namespace, Ok(defaults.as_ref())).map(|completed| completed.object) {
            Ok(Cow::Owned(completed)) => completed,
            Ok(Cow::Borrowed(_)) | Err(_) => object,
        }
    }

    /// Returns the default of a namespace.
    async fn of(
        &self,
        namespace: &str,
        freshness: Freshness,
    ) -> Result<Result<Option<Defaults>, DefaultsError>, AccessError> {
        let policy = self.policies.current()?;
        if !policy.gives_defaults() {
            return Ok(policy.default_destination(
                Borrower { namespace, labels: &BTreeMap::new() },
                self.of_all.as_ref(),
            ));
        }
        let labels = self.policies.labels(namespace, freshness).await?;
        Ok(policy.default_destination(Borrower { namespace, labels: &labels }, self.of_all.as_ref()))
    }
}

/// Returns what a status says of a destination of which the spec does not say everything.
pub fn defaulted(repository: &str, completion: Option<&Completion>) -> Option<DefaultedDestination> {
    let defaults_from = completion?.origin.to_string();
    Some(DefaultedDestination { repository: repository.to_owned(), defaults_from })
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{Destination, Mode, RegistryAccess, RegistryAccessSpec};
    use imgop_fakes::ApiServer;
    use serde_json::json;

    use super::*;
    use crate::image::tests::fixtures::image;

    /// A `RegistryAccess` that gives the namespaces of a team this default.
    fn access(name: &str, team: &str, prefix: &str) -> RegistryAccess {
        let spec: RegistryAccessSpec = serde_json::from_value(json!({
            "hosts": ["r.example.com"], "repositories": ["/"], "actions": ["Pull"],
            "namespaceSelector": { "matchLabels": { "team": team } },
            "defaultDestination": { "prefix": prefix },
        }))
        .unwrap();
        RegistryAccess::new(name, spec)
    }

    /// The default destinations where namespace `team-a` is of team `a`.
    fn destinations(accesses: &[RegistryAccess]) -> DefaultDestinations {
        let api = ApiServer::default();
        let metadata = json!({ "name": "team-a", "labels": { "team": "a" } });
        api.hold("/api/v1/namespaces/team-a", json!({ "metadata": metadata }));
        let policies = Policies::new(api.client());
        policies.show(accesses);
        DefaultDestinations::new(policies, None)
    }

    async fn completed(destinations: &DefaultDestinations) -> Result<(String, String), String> {
        let mut open = image(Mode::Recurrent);
        open.spec.destination = Destination::default();
        let completed =
            destinations.complete(&open, Freshness::Cached).await.map_err(|error| error.to_string())?;
        let name = completed.object.spec.destination.name.clone();
        let shown = defaulted(&name, completed.completion.as_ref()).unwrap();
        assert_eq!(destinations.completed(open).spec.destination.name, name, "others see it there too");
        Ok((shown.repository, shown.defaults_from))
    }

    #[tokio::test]
    async fn an_object_is_completed_by_the_default_that_selects_its_namespace() {
        let theirs = access("theirs", "b", "s.example.com");
        let both = destinations(&[access("corp", "a", "r.example.com/{namespace}"), theirs.clone()]);
        let expected = ("r.example.com/team-a/argoproj/argocd".to_owned(), "RegistryAccess/corp".to_owned());
        assert_eq!(completed(&both).await, Ok(expected));
        assert!(completed(&destinations(&[theirs])).await.unwrap_err().contains("no administrator has set"));
    }

    #[tokio::test]
    async fn two_defaults_of_one_namespace_are_refused_with_both_names_and_a_named_registry_needs_none() {
        let contradicting = [access("one", "a", "r.example.com"), access("two", "a", "s.example.com")];
        let destinations = destinations(&contradicting);
        let said = completed(&destinations).await.unwrap_err();
        assert!(said.contains(r#"RegistryAccess "one" and RegistryAccess "two""#), "{said}");
        let named = image(Mode::Recurrent);
        let completed = destinations.complete(&named, Freshness::Cached).await.unwrap();
        assert_eq!(completed.object.as_ref(), &named);
    }

    #[tokio::test]
    async fn before_it_is_known_what_administrators_say_no_image_goes_anywhere_by_default() {
        let unknown = DefaultDestinations::new(Policies::new(ApiServer::default().client()), None);
        assert!(completed(&unknown).await.unwrap_err().contains("not listed yet"));
        let named = image(Mode::Recurrent);
        assert!(unknown.complete(&named, Freshness::Cached).await.is_ok());
    }
}
