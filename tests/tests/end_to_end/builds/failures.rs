//! Builds that end badly: the tag stays as it was, and one condition says what is wrong.

use std::time::Duration;

use imgop_core::api::{
    BUILD_ANNOTATION, BuildResult, ImageBuilderSpec, ImageBuilderStatus, PlatformState, StorageMedium,
};
use imgop_core::build::PartRecord;
use imgop_tests::tenant::{Tenant, with_tenant};
use imgop_tests::wait;
use kube::ResourceExt as _;
use serde_json::json;

async fn fails(tenant: &Tenant, name: &str, spec: &ImageBuilderSpec, reason: &str) -> anyhow::Result<String> {
    tenant.apply_builder(name, spec).await?;
    let message = tenant.build_fails(name, reason).await?;
    assert_eq!(tenant.cluster.target.tags(&tenant.path(name)).await?, [""; 0], "nothing has a tag");
    Ok(message)
}

/// Returns how many Jobs a build has for a platform.
async fn jobs_of(tenant: &Tenant, build: u64, platform: &str) -> anyhow::Result<usize> {
    let jobs = tenant.jobs().await?;
    let records = jobs.iter().filter_map(|job| job.annotations().get(BUILD_ANNOTATION));
    let records = records.filter_map(|record| serde_json::from_str::<PartRecord>(record).ok());
    Ok(records.filter(|part| part.number == build && part.platform.to_string() == platform).count())
}

#[tokio::test]
async fn a_step_that_fails_is_named_with_its_line_its_exit_code_and_its_last_lines() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let dockerfile = format!("FROM {base}\nRUN true\nRUN echo the cause >&2; exit 3\n");
        let message = fails(tenant, "app", &tenant.builder(&dockerfile, "app", "1"), "StepFailed").await?;
        for part in ["line 3", "exited with 3", "the cause"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        // It would end in the same way: nothing tries again by itself.
        let pods = tenant.pod_names().await?;
        let last = tenant.builders().get("app").await?.status.unwrap_or_default().history.remove(0);
        assert_eq!((pods.len(), last.result), (1, BuildResult::Failed));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn limits_that_are_reached_are_named_with_the_field_that_raises_them() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let hungry =
            format!("FROM {base}\nRUN /bin/busybox head -c 500m /dev/zero | /bin/busybox tail > /dev/null\n");
        let mut spec = tenant.builder(&hungry, "memory", "1");
        spec.resources.limits.memory = Some("256Mi".to_owned());
        let message = fails(tenant, "memory", &spec, "OutOfMemory").await?;
        assert!(message.contains("resources.limits.memory") && message.contains("line 2"), "{message}");

        let large = format!("FROM {base}\nRUN /bin/busybox dd if=/dev/zero of=/big bs=1M count=200\n");
        let mut spec = tenant.builder(&large, "disk", "1");
        spec.storage.medium = StorageMedium::Memory;
        spec.storage.size_limit = Some("64Mi".to_owned());
        let message = fails(tenant, "disk", &spec, "OutOfDisk").await?;
        assert!(message.contains("storage.sizeLimit") && message.contains("line 2"), "{message}");

        let endless = format!("FROM {base}\nRUN trap '' TERM; while :; do sleep 1; done\n");
        let mut spec = tenant.builder(&endless, "time", "1");
        spec.timeout = "20s".to_owned();
        let message = fails(tenant, "time", &spec, "TimedOut").await?;
        for part in ["spec.timeout", "line 2", "RUN trap"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let ended = wait::poll("the pod has ended", Duration::from_mins(1), || async {
            let pods = tenant.pods().await?;
            let of_it = pods.iter().filter(|pod| pod.name_any().contains("time"));
            let mut phases = of_it.filter_map(|pod| pod.status.as_ref()?.phase.as_deref());
            Ok((!phases.any(|phase| phase == "Running")).then_some(()))
        });
        ended.await
    })
    .await
}

#[tokio::test]
async fn a_platform_that_fails_leaves_the_tag_as_it_was_and_the_others_are_built_once() -> anyhow::Result<()>
{
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        // Where nothing emulates it, it fails for want of a node.
        let emulates = !tenant.cluster.environment.emulated.is_empty();
        let (reason, text) =
            if emulates { ("StepFailed", "exited with 9") } else { ("PlatformUnavailable", "") };
        let base = tenant.base_image().await?;
        let dockerfile = |arm64: &str| {
            format!("FROM {base}\nARG TARGETARCH\nRUN test \"$TARGETARCH\" = amd64 || {arm64}\n")
        };
        let mut spec = tenant.builder(&dockerfile("true"), "app", "1");
        if emulates {
            spec.platforms.push("linux/arm64".to_owned());
        }
        tenant.apply_builder("app", &spec).await?;
        let before = tenant.built("app").await?.image.unwrap().digest;
        spec.source = Some(dockerfile("exit 9"));
        spec.platforms = ["linux/amd64", "linux/arm64"].map(str::to_owned).to_vec();
        tenant.apply_builder("app", &spec).await?;
        let message = tenant.build_fails("app", reason).await?;
        assert!(message.contains("linux/arm64") && message.contains(text), "{message}");
        let amd64 = |status: &ImageBuilderStatus| {
            status.platforms.iter().find(|part| part.platform == "linux/amd64").cloned()
        };
        let is_built = |status: &ImageBuilderStatus| {
            amd64(status).is_some_and(|part| part.state == PlatformState::Built)
        };
        let status = tenant.until_builder("app", "is built for amd64", is_built).await?;
        assert_eq!(amd64(&status).map(|part| part.attempts), Some(1));
        assert_eq!(jobs_of(tenant, 2, "linux/amd64").await?, 1);
        let path = tenant.path("app");
        assert_eq!(tenant.cluster.target.digest(&path, "1").await?.unwrap().to_string(), before);
        assert_eq!(tenant.cluster.target.tags(&path).await?, ["1"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_platform_that_no_node_has_or_emulates_is_in_the_condition_and_nothing_is_tagged()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let mut spec = tenant.builder("FROM scratch\nLABEL a=b\n", "app", "1");
        spec.platforms = vec!["linux/s390x".to_owned()];
        let message = fails(tenant, "app", &spec, "PlatformUnavailable").await?;
        assert!(message.contains("linux/s390x"), "{message}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_push_without_rights_fails_without_a_pod_and_a_corrected_secret_builds() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let mut spec = tenant.builder(&format!("FROM {base}\nRUN true\n"), "app", "1");
        spec.image.credentials.as_mut().unwrap().secret_name = "other".to_owned();
        tenant.login("other", br#"{"auths":{}}"#.to_vec()).await?;
        tenant.apply_builder("app", &spec).await?;
        let message = tenant.build_fails("app", "SecretUnusable").await?;
        assert!(message.contains("\"other\"") && message.contains("no credential"), "{message}");
        let registry = tenant.cluster.environment.target_registry.clone();
        let wrong = json!({ "auths": { registry: { "username": "a", "password": "b" } } });
        tenant.login("other", wrong.to_string().into_bytes()).await?;
        let message = tenant.build_fails("app", "RegistryUnauthorized").await?;
        assert!(message.contains("other"), "{message}");
        assert!(tenant.pods().await?.is_empty());
        tenant.login("other", std::fs::read(&tenant.cluster.environment.target_authfile)?).await?;
        tenant.built("app").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_cancelled_build_ends_its_pod_and_leaves_the_tag_as_it_was() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        let spec = tenant.builder(&format!("FROM {base}\nRUN sleep 3600\n"), "app", "1");
        tenant.apply_builder("app", &spec).await?;
        let running = wait::poll("the step runs", Duration::from_mins(2), || async {
            let log = tenant.kubectl.run([
                "logs",
                "--selector=app.kubernetes.io/managed-by=imgop",
                "--container=build",
            ]);
            Ok(log.await?.stdout.contains("RUN sleep").then_some(()))
        });
        running.await?;
        tenant.kubectl.imgop(["cancel", "app"]).await?.ok()?;
        let cancelled = tenant.until_builder("app", "is cancelled", |status| {
            status.build.is_none()
                && status.history.last().is_some_and(|b| b.result == BuildResult::Cancelled)
        });
        cancelled.await?;
        let gone = wait::poll("the pod is gone", Duration::from_mins(1), || async {
            Ok(tenant.pods().await?.is_empty().then_some(()))
        });
        gone.await?;
        assert_eq!(tenant.cluster.target.tags(&tenant.path("app")).await?, [""; 0]);
        // The next change builds.
        tenant.apply_builder("app", &tenant.builder(&format!("FROM {base}\nRUN true\n"), "app", "1")).await?;
        tenant.built("app").await?;
        Ok(())
    })
    .await
}
