//! The verbs of `kubectl imgop` for an Image that is there, and what `copy` says of one that it changes.

use imgop_core::api::conditions::{self, READY};
use imgop_core::api::{Engine, ImageSpec};
use imgop_tests::kubectl::Output;
use imgop_tests::tenant::{CA_SECRET, PUSH_SECRET, Tenant, with_tenant};

/// `kubectl imgop copy` of all v1.0 tags as `busybox`, with more arguments.
async fn copy(tenant: &Tenant, more: &[&str]) -> anyhow::Result<Output> {
    let source = format!("{}:v1.0.x", tenant.cluster.source.repository(&tenant.path("busybox")));
    let destination = tenant.cluster.target.repository(&tenant.path("busybox"));
    let (credentials, ca) =
        (format!("--destination-credentials={PUSH_SECRET}"), format!("--destination-ca-secret={CA_SECRET}"));
    let mut arguments = vec!["copy", &source, &destination, "--name=busybox", "--source-tls=PlainHTTP"];
    arguments.extend([credentials.as_str(), ca.as_str()]);
    arguments.extend(more);
    tenant.kubectl.imgop(arguments).await
}

#[tokio::test]
async fn copy_says_which_fields_it_changes_and_a_dry_run_says_it_before() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        copy(tenant, &["--mode=Recurrent", "--latest=3"]).await?.ok()?;
        let dry = copy(tenant, &["--dry-run=server"]).await?;
        let real = copy(tenant, &[]).await?;
        for (output, suffix) in [(dry, " (server dry run)"), (real, "")] {
            assert_eq!(output.stdout, format!("image.skopeo.io/busybox configured{suffix}\n"));
            assert_eq!(output.stderr, "mode: Recurrent -> OnceByTag\nsource.select.latest: 3 -> <none>\n");
        }
        let same = copy(tenant, &[]).await?;
        assert_eq!((same.stdout.as_str(), same.stderr.as_str()), ("image.skopeo.io/busybox unchanged\n", ""));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn copy_leaves_what_suspend_set_and_takes_back_what_resume_set() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let suspended = async || anyhow::Ok(tenant.images().get("busybox").await?.spec.suspend);
        copy(tenant, &[]).await?.ok()?;
        tenant.kubectl.imgop(["suspend", "busybox"]).await?.ok()?;
        let stays = copy(tenant, &[]).await?;
        assert_eq!(stays.stdout, "image.skopeo.io/busybox unchanged\n", "{stays:?}");
        assert!(stays.stderr.contains("busybox stays suspended"), "{stays:?}");
        assert!(stays.stderr.contains("kubectl imgop resume busybox"), "{stays:?}");
        assert!(suspended().await?);

        let same = copy(tenant, &["--suspend"]).await?;
        assert_eq!((same.stdout.as_str(), same.stderr.as_str()), ("image.skopeo.io/busybox unchanged\n", ""));
        tenant.kubectl.imgop(["resume", "busybox"]).await?.ok()?;
        assert!(!suspended().await?);
        let again = copy(tenant, &["--suspend"]).await?;
        assert_eq!(again.stderr, "suspend: false -> true\n", "{again:?}");
        assert_eq!(again.ok()?, "image.skopeo.io/busybox configured\n");
        assert!(suspended().await?);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_image_is_suspended_resumed_and_deleted() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.apply("busybox", &tenant.spec("absent", "v1.0.x", "absent")).await?;
        for (verb, what, suspend) in [
            ("suspend", "suspended", true),
            ("suspend", "unchanged", true),
            ("resume", "resumed", false),
            ("resume", "unchanged", false),
        ] {
            let said = tenant.kubectl.imgop([verb, "busybox"]).await?.ok()?;
            assert_eq!(said, format!("image.skopeo.io/busybox {what}\n"));
            assert_eq!(tenant.images().get("busybox").await?.spec.suspend, suspend);
        }
        let unasked = tenant.kubectl.imgop(["delete", "busybox"]).await?;
        assert_eq!(unasked.code, Some(2), "{unasked:?}");
        let deleted = tenant.kubectl.imgop(["delete", "busybox", "--yes"]).await?;
        assert!(deleted.stderr.contains("registries stay"), "{deleted:?}");
        assert_eq!(deleted.ok()?, "image.skopeo.io/busybox deleted\n");
        assert!(tenant.images().get_opt("busybox").await?.is_none());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_image_is_waited_for_and_its_logs_are_those_of_skopeo() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0", "v1.0.1"], "").await?;
        let by_skopeo =
            ImageSpec { engine: Some(Engine::Skopeo), ..tenant.spec("busybox", "v1.0.x", "busybox") };
        tenant.apply("busybox", &by_skopeo).await?;
        let waited = tenant.kubectl.imgop(["wait", "busybox", "--for=Ready", "--timeout=5m"]).await?;
        assert!(waited.stderr.contains("busybox is ready: 2 of 2 tags"), "{waited:?}");
        assert_eq!(waited.code, Some(0));
        let logs = tenant.kubectl.imgop(["logs", "busybox"]).await?;
        assert_eq!(logs.stdout.matches("==>").count(), 2, "{logs:?}");
        assert!(logs.stdout.contains("Copying"), "{logs:?}");
        let one = tenant.kubectl.imgop(["logs", "busybox", "--tag=v1.0.1"]).await?;
        assert!(one.stdout.contains("==> v1.0.1 ") && !one.stdout.contains("==> v1.0.0"), "{one:?}");
        let none = tenant.kubectl.imgop(["logs", "busybox", "--tag=v9"]).await?;
        assert_eq!(none.code, Some(1), "{none:?}");
        let whole = tenant.kubectl.imgop(["describe", "busybox", "-o", "yaml"]).await?.ok()?;
        assert!(whole.contains("kind: Image") && whole.contains("progress: 2/2"), "{whole}");
        let described = tenant.kubectl.imgop(["describe", "busybox"]).await?.ok()?;
        assert!(!described.contains("Running"), "{described}");
        let history = tenant.kubectl.imgop(["history", "busybox", "--no-headers"]).await?.ok()?;
        assert!(history.lines().count() == 1 && history.contains("v1.0.1"), "{history}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_namespace_that_does_not_exist_is_named_and_names_of_images_are_completed() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let anywhere = &tenant.cluster.kubectl;
        let list = anywhere.imgop(["list", "-n", "imgop-no-such-namespace"]).await?;
        assert_eq!(list.code, Some(1), "{list:?}");
        assert!(list.stderr.contains("there is no namespace imgop-no-such-namespace"), "{list:?}");
        tenant.apply("busybox", &tenant.spec("absent", "v1.0.x", "absent")).await?;
        let typed = ["__complete", "describe", "-n", &tenant.namespace, "bus"];
        assert_eq!(anywhere.imgop(typed).await?.ok()?, "busybox\t\n:4\n");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_waited_for_says_when_the_agent_looks_again() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        for (name, version) in [("exact", "v9"), ("pattern", "v9.x")] {
            tenant.apply(name, &tenant.spec("busybox", version, "busybox")).await?;
            let image = tenant
                .until(name, "is looked for again", |image| {
                    image.status.as_ref().is_some_and(|status| status.next_sync_time.is_some())
                })
                .await?;
            let status = image.status.unwrap_or_default();
            assert!(status.next_sync_time > status.last_sync_time, "{status:?}");
        }
        let described = tenant.kubectl.imgop(["describe", "exact"]).await?.ok()?;
        assert!(described.contains("Next try:"), "{described}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_comes_with_the_field_to_set() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.0", "busybox");
        spec.destination.tls = None;
        tenant.apply("untrusted", &spec).await?;
        let mut spec = tenant.spec("busybox", "v1.0.0", "busybox");
        spec.source.tls.mode = imgop_core::api::TlsMode::Verify;
        tenant.apply("plain", &spec).await?;
        for (name, field) in [
            ("untrusted", "spec.destination.tls.caSecretName"),
            ("plain", "spec.source.tls.mode to PlainHTTP"),
        ] {
            let status = tenant.settled(name).await?.status.unwrap_or_default();
            let ready = conditions::find(&status.conditions, READY);
            let ready = ready.ok_or_else(|| anyhow::anyhow!("{name} is not judged"))?;
            assert_eq!(ready.reason, "RegistryUnreachable");
            assert!(ready.message.contains(field), "{}", ready.message);
            assert_eq!(status.last_sync_time, None, "both registries were asked");
        }
        Ok(())
    })
    .await
}
