//! Where images of a namespace go that name no registry as their destination.

use std::borrow::Cow;
use std::fmt::Debug;

use imgop_core::api::DefaultedDestination;
use imgop_core::default_destination::{
    Completed, Completion, Defaults, DefaultsError, IncompleteDestination, WithDestination, complete,
};
use kube::Resource;

/// The default destinations of all namespaces.
#[derive(Debug, Clone, Default)]
pub struct DefaultDestinations {
    of_all: Option<Defaults>,
}

impl DefaultDestinations {
    /// Returns those of the settings.
    pub fn new(of_all: Option<Defaults>) -> Self {
        Self { of_all }
    }

    /// Returns the default of a namespace.
    ///
    /// # Errors
    /// If administrators contradict each other.
    pub fn of(&self, namespace: &str) -> Result<Option<Defaults>, DefaultsError> {
        let _ = namespace;
        Ok(self.of_all.clone())
    }

    /// Returns an object with what its spec leaves open of its destination.
    ///
    /// # Errors
    /// If it names no registry, and no default says which.
    pub fn complete<'a, K: WithDestination + Resource>(
        &self,
        object: &'a K,
    ) -> Result<Completed<'a, K>, IncompleteDestination> {
        let namespace = object.meta().namespace.as_deref().unwrap_or_default();
        let defaults = self.of(namespace);
        complete(object, namespace, defaults.as_ref().map(Option::as_ref))
    }

    /// Returns an object likewise, as it is if that fails, and why.
    pub fn complete_if_possible<'a, K: WithDestination + Resource>(
        &self,
        object: &'a K,
    ) -> (Completed<'a, K>, Option<IncompleteDestination>) {
        match self.complete(object) {
            Ok(completed) => (completed, None),
            Err(why) => (Completed { object: Cow::Borrowed(object), completion: None }, Some(why)),
        }
    }

    /// Returns an object likewise, as it is if there is nothing to complete it with: then it is acted on nowhere.
    pub fn completed<K: WithDestination + Resource>(&self, object: K) -> K {
        match self.complete(&object).map(|completed| completed.object) {
            Ok(Cow::Owned(completed)) => completed,
            Ok(Cow::Borrowed(_)) | Err(_) => object,
        }
    }
}

/// Returns what a status says of a destination of which the spec does not say everything.
pub fn defaulted(repository: &str, completion: Option<&Completion>) -> Option<DefaultedDestination> {
    let defaults_from = completion?.origin.to_string();
    Some(DefaultedDestination { repository: repository.to_owned(), defaults_from })
}

#[cfg(test)]
mod tests {
    use imgop_core::api::{DefaultDestination, Destination, Mode};
    use imgop_core::default_destination::Origin;

    use super::*;
    use crate::image::tests::fixtures::image;

    #[test]
    fn an_object_is_completed_by_the_default_of_its_namespace_and_is_as_it_was_without_one() {
        let written = DefaultDestination { prefix: "r.example.com/{namespace}".into(), ..Default::default() };
        let of_all = Defaults::read(&written, Origin::Setting).unwrap();
        let mut open = image(Mode::Recurrent);
        open.spec.destination = Destination::default();
        let destinations = DefaultDestinations::new(Some(of_all));
        assert_eq!(
            destinations.completed(open.clone()).spec.destination.name,
            "r.example.com/team-a/argoproj/argocd"
        );
        let completed = destinations.complete(&open).unwrap();
        let shown =
            defaulted(&completed.object.spec.destination.name, completed.completion.as_ref()).unwrap();
        assert_eq!(shown.defaults_from, "DESTINATION_DEFAULT_REGISTRY");
        let none = DefaultDestinations::default();
        assert_eq!(none.completed(open.clone()), open);
        assert!(none.complete(&open).is_err());
        assert_eq!(destinations.completed(image(Mode::Recurrent)), image(Mode::Recurrent));
    }
}
