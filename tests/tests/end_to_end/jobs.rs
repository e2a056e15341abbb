//! The Jobs: how many, under which rules, and what they leave behind.

use std::collections::BTreeSet;
use std::pin::pin;

use futures::{StreamExt as _, TryStreamExt as _};
use imgop_core::api::{FailureReason, Image, Mode};
use imgop_tests::tenant::{DEADLINE, with_tenant};
use imgop_tests::tries::Tries;
use imgop_tests::wait;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::DeleteParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};

#[tokio::test]
async fn b20_an_image_of_many_tags_makes_few_jobs_and_keeps_to_its_cap() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let tags: Vec<String> = (0..65).map(|n| format!("v1.0.{n}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &tags, "").await?;
        let api: Api<Job> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
        let most = watch_most_unfinished(api.clone());
        let watched = tokio::spawn(most);

        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.x", "busybox")).await?;
        tenant.ready("busybox").await?;

        assert_eq!(tenant.cluster.target.digests(&tenant.path("busybox")).await?, pushed);
        let tries = Tries::of(tenant).await?;
        assert_eq!(tries.first(), 65, "each tag once");
        let jobs = tries.jobs_of_first_tries()?;
        assert_eq!(jobs.len(), 7, "65 tags, 10 a Job: {jobs:?}");
        // The watch ends when it has seen the last Job end.
        let most = tokio::time::timeout(DEADLINE, watched).await???;
        assert!((1..=5).contains(&most), "{most} Jobs at once; 5 is the cap of an Image");
        Ok(())
    })
    .await
}

/// The largest number of unfinished Jobs that were there at once, until 7 have ended.
async fn watch_most_unfinished(api: Api<Job>) -> anyhow::Result<usize> {
    let mut unfinished = BTreeSet::new();
    let (mut most, mut ended) = (0, BTreeSet::new());
    let mut jobs = pin!(watcher(api, watcher::Config::default()).default_backoff().applied_objects());
    while let Some(job) = jobs.try_next().await? {
        if is_finished(&job) {
            unfinished.remove(&job.name_any());
            ended.insert(job.name_any());
        } else {
            unfinished.insert(job.name_any());
        }
        most = most.max(unfinished.len());
        if ended.len() == 7 {
            break;
        }
    }
    Ok(most)
}

fn is_finished(job: &Job) -> bool {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|c| c.status == "True" && matches!(c.type_.as_str(), "Complete" | "Failed"))
}

#[tokio::test]
async fn jobs_and_agent_live_under_the_restricted_pod_security_standard() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let namespaces: Api<Namespace> = Api::all(tenant.cluster.client.clone());
        for name in [tenant.namespace.as_str(), imgop_tests::test_cluster::AGENT_NAMESPACE] {
            let labels = namespaces.get(name).await?.labels().clone();
            assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted", "{name}");
        }
        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.0", "busybox")).await?;
        tenant.ready("busybox").await?;
        let pods = tenant.pods().await?;
        assert_eq!(pods.len(), 1);
        let spec = pods[0].spec.as_ref().unwrap();
        assert_eq!(spec.automount_service_account_token, Some(false), "a copy has no right in the cluster");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn no_credential_and_no_shell_is_in_a_job() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.0", "busybox")).await?;
        tenant.ready("busybox").await?;
        let pod = &tenant.pods().await?[0];
        for container in &pod.spec.as_ref().unwrap().containers {
            let words: Vec<&String> = container.command.iter().chain(&container.args).flatten().collect();
            assert!(words.iter().all(|word| !word.contains("creds=") && !word.contains("sh ")), "{words:?}");
            assert!(words.iter().any(|word| word.to_lowercase().contains("authfile")), "{words:?}");
            let named = container.env.iter().flatten().filter(|env| env.value_from.is_some()).count();
            assert_eq!(named, 0, "no Secret becomes a variable");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn deleting_an_image_deletes_its_jobs_and_no_tag() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.0", "busybox")).await?;
        tenant.ready("busybox").await?;
        let job = tenant.jobs().await?[0].name_any();
        tenant.images().delete("busybox", &DeleteParams::default()).await?;
        wait::until_gone(&tenant.images(), "busybox", DEADLINE).await?;
        let jobs: Api<Job> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
        wait::until_gone(&jobs, &job, DEADLINE).await?;
        assert_eq!(tenant.cluster.target.digests(&tenant.path("busybox")).await?, pushed);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_job_that_somebody_deletes_is_made_again() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0", "v1.0.1"], "").await?;
        let api: Api<Job> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
        let first = async {
            let mut jobs = pin!(watcher(api.clone(), watcher::Config::default()).applied_objects());
            jobs.next().await
        };
        let spec = tenant.spec("busybox", "v1.0.x", "busybox");
        let (image, job) =
            tokio::join!(tenant.apply("busybox", &spec), tokio::time::timeout(DEADLINE, first));
        image?;
        let job = job?.unwrap()?;
        api.delete(&job.name_any(), &DeleteParams::background()).await?;
        tenant.ready("busybox").await?;
        let others = tenant.jobs().await?.into_iter().filter(|other| other.uid() != job.uid()).count();
        assert_eq!(others, 1, "another Job made the copies");
        assert_eq!(tenant.cluster.target.digests(&tenant.path("busybox")).await?, pushed);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn events_and_metrics_tell_what_happened() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let source = &tenant.cluster.source;
        source.fill(&tenant.path("busybox"), &["v1.0.0", "v1.0.1"], "").await?;
        source.lose_layer(&tenant.path("busybox"), "v1.0.1").await?;
        tenant.apply("good", &tenant.spec("busybox", "v1.0.0", "good")).await?;
        tenant.apply("bad", &tenant.spec("busybox", "v1.0.x", "bad")).await?;
        tenant.ready("good").await?;
        let bad: Image = tenant.settled("bad").await?;
        assert_eq!(bad.status.unwrap().failures[0].reason, FailureReason::CopyFailed);

        let wanted = [
            ("good", "Normal", "CopyScheduled"),
            ("good", "Normal", "Succeeded"),
            ("bad", "Normal", "CopyScheduled"),
            ("bad", "Warning", "CopyFailed"),
        ];
        let columns = "custom-columns=OF:.involvedObject.name,TYPE:.type,REASON:.reason";
        for (name, type_, reason) in wanted {
            // An event is written beside the status, not before it.
            wait::poll(&format!("an event {reason} of {name}"), DEADLINE, || async {
                let field = format!("involvedObject.kind=Image,involvedObject.name={name}");
                let events = tenant
                    .kubectl
                    .run(["get", "events", "--field-selector", &field, "-o", columns])
                    .await?
                    .ok()?;
                let is_it = |line: &str| line.split_whitespace().eq([name, type_, reason]);
                Ok(events.lines().any(is_it).then_some(()))
            })
            .await?;
        }

        let metrics = tenant.cluster.agent_metrics().await?;
        for name in ["imgop_jobs_created_total", "imgop_tags_copied_total", "imgop_syncs_total"] {
            let value = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            assert!(
                value.split_whitespace().last().is_some_and(|n| n.parse::<f64>().is_ok_and(|n| n >= 1.0)),
                "{metrics}"
            );
        }
        assert!(!metrics.contains(&tenant.namespace), "no label names an Image or a namespace");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_image_at_rest_is_not_written() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0", "v1.0.1"], "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "busybox");
        spec.frequency = "10s".to_owned();
        spec.mode = Mode::Recurrent;
        tenant.apply("busybox", &spec).await?;
        tenant.ready("busybox").await?;
        // The Job ends a moment after its tags are there, and that it has ended is written.
        tenant.jobs_ended().await?;
        let (source, path) = (&tenant.cluster.source, tenant.path("busybox"));
        // As the source saw them.
        let syncs = async |number: usize| {
            let from = source.mark().await?;
            wait::poll("its own syncs", DEADLINE, || async {
                let asked = source.requests(&path, from, source.mark().await?)?;
                Ok((asked.iter().filter(|r| r.path.contains("/tags/list")).count() >= number).then_some(()))
            })
            .await
        };
        syncs(1).await?;
        let before = tenant.images().get("busybox").await?;
        syncs(3).await?;
        let after = tenant.images().get("busybox").await?;
        assert_eq!(before.metadata.resource_version, after.metadata.resource_version);
        assert_eq!(tenant.jobs().await?.len(), 1);
        Ok(())
    })
    .await
}
