//! A namespace in which the agent may work, with repositories and Secrets of its own.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::FutureExt as _;
use imgop_core::api::conditions::{self, READY, STALLED};
use imgop_core::api::{
    COPIES_ANNOTATION, Credentials, Destination, Image, ImageSpec, Mode, Phase, Source, Tls, TlsMode,
};
use imgop_core::copy::CopyRecord;
use k8s_openapi::ByteString;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};

use crate::kubectl::Kubectl;
use crate::leaks::Canary;
use crate::test_cluster::{AGENT, AGENT_NAMESPACE, TestCluster};
use crate::wait::{self, say};

/// How long anything may take. Nothing here is a measurement: this only ends what hangs.
pub const DEADLINE: Duration = Duration::from_mins(3);
/// The Secret with the login of the target registry.
pub const PUSH_SECRET: &str = "push";
/// The role that lets the agent work in a namespace, and the name of its binding.
pub const ROLE: &str = "imgop-agent-namespace";
/// The Secret with the CA of the target registry.
pub const CA_SECRET: &str = "registry-ca";

/// Who mirrors images.
pub struct Tenant {
    /// Where.
    pub cluster: TestCluster,
    /// The namespace; also the first part of the path of every repository of this tenant.
    pub namespace: String,
    /// An administrator's kubectl for this namespace.
    pub kubectl: Kubectl,
}

/// Gives a test a tenant, and cleans up afterwards. What the test leaves is searched for the
/// password of the registry, and shown when the test fails.
pub async fn with_tenant(test: impl AsyncFnOnce(&Tenant) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let tenant = Tenant::new(TestCluster::with_agent().await?).await?;
    let searched = async {
        test(&tenant).await?;
        let places = tenant.leaks(&Canary::of_target(&tenant.cluster.environment)?).await?;
        ensure!(places.is_empty(), "the password leaked: {places:#?}");
        Ok(())
    };
    let result = AssertUnwindSafe(Box::pin(searched)).catch_unwind().await;
    if !matches!(result, Ok(Ok(()))) {
        tenant.show().await;
    }
    let namespaces: Api<Namespace> = Api::all(tenant.cluster.client.clone());
    let deleted = namespaces.delete(&tenant.namespace, &DeleteParams::default()).await;
    match result {
        Err(panic) => std::panic::resume_unwind(panic),
        Ok(Err(error)) => Err(error),
        // The test may have deleted it.
        Ok(Ok(())) => match deleted {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => other.map(drop).context("failed to delete the namespace"),
        },
    }
}

impl Tenant {
    async fn new(cluster: TestCluster) -> anyhow::Result<Self> {
        let metadata = ObjectMeta {
            generate_name: Some("imgop-test-".to_owned()),
            // The strictest level there is: every Job of every test lives under it.
            labels: Some([("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned())].into()),
            ..ObjectMeta::default()
        };
        let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
        let created = namespaces
            .create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() })
            .await
            .context("failed to make a namespace")?;
        let namespace = created.name_any();
        let kubectl = cluster.kubectl.in_namespace(&namespace);
        let tenant = Self { cluster, namespace, kubectl };
        tenant.bind(ROLE).await?;
        let environment = &tenant.cluster.environment;
        tenant.login(PUSH_SECRET, std::fs::read(&environment.target_authfile)?).await?;
        tenant.ca(CA_SECRET, std::fs::read(&environment.target_ca)?).await?;
        Ok(tenant)
    }

    /// Makes another tenant on the same cluster; the test deletes it.
    pub async fn beside(&self) -> anyhow::Result<Self> {
        Self::new(self.cluster.clone()).await
    }

    /// Deletes the namespace.
    pub async fn delete(&self) -> anyhow::Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.cluster.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Gives the agent a role in this namespace.
    pub async fn bind(&self, role: &str) -> anyhow::Result<()> {
        let binding = RoleBinding {
            metadata: ObjectMeta { name: Some(role.to_owned()), ..ObjectMeta::default() },
            role_ref: RoleRef {
                api_group: "rbac.authorization.k8s.io".to_owned(),
                kind: "ClusterRole".to_owned(),
                name: role.to_owned(),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".to_owned(),
                name: AGENT.to_owned(),
                namespace: Some(AGENT_NAMESPACE.to_owned()),
                api_group: None,
            }]),
        };
        let bindings: Api<RoleBinding> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        bindings.create(&PostParams::default(), &binding).await?;
        Ok(())
    }

    /// Writes a Secret with registry credentials, over one of the same name.
    pub async fn login(&self, name: &str, docker_config: Vec<u8>) -> anyhow::Result<()> {
        self.secret(name, "kubernetes.io/dockerconfigjson", [(".dockerconfigjson", docker_config)]).await
    }

    /// Writes a Secret with the CA of a registry.
    pub async fn ca(&self, name: &str, certificates: Vec<u8>) -> anyhow::Result<()> {
        self.secret(name, "Opaque", [("ca.crt", certificates)]).await
    }

    /// Writes a Secret of one key.
    pub async fn opaque(&self, name: &str, key: &str, value: &str) -> anyhow::Result<()> {
        self.secret(name, "Opaque", [(key, value.into())]).await
    }

    /// Writes a Secret with a user and a password.
    pub async fn basic_auth(&self, name: &str, user: &str, password: &str) -> anyhow::Result<()> {
        let data = [("username", user.into()), ("password", password.into())];
        self.secret(name, "kubernetes.io/basic-auth", data).await
    }

    async fn secret<const N: usize>(
        &self,
        name: &str,
        type_: &str,
        data: [(&str, Vec<u8>); N],
    ) -> anyhow::Result<()> {
        let secret = Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            type_: Some(type_.to_owned()),
            data: Some(data.map(|(key, value)| (key.to_owned(), ByteString(value))).into()),
            ..Secret::default()
        };
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        secrets.patch(name, &PatchParams::apply("imgop-tests").force(), &Patch::Apply(&secret)).await?;
        Ok(())
    }

    /// A repository of this tenant, as the registries' API takes it.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.namespace)
    }

    /// A spec that copies `source` of the source registry to `destination` of the target registry,
    /// with everything that this takes.
    pub fn spec(&self, source: &str, version: &str, destination: &str) -> ImageSpec {
        ImageSpec {
            frequency: "1h".to_owned(),
            ..ImageSpec::new(
                Mode::OnceByTag,
                Source {
                    tls: Tls { mode: TlsMode::PlainHttp, ca_secret_name: None },
                    ..Source::new(self.cluster.source.repository(&self.path(source)), version)
                },
                Destination {
                    credentials: Some(Credentials { secret_name: PUSH_SECRET.to_owned() }),
                    tls: Some(Tls { mode: TlsMode::Verify, ca_secret_name: Some(CA_SECRET.to_owned()) }),
                    ..Destination::new(self.cluster.target.repository(&self.path(destination)))
                },
            )
        }
    }

    /// The Images of this namespace.
    pub fn images(&self) -> Api<Image> {
        Api::namespaced(self.cluster.client.clone(), &self.namespace)
    }

    /// Creates an Image, or changes it.
    pub async fn apply(&self, name: &str, spec: &ImageSpec) -> anyhow::Result<Image> {
        let image = Image::new(name, spec.clone());
        let force = PatchParams::apply("imgop-tests").force();
        Ok(self.images().patch(name, &force, &Patch::Apply(&image)).await?)
    }

    /// Waits until an Image is ready.
    pub async fn ready(&self, name: &str) -> anyhow::Result<Image> {
        self.until(name, "is ready", |image| has(image, READY)).await
    }

    /// Waits until the agent has given an Image up, and says why.
    pub async fn stalled(&self, name: &str) -> anyhow::Result<(String, String)> {
        let image = self.until(name, "is stalled", |image| has(image, STALLED)).await?;
        let status = image.status.unwrap_or_default();
        let stalled = conditions::find(&status.conditions, STALLED).context("it is not stalled")?;
        Ok((stalled.reason.clone(), stalled.message.clone()))
    }

    /// Waits until a sync of an Image has ended, well or not.
    pub async fn settled(&self, name: &str) -> anyhow::Result<Image> {
        self.until(name, "has ended a sync", |image| {
            let phase = image.status.as_ref().and_then(|status| status.phase);
            matches!(phase, Some(Phase::Completed | Phase::Failed)) && is_current(image)
        })
        .await
    }

    /// Waits until something holds of an Image.
    pub async fn until(
        &self,
        name: &str,
        what: &str,
        reached: impl Fn(&Image) -> bool,
    ) -> anyhow::Result<Image> {
        wait::until(&self.images(), name, what, DEADLINE, reached).await
    }

    /// `kubectl imgop sync`, which waits for the outcome.
    pub async fn sync(&self, name: &str) -> anyhow::Result<String> {
        self.kubectl.imgop(["sync", name]).await?.ok()
    }

    /// Syncs, and says how many Jobs that made.
    pub async fn jobs_of_a_sync(&self, name: &str) -> anyhow::Result<usize> {
        let before = self.jobs().await?.len();
        self.sync(name).await?;
        Ok(self.jobs().await?.len() - before)
    }

    /// The Jobs that the agent made here.
    pub async fn jobs(&self) -> anyhow::Result<Vec<Job>> {
        let api: Api<Job> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        Ok(api.list(&ours()).await?.items)
    }

    /// Waits until Kubernetes says of every Job that it has ended.
    pub async fn jobs_ended(&self) -> anyhow::Result<()> {
        let api: Api<Job> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        for job in self.jobs().await? {
            wait::until(&api, &job.name_any(), "has ended", DEADLINE, |job| {
                let status = job.status.as_ref();
                status.and_then(|s| s.conditions.as_ref()).is_some_and(|conditions| {
                    let ends = |type_: &str| matches!(type_, "Complete" | "Failed");
                    conditions.iter().any(|c| ends(&c.type_) && c.status == "True")
                })
            })
            .await?;
        }
        Ok(())
    }

    /// The pods of those Jobs.
    pub async fn pods(&self) -> anyhow::Result<Vec<Pod>> {
        let api: Api<Pod> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        Ok(api.list(&ours()).await?.items)
    }

    /// What those Jobs copy, by their annotations.
    pub async fn copies(&self) -> anyhow::Result<Vec<CopyRecord>> {
        let mut copies = Vec::new();
        for job in self.jobs().await? {
            let text =
                job.annotations().get(COPIES_ANNOTATION).context("a Job does not say what it copies")?;
            copies.extend(serde_json::from_str::<Vec<CopyRecord>>(text)?);
        }
        Ok(copies)
    }

    /// Where a password stands in the objects of this namespace, Secrets left out, and in the logs
    /// of its pods.
    pub async fn leaks(&self, canary: &Canary) -> anyhow::Result<Vec<String>> {
        let kinds = "images.skopeo.io,imagemirrors.skopeo.io,workloadmirrors.skopeo.io,imagebuilders.buildah.io,jobs,pods,configmaps,events,events.events.k8s.io";
        let objects = self.kubectl.run(["get", kinds, "-o", "json", "--show-managed-fields"]).await?.ok()?;
        let mut places = canary.places(&objects);
        for log in self.pod_logs().await? {
            places.extend(canary.places(&log));
        }
        Ok(places)
    }

    async fn pod_logs(&self) -> anyhow::Result<Vec<String>> {
        let api: Api<Pod> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        let mut logs = Vec::new();
        for pod in self.pods().await? {
            let spec = pod.spec.clone().unwrap_or_default();
            for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
                let of = LogParams { container: Some(container.name.clone()), ..LogParams::default() };
                // A container that never ran has none.
                logs.extend(api.logs(&pod.name_any(), &of).await.ok());
            }
        }
        Ok(logs)
    }

    /// Prints everything that may tell why a test failed.
    async fn show(&self) {
        for arguments in [
            vec!["get", "simg,imagemirrors,workloadmirrors,imagebuilders,jobs,pods", "-o", "wide"],
            vec!["get", "simg,imagemirrors,workloadmirrors,imagebuilders", "-o", "yaml"],
            vec!["events"],
        ] {
            match self.kubectl.run(&arguments).await {
                Ok(output) => say(&format!("$ kubectl {}\n{}", arguments.join(" "), output.stdout)),
                Err(error) => say(&format!("{error:#}")),
            }
        }
        let log = self.cluster.agent_log().await.unwrap_or_else(|error| format!("{error:#}"));
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&self.namespace)).collect();
        say(&format!("The agent:\n{}", lines[lines.len().saturating_sub(40)..].join("\n")));
        for log in self.pod_logs().await.unwrap_or_default() {
            say(&log);
        }
    }
}

fn ours() -> ListParams {
    ListParams::default().labels("app.kubernetes.io/managed-by=imgop")
}

/// Whether the status speaks of the spec as it is now.
fn is_current(image: &Image) -> bool {
    image.status.as_ref().is_some_and(|status| status.observed_generation == image.metadata.generation)
}

fn has(image: &Image, condition: &str) -> bool {
    is_current(image) && image.status.as_ref().is_some_and(|s| conditions::is_true(&s.conditions, condition))
}
