//! Secrets, read and written by name. This is the only place that does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt as _};

/// How long a Secret is believed. Many Images of a namespace name the same one, and a sync under way
/// looks several times.
const BELIEVED: Duration = Duration::from_mins(1);

/// Reads Secrets by name, each at most once a minute unless somebody wants to know.
pub struct Secrets {
    client: Client,
    known: Mutex<HashMap<Key, Known>>,
}

/// Namespace and name.
type Key = (String, String);
/// When it was read, and what it is.
type Known = (Instant, Arc<Secret>);

/// How sure somebody wants to be of a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// A minute ago is good enough.
    Believed,
    /// As it is now: somebody asked for a sync, or a registry refused what was known.
    Now,
}

/// Why a Secret was not written.
#[derive(Debug)]
pub enum KeepError {
    /// One of this name exists that somebody else owns, or of another type.
    Taken,
    /// The agent has no right to.
    NoRight,
    /// The namespace is being deleted.
    NamespaceEnds,
    /// A quota or a policy does not let it.
    Refused(String),
    /// The API server did not do it.
    Api(Box<kube::Error>),
}

impl From<kube::Error> for KeepError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.is_forbidden() => {
                let message = super::outcome::printable(&status.message);
                // RBAC speaks of a user that cannot do something; quotas and policies do not.
                let is_about_rights =
                    ["get", "create", "update"].iter().any(|verb| message.contains(&no_right_to(verb)));
                if message.contains("being terminated") {
                    Self::NamespaceEnds
                } else if is_about_rights {
                    Self::NoRight
                } else {
                    Self::Refused(message)
                }
            }
            error => Self::Api(Box::new(error)),
        }
    }
}

fn no_right_to(verb: &str) -> String {
    format!("cannot {verb} resource")
}

impl Secrets {
    /// Knows nothing yet.
    pub fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// A Secret of this namespace.
    pub async fn get(
        &self,
        namespace: &str,
        name: &str,
        freshness: Freshness,
    ) -> Result<Arc<Secret>, kube::Error> {
        let key = (namespace.to_owned(), name.to_owned());
        if freshness == Freshness::Believed
            && let Some(secret) = self.believed(&key)
        {
            return Ok(secret);
        }
        let secret = Api::<Secret>::namespaced(self.client.clone(), namespace).get(name).await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // What is not believed any more is not kept in memory either.
        known.retain(|_, (read, _)| read.elapsed() < BELIEVED);
        known.remove(&key);
        let secret = Arc::new(secret?);
        known.insert(key, (Instant::now(), secret.clone()));
        Ok(secret)
    }

    /// Sees to it that this Secret exists and holds this. One that does is not written again.
    pub async fn keep(&self, wanted: &Secret) -> Result<(), KeepError> {
        let namespace = wanted.namespace().unwrap_or_default();
        let api = Api::<Secret>::namespaced(self.client.clone(), &namespace);
        let Some(there) = api.get_opt(&wanted.name_any()).await? else {
            api.create(&PostParams::default(), wanted).await?;
            return Ok(());
        };
        if !is_same_owner(&there, wanted) || there.type_ != wanted.type_ {
            return Err(KeepError::Taken);
        }
        if there.data != wanted.data {
            let mut newer = wanted.clone();
            // Refused if somebody has changed it meanwhile.
            newer.metadata.resource_version = there.resource_version();
            api.replace(&wanted.name_any(), &PostParams::default(), &newer).await?;
        }
        Ok(())
    }

    /// Forgets the Secrets of a namespace.
    pub fn forget(&self, namespace: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(of, _), _| of != namespace);
    }

    fn believed(&self, key: &Key) -> Option<Arc<Secret>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(read, _)| read.elapsed() < BELIEVED).map(|(_, secret)| secret.clone())
    }
}

/// Names and labels are anybody's, the owner's UID is not.
fn is_same_owner(there: &Secret, wanted: &Secret) -> bool {
    let owners = |secret: &Secret| -> Vec<String> {
        let owners = secret.owner_references().iter().filter(|owner| owner.controller == Some(true));
        owners.map(|owner| owner.uid.clone()).collect()
    };
    !owners(wanted).is_empty() && owners(there) == owners(wanted)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn only_rbac_says_that_a_right_is_missing() {
        let kept = |message: &str| {
            let status = Status::failure(message, "Forbidden").with_code(403);
            KeepError::from(kube::Error::Api(Box::new(status)))
        };
        for verb in ["get", "create", "update"] {
            let said = format!(
                "secrets \"imgop-aws-1\" is forbidden: User \"system:serviceaccount:imgop:agent\" cannot {verb} \
                 resource \"secrets\" in API group \"\" in the namespace \"team-a\""
            );
            assert!(matches!(kept(&said), KeepError::NoRight), "{verb}");
        }
        let quota = "secrets \"imgop-aws-1\" is forbidden: exceeded quota: few, requested: secrets=1";
        assert!(matches!(kept(quota), KeepError::Refused(said) if said.contains("exceeded quota: few")));
        let ends = "secrets \"imgop-aws-1\" is forbidden: unable to create new content in namespace team-a \
                    because it is being terminated";
        assert!(matches!(kept(ends), KeepError::NamespaceEnds));
        let policy = "admission webhook \"policy.example.com\" denied the request: no Secrets here";
        assert!(matches!(kept(policy), KeepError::Refused(_)));
    }
}
