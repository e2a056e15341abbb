//! An object of an administrator as the watch last showed it.

use imgop_core::access::Grant;
use imgop_core::api::{RegistryAccess, RegistryAccessStatus};
use kube::{Resource as _, ResourceExt as _};

use crate::cluster::watch::Guarded;

/// A `RegistryAccess`: what it grants, and what of it a status is written with.
#[derive(Debug, Clone)]
pub struct SeenAccess {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: Option<String>,
    /// The generation of its spec.
    pub generation: Option<i64>,
    /// What it grants, or why it cannot be decoded.
    pub grant: Result<Grant, String>,
    /// What is wrong with its spec by itself: it lends nothing then, and locks its hosts.
    pub problem: Option<String>,
    /// What was reported of it; none for one that cannot be decoded.
    pub status: Option<RegistryAccessStatus>,
}

impl SeenAccess {
    /// Parses an object.
    pub(super) fn of(object: &Guarded<RegistryAccess>) -> Self {
        let (grant, problem, status) = match &object.0 {
            Ok(found) => {
                let (grant, problem) = Grant::parse(&object.name_any(), &found.spec);
                (Ok(grant), problem.map(|problem| problem.to_string()), found.status.clone())
            }
            Err(invalid) => (Err(invalid.error.clone()), None, None),
        };
        let (uid, generation) = (object.uid(), object.meta().generation);
        Self { name: object.name_any(), uid, generation, grant, problem, status }
    }

    /// Logs what is wrong with it, unless that was so before.
    pub(super) fn log_beside(&self, before: Option<&Self>) {
        let name = &self.name;
        match (&self.grant, &self.problem) {
            (Err(problem), _) if before.and_then(|before| before.grant.as_ref().err()) != Some(problem) => {
                tracing::warn!(
                    kind = "RegistryAccess",
                    name,
                    error = problem,
                    "it cannot be read; nothing is copied or built until it can"
                );
            }
            (Ok(_), Some(problem)) if before.and_then(|before| before.problem.as_ref()) != Some(problem) => {
                tracing::warn!(
                    kind = "RegistryAccess",
                    name,
                    error = problem,
                    "it lends nothing and locks its hosts"
                );
            }
            _ => {}
        }
    }
}
