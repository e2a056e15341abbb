//! What tests of whole looks play on: an agent, a fake API server, and a fake registry.

use std::sync::{Arc, Mutex};

use axum::http::{Request as Asked, Response as Answer};
use clap::Parser as _;
use imgop_core::api::conditions::{NewCondition, RECONCILING, merge};
use imgop_core::api::{Image, ImageStatus, Mode, Phase, Tls, TlsMode};
use imgop_core::copy::Copy;
use imgop_registry::reference::Digest;
use jiff::Timestamp;
use kube::client::Body as ApiBody;
use serde_json::{Value, json};

use super::fake_registry::FakeRegistry;
use super::fixtures;
use crate::config::Config;
use crate::context::Context;
use crate::image::job::{Order, job};
use crate::metrics::Metrics;

/// An agent, and all that it talks to.
pub struct Stage {
    pub context: Context,
    pub image: Image,
    pub api: Api,
    pub registry: FakeRegistry,
}

impl Stage {
    /// A `Recurrent` Image that was synced once. Source and target are two repositories of one registry
    /// under two names, as if they were of two.
    pub async fn of_a_synced_image() -> Self {
        let (api, registry) = (Api::default(), FakeRegistry::start().await);
        let config = Config::parse_from(["imgop-agent", "--watch-namespaces=*", "--skopeo-image=skopeo:1"]);
        let context = Context::new(api.client(), config, Metrics::new()).await.unwrap();
        context.rivals.watch(Vec::new());
        let mut image = fixtures::image(Mode::Recurrent);
        let plain = Tls { mode: TlsMode::PlainHttp, ca_secret_name: None };
        image.spec.source.name = format!("127.0.0.1:{}/source", registry.address.port());
        image.spec.destination.name = format!("localhost:{}/target", registry.address.port());
        image.spec.destination.credentials = None;
        (image.spec.source.tls, image.spec.destination.tls) = (plain.clone(), plain);
        image.status = Some(ImageStatus {
            observed_generation: Some(1),
            phase: Some(Phase::Completed),
            ..ImageStatus::default()
        });
        Self { context, image, api, registry }
    }

    /// The Image says that it is at work, or tries again.
    pub fn is_reconciling(&mut self, reason: &'static str) {
        let (type_, message) = (RECONCILING, String::new());
        let reconciling = NewCondition { type_, status: Some(true), reason, message };
        let status = self.image.status.as_mut().unwrap();
        status.conditions = merge(&[], vec![reconciling], Some(1), fixtures::now());
    }

    /// The Image has a Job that copies this, and that has not ended.
    pub fn has_job(&self, copy: &Copy) {
        let request = fixtures::request(&self.image);
        let copies = std::slice::from_ref(copy);
        let mut job = job(&self.image, &request, copies, Order::FirstAlone, &self.context.config);
        job.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(began()));
        self.context.has_jobs(self.image.metadata.uid.as_deref().unwrap(), true);
        *self.api.job.lock().unwrap() = Some(serde_json::to_value(job).unwrap());
    }

    /// Kubernetes has begun with the Job and could make no pod.
    pub fn without_pod(&self) {
        self.set_job_status(json!({ "startTime": began(), "ready": 0 }));
    }

    /// The Job ends well.
    pub fn end_job(&self) {
        let complete = json!({ "type": "Complete", "status": "True", "lastTransitionTime": fixtures::now() });
        self.set_job_status(json!({ "conditions": [complete] }));
    }

    fn set_job_status(&self, status: Value) {
        self.api.job.lock().unwrap().as_mut().unwrap()["status"] = status;
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

/// What becomes of requests of this method to paths with this end.
struct Failure {
    method: &'static str,
    end: &'static str,
    code: u16,
    message: &'static str,
}

/// An API server that lets everything be done, has one Job at most, and no pod.
#[derive(Clone, Default)]
pub struct Api {
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    failures: Arc<Mutex<Vec<Failure>>>,
    job: Arc<Mutex<Option<Value>>>,
}

impl Api {
    fn client(&self) -> kube::Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Asked<ApiBody>| {
            let api = api.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = serde_json::from_slice(&body.collect_bytes().await?).unwrap_or_default();
                let (code, answer) = api.answer(parts.method.as_str(), parts.uri.path(), body);
                let answer = ApiBody::from(answer.to_string().into_bytes());
                Ok::<_, kube::Error>(Answer::builder().status(code).body(answer).unwrap())
            }
        });
        kube::Client::new(service, "default")
    }

    /// Whether requests of this method fail, as when the API server is overloaded.
    pub fn fail(&self, method: &'static str, fails: bool) {
        self.failures.lock().unwrap().retain(|failure| failure.method != method);
        if fails {
            self.fail_with(method, "", 500, "etcdserver: request timed out");
        }
    }

    /// Requests of this method to paths with this end fail so.
    pub fn fail_with(&self, method: &'static str, end: &'static str, code: u16, message: &'static str) {
        self.failures.lock().unwrap().push(Failure { method, end, code, message });
    }

    /// What was sent with this method.
    pub fn bodies(&self, method: &str) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(of, _)| of == method).map(|(_, body)| body.clone()).collect()
    }

    fn answer(&self, method: &str, path: &str, mut body: Value) -> (u16, Value) {
        self.seen.lock().unwrap().push((method.to_owned(), body.clone()));
        let failures = self.failures.lock().unwrap();
        if let Some(failure) = failures.iter().find(|f| f.method == method && path.ends_with(f.end)) {
            let Failure { code, message, .. } = *failure;
            let reason = if code == 403 { "Forbidden" } else { "InternalError" };
            let said = json!({ "kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code });
            return (code, said);
        }
        match (method, path.rsplit('/').next().unwrap_or_default()) {
            ("GET", "jobs") => {
                let jobs: Vec<Value> = self.job.lock().unwrap().iter().cloned().collect();
                (200, json!({ "kind": "JobList", "apiVersion": "batch/v1", "metadata": {}, "items": jobs }))
            }
            ("GET", "pods") => {
                (200, json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [] }))
            }
            ("POST", "selfsubjectaccessreviews") => {
                body["status"] = json!({ "allowed": true });
                (201, body)
            }
            ("PATCH", "status") => {
                body["metadata"]["name"] = "argocd".into();
                body["spec"] = serde_json::to_value(fixtures::image(Mode::Recurrent).spec).unwrap();
                (200, body)
            }
            ("DELETE", _) => (200, json!({ "kind": "Status", "status": "Success" })),
            _ => (201, body),
        }
    }
}
