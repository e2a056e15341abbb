//! The agent is killed, stopped and started again. One test at a time, and apart from
//! `tests/tests/end_to_end`, because the agent belongs to all.

mod builds;
mod charts;
mod moments;
mod own_secrets;
mod workloads;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;

use anyhow::Context as _;
use futures::FutureExt as _;
use imgop_core::api::conditions::{READY, find};
use imgop_core::api::{
    Architecture, BuiltImage, FailureReason, ImageBuilder, ImageBuilderSpec, Mode, RegistryAccess,
};
use imgop_registry::reference::Digest;
use imgop_tests::audit;
use imgop_tests::tenant::{DEADLINE, Tenant, with_tenant};
use imgop_tests::test_cluster::{self, AGENT_NAMESPACE, TestCluster};
use imgop_tests::tries::Tries;
use imgop_tests::wait;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::sync::Mutex;

use moments::Moment;

/// Who has the agent.
static AGENT: Mutex<()> = Mutex::const_new(());

/// Stops the agents for a while. They are started again also when the test fails.
async fn without_agent(
    cluster: &TestCluster,
    test: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    cluster.scale_agent(0).await?;
    let result = AssertUnwindSafe(test()).catch_unwind().await;
    cluster.scale_agent(test_cluster::REPLICAS).await?;
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// How often the agent is killed for each moment, until it was early enough once.
const TRIES: usize = 8;

#[tokio::test]
async fn an_agent_that_is_killed_while_it_copies_loses_nothing_and_repeats_nothing() -> anyhow::Result<()> {
    let _agent = AGENT.lock().await;
    with_tenant(async |tenant| {
        let tags: Vec<String> = (0..12).map(|n| format!("v1.0.{n}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let pushed = tenant.cluster.source.fill(&tenant.path("busybox"), &tags, "").await?;
        // Elsewhere than on this machine nothing is killed within milliseconds.
        let is_here = tenant.cluster.environment.bin.is_some();
        let all_kills = tenant.cluster.environment.all_kills;
        let moments: &[Moment] = if all_kills { &Moment::ALL } else { &[Moment::FirstJob] };
        for &moment in moments {
            let mut was_hit = false;
            for n in 0..if is_here { TRIES } else { 1 } {
                let name = format!("{moment:?}-{n}").to_lowercase();
                was_hit = killed_at(moment, tenant, &name).await?;
                everything_is_done_once(tenant, &name, &pushed).await?;
                if was_hit {
                    break;
                }
            }
            assert!(was_hit || !is_here, "{moment:?}: killed {TRIES} times, and each time too late");
        }
        Ok(())
    })
    .await
}

/// Lets an Image copy twelve tags and kills the agent at this moment. Says whether that was in time.
async fn killed_at(moment: Moment, tenant: &Tenant, name: &str) -> anyhow::Result<bool> {
    let agent = tenant.cluster.running_agent().await?;
    let spec = tenant.spec("busybox", "v1.0.x", name);
    let (image, reached) = tokio::join!(tenant.apply(name, &spec), async {
        let job = moment.is_reached(tenant, name).await?;
        tenant.cluster.kill(&agent).await?;
        anyhow::Ok(job)
    });
    image?;
    moment.was_hit(tenant, name, reached?.as_ref()).await
}

/// All twelve tags come, and no copy was made twice.
async fn everything_is_done_once(
    tenant: &Tenant,
    name: &str,
    pushed: &BTreeMap<String, Digest>,
) -> anyhow::Result<()> {
    let status = tenant.ready(name).await?.status.unwrap_or_default();
    assert_eq!(tenant.cluster.target.digests(&tenant.path(name)).await?, *pushed, "{name}");
    assert_eq!(status.progress.as_deref(), Some("12/12"), "{name}");
    assert_eq!(status.tag_already_synced.len(), 12, "{name}");
    let uid = tenant.images().get(name).await?.uid().unwrap_or_default();
    let tries = Tries::of(tenant).await?.of_image(&uid);
    let first = tries.jobs_of_first_tries()?;
    assert_eq!((tries.first(), first.len()), (12, 2), "{name}: 12 tags, 10 a Job: {tries:?}");
    // Those that are there are all that ever were, with one pod each.
    let all: BTreeSet<String> = first.union(&tries.jobs_of_later_tries()).cloned().collect();
    let made: BTreeSet<String> = made_jobs(tenant, name).await?.into_iter().collect();
    assert_eq!(made, all, "{name}");
    let pods = tenant.pods().await?.iter().filter(|pod| pod.name_any().contains(name)).count();
    assert_eq!(pods, all.len(), "{name}");
    Ok(())
}

/// Every Job that was ever made for an Image, those that are gone included where there is an audit log.
async fn made_jobs(tenant: &Tenant, image: &str) -> anyhow::Result<Vec<String>> {
    let names = match &tenant.cluster.environment.audit_log {
        Some(log) => audit::created_jobs(log, &tenant.namespace)?,
        None => tenant.jobs().await?.iter().map(ResourceExt::name_any).collect(),
    };
    Ok(names.into_iter().filter(|name| name.starts_with(&format!("imgop-{image}-"))).collect())
}

#[tokio::test]
async fn an_agent_that_starts_again_finds_everything_done_and_writes_nothing() -> anyhow::Result<()> {
    let _agent = AGENT.lock().await;
    with_tenant(async |tenant| {
        let source = &tenant.cluster.source;
        source.fill(&tenant.path("busybox"), &["v1.0.0", "v1.0.1"], "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "busybox");
        spec.frequency = "30s".into();
        tenant.apply("busybox", &spec).await?;
        let before = tenant.ready("busybox").await?;
        tenant.cluster.kill_agent().await?;
        // It looks at Images that are complete when they are due again, as the source sees.
        let from = source.mark().await?;
        wait::poll("a look after the start", DEADLINE, || async {
            let asked = source.requests(&tenant.path("busybox"), from, source.mark().await?)?;
            Ok((!asked.is_empty()).then_some(()))
        })
        .await?;
        // That look is over, and was written down if anything was, when a whole copy after it is done.
        source.fill(&tenant.path("second"), &["v1.0.0"], "").await?;
        tenant.apply("second", &tenant.spec("second", "v1.0.0", "second")).await?;
        tenant.ready("second").await?;
        let after = tenant.images().get("busybox").await?;
        assert_eq!(before.metadata.resource_version, after.metadata.resource_version);
        assert_eq!(made_jobs(tenant, "busybox").await?.len(), 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_agent_that_starts_again_knows_an_index_of_its_own_without_reading_the_source()
-> anyhow::Result<()> {
    let _agent = AGENT.lock().await;
    with_tenant(async |tenant| {
        let source = &tenant.cluster.source;
        source.fill(&tenant.path("busybox"), &["v1.0.0", "v1.0.1"], "").await?;
        let mut spec = tenant.spec("busybox", "v1.0.x", "subset");
        spec.mode = Mode::Recurrent;
        spec.platforms = vec!["linux/amd64".to_owned()];
        tenant.apply("subset", &spec).await?;
        tenant.ready("subset").await?;
        tenant.jobs_ended().await?;
        tenant.cluster.kill_agent().await?;
        let before = source.mark().await?;
        tenant.sync("subset").await?;
        let asked = source.requests(&tenant.path("busybox"), before, source.mark().await?)?;
        let reads = asked.iter().filter(|r| r.method == "GET" && r.path.contains("/manifests/")).count();
        assert_eq!((reads, asked.is_empty()), (0, false), "{asked:#?}");
        assert_eq!(made_jobs(tenant, "subset").await?.len(), 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_changed_while_the_agent_was_down_is_done_when_it_is_back() -> anyhow::Result<()> {
    let _agent = AGENT.lock().await;
    with_tenant(async |tenant| {
        let source = &tenant.cluster.source;
        let pushed = source.fill(&tenant.path("busybox"), &["v1.0.0", "v1.0.1"], "").await?;
        tenant.apply("changed", &tenant.spec("busybox", "v1.0.0", "changed")).await?;
        tenant.ready("changed").await?;
        without_agent(&tenant.cluster, async || {
            tenant.apply("changed", &tenant.spec("busybox", "v1.0.x", "changed")).await?;
            tenant.apply("new", &tenant.spec("busybox", "v1.0.x", "new")).await?;
            Ok(())
        })
        .await?;
        for name in ["changed", "new"] {
            tenant.ready(name).await?;
            assert_eq!(tenant.cluster.target.digests(&tenant.path(name)).await?, pushed, "{name}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_namespace_is_deleted_while_the_agent_is_down() -> anyhow::Result<()> {
    let _agent = AGENT.lock().await;
    with_tenant(async |tenant| {
        tenant.cluster.source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        tenant.apply("busybox", &tenant.spec("busybox", "v1.0.0", "busybox")).await?;
        tenant.ready("busybox").await?;
        without_agent(&tenant.cluster, async || {
            let namespaces: Api<Namespace> = Api::all(tenant.cluster.client.clone());
            namespaces.delete(&tenant.namespace, &DeleteParams::default()).await?;
            wait::until_gone(&namespaces, &tenant.namespace, DEADLINE).await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_sync_without_an_agent_says_what_to_check() -> anyhow::Result<()> {
    let _agent = AGENT.lock().await;
    with_tenant(async |tenant| {
        without_agent(&tenant.cluster, async || {
            tenant.apply("busybox", &tenant.spec("busybox", "v1.0.0", "busybox")).await?;
            let said = tenant.kubectl.imgop(["sync", "busybox", "--timeout=15s"]).await?.failed()?;
            for text in ["imgop-system/imgop-agent", "kubectl logs", "busybox is not ready after 15s"] {
                assert!(said.contains(text), "{text} in {said}");
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_pod_that_finds_no_node_is_given_up_and_every_right_of_the_agent_is_used() -> anyhow::Result<()> {
    let _agent = AGENT.lock().await;
    with_tenant(async |tenant| {
        let cluster = &tenant.cluster;
        let pushed = cluster.source.fill(&tenant.path("busybox"), &["v1.0.0"], "").await?;
        let cordoned = async {
            cluster.kubectl.run(["cordon", "--selector=kubernetes.io/os=linux"]).await?.ok()?;
            tenant.apply("busybox", &tenant.spec("busybox", "v1.0.0", "busybox")).await?;
            tenant.settled("busybox").await
        };
        let result = AssertUnwindSafe(cordoned).catch_unwind().await;
        cluster.kubectl.run(["uncordon", "--selector=kubernetes.io/os=linux"]).await?.ok()?;
        let image = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let failures = image.status.unwrap_or_default().failures;
        assert_eq!(failures[0].reason, FailureReason::PodNotStarted, "{failures:?}");
        wait::poll("its Job is deleted", DEADLINE, || async {
            Ok(tenant.jobs().await?.is_empty().then_some(()))
        })
        .await?;
        tenant.sync("busybox").await?;
        tenant.ready("busybox").await?;
        assert_eq!(cluster.target.digests(&tenant.path("busybox")).await?, pushed);

        refused_builder(tenant).await?;
        refused_pod(tenant).await?;
        lent_to_others(tenant).await?;
        if let Some(log) = &cluster.environment.audit_log {
            let agent = format!("system:serviceaccount:{AGENT_NAMESPACE}:{}", test_cluster::AGENT);
            let mut used = audit::used_rights(log, &agent)?;
            // Everybody may ask what they may do.
            used.retain(|(group, _, _)| group != "authorization.k8s.io");
            // Those of ImageMirrors and WorkloadMirrors are used in api_server/rights.
            let of_mirrors = |(group, resource, verb): &&audit::Right| {
                let of_images = group == "skopeo.io" && resource == "images" && verb != "list";
                let others = ["configmaps", "imagemirrors/status", "workloadmirrors/status"];
                of_images || others.contains(&resource.as_str())
            };
            let granted = granted_rights(&USED_ELSEWHERE)?;
            let unused: Vec<_> =
                granted.difference(&used).filter(|right| !of_mirrors(right)).cloned().collect();
            assert_eq!(unused, [], "manifests/agent.yaml grants what the agent does not use");
            // Other tests may have used the cluster before.
            let not_granted: Vec<_> = used.difference(&granted_rights(&[])?).cloned().collect();
            assert_eq!(not_granted, [], "the agent uses what manifests/agent.yaml does not grant");
        }
        Ok(())
    })
    .await
}

/// An ImageBuilder of a namespace without builds is told so.
async fn refused_builder(tenant: &Tenant) -> anyhow::Result<()> {
    let image = BuiltImage::new(tenant.cluster.target.repository(&tenant.path("built")), "1");
    let spec = ImageBuilderSpec {
        architecture: Some(Architecture::Amd64),
        source: Some("FROM scratch\nLABEL a=b".to_owned()),
        ..ImageBuilderSpec::new(image)
    };
    let builders: Api<ImageBuilder> = Api::namespaced(tenant.cluster.client.clone(), &tenant.namespace);
    builders.create(&PostParams::default(), &ImageBuilder::new("refused", spec)).await?;
    let has_status = |builder: &ImageBuilder| {
        let status = builder.status.as_ref();
        status.is_some_and(|status| find(&status.conditions, READY).is_some())
    };
    wait::until(&builders, "refused", "has a status", DEADLINE, has_status).await?;
    Ok(())
}

/// Why Kubernetes makes no pod is in the status: only events of the Job tell it.
async fn refused_pod(tenant: &Tenant) -> anyhow::Result<()> {
    let mut spec = tenant.spec("busybox", "v1.0.0", "without-pod");
    spec.job_template.priority_class_name = Some("none-such".to_owned());
    tenant.apply("without-pod", &spec).await?;
    let failures = tenant.settled("without-pod").await?.status.unwrap_or_default().failures;
    assert!(failures[0].message.contains("change spec.jobTemplate.priorityClassName"), "{failures:?}");
    Ok(())
}

/// An Image whose source an administrator lends to other namespaces: the labels of its own one decide that.
async fn lent_to_others(tenant: &Tenant) -> anyhow::Result<()> {
    let source = tenant.cluster.source.repository(&tenant.path("busybox"));
    let (host, repository) = source.split_once('/').context("it names a registry")?;
    let spec = json!({ "hosts": [host], "repositories": [repository], "actions": ["Pull"], "secretName": "other",
        "namespaceSelector": { "matchLabels": { "team": "other" } } });
    let accesses: Api<RegistryAccess> = Api::all(tenant.cluster.client.clone());
    let access = RegistryAccess::new(&tenant.namespace, serde_json::from_value(spec)?);
    accesses.create(&PostParams::default(), &access).await?;
    let copied_and_reported = async {
        tenant.apply("lent", &tenant.spec("busybox", "v1.0.0", "lent")).await?;
        tenant.ready("lent").await?;
        // Reports are written apart from the copies that use the object.
        let is_reported = |access: &RegistryAccess| access.status.is_some();
        wait::until(&accesses, &tenant.namespace, "is reported", DEADLINE, is_reported).await.map(drop)
    };
    let result = copied_and_reported.await;
    accesses.delete(&tenant.namespace, &DeleteParams::default()).await?;
    result
}

/// Roles for what is not here: Images with useAwsIRSA, builds, Jobs with something lent, and workloads that are seen.
const USED_ELSEWHERE: [&str; 5] = [
    "imgop-agent-aws",
    "imgop-agent-builds",
    "imgop-agent-lent",
    "imgop-agent-workloads",
    "imgop-workload-mirror",
];

/// What the roles of the agent grant, but these.
fn granted_rights(without: &[&str]) -> anyhow::Result<BTreeSet<audit::Right>> {
    let manifests = imgop_tests::repository_root().join("manifests");
    let read = |file: &str| std::fs::read_to_string(manifests.join(file));
    let text = [read("agent.yaml")?, read("workloads.yaml")?].join("\n---\n");
    let mut rights = BTreeSet::new();
    let is_role =
        |document: &&str| document.contains("\nkind: ClusterRole\n") || document.contains("\nkind: Role\n");
    for document in text.split("\n---\n").filter(is_role) {
        // A Role is a ClusterRole of one namespace.
        let document = document.replace("\nkind: Role\n", "\nkind: ClusterRole\n");
        let role: ClusterRole = serde_saphyr::from_str(&document)?;
        if without.contains(&role.name_any().as_str()) {
            continue;
        }
        for rule in role.rules.unwrap_or_default() {
            for group in rule.api_groups.iter().flatten() {
                for resource in rule.resources.iter().flatten() {
                    // Kubernetes is asked for a verb of imgop's own, and nothing is done with it.
                    let verbs = rule.verbs.iter().filter(|verb| *verb != "own");
                    rights.extend(verbs.map(|verb| (group.clone(), resource.clone(), verb.clone())));
                }
            }
        }
    }
    Ok(rights)
}
