//! What tests of whole looks play on: an agent, a fake API server, and a fake registry.

use clap::Parser as _;
use imgop_core::api::conditions::{NewCondition, RECONCILING, merge};
use imgop_core::api::{Image, ImageStatus, Mode, Phase, Tls, TlsMode};
use imgop_core::copy::Copy;
use imgop_fakes::{ApiServer, WritableRegistry};
use imgop_registry::reference::Digest;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::fixtures;
use crate::config::Config;
use crate::context::Context;
use crate::image::job::{Order, job};
use crate::metrics::Metrics;

/// An agent, and all that it talks to.
pub struct Stage {
    pub context: Context,
    pub image: Image,
    pub api: ApiServer,
    pub registry: WritableRegistry,
}

impl Stage {
    /// A `Recurrent` Image that was synced once. Source and target are two repositories of one registry
    /// under two names, as if they were of two.
    pub async fn of_a_synced_image() -> Self {
        let (api, registry) = (ApiServer::default(), WritableRegistry::start().await);
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
        api.hold(
            "/apis/skopeo.io/v1alpha1/namespaces/team-a/images/argocd",
            serde_json::to_value(&image).unwrap(),
        );
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
        self.api.hold_list("jobs", vec![serde_json::to_value(job).unwrap()]);
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
        self.api.change_list("jobs", |jobs| jobs[0]["status"] = status);
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
