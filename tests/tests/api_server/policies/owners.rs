//! What looks like the agent's own is the agent's own.

use imgop_core::api::{
    COPIES_ANNOTATION, JOB_NAME_LABEL, MANAGED_BY, MANAGED_BY_LABEL, OWNER_ANNOTATION, OWNER_UID_LABEL,
    ROUTE_ANNOTATION,
};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Case, Kind, refusal, refused, with_case};

/// What the role `admin` of Kubernetes gives in a namespace, as far as it matters here.
fn tenant() -> Value {
    json!([
        { "apiGroups": ["skopeo.io", "buildah.io"], "resources": ["*"], "verbs": ["*"] },
        { "apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["*"] },
        { "apiGroups": [""], "resources": ["secrets", "pods"], "verbs": ["*"] },
    ])
}

fn owner(controller: bool) -> Value {
    json!([{ "apiVersion": "skopeo.io/v1alpha1", "kind": "Image", "name": "app",
        "uid": "00000000-0000-0000-0000-000000000001", "controller": controller }])
}

fn pod_spec() -> Value {
    json!({ "restartPolicy": "Never", "containers": [{ "name": "copy-0", "image": "example.com/a" }] })
}

/// A Job as the agent makes them.
fn job(name: &str) -> Value {
    json!({
        "metadata": { "name": name, "ownerReferences": owner(true),
            "labels": { MANAGED_BY_LABEL: MANAGED_BY, OWNER_UID_LABEL: "1" },
            "annotations": { COPIES_ANNOTATION: "[]", ROUTE_ANNOTATION: "a b" } },
        "spec": { "template": { "spec": pod_spec() } },
    })
}

async fn create<K>(case: &Case, client: &Client, object: &Value, dry_run: bool) -> Result<(), Error>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + DeserializeOwned,
{
    let object: K = serde_json::from_value(object.clone()).map_err(Error::SerdeError)?;
    let api: Api<K> = Api::namespaced(client.clone(), &case.namespace);
    api.create(&PostParams { dry_run, ..PostParams::default() }, &object).await.map(drop)
}

async fn patch_job(case: &Case, client: &Client, change: &Value) -> anyhow::Result<Option<String>> {
    let jobs: Api<Job> = Api::namespaced(client.clone(), &case.namespace);
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    refusal(jobs.patch("ours", &params, &Patch::Merge(change)).await.map(drop))
}

#[tokio::test]
async fn only_the_agent_makes_jobs_and_secrets_that_an_image_or_a_builder_controls() -> anyhow::Result<()> {
    with_case(async |case| {
        let alice = case.user("alice", tenant()).await?;
        let agent = case.account("imgop-system", "imgop-agent", "imgop-agent-namespace").await?;
        super::accepted(|| async { create::<Job>(case, &agent, &job("of-the-agent"), true).await }).await?;
        let builds = case.account("imgop-system", "of-builds", "imgop-agent-builds").await?;
        super::accepted(|| async { create::<Job>(case, &builds, &job("of-builds"), true).await }).await?;

        refused("metadata.ownerReferences", || async { create::<Job>(case, &alice, &job("forged"), true).await }).await?;
        let mut by_builder = job("forged");
        by_builder["metadata"]["ownerReferences"][0]["apiVersion"] = "buildah.io/v1beta9".into();
        refused("metadata.ownerReferences", || create::<Job>(case, &alice, &by_builder, true)).await?;
        let secret = |controller: bool| json!({ "metadata": { "name": "imgop-aws-1", "ownerReferences": owner(controller) } });
        refused("metadata.ownerReferences", || async { create::<Secret>(case, &alice, &secret(true), true).await }).await?;

        // As `kubectl imgop build` sends them, and what has nothing to do with imgop.
        let mut of_another = job("other");
        of_another["metadata"]["ownerReferences"][0]["apiVersion"] = "example.com/v1".into();
        let mut unowned = job("unowned");
        unowned["metadata"]["ownerReferences"] = json!([]);
        let answers = [
            create::<Secret>(case, &alice, &secret(false), true).await,
            create::<Job>(case, &alice, &of_another, true).await,
            create::<Job>(case, &alice, &unowned, true).await,
        ];
        for answer in answers {
            let answer = refusal(answer)?;
            anyhow::ensure!(answer.is_none(), "{answer:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_tenant_deletes_a_job_of_the_agent_and_does_not_change_what_it_says() -> anyhow::Result<()> {
    with_case(async |case| {
        let alice = case.user("alice", tenant()).await?;
        create::<Job>(case, &case.admin, &job("ours"), false).await?;
        let mut unowned = job("mine");
        unowned["metadata"]["ownerReferences"] = json!([]);
        create::<Job>(case, &alice, &unowned, false).await?;
        for change in [
            json!({ "labels": { MANAGED_BY_LABEL: null } }),
            json!({ "labels": { OWNER_UID_LABEL: "2" } }),
            json!({ "annotations": { COPIES_ANNOTATION: "[1]" } }),
            json!({ "annotations": { ROUTE_ANNOTATION: null } }),
            json!({ "annotations": { "imgop.skopeo.io/build": "{}" } }),
        ] {
            let change = json!({ "metadata": change });
            let said =
                imgop_tests::wait::poll("a refusal", super::DEADLINE, || patch_job(case, &alice, &change))
                    .await?;
            anyhow::ensure!(said.contains("metadata.labels and metadata.annotations"), "{change}: {said}");
        }
        let jobs: Api<Job> = Api::namespaced(alice.clone(), &case.namespace);
        let adopted = json!({ "metadata": { "ownerReferences": owner(true) } });
        refused("metadata.ownerReferences", || async {
            jobs.patch("mine", &PatchParams::default(), &Patch::Merge(&adopted)).await.map(drop)
        })
        .await?;
        for change in [
            json!({ "metadata": { "labels": { "a": "b" }, "annotations": { "example.com/a": "b" } } }),
            json!({ "spec": { "suspend": true, "activeDeadlineSeconds": 60 } }),
        ] {
            let answer = patch_job(case, &alice, &change).await?;
            anyhow::ensure!(answer.is_none(), "{change}: {answer:?}");
        }
        jobs.delete("ours", &DeleteParams::background()).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_controllers_of_kubernetes_do_with_jobs_and_pods_what_they_did() -> anyhow::Result<()> {
    with_case(async |case| {
        create::<Job>(case, &case.admin, &job("ours"), false).await?;
        let kubeconfig = case.server.kubeconfig();
        let controller = async |name: &str| {
            let user = format!("system:serviceaccount:kube-system:{name}");
            imgop_tests::connect::connect_as(&kubeconfig, &user, &[]).await
        };
        let collector = controller("generic-garbage-collector").await?;
        for change in [
            json!({ "metadata": { "finalizers": ["foregroundDeletion"] } }),
            json!({ "metadata": { "ownerReferences": [] } }),
        ] {
            let answer = patch_job(case, &collector, &change).await?;
            anyhow::ensure!(answer.is_none(), "{change}: {answer:?}");
        }
        let jobs = controller("job-controller").await?;
        let pod = json!({ "metadata": { "name": "ours-1",
                "labels": { MANAGED_BY_LABEL: MANAGED_BY, JOB_NAME_LABEL: "ours" } }, "spec": pod_spec() });
        super::accepted(|| create::<Pod>(case, &jobs, &pod, false)).await?;

        let alice = case.user("alice", tenant()).await?;
        let mut forged = pod.clone();
        forged["metadata"]["name"] = "forged".into();
        let words = "pods with app.kubernetes.io/managed-by imgop are made for the Jobs";
        refused(words, || create::<Pod>(case, &alice, &forged, true)).await?;
        let pods: Api<Pod> = Api::namespaced(alice.clone(), &case.namespace);
        let labelled = json!({ "metadata": { "labels": { "a": "b" }, "finalizers": [] } });
        pods.patch("ours-1", &PatchParams::default(), &Patch::Merge(&labelled)).await?;
        let moved = json!({ "metadata": { "labels": { JOB_NAME_LABEL: "other" } } });
        refused(words, || async {
            pods.patch("ours-1", &PatchParams::default(), &Patch::Merge(&moved)).await.map(drop)
        })
        .await?;
        forged["metadata"]["labels"] = json!({ "app": "mine" });
        create::<Pod>(case, &alice, &forged, false).await?;
        let relabelled = json!({ "metadata": { "labels": { MANAGED_BY_LABEL: MANAGED_BY } } });
        refused(words, || async {
            pods.patch("forged", &PatchParams::default(), &Patch::Merge(&relabelled)).await.map(drop)
        })
        .await?;
        pods.delete("ours-1", &DeleteParams::default()).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn only_the_agent_makes_jobs_that_say_to_whom_something_is_lent() -> anyhow::Result<()> {
    with_case(async |case| {
        let alice = case.user("alice", tenant()).await?;
        let agent = case.account("imgop-system", "imgop-agent", "imgop-agent-lent").await?;
        let mut lent = job("lent");
        lent["metadata"]["ownerReferences"] = json!([]);
        lent["metadata"]["annotations"][OWNER_ANNOTATION] = json!({ "apiVersion": "skopeo.io/v1alpha1",
            "kind": "Image", "namespace": "team-b", "name": "app", "uid": "u" })
        .to_string()
        .into();
        refused(OWNER_ANNOTATION, || async { create::<Job>(case, &alice, &lent, true).await }).await?;
        super::accepted(|| create::<Job>(case, &agent, &lent, false)).await?;

        let mut unmarked = lent.clone();
        unmarked["metadata"]["name"] = "mine".into();
        unmarked["metadata"]["annotations"] = json!({});
        create::<Job>(case, &alice, &unmarked, false).await?;
        let jobs: Api<Job> = Api::namespaced(alice.clone(), &case.namespace);
        let mark = json!({ "metadata": { "annotations": { OWNER_ANNOTATION: "{}" } } });
        for name in ["mine", "lent"] {
            refused("metadata.annotations", || async {
                jobs.patch(name, &PatchParams::default(), &Patch::Merge(&mark)).await.map(drop)
            })
            .await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn whoever_has_every_right_on_images_is_not_the_agent_by_that() -> anyhow::Result<()> {
    with_case(async |case| {
        let alice = case.user("alice", tenant()).await?;
        let images = case.objects(&alice, Kind::Image);
        let created =
            images.create(&PostParams::default(), &Kind::Image.object("app", &Kind::Image.spec())).await?;
        let mut forged = job("forged");
        forged["metadata"]["ownerReferences"][0]["uid"] = created.metadata.uid.into();
        refused("metadata.ownerReferences", || create::<Job>(case, &alice, &forged, true)).await
    })
    .await
}
