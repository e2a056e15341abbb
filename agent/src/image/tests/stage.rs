//! What tests of whole passes run on: an agent, a fake API server, and a fake registry.

use std::sync::Mutex;

use imgop_core::api::conditions::{NewCondition, RECONCILING, merge};
use imgop_core::api::{Image, ImageStatus, Mode, Phase, Tls, TlsMode};
use imgop_core::copy::{Copy, Order};
use imgop_fakes::{ApiServer, WritableRegistry};
use imgop_registry::reference::Digest;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::fixtures;
use crate::cluster::api_error::ApiError;
use crate::cluster::owner::Owner;
use crate::controller::{Objects, PassResult, Reconcile as _};
use crate::image::Images;
use crate::image::job::{JobOf, engine, job};
use crate::image::job_batches::{Batch, JobEngine};
use crate::image::memory::Memory;
use crate::image::native_job::{Reach, Resumed};

/// An agent, and all that it talks to.
pub struct Stage {
    pub images: Images,
    pub image: Image,
    pub api: ApiServer,
    pub registry: WritableRegistry,
    job: Mutex<Option<Job>>,
}

impl Stage {
    /// A `Recurrent` Image that was synced once. Source and target are two repositories of one registry
    /// under two names, as if they were of two.
    pub async fn of_a_synced_image() -> Self {
        let (api, registry) = (ApiServer::default(), WritableRegistry::start().await);
        let mut image = fixtures::image(Mode::Recurrent);
        let plain = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };
        image.spec.source.name = format!("127.0.0.1:{}/source", registry.address.port());
        image.spec.destination.name = format!("localhost:{}/target", registry.address.port());
        image.spec.destination.credentials = None;
        (image.spec.source.tls, image.spec.destination.tls) = (plain.clone(), Some(plain));
        image.status = Some(ImageStatus {
            observed_generation: Some(1),
            phase: Some(Phase::Completed),
            ..ImageStatus::default()
        });
        api.hold(
            "/apis/skopeo.io/v1alpha1/namespaces/team-a/images/argocd",
            serde_json::to_value(&image).unwrap(),
        );
        let images = Images::new(fixtures::agent(api.client()), Objects::new([]));
        Self { images, image, api, registry, job: Mutex::default() }
    }

    /// The Image says that it is at work, or tries again.
    pub fn is_reconciling(&mut self, reason: &'static str) {
        let (type_, message) = (RECONCILING, String::new());
        let reconciling = NewCondition { type_, status: Some(true), reason, message };
        let status = self.image.status.as_mut().unwrap();
        status.conditions = merge(&[], vec![reconciling], Some(1), fixtures::now());
    }

    /// One pass over the Image.
    pub async fn pass(
        &self,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Result<PassResult<ImageStatus>, ApiError> {
        Box::pin(self.images.pass(&self.image, memory, now)).await
    }

    /// The Image has a Job that copies this, and that has not ended.
    pub fn has_job(&self, copy: &Copy) {
        let named = engine(&self.image.spec, &self.images.agent.config);
        self.has_job_of(copy, JobEngine::Named(named));
    }

    /// The same with this program.
    pub fn has_job_of(&self, copy: &Copy, engine: JobEngine) {
        let (owner, request) = (Owner::of(&self.image), fixtures::request(&self.image));
        let config = &self.images.agent.config;
        let mut job = job(&JobOf {
            owner: &owner,
            spec: &self.image.spec,
            request: &request,
            batch: &Batch { engine, order: Order::FirstAlone, copies: vec![copy.clone()] },
            config,
            lent: None,
            reach: &<[Reach; 2]>::default(),
            resumed: &Resumed::default(),
        });
        job.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(began()));
        job.metadata.uid = Some(format!("uid of {}", copy.destination_tag));
        self.show(&job);
    }

    /// The Job is too large for the memory of the agent.
    pub fn is_too_large(&self) {
        let mut job = self.job.lock().unwrap().clone().unwrap();
        let large = ("large".to_owned(), "x".repeat(3 * 1024 * 1024));
        job.metadata.annotations.get_or_insert_default().extend([large]);
        self.show(&job);
    }

    /// Kubernetes has begun with the Job and could make no pod.
    pub fn without_pod(&self) {
        self.set_job_status(json!({ "startTime": began(), "ready": 0 }));
    }

    /// The Job has a pod, as old as itself.
    pub fn has_pod(&self, status: &Value) {
        self.show_pod(status, None);
    }

    /// The pod of the Job was to end long ago, and still seems to run.
    pub fn is_on_a_lost_node(&self) {
        self.show_pod(&json!({ "phase": "Running" }), Some(began()));
    }

    /// The Job ends well.
    pub fn end_job(&self) {
        let complete = json!({ "type": "Complete", "status": "True", "lastTransitionTime": fixtures::now() });
        self.set_job_status(json!({ "conditions": [complete] }));
    }

    /// The Job is being deleted, and its pod has not ended.
    pub fn is_deleting_job(&self) {
        let mut job = self.job.lock().unwrap().clone().unwrap();
        let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(fixtures::now());
        job.metadata.deletion_timestamp = Some(now);
        self.show(&job);
    }

    /// The Job is gone, with its pod.
    pub fn is_without_job(&self) {
        self.images.agent.jobs.is_gone(&self.job.lock().unwrap().take().unwrap());
    }

    fn set_job_status(&self, status: Value) {
        let mut job = self.job.lock().unwrap().clone().unwrap();
        job.status = Some(serde_json::from_value(status).unwrap());
        self.show(&job);
    }

    fn show_pod(&self, status: &Value, deleted: Option<Timestamp>) {
        let job = self.job.lock().unwrap().clone().unwrap();
        let owner = json!({ "apiVersion": "batch/v1", "kind": "Job", "controller": true,
            "uid": job.metadata.uid, "name": job.metadata.name });
        self.images.agent.jobs.show_pod(&json!({
            "metadata": { "name": "pod", "namespace": "team-a", "ownerReferences": [owner],
                "creationTimestamp": began(), "deletionTimestamp": deleted },
            "status": status,
        }));
    }

    /// The agent's watch of Jobs sends this Job.
    fn show(&self, job: &Job) {
        *self.job.lock().unwrap() = Some(job.clone());
        self.images.agent.jobs.show(job);
    }
}

/// When Jobs were made.
fn began() -> Timestamp {
    fixtures::now() - std::time::Duration::from_mins(5)
}

/// The first try of this tag, whose manifest is this text.
pub fn copy_of(tag: &str, manifest: &str) -> Copy {
    Copy { digest: Digest::of(manifest.as_bytes()), ..fixtures::copy(tag, 1) }
}
