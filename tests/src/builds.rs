//! What a tenant needs to build images.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use imgop_core::api::conditions::{READY, find, is_true};
use imgop_core::api::{
    BuiltImage, Credentials, ImageBuilder, ImageBuilderSpec, ImageBuilderStatus, PullRegistry, Tls, TlsMode,
};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, LogParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::tenant::{CA_SECRET, DEADLINE, PUSH_SECRET, Tenant};
use crate::wait;

/// The name of a pod that runs an image.
const RUN: &str = "run";

impl Tenant {
    /// Lets the agent build in this namespace, as an administrator does.
    pub async fn enable_builds(&self) -> anyhow::Result<()> {
        self.bind("imgop-agent-builds").await?;
        self.enforce("privileged").await
    }

    /// Sets the level of `PodSecurity` that the namespace enforces.
    pub async fn enforce(&self, level: &str) -> anyhow::Result<()> {
        let labels = json!({ "pod-security.kubernetes.io/enforce": level });
        let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
        let namespaces: Api<Namespace> = Api::all(self.cluster.client.clone());
        namespaces.patch(&self.namespace, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Pushes busybox for two platforms to the source registry, and returns how Dockerfiles name it.
    pub async fn base_image(&self) -> anyhow::Result<String> {
        self.cluster.source.fill(&self.path("base"), &["1"], "").await?;
        Ok(format!("{}:1", self.cluster.source.repository(&self.path("base"))))
    }

    /// Returns a spec that builds a Dockerfile for linux/amd64 and pushes to the target registry, with what reaching
    /// both registries takes.
    pub fn builder(&self, dockerfile: &str, repository: &str, version: &str) -> ImageBuilderSpec {
        ImageBuilderSpec {
            platforms: vec!["linux/amd64".to_owned()],
            source: Some(dockerfile.to_owned()),
            registries: vec![PullRegistry {
                host: self.cluster.environment.source_registry.clone(),
                tls: Tls { mode: TlsMode::PlainHttp, ca_secret_name: None },
                ..PullRegistry::default()
            }],
            ..ImageBuilderSpec::new(BuiltImage {
                credentials: Some(Credentials { secret_name: PUSH_SECRET.to_owned() }),
                tls: Some(Tls { mode: TlsMode::Verify, ca_secret_name: Some(CA_SECRET.to_owned()) }),
                ..BuiltImage::new(self.cluster.target.repository(&self.path(repository)), version)
            })
        }
    }

    /// The ImageBuilders of this namespace.
    pub fn builders(&self) -> Api<ImageBuilder> {
        Api::namespaced(self.cluster.client.clone(), &self.namespace)
    }

    /// Creates an ImageBuilder, or changes it.
    pub async fn apply_builder(&self, name: &str, spec: &ImageBuilderSpec) -> anyhow::Result<ImageBuilder> {
        let builder = ImageBuilder::new(name, spec.clone());
        let force = PatchParams::apply("imgop-tests").force();
        Ok(self.builders().patch(name, &force, &Patch::Apply(&builder)).await?)
    }

    /// Waits until an image is built and has its tags.
    pub async fn built(&self, name: &str) -> anyhow::Result<ImageBuilderStatus> {
        let built = |status: &ImageBuilderStatus| is_true(&status.conditions, READY);
        self.until_builder(name, "is built", built).await
    }

    /// Waits until the condition `Ready` of an ImageBuilder has this reason, and returns its message.
    pub async fn build_fails(&self, name: &str, reason: &str) -> anyhow::Result<String> {
        let failed = |status: &ImageBuilderStatus| {
            find(&status.conditions, READY)
                .is_some_and(|ready| ready.status == "False" && ready.reason == reason)
        };
        let status = self.until_builder(name, &format!("fails with {reason}"), failed).await?;
        Ok(find(&status.conditions, READY).context("it has no condition")?.message.clone())
    }

    /// Waits until something holds of the status of an ImageBuilder, which speaks of the spec as it is.
    pub async fn until_builder(
        &self,
        name: &str,
        what: &str,
        reached: impl Fn(&ImageBuilderStatus) -> bool,
    ) -> anyhow::Result<ImageBuilderStatus> {
        let builders = self.builders();
        let builder = wait::until(&builders, name, what, DEADLINE, |builder: &ImageBuilder| {
            builder.status.as_ref().is_some_and(|status| {
                status.observed_generation == builder.metadata.generation && reached(status)
            })
        });
        builder.await?.status.context("it has no status")
    }

    /// Runs a command in an image of the target registry on the cluster's node, and returns what it prints.
    pub async fn run_image(&self, image: &str, command: &[&str]) -> anyhow::Result<String> {
        let pods: Api<Pod> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": RUN },
            "spec": {
                "restartPolicy": "Never",
                "imagePullSecrets": [{ "name": PUSH_SECRET }],
                "containers": [{ "name": RUN, "image": image, "command": command, "imagePullPolicy": "Always" }],
            },
        }))?;
        pods.create(&PostParams::default(), &pod).await?;
        let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
        let ended = wait::until(&pods, RUN, "has ended", DEADLINE, |pod: &Pod| {
            matches!(phase(pod).as_deref(), Some("Succeeded" | "Failed"))
        })
        .await?;
        let output = pods.logs(RUN, &LogParams::default()).await?;
        ensure!(phase(&ended).as_deref() == Some("Succeeded"), "{image} {command:?}: {output}");
        pods.delete(RUN, &DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() }).await?;
        wait::until_gone(&pods, RUN, Duration::from_mins(1)).await?;
        Ok(output.trim().to_owned())
    }

    /// Returns how many builds an ImageBuilder began.
    pub async fn builds(&self, name: &str) -> anyhow::Result<u64> {
        let status = self.builders().get(name).await?.status.unwrap_or_default();
        let running = status.build.map(|build| build.number);
        Ok(running
            .into_iter()
            .chain(status.history.iter().map(|build| build.number))
            .max()
            .unwrap_or_default())
    }

    /// Waits until the Dockerfile of an ImageBuilder runs, and returns its pod.
    pub async fn building(&self, name: &str) -> anyhow::Result<Pod> {
        let is_building = |pod: &&Pod| {
            let containers = pod.status.as_ref().and_then(|status| status.init_container_statuses.as_ref());
            let mut building = containers.into_iter().flatten().filter(|container| container.name == "build");
            pod.name_any().contains(name)
                && pod.metadata.deletion_timestamp.is_none()
                && building.any(|container| container.state.as_ref().is_some_and(|s| s.running.is_some()))
        };
        wait::poll(&format!("a pod of {name} builds"), DEADLINE, || async {
            Ok(self.pods().await?.iter().find(is_building).cloned())
        })
        .await
    }

    /// Waits until the agent has no pod here.
    pub async fn pods_gone(&self) -> anyhow::Result<()> {
        wait::poll("the pods are gone", DEADLINE, || async {
            Ok(self.pods().await?.is_empty().then_some(()))
        })
        .await
    }

    /// Returns the names of the pods that the agent made here.
    pub async fn pod_names(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.pods().await?.iter().map(ResourceExt::name_any).collect())
    }
}
