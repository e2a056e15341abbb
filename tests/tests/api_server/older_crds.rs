//! The agent of now with the CRD of commit 2267696, and objects that were made under that: an installation may get its
//! new CRDs before its new agent, or after it.

use std::path::PathBuf;
use std::time::Duration;

use imgop_core::api::conditions::{READY, find};
use imgop_core::api::{Image, REQUESTED_AT_ANNOTATION};
use imgop_fakes::{Catalog, CatalogRegistry};
use imgop_tests::agent_process::{AgentProcess, account, apply};
use imgop_tests::api_server::ApiServer;
use imgop_tests::{audit, programs, wait};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::process::Command;

/// `manifests/crds/images.skopeo.io.yaml` of that commit, without its descriptions. There was no other kind.
const OLDER_CRD: &str = include_str!("data/images-crd-of-2267696.json");
const NAMESPACE: &str = "team";
const DEADLINE: Duration = Duration::from_mins(2);

struct Case {
    server: ApiServer,
    client: Client,
    kubeconfig: PathBuf,
    registry: CatalogRegistry,
}

impl Case {
    /// An API server with the older CRD, where the agent may work, and a registry that holds these tags.
    async fn new(registry: Catalog) -> anyhow::Result<Self> {
        let server = ApiServer::bare().await?;
        server.install(vec![serde_json::from_str(OLDER_CRD)?]).await?;
        let kubeconfig = account(&server).await?;
        let client = server.client().await?;
        server.kubectl()?.run(["create", "namespace", NAMESPACE]).await?.ok()?;
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": { "name": "imgop-agent" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                "name": "imgop-agent-namespace" },
            "subjects": [{ "kind": "ServiceAccount", "name": "imgop-agent", "namespace": "imgop-system" }],
        }))?;
        Api::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), &binding).await?;
        Ok(Self { server, client, kubeconfig, registry: registry.start().await })
    }

    async fn agent(&self) -> anyhow::Result<AgentProcess> {
        let program = tokio::task::spawn_blocking(programs::agent).await??;
        AgentProcess::launch(&Command::new(program), &self.kubeconfig, self.server.folder(), &[])
    }

    fn images(&self) -> Api<Image> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Creates an Image of one tag, with a status if it has one already.
    async fn create(&self, name: &str, mode: &str, tag: &str, status: Option<Value>) -> anyhow::Result<()> {
        let side = |path: &str| {
            let name = format!("{}/{path}", self.registry.address);
            json!({ "name": name, "version": tag, "tls": { "mode": "PlainHTTP" } })
        };
        let image = json!({ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "metadata": { "name": name },
            "spec": { "mode": mode, "frequency": "1h", "source": side("app"), "destination": side("copy") } });
        self.images().create(&PostParams::default(), &serde_json::from_value(image)?).await?;
        if let Some(status) = status {
            let patch = Patch::Merge(json!({ "status": status }));
            self.images().patch_status(name, &PatchParams::default(), &patch).await?;
        }
        Ok(())
    }

    /// Requests a sync, and waits until it has ended. Returns the reason of the condition `Ready`.
    async fn sync(&self, name: &str, token: &str) -> anyhow::Result<String> {
        let annotations = json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: token } } });
        self.images().patch(name, &PatchParams::default(), &Patch::Merge(annotations)).await?;
        let is_handled = |image: &Image| {
            let status = image.status.as_ref();
            status.is_some_and(|status| status.last_handled_requested_at.as_deref() == Some(token))
        };
        let image =
            wait::until(&self.images(), name, "has handled the request", DEADLINE, is_handled).await?;
        Ok(reason(&image))
    }

    fn created_jobs(&self) -> anyhow::Result<usize> {
        Ok(audit::created_jobs(&self.server.audit_log(), NAMESPACE)?.len())
    }
}

fn reason(image: &Image) -> String {
    let status = image.status.as_ref();
    let ready = status.and_then(|status| find(&status.conditions, READY));
    ready.map(|ready| ready.reason.clone()).unwrap_or_default()
}

#[tokio::test]
async fn the_agent_works_under_older_crds_and_copies_nothing_again_under_new_ones() -> anyhow::Result<()> {
    let tags = [("1.0.0", "one")];
    let registry = Catalog::default().with("app", &[tags[0], ("2.0.0", "two")]).with("copy", &tags);
    let case = Case::new(registry).await?;
    let agent = case.agent().await?;
    case.create("there", "Recurrent", "1.0.0", None).await?;
    case.create("missing", "OnceByTag", "2.0.0", None).await?;
    let is_done = |image: &Image| reason(image) == "Succeeded";
    wait::until(&case.images(), "there", "is done", DEADLINE, is_done).await?;
    wait::poll("the missing tag has a Job", DEADLINE, || async {
        Ok((case.created_jobs()? == 1).then_some(()))
    })
    .await?;
    // What the older CRD does not know is not kept; that is no reason to write it again and again.
    assert_eq!(case.sync("there", "1").await?, "Succeeded");
    let before = case.images().get("there").await?.resource_version();

    apply(&case.server, "crds").await?;
    agent.ready().await?;
    assert_eq!(case.images().get("there").await?.resource_version(), before);
    assert_eq!(case.sync("there", "2").await?, "Succeeded");
    agent.stop().await?;
    let agent = case.agent().await?;
    agent.ready().await?;
    assert_eq!(case.sync("there", "3").await?, "Succeeded");
    assert_eq!(case.created_jobs()?, 1, "the one of before");
    Ok(())
}

#[tokio::test]
async fn objects_of_older_crds_are_taken_as_they_are_and_nothing_of_them_is_copied_again()
-> anyhow::Result<()> {
    // The tag has moved at the source since it was copied, which OneShot and OnceByTag leave alone.
    let registry = Catalog::default().with("app", &[("1.0.0", "two")]).with("copy", &[("1.0.0", "one")]);
    let case = Case::new(registry).await?;
    let time = "2026-01-01T00:00:00Z";
    let registry = case.registry.address.clone();
    let status = json!({
        "phase": "COMPLETED", "progress": "1/1", "observedGeneration": 1,
        "tagAlreadySynced": ["1.0.0"], "syncedFrom": format!("{registry}/app -> {registry}/copy (Staged) as 1.0.0"),
        "counts": { "matched": 1, "synced": 1, "copying": 0, "failed": 0, "kept": 0, "excluded": 0 },
        "history": [{ "performedAt": time, "copied": 1 }],
        "lastSyncTime": time, "lastSuccessfulSyncTime": time,
        "conditions": [{ "type": "Ready", "status": "True", "reason": "Succeeded", "message": "1/1",
            "observedGeneration": 1, "lastTransitionTime": time }],
    });
    for mode in ["OneShot", "OnceByTag"] {
        case.create(&mode.to_lowercase(), mode, "1.0.0", Some(status.clone())).await?;
    }
    apply(&case.server, "crds").await?;
    let agent = case.agent().await?;
    agent.ready().await?;
    assert_eq!(case.sync("oncebytag", "1").await?, "Succeeded");
    let image = case.images().get("oneshot").await?;
    assert_eq!(reason(&image), "Succeeded");
    let status = case.images().get("oncebytag").await?.status.unwrap_or_default();
    assert_eq!((status.tag_already_synced, status.history.len()), (vec!["1.0.0".to_owned()], 1));
    assert_eq!(case.created_jobs()?, 0);
    Ok(())
}
