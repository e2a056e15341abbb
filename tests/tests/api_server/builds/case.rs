//! What a test of builds works with.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use imgop_agent::controller::{self, Objects, ReadyGate, Watched};
use imgop_agent::image_builder::ImageBuilders;
use imgop_agent::metrics::Metrics;
use imgop_agent::{Agent, Config, OF_KINDS};
use imgop_core::api::conditions::{READY, find};
use imgop_core::api::{ImageBuilder, ImageBuilderStatus, MANAGED_BY, MANAGED_BY_LABEL};
use imgop_core::build::step::{PushedImage, StepReport};
use imgop_fakes::WritableRegistry;
use imgop_registry::reference::Digest;
use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;
use imgop_tests::wait;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_mins(1);

/// Agents, of which there is one at first, that build in a namespace of their own, and a registry.
pub struct Case {
    pub server: &'static ApiServer,
    pub client: Client,
    pub namespace: String,
    pub registry: Arc<WritableRegistry>,
    agents: Vec<(CancellationToken, JoinHandle<()>)>,
}

/// Gives a test a case.
pub async fn with_case(test: impl AsyncFnOnce(Case) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let server = ApiServer::shared().await?;
    let client = server.client().await?;
    with_namespace(&client.clone(), async |namespace: String| {
        let registry = Arc::new(WritableRegistry::start().await);
        let mut case = Case { server, client, namespace, registry, agents: Vec::new() };
        case.start();
        test(case).await
    })
    .await
}

impl Case {
    /// Starts an agent, beside those that run.
    pub fn start(&mut self) {
        let config = Config::parse_from([
            "imgop-agent".to_owned(),
            "--skopeo-image=unused".to_owned(),
            "--registry-loopback=true".to_owned(),
            format!("--watch-namespaces={}", self.namespace),
        ]);
        let agent = Arc::new(Agent::new(self.client.clone(), config, Metrics::new(), OF_KINDS));
        let stop = CancellationToken::new();
        tokio::spawn(agent.policies.clone().run(ReadyGate::default(), stop.clone()));
        self.agents.push((stop.clone(), tokio::spawn(run(agent, stop))));
    }

    /// Stops all, and waits until they have stopped.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        for (stop, task) in self.agents.drain(..) {
            stop.cancel();
            task.await?;
        }
        Ok(())
    }

    /// The manifest of image-operator's README, but for the registry and how it is reached.
    pub fn documented(&self, name: &str, architecture: &str) -> String {
        format!(
            "
apiVersion: buildah.io/v1alpha1
kind: ImageBuilder
metadata:
  name: {name}
  namespace: {namespace}
spec:
  architecture: {architecture}
  image:
    name: 127.0.0.1:{port}/app
    version: {name}
    useAwsIRSA: false
    tls: {{ mode: PlainHTTP }}
  resources:
    limits: {{ cpu: \"1\", memory: 8Gi }}
    requests: {{ cpu: 200m, memory: 200Mi }}
  source: |
    FROM scratch
    LABEL name={name}
",
            namespace = self.namespace,
            port = self.registry.address.port(),
        )
    }

    /// `kubectl apply`.
    pub async fn apply(&self, manifest: &str) -> anyhow::Result<()> {
        self.server.kubectl()?.apply(manifest).await?.ok()?;
        Ok(())
    }

    /// Sets an annotation.
    pub async fn annotate(&self, name: &str, annotation: &str, value: &str) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { annotation: value } } }));
        self.builders().patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Waits until the condition `Ready` has this reason for the spec as it is.
    pub async fn reason(&self, name: &str, reason: &str) -> anyhow::Result<ImageBuilderStatus> {
        let builders = self.builders();
        let builder = wait::until(&builders, name, reason, DEADLINE, |builder: &ImageBuilder| {
            let ready = builder.status.as_ref().and_then(|status| find(&status.conditions, READY));
            ready.is_some_and(|ready| {
                ready.reason == reason && ready.observed_generation == builder.metadata.generation
            })
        });
        Ok(builder.await?.status.unwrap_or_default())
    }

    /// Waits until an ImageBuilder has this number of Jobs, and returns them by platform.
    pub async fn jobs(&self, name: &str, number: usize) -> anyhow::Result<Vec<Job>> {
        let uid = self.builders().get(name).await?.uid().unwrap_or_default();
        let mut jobs = wait::poll(&format!("{name} has {number} Jobs"), DEADLINE, || async {
            let api: Api<Job> = Api::namespaced(self.client.clone(), &self.namespace);
            let mut jobs = api.list(&ListParams::default()).await?.items;
            jobs.retain(|job| {
                job.metadata.deletion_timestamp.is_none()
                    && job.owner_references().iter().any(|owner| owner.uid == uid)
            });
            Ok((jobs.len() == number).then_some(jobs))
        })
        .await?;
        jobs.sort_by_key(platform);
        Ok(jobs)
    }

    /// Lets a Job end well, having pushed an image of this architecture. Returns the digest of its manifest.
    pub async fn end_well(&self, job: &Job, architecture: &str) -> anyhow::Result<Digest> {
        let digest = self.push(architecture, &job.name_any());
        let image = Some(PushedImage { digest: digest.clone(), size: 7 });
        let pushed = StepReport { image, ..StepReport::default() };
        let well = StepReport::default();
        self.make_pod(job, [&well, &well, &pushed]).await?;
        complete(&self.client, &self.namespace, &job.name_any()).await?;
        Ok(digest)
    }

    /// Returns the tags of the repository.
    pub fn tags(&self) -> Vec<String> {
        let requests = self.registry.requests();
        let put = requests.iter().filter_map(|line| line.strip_prefix("PUT /v2/app/manifests/"));
        let mut tags: Vec<String> =
            put.filter(|tag| !tag.starts_with("sha256:")).map(str::to_owned).collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    /// Waits until the next second: Kubernetes keeps whole ones, and age decides.
    pub async fn next_second(&self) {
        let began = jiff::Timestamp::now().as_second();
        while jiff::Timestamp::now().as_second() == began {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn builders(&self) -> Api<ImageBuilder> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn push(&self, architecture: &str, content: &str) -> Digest {
        let config = json!({ "os": "linux", "architecture": architecture, "x": content }).to_string();
        let digest = Digest::of(config.as_bytes());
        self.registry.hold(&format!("/v2/app/blobs/{digest}"), &config);
        let manifest = json!({ "schemaVersion": 2,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": config.len() },
            "layers": [] });
        self.registry.hold_content("app", &manifest.to_string())
    }

    /// Makes the pod that a kubelet would have run, with what its containers report.
    async fn make_pod(&self, job: &Job, reports: [&StepReport; 3]) -> anyhow::Result<()> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let template = job.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
        let name = format!("{}-pod", job.name_any());
        let owner = json!({ "apiVersion": "batch/v1", "kind": "Job", "name": job.name_any(), "uid": job.uid(),
            "controller": true });
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": name, "labels": { MANAGED_BY_LABEL: MANAGED_BY }, "ownerReferences": [owner] },
            "spec": template.spec,
        }))?;
        api.create(&PostParams::default(), &pod).await?;
        let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second())?;
        let status = |name: &str, report: &StepReport| -> Value {
            json!({ "name": name, "image": "step", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "terminated": { "exitCode": 0, "reason": "Completed", "finishedAt": now,
                    "message": report.to_message() } } })
        };
        let [prepare, build, push] = reports;
        let patch = Patch::Merge(json!({ "status": { "phase": "Succeeded",
            "initContainerStatuses": [status("prepare", prepare), status("build", build)],
            "containerStatuses": [status("push", push)] } }));
        api.patch_status(&name, &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

fn platform(job: &Job) -> String {
    let annotation = job.annotations().get(imgop_core::api::BUILD_ANNOTATION).cloned().unwrap_or_default();
    let record: Value = serde_json::from_str(&annotation).unwrap_or_default();
    record["platform"].as_str().unwrap_or_default().to_owned()
}

async fn complete(client: &Client, namespace: &str, name: &str) -> anyhow::Result<()> {
    crate::second_kind::runner::complete(client, namespace, name).await
}

async fn run(agent: Arc<Agent>, stop: CancellationToken) {
    let namespaces = &agent.config.watch_namespaces;
    let ready_gate = ReadyGate::default();
    let jobs = tokio::spawn(agent.jobs.clone().run(namespaces.clone(), ready_gate.clone(), stop.clone()));
    agent.jobs.wait_until_known(namespaces, Duration::from_mins(1)).await;
    let builders = Watched::new(namespaces, &ready_gate);
    let kind = ImageBuilders::new(agent.clone(), builders.objects(), Objects::new([]));
    controller::run(kind, builders, stop).await;
    jobs.abort();
}
