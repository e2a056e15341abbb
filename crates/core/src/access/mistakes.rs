//! What is wrong with an object of an administrator beside the others: it lends nothing that it was written for, or
//! another one contradicts it. Whoever may write them is told so; namespaces are told what becomes of them.

use super::{AccessPolicy, Grant};
use crate::api::NamespaceSelector;
use crate::default_destination::{Defaults, InvalidDefaults, Origin};

/// What is wrong with one object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// Another object decides for all that this one was written for.
    #[error(
        "RegistryAccess {by:?} is about {place} as well, selects each of these namespaces too, and comes first by its \
         name: there this one lends nothing; narrow its namespaceSelector, or say both in one object"
    )]
    Shadowed {
        /// The other one.
        by: String,
        /// The repositories.
        place: String,
    },
    /// Another object gives the same namespaces another default.
    #[error(
        "RegistryAccess {0:?} gives the same namespaces another default destination, so they have none; take \
         spec.defaultDestination out of one of the two, or narrow a namespaceSelector"
    )]
    OtherDefault(String),
    /// Its default cannot be used.
    #[error("spec.defaultDestination cannot be used: {0}")]
    InvalidDefault(#[from] InvalidDefaults),
}

impl AccessPolicy {
    /// Returns what is wrong with an object beside the others, as far as that does not depend on which namespaces
    /// there are.
    pub fn mistakes_of(&self, grant: &Grant) -> Vec<Mistake> {
        let defaults = match self.default_mistakes(grant) {
            Ok(conflicts) => conflicts,
            Err(invalid) => vec![invalid.into()],
        };
        self.shadows(grant).into_iter().chain(defaults).collect()
    }

    /// Returns the first object that decides for a place of a grant in its stead.
    fn shadows(&self, grant: &Grant) -> Option<Mistake> {
        let earlier = self.grants().take_while(|other| other.name < grant.name);
        let covering = earlier.filter(|other| {
            other.actions.iter().any(|action| grant.actions.contains(action))
                && covers(other.namespaces.as_ref(), grant.namespaces.as_ref())
                && grant.gives_more_than(other)
        });
        covering
            .filter_map(|other| Some((other, self.shared_place(grant, other)?)))
            .next()
            .map(|(other, place)| Mistake::Shadowed { by: other.name.clone(), place })
    }

    /// Returns repositories that two objects are about, equally well.
    fn shared_place(&self, grant: &Grant, other: &Grant) -> Option<String> {
        let repository = grant.repositories.iter().find(|prefix| other.repositories.contains(prefix))?;
        let host = grant
            .hosts
            .iter()
            .find(|host| other.hosts.iter().any(|theirs| host.is_same(theirs, |name| self.names_of(name))))?;
        Some(format!("{host}/{repository}"))
    }

    fn default_mistakes(&self, grant: &Grant) -> Result<Vec<Mistake>, InvalidDefaults> {
        let Some(written) = &grant.default_destination else { return Ok(Vec::new()) };
        let own = Defaults::read(written, Origin::Setting)?;
        let (own_namespaces, mut mistakes) = (grant.defaulted.as_ref(), Vec::new());
        for other in self.grants().filter(|other| other.name != grant.name) {
            let Some(written) = &other.default_destination else { continue };
            let theirs = other.defaulted.as_ref();
            let meets = covers(theirs, own_namespaces) || covers(own_namespaces, theirs);
            if meets && Defaults::read(written, Origin::Setting).ok().as_ref() != Some(&own) {
                mistakes.push(Mistake::OtherDefault(other.name.clone()));
            }
        }
        Ok(mistakes)
    }
}

/// Returns whether each namespace that the other selector selects is certainly selected by the first, and whether there
/// may be any.
fn covers(selector: Option<&NamespaceSelector>, other: Option<&NamespaceSelector>) -> bool {
    selector.zip(other).is_some_and(|(selector, other)| selector.covers(other))
}

#[cfg(test)]
mod tests;
