//! What an administrator lends to a tenant: a Secret of the agent's namespace, and what says of which registry it is.

use std::panic::AssertUnwindSafe;

use anyhow::Context as _;
use futures::FutureExt as _;
use imgop_core::api::{OWNER_UID_LABEL, RegistryAccess};
use k8s_openapi::ByteString;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::leaks::Canary;
use crate::tenant::{DEADLINE, Tenant};
use crate::test_cluster::AGENT_NAMESPACE;
use crate::wait;

/// A label of namespaces, whose value is the namespace of the tenant of a test.
pub const LENT_LABEL: &str = "imgop-test/lent";

/// What the agent keeps where it runs Jobs that use what is lent.
#[derive(Debug)]
pub struct InJobNamespace {
    /// The Jobs.
    pub jobs: Vec<Job>,
    /// Their pods.
    pub pods: Vec<Pod>,
    /// Their Secrets.
    pub secrets: Vec<Secret>,
}

/// Runs a test while there are these `RegistryAccesses`, and a Secret of the agent's namespace with the login and the CA of
/// the target registry, named as the tenant's namespace. They hold for the whole cluster, so each is to be of
/// repositories of this tenant alone.
pub async fn with_lent(
    tenant: &Tenant,
    specs: &[Value],
    test: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let client = &tenant.cluster.client;
    let accesses: Api<RegistryAccess> = Api::all(client.clone());
    let secrets: Api<Secret> = Api::namespaced(client.clone(), AGENT_NAMESPACE);
    let lends = async {
        secrets.create(&PostParams::default(), &shared_secret(tenant)?).await?;
        for (number, spec) in specs.iter().enumerate() {
            let spec = serde_json::from_value(spec.clone()).context("no spec of a RegistryAccess")?;
            let access = RegistryAccess::new(&format!("{}-{number}", tenant.namespace), spec);
            accesses.create(&PostParams::default(), &access).await?;
        }
        tenant.label(LENT_LABEL, &tenant.namespace).await?;
        test().await?;
        let places = leaks(tenant).await?;
        anyhow::ensure!(places.is_empty(), "the password leaked: {places:#?}");
        Ok(())
    };
    let result = AssertUnwindSafe(Box::pin(lends)).catch_unwind().await;
    for number in 0..specs.len() {
        // One of which it is not known whether it was created is tried too.
        accesses.delete(&format!("{}-{number}", tenant.namespace), &DeleteParams::default()).await.ok();
    }
    secrets.delete(&tenant.namespace, &DeleteParams::default()).await.ok();
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A `RegistryAccess` of repositories of the target registry below a path of this tenant, for namespaces with the label
/// of its test; more fields replace those.
pub fn lends(tenant: &Tenant, path: &str, action: &str, more: &Value) -> Value {
    let mut spec = json!({
        "hosts": [tenant.cluster.environment.target_registry],
        "repositories": [tenant.path(path)],
        "actions": [action],
        "namespaceSelector": { "matchLabels": { LENT_LABEL: tenant.namespace } },
        "secretName": tenant.namespace,
        "tls": { "caSecretName": tenant.namespace },
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    spec
}

fn shared_secret(tenant: &Tenant) -> anyhow::Result<Secret> {
    let environment = &tenant.cluster.environment;
    let (login, ca) = (std::fs::read(&environment.target_authfile)?, std::fs::read(&environment.target_ca)?);
    let data = [(".dockerconfigjson", login), ("ca.crt", ca)];
    Ok(Secret {
        metadata: ObjectMeta { name: Some(tenant.namespace.clone()), ..ObjectMeta::default() },
        type_: Some("kubernetes.io/dockerconfigjson".to_owned()),
        data: Some(data.map(|(key, value)| (key.to_owned(), ByteString(value))).into()),
        ..Secret::default()
    })
}

/// Where the password of the registry stands in objects of the agent's namespace, Secrets left out, and in the agent's log.
async fn leaks(tenant: &Tenant) -> anyhow::Result<Vec<String>> {
    let canary = Canary::of_target(&tenant.cluster.environment)?;
    let kinds = "jobs,pods,configmaps,events,events.events.k8s.io";
    let get = ["get", kinds, "--namespace", AGENT_NAMESPACE, "-o", "json", "--show-managed-fields"];
    let mut places = canary.places(&tenant.cluster.kubectl.run(get).await?.ok()?);
    places.extend(canary.places(&tenant.cluster.agent_log().await?));
    let accesses = tenant.cluster.kubectl.run(["get", "registryaccesses", "-o", "json"]).await?.ok()?;
    places.extend(canary.places(&accesses));
    Ok(places)
}

impl Tenant {
    /// Gives the namespace a label, as only an administrator may.
    pub async fn label(&self, label: &str, value: &str) -> anyhow::Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.cluster.client.clone());
        let labels = Patch::Merge(json!({ "metadata": { "labels": { label: value } } }));
        namespaces.patch(&self.namespace, &PatchParams::default(), &labels).await?;
        Ok(())
    }

    /// Deletes every Secret of the namespace.
    pub async fn delete_secrets(&self) -> anyhow::Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        for secret in secrets.list(&ListParams::default()).await?.items {
            secrets.delete(&secret.name_any(), &DeleteParams::default()).await?;
        }
        Ok(())
    }

    /// Returns the names of the Secrets of the namespace.
    pub async fn secret_names(&self) -> anyhow::Result<Vec<String>> {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client.clone(), &self.namespace);
        let listed = secrets.list(&ListParams::default()).await?;
        Ok(listed.items.iter().map(kube::ResourceExt::name_any).collect())
    }

    /// Returns what the agent keeps in its own namespace for an Image.
    pub async fn in_job_namespace(&self, image: &str) -> anyhow::Result<InJobNamespace> {
        let uid = self.images().get(image).await?.uid().unwrap_or_default();
        self.of_uid(&uid).await
    }

    /// Deletes an Image, and waits until the agent keeps nothing for it any more.
    pub async fn nothing_is_left_of(&self, image: &str) -> anyhow::Result<()> {
        let uid = self.images().get(image).await?.uid().unwrap_or_default();
        self.images().delete(image, &DeleteParams::default()).await?;
        wait::poll("nothing is left in the namespace of Jobs", DEADLINE, || async {
            let InJobNamespace { jobs, pods, secrets } = self.of_uid(&uid).await?;
            Ok((jobs.len() + pods.len() + secrets.len() == 0).then_some(()))
        })
        .await
    }

    async fn of_uid(&self, uid: &str) -> anyhow::Result<InJobNamespace> {
        let client = &self.cluster.client;
        let of = ListParams::default().labels(&format!("{OWNER_UID_LABEL}={uid}"));
        let jobs: Api<Job> = Api::namespaced(client.clone(), AGENT_NAMESPACE);
        let pods: Api<Pod> = Api::namespaced(client.clone(), AGENT_NAMESPACE);
        let secrets: Api<Secret> = Api::namespaced(client.clone(), AGENT_NAMESPACE);
        let (jobs, pods, secrets) = tokio::try_join!(jobs.list(&of), pods.list(&of), secrets.list(&of))?;
        Ok(InJobNamespace { jobs: jobs.items, pods: pods.items, secrets: secrets.items })
    }
}
