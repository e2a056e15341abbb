//! Creates Jobs, adopts those that exist already, and deletes them.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, PostParams, Preconditions, Request};
use kube::{Resource as _, ResourceExt as _};
use tokio::time::{sleep, timeout};

use super::Jobs;
use super::budget::Place;
use super::refusals::refusal_of_job;
use super::report::JobReport;
use super::view::JobView;
use crate::cluster::api_error::{ApiCause, ApiError};
use crate::cluster::owner::Owner;
use crate::cluster::rights::Right;
use crate::cluster::watch::{Keep, Watch, find};

/// How often a Job is tried to be created where the API server cannot create it now.
const MAX_CREATE_TRIES: u32 = 3;
/// The pause before the second try; each later one is four times as long.
const CREATE_RETRY_PAUSE: Duration = Duration::from_millis(250);
/// How long one try may take: it holds up a pass, and a webhook that does not answer takes ten seconds. A Job that
/// was created nevertheless is adopted by the next try.
const CREATE_TIMEOUT: Duration = Duration::from_secs(5);
/// Whether a Job is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It was created.
    New,
    /// It exists already, from an earlier process or try: its name is a hash of what it does.
    Adopted,
}

/// Why a Job could not be created.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobError {
    /// The namespace is being deleted.
    #[error("the namespace is being deleted")]
    NamespaceTerminating,
    /// A Job of the same name is being deleted; it can be created when that is gone.
    #[error("Job {0:?} is still being deleted")]
    StillDeleting(String),
    /// A Job of that name exists and belongs to another owner.
    #[error("a Job named {0:?} exists and is not this object's; delete it")]
    NameTaken(String),
    /// The agent has no right to create Jobs here; how to grant it.
    #[error("the agent may not create Jobs in this namespace; {0}")]
    MissingRight(String),
    /// A quota, a policy or the schema forbids the Job, or it is too large.
    #[error("the API server refuses the Job: {0}")]
    Refused(String),
    /// The API server answered several times that it cannot create the Job, as when a webhook fails.
    #[error("the API server cannot create the Job: {0}")]
    Failing(String),
    /// The API server did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl Jobs {
    /// Creates a Job in a place. One that exists and is this owner's is as good as created: its name is a hash of
    /// what it does. Tries again a few times where the API server cannot create it now.
    pub async fn create(&self, owner: &Owner, job: &Job, place: Place) -> Result<Created, JobError> {
        let mut pause = CREATE_RETRY_PAUSE;
        let mut tries = 1;
        let _awaited = self.0.store.await_answer(&job.namespace().unwrap_or_default(), &job.name_any());
        loop {
            let error = match timeout(CREATE_TIMEOUT, self.post(job)).await {
                Ok(Ok(created)) => {
                    self.0.store.insert(created);
                    place.fill();
                    return Ok(Created::New);
                }
                Ok(Err(error)) => error,
                Err(_) => create_timeout(job),
            };
            if error.cause == ApiCause::AlreadyExists {
                self.adopt(owner, job).await?;
                place.fill();
                return Ok(Created::Adopted);
            }
            let may_go_later = matches!(error.cause, ApiCause::Failing(_) | ApiCause::Conflict(_));
            if !may_go_later || tries >= MAX_CREATE_TRIES {
                return Err(self.job_error(&job.namespace().unwrap_or_default(), error));
            }
            tries += 1;
            sleep(pause).await;
            pause *= 4;
        }
    }

    async fn post(&self, job: &Job) -> Result<JobView, ApiError> {
        let namespace = job.metadata.namespace.as_deref();
        let failed = |error| ApiError::new("create", of_job(namespace, &job.name_any()), &error);
        let json = serde_json::to_vec(job).map_err(|error| failed(kube::Error::SerdeError(error)))?;
        let request = Request::new(Job::url_path(&(), namespace)).create(&PostParams::default(), json);
        let request = request.map_err(|error| failed(kube::Error::BuildRequest(error)))?;
        let mut created: JobView = self.0.client.request(request).await.map_err(failed)?;
        let Keep { labels, annotations, .. } = self.0.keep;
        created.labels_mut().retain(|key, _| labels.contains(&key.as_str()));
        created.annotations_mut().retain(|key, _| annotations.contains(&key.as_str()));
        (created.metadata.managed_fields, created.metadata.finalizers) = (None, None);
        Ok(created)
    }

    /// A Job of this name exists: it may be this owner's, from a process before this one.
    async fn adopt(&self, owner: &Owner, wanted: &Job) -> Result<(), JobError> {
        let (namespace, name) = (wanted.namespace().unwrap_or_default(), wanted.name_any());
        if let Some(known) = self.0.store.get(&namespace, &name) {
            return self.may_adopt(&known, owner, &name);
        }
        let Some(found) = self.find(&namespace, &name).await? else {
            return Err(JobError::StillDeleting(name));
        };
        self.may_adopt(&found, owner, &name)?;
        self.0.store.insert(found);
        Ok(())
    }

    async fn find(&self, namespace: &str, name: &str) -> Result<Option<JobView>, ApiError> {
        let what = Watch {
            namespace: Some(namespace.to_owned()),
            label_selector: None,
            field_selector: None,
            keep: self.0.keep,
        };
        let found = find::<JobView>(self.0.client.clone(), what, name).await;
        let found = found.map_err(|error| ApiError {
            verb: "list",
            object: of_job(Some(namespace), name),
            cause: ApiCause::Unreachable(error.to_string()),
        })?;
        Ok(found.and_then(|job| job.0.ok()))
    }

    /// Returns an error unless a Job that exists may be taken for one that an owner would create.
    fn may_adopt(&self, there: &JobView, owner: &Owner, name: &str) -> Result<(), JobError> {
        if there.owner(&self.0.lent).is_none_or(|found| found.uid != owner.uid) {
            return Err(JobError::NameTaken(name.to_owned()));
        }
        match there.metadata.deletion_timestamp {
            Some(_) => Err(JobError::StillDeleting(name.to_owned())),
            None => Ok(()),
        }
    }

    fn job_error(&self, namespace: &str, error: ApiError) -> JobError {
        match error.cause {
            ApiCause::NamespaceTerminating => JobError::NamespaceTerminating,
            ApiCause::MissingRight(_) => {
                JobError::MissingRight(self.0.rights.how_to_grant(Right::CREATE_JOBS, namespace))
            }
            ApiCause::Forbidden(message) | ApiCause::Invalid(message) => {
                JobError::Refused(refusal_of_job(message))
            }
            ApiCause::Failing(message) | ApiCause::Conflict(message) => JobError::Failing(message),
            ApiCause::NotFound => JobError::Failing(format!("namespaces {namespace:?} not found")),
            ApiCause::AlreadyExists | ApiCause::Unreachable(_) => JobError::Api(error),
        }
    }

    /// Deletes a Job and its pods, unless another one has its name by now. One that is gone already is as good as
    /// deleted.
    pub async fn delete(&self, job: &JobReport) -> Result<(), ApiError> {
        self.delete_now(&job.namespace, &job.name, job.uid.as_deref()).await
    }

    pub(super) async fn delete_now(
        &self,
        namespace: &str,
        name: &str,
        uid: Option<&str>,
    ) -> Result<(), ApiError> {
        self.delete_with(DeleteParams::background(), namespace, name, uid).await?;
        self.0.store.remove(namespace, name, uid);
        Ok(())
    }

    /// Deletes the pods of a Job, and then the Job: it is known until they have ended.
    pub async fn delete_after_pods(&self, job: &JobReport) -> Result<(), ApiError> {
        self.delete_with(DeleteParams::foreground(), &job.namespace, &job.name, job.uid.as_deref()).await
    }

    async fn delete_with(
        &self,
        params: DeleteParams,
        namespace: &str,
        name: &str,
        uid: Option<&str>,
    ) -> Result<(), ApiError> {
        let at = Request::new(Job::url_path(&(), Some(namespace)));
        let this_one = Preconditions { uid: uid.map(str::to_owned), ..Preconditions::default() };
        let deleted = match at.delete(name, &params.preconditions(this_one)) {
            // The answer may be the whole Job, which is not read.
            Ok(request) => self.0.client.request_text(request).await,
            Err(error) => Err(kube::Error::BuildRequest(error)),
        };
        if let Err(error) = deleted {
            let error = ApiError::new("delete", of_job(Some(namespace), name), &error);
            if !matches!(error.cause, ApiCause::NotFound | ApiCause::Conflict(_)) {
                return Err(error);
            }
        }
        Ok(())
    }
}

fn create_timeout(job: &Job) -> ApiError {
    let message = format!("no answer within {} seconds", CREATE_TIMEOUT.as_secs());
    let object = of_job(job.metadata.namespace.as_deref(), &job.name_any());
    ApiError { verb: "create", object, cause: ApiCause::Failing(message) }
}

fn of_job(namespace: Option<&str>, name: &str) -> String {
    format!("Job \"{}/{name}\"", namespace.unwrap_or_default())
}
