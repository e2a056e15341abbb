//! Jobs that use what administrators lend. They run in a namespace of the agent's, with files in a Secret that belongs to
//! the Job, and are deleted with the object of another namespace that they are for.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt as _};

use super::Jobs;
use super::budget::Place;
use super::create::{Created, JobError};
use crate::cluster::api_error::ApiCause;
use crate::cluster::owner::Owner;
use crate::cluster::rights::Right;
use crate::cluster::secrets::{EnsureError, Secrets};

impl Jobs {
    /// Creates a Job and the Secret that it mounts. The Job is there first, since the Secret goes with it; its pod waits
    /// for the Secret. A Job whose Secret is never written, as where the process ends between the two, is one that does
    /// not start: it is given up and tried again. Of one that was adopted it is not known what it has done: it stays.
    pub async fn create_with_secret(
        &self,
        owner: &Owner,
        job: &Job,
        place: Place,
        secrets: &Secrets,
        mut secret: Secret,
    ) -> Result<Created, JobError> {
        let created = self.create(owner, job, place).await?;
        let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
        let uid = self.0.store.get(&namespace, &name).and_then(|job| job.metadata.uid.clone());
        let Some(uid) = uid else { return Err(JobError::StillDeleting(name)) };
        secret.metadata.owner_references = Some(vec![OwnerReference {
            api_version: Job::api_version(&()).into_owned(),
            kind: Job::kind(&()).into_owned(),
            name: name.clone(),
            uid: uid.clone(),
            controller: Some(true),
            block_owner_deletion: None,
        }]);
        let Err(error) = secrets.ensure(&secret).await else { return Ok(created) };
        if created == Created::New {
            self.delete_now(&namespace, &name, Some(&uid)).await?;
        }
        Err(match error {
            EnsureError::Taken(name) => JobError::NameTaken(name),
            EnsureError::Api(error) => match error.cause {
                ApiCause::MissingRight(_) => {
                    JobError::MissingRight(self.0.rights.how_to_grant(Right::CREATE_LENT_SECRETS, &namespace))
                }
                ApiCause::Forbidden(message) | ApiCause::Invalid(message) => JobError::Refused(message),
                // Its Secret is still there.
                ApiCause::Conflict(_) => JobError::StillDeleting(name),
                _ => JobError::Api(error),
            },
        })
    }

    /// Deletes the Jobs that use what is lent and whose owner is an object of a kind that is gone. What fails is tried
    /// again by a later call.
    pub async fn delete_lent<K: Resource<DynamicType = ()>>(&self, is_gone: impl Fn(&Owner) -> bool) {
        for job in self.0.store.lent() {
            if !job.owner.is_a::<K>() || !is_gone(&job.owner) {
                continue;
            }
            if let Err(error) = self.delete_now(&self.0.lent, &job.name, job.uid.as_deref()).await {
                tracing::warn!(%error, "a Job whose owner is gone is not deleted yet");
            }
        }
    }

    /// Returns whether there are Jobs that use what is lent.
    pub fn has_lent(&self) -> bool {
        !self.0.store.lent().is_empty()
    }
}

#[cfg(test)]
mod tests;
