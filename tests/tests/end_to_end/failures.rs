//! What goes wrong is said, and nothing is lost for it.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::api::conditions::{self, READY};
use imgop_core::api::{FailureReason, Mode, Phase};
use imgop_tests::leaks::Canary;
use imgop_tests::tenant::{DEADLINE, PUSH_SECRET, ROLE, with_tenant};
use imgop_tests::test_cluster::{AGENT, AGENT_NAMESPACE};
use imgop_tests::tries::Tries;
use imgop_tests::wait;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A password with everything in it that is written differently somewhere.
const WRONG_PASSWORD: &str = r#"wröng "pass"/w%rd&$(id)<>\"#;

#[tokio::test]
async fn a_tag_that_is_listed_but_absent_is_reported_alone() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let path = tenant.path("busybox");
        let mut pushed = source.fill(&path, &["v1.0.0", "v1.0.1", "v1.0.2"], "").await?;
        source.lose_manifest(&path, "v1.0.1").await?;
        pushed.remove("v1.0.1");
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.x", "busybox")).await?;
        let status = tenant.settled("busybox").await?.status.unwrap();
        assert_eq!(target.digests(&path).await?, pushed);
        let failed: Vec<_> = status.failures.iter().map(|f| (f.tag.as_str(), f.reason)).collect();
        assert_eq!(failed, [("v1.0.1", FailureReason::TagNotFound)]);
        let ready = conditions::find(&status.conditions, READY).unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "TagNotFound"));
        assert!(ready.message.contains("v1.0.1"), "{}", ready.message);
        assert_eq!(status.progress.as_deref(), Some("2/3"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b4_a_copy_that_fails_is_never_counted_as_synced_and_is_tried_again() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let path = tenant.path("busybox");
        let pushed = source.fill(&path, &["v1.0.0", "v1.0.1"], "").await?;
        source.lose_layer(&path, "v1.0.1").await?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.x", "busybox")).await?;
        let status = tenant.settled("busybox").await?.status.unwrap();
        assert_eq!(status.phase, Some(Phase::Failed));
        assert_eq!(status.tag_already_synced, ["v1.0.0"]);
        let failure = &status.failures[0];
        assert_eq!((failure.tag.as_str(), failure.reason), ("v1.0.1", FailureReason::CopyFailed));
        // While the other tag is still copied, its second try may be over too.
        assert!((1..=2).contains(&failure.attempts), "{failure:?}");
        assert!(failure.message.contains("blob"), "Skopeo's own words: {}", failure.message);
        assert!(failure.next_attempt.is_some());
        let ready = conditions::find(&status.conditions, READY).unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "CopyFailed"));
        assert_eq!(target.digest(&path, "v1.0.1").await?, None);

        // The layer is back, and `sync` does not wait for the next attempt.
        source.fill(&path, &["v1.0.1"], "").await?;
        tenant.sync("busybox").await?;
        assert_eq!(target.digests(&path).await?, pushed);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn wrong_credentials_stop_the_image_until_the_secret_is_corrected() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let environment = &tenant.cluster.environment;
        let target = &tenant.cluster.target;
        let path = tenant.path("busybox");
        let pushed = tenant.cluster.source.fill(&path, &["v1.0.0", "v1.0.1"], "").await?;
        let auth = STANDARD.encode(format!("{}:{WRONG_PASSWORD}", environment.target_username));
        let config = json!({ "auths": { (&environment.target_registry): { "auth": auth } } });
        tenant.login(PUSH_SECRET, config.to_string().into_bytes()).await?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.x", "busybox")).await?;
        let (reason, message) = tenant.stalled("busybox").await?;
        assert_eq!(reason, "RegistryUnauthorized");
        assert!(message.contains(&environment.target_registry) && message.contains(PUSH_SECRET), "{message}");

        // For a minute, as an observer: a registry that said no is left alone.
        let from = target.mark().await?;
        tokio::time::sleep(Duration::from_secs(65)).await;
        let asked = target.requests(&path, from, target.mark().await?)?;
        assert!(asked.len() <= 4, "a retry storm: {asked:?}");
        assert_eq!(tenant.jobs().await?.len(), 0);
        let canary = Canary::new(&environment.target_username, WRONG_PASSWORD);
        assert_eq!(tenant.leaks(&canary).await?, Vec::<String>::new());
        assert_eq!(canary.places(&tenant.cluster.agent_log().await?), Vec::<String>::new());

        tenant.login(PUSH_SECRET, std::fs::read(&environment.target_authfile)?).await?;
        tenant.ready("busybox").await?;
        assert_eq!(target.digests(&path).await?, pushed);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_missing_secret_is_named_and_looked_for_again() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        let secrets: Api<Secret> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
        secrets.delete(PUSH_SECRET, &DeleteParams::default()).await?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.0", "busybox")).await?;
        let (reason, message) = tenant.stalled("busybox").await?;
        assert_eq!(reason, "SecretUnusable");
        assert!(
            message.contains("destination.credentials.secretName") && message.contains(PUSH_SECRET),
            "{message}"
        );
        tenant.login(PUSH_SECRET, std::fs::read(&tenant.cluster.environment.target_authfile)?).await?;
        tenant.ready("busybox").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_namespace_that_is_not_enabled_says_how_to_enable_it() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        let bindings: Api<RoleBinding> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
        bindings.delete(ROLE, &DeleteParams::default()).await?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.0", "busybox")).await?;
        let (reason, message) = tenant.stalled("busybox").await?;
        assert_eq!(reason, "NamespaceNotEnabled");
        let account = format!("--serviceaccount={AGENT_NAMESPACE}:{AGENT}");
        assert!(message.contains("kubectl create rolebinding") && message.contains(&account), "{message}");
        // The command, as a user would take it from the message.
        let command = message.split("kubectl ").nth(1).unwrap().trim_end_matches(['.', '`', '\'', '"']);
        tenant.cluster.kubectl.run(command.split_whitespace()).await?.ok()?;
        tenant.ready("busybox").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_repository_without_matching_tags_is_waited_for() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let source = &tenant.cluster.source;
        source.fill(&tenant.path("busybox"), &["v2.0.0"], "").await?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.x", "busybox")).await?;
        let waits = |reason: &'static str| {
            move |image: &imgop_core::api::Image| {
                let status = image.status.as_ref();
                status.is_some_and(|s| {
                    conditions::find(&s.conditions, READY).is_some_and(|c| c.reason == reason)
                })
            }
        };
        tenant.until("busybox", "says that nothing matches", waits("NoMatchingTags")).await?;
        source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        tenant.sync("busybox").await?;
        tenant.ready("busybox").await?;

        tenant.apply("absent", &tenant.spec("absent", "v1.0.x", "absent")).await?;
        tenant.until("absent", "says that there is no repository", waits("RepositoryNotFound")).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn b8_a_registry_that_answers_nonsense_harms_nobody_else() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let listener = TcpListener::bind((tenant.cluster.environment.host.as_str(), 0)).await?;
        let address = listener.local_addr()?;
        let nonsense = tokio::spawn(async move {
            loop {
                let Ok((mut socket, _)) = listener.accept().await else { continue };
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await;
                let body = "<html>not a registry</html>\u{1b}[31m";
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                socket.write_all((head + body).as_bytes()).await.ok();
            }
        });
        let restarts = restarts(tenant).await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "broken");
        spec.source.name = format!("{address}/busybox");
        tenant.apply("broken", &spec).await?;
        let status = tenant.settled("broken").await?.status.unwrap();
        let ready = conditions::find(&status.conditions, READY).unwrap();
        assert_eq!(ready.reason, "RegistryUnreachable");
        assert!(ready.message.contains(&address.to_string()), "{}", ready.message);
        assert!(!ready.message.contains('\u{1b}'), "{:?}", ready.message);

        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        tenant.apply("good", &tenant.spec("busybox", "v1.0.x", "good")).await?;
        tenant.ready("good").await?;
        assert_eq!(self::restarts(tenant).await?, restarts, "the agent is the same as before");
        nonsense.abort();
        Ok(())
    })
    .await
}

/// Which agent it is, and how often its container was started again.
async fn restarts(tenant: &imgop_tests::tenant::Tenant) -> anyhow::Result<Option<(Option<String>, i32)>> {
    let pod = tenant.cluster.agent_pod().await?;
    let containers = pod.status.and_then(|status| status.container_statuses);
    Ok(containers.and_then(|all| Some((pod.metadata.uid.clone(), all.first()?.restart_count))))
}

#[tokio::test]
async fn an_absent_tag_of_a_one_shot_is_said_and_copied_when_it_appears() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let source = &tenant.cluster.source;
        source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        let mut spec = tenant.spec("busybox", "v9.9.9", "busybox");
        spec.mode = Mode::OneShot;
        tenant.apply("busybox", &spec).await?;
        let status = tenant.settled("busybox").await?.status.unwrap();
        let ready = conditions::find(&status.conditions, READY).unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "TagNotFound"));
        assert_eq!(tenant.jobs().await?.len(), 0);
        source.fill(&tenant.path("busybox"), &["v9.9.9"], "").await?;
        tenant.sync("busybox").await?;
        tenant.ready("busybox").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_quota_on_jobs_makes_copies_wait_their_turn() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let tags: Vec<String> = (0..23).map(|n| format!("v1.0.{n}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &tags, "").await?;
        // Finished Jobs count too, so only two of the three that are needed fit in.
        let quota = ["create", "quota", "few", "--hard=count/jobs.batch=2"];
        tenant.kubectl.run(quota).await?.ok()?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.x", "busybox")).await?;
        let (reason, message) = tenant.stalled("busybox").await?;
        assert_eq!(reason, "JobRefused", "{message}");
        assert!(message.contains("exceeded quota"), "{message}");
        // A copy that failed, as docker-registry lets one of several uploads fail, would need a third Job.
        tenant.jobs_ended().await?;
        let tries = Tries::of(tenant).await?;
        assert_eq!(tries.first(), 20, "those that fit: {tries:?}");
        let copied = tries.succeeded();
        assert!(!copied.is_empty(), "{tries:?}");
        wait::poll("what was copied is at the target", DEADLINE, || async {
            let tags = tenant.cluster.target.tags(&tenant.path("busybox")).await?;
            let tags: BTreeSet<&str> = tags.iter().map(String::as_str).collect();
            Ok(copied.is_subset(&tags).then_some(()))
        })
        .await?;
        tenant.kubectl.run(["delete", "quota", "few"]).await?.ok()?;
        tenant.sync("busybox").await?;
        tenant.ready("busybox").await?;
        assert_eq!(tenant.cluster.target.digests(&tenant.path("busybox")).await?, pushed);
        Ok(())
    })
    .await
}
