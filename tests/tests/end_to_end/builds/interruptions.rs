//! What others do to the pods of a build: it is judged by its own containers, and what was ended is built again.

use imgop_core::api::{BuildResult, ImageBuilderStatus};
use imgop_tests::tenant::{Tenant, with_tenant};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, EvictParams};
use kube::{Api, ResourceExt};

/// What is built in each of these tests: long enough to be caught while it runs.
async fn dockerfile(tenant: &Tenant) -> anyhow::Result<String> {
    Ok(format!("FROM {}\nRUN sleep 10; echo built > /text\n", tenant.base_image().await?))
}

/// The one build that there was succeeded, and no try counts against it: by default none may fail.
fn is_one_build(status: &ImageBuilderStatus) {
    let results: Vec<BuildResult> = status.history.iter().map(|build| build.result).collect();
    assert_eq!(results, [BuildResult::Succeeded], "{status:?}");
}

#[tokio::test]
async fn a_container_that_never_ends_and_was_added_to_the_pod_holds_no_build_up() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let spec = tenant.builder(&dockerfile(tenant).await?, "app", "1");
        let added = "[JSONPatch{op: \"add\", path: \"/spec/containers/-\", value: Object.spec.containers{\
                     name: \"added\", image: object.spec.containers[0].image, command: [\"sleep\", \"3600\"]}}]";
        tenant
            .with_changed_pods(added, async || {
                tenant.apply_builder("app", &spec).await?;
                let pod = tenant.building("app").await?;
                let names: Vec<String> =
                    pod.spec.unwrap_or_default().containers.into_iter().map(|container| container.name).collect();
                assert!(names.contains(&"added".to_owned()), "{names:?}");
                is_one_build(&tenant.built("app").await?);
                assert_eq!(tenant.cluster.target.tags(&tenant.path("app")).await?, ["1"]);
                tenant.pods_gone().await
            })
            .await
    })
    .await
}

#[tokio::test]
async fn a_job_that_is_deleted_while_it_builds_is_made_again_and_no_try_is_counted() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        tenant.apply_builder("app", &tenant.builder(&dockerfile(tenant).await?, "app", "1")).await?;
        tenant.building("app").await?;
        let jobs: Api<Job> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
        let first = tenant.jobs().await?.remove(0).name_any();
        jobs.delete(&first, &DeleteParams::background()).await?;
        is_one_build(&tenant.built("app").await?);
        let made: Vec<String> = tenant.jobs().await?.iter().map(ResourceExt::name_any).collect();
        assert!(made.len() == 1 && made[0] != first, "{made:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_pod_that_is_evicted_is_built_again_and_no_try_is_counted() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        tenant.apply_builder("app", &tenant.builder(&dockerfile(tenant).await?, "app", "1")).await?;
        let first = tenant.building("app").await?.name_any();
        // Draining a node does the same to each pod of it.
        let pods: Api<Pod> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
        pods.evict(&first, &EvictParams::default()).await?;
        is_one_build(&tenant.built("app").await?);
        let names = tenant.pod_names().await?;
        assert!(names.iter().any(|name| *name != first), "{names:?}");
        Ok(())
    })
    .await
}
