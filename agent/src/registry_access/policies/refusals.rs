//! What administrators keep a namespace from, as far as that is known without asking: the labels of a namespace are read by
//! the passes of its own objects.

use imgop_core::access::{Borrower, Decision};
use imgop_core::api::RegistryAction;
use imgop_core::creation::Creation;
use imgop_registry::reference::Repository;

use super::Policies;

impl Policies {
    /// Returns whether a namespace is kept from writing to a repository, as far as that is known.
    pub fn refuses_push(&self, namespace: &str, repository: &Repository) -> bool {
        let (Ok(policy), Some(labels)) = (self.current(), self.known_labels(namespace)) else { return false };
        let borrower = Borrower { namespace, labels: &labels };
        let decision = policy.decide(borrower, repository, RegistryAction::Push);
        matches!(decision, Ok(Decision::NotSelected { .. }))
    }

    /// Returns whether a namespace is kept from having a repository created as this says; nothing where that is not known,
    /// whatever it says.
    pub fn refuses_creation(
        &self,
        namespace: &str,
        repository: &Repository,
        creation: &Creation,
    ) -> Option<bool> {
        let policy = self.current().ok()?;
        if !policy.governs(repository, RegistryAction::Push).ok()? {
            // No RegistryAccess grants an identity that could.
            return Some(true);
        }
        let labels = self.known_labels(namespace)?;
        let borrower = Borrower { namespace, labels: &labels };
        Some(match policy.decide(borrower, repository, RegistryAction::Push).ok()? {
            Decision::Granted { grant, .. } => creation.refusal(grant.aws.as_ref()).is_some(),
            Decision::Ungoverned | Decision::NotSelected { .. } => true,
        })
    }
}
