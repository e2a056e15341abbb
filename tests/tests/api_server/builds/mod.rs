//! `ImageBuilder`s on a real API server, with the agent as a library and a registry that is a fake: Jobs and pods end
//! because a test says so.

mod case;

use anyhow::Context as _;
use imgop_core::api::conditions::reasons;
use imgop_core::api::{BuildResult, CANCEL_REQUESTED_AT_ANNOTATION};
use imgop_tests::audit::created_jobs;
use imgop_tests::repository_root;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;

use case::{Case, with_case};

#[tokio::test]
async fn the_manifest_of_image_operators_readme_is_built_and_has_the_plain_tag() -> anyhow::Result<()> {
    Box::pin(with_case(async |case: Case| {
        for architecture in ["amd64", "arm64"] {
            case.apply(&case.documented(architecture, architecture)).await?;
            let job = case.jobs(architecture, 1).await?.remove(0);
            let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.clone()).unwrap_or_default();
            let build = pod.init_containers.unwrap_or_default().remove(1);
            let resources = serde_json::to_value(build.resources)?;
            assert_eq!(resources["limits"]["memory"], "8Gi", "as written: {resources}");
            assert_eq!(resources["requests"]["cpu"], "200m");
            let digest = case.end_well(&job, architecture).await?;
            let status = case.reason(architecture, reasons::SUCCEEDED).await?;
            assert_eq!(status.image.map(|image| image.digest), Some(digest.to_string()));
            assert!(status.pushed && status.ran_jobs.len() == 1);
        }
        let tags = case.tags();
        assert_eq!(tags, ["amd64", "arm64"], "and no other tag");
        Ok(())
    }))
    .await
}

#[tokio::test]
async fn both_architectures_of_that_manifest_are_one_index_and_no_other_tag() -> anyhow::Result<()> {
    with_case(async |case: Case| {
        case.apply(&case.documented("both", "both")).await?;
        let jobs = case.jobs("both", 2).await?;
        let first = case.end_well(&jobs[0], "amd64").await?;
        case.reason("both", reasons::PROGRESSING).await?;
        assert!(case.tags().is_empty(), "nothing has the tag before all of it is there");
        let second = case.end_well(&jobs[1], "arm64").await?;
        case.reason("both", reasons::SUCCEEDED).await?;
        let index = case.registry.manifest("app", "both").unwrap_or_default();
        assert!(index.contains(first.as_str()) && index.contains(second.as_str()), "{index}");
        assert_eq!(case.tags(), ["both"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_restart_during_a_build_repeats_and_loses_nothing() -> anyhow::Result<()> {
    with_case(async |mut case: Case| {
        case.apply(&case.documented("restarted", "amd64")).await?;
        let job = case.jobs("restarted", 1).await?.remove(0);
        case.stop().await?;
        // What happens while no agent runs is found by the next one.
        case.end_well(&job, "amd64").await?;
        case.start();
        let status = case.reason("restarted", reasons::SUCCEEDED).await?;
        assert_eq!(status.history.len(), 1);
        let created = created_jobs(&case.server.audit_log(), &case.namespace)?;
        assert_eq!(created.len(), 1, "{created:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn two_agents_at_once_build_once() -> anyhow::Result<()> {
    with_case(async |mut case: Case| {
        case.start();
        for (label, builds) in [("one", 1), ("two", 2)] {
            let changed = case.documented("both", "both");
            let changed = changed.replace("LABEL name=both", &format!("LABEL name={label}"));
            case.apply(&changed).await?;
            let jobs = case.jobs("both", 2 * builds).await?;
            let running =
                jobs.iter().filter(|job| job.status.as_ref().is_none_or(|it| it.succeeded.is_none()));
            for (job, architecture) in running.zip(["amd64", "arm64"]) {
                case.end_well(job, architecture).await?;
            }
            let status = case.reason("both", reasons::SUCCEEDED).await?;
            let succeeded = status.history.iter().filter(|build| build.result == BuildResult::Succeeded);
            assert_eq!((succeeded.count(), status.history.len()), (builds, builds), "{:?}", status.history);
        }
        let created = created_jobs(&case.server.audit_log(), &case.namespace)?;
        assert_eq!(created.len(), 4, "{created:?}");
        assert_eq!(case.tags(), ["both"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_cancelled_build_is_gone_and_the_tag_untouched() -> anyhow::Result<()> {
    with_case(async |case: Case| {
        case.apply(&case.documented("cancelled", "amd64")).await?;
        case.jobs("cancelled", 1).await?;
        case.annotate("cancelled", CANCEL_REQUESTED_AT_ANNOTATION, "now").await?;
        let status = case.reason("cancelled", "Cancelled").await?;
        assert_eq!(status.history.last().map(|build| build.result), Some(BuildResult::Cancelled));
        case.jobs("cancelled", 0).await?;
        assert!(case.tags().is_empty());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_two_builders_with_one_tag_the_older_one_keeps_it() -> anyhow::Result<()> {
    with_case(async |case: Case| {
        let of = |name: &str| {
            case.documented(name, "amd64").replace(&format!("version: {name}"), "version: shared")
        };
        case.apply(&of("older")).await?;
        let job = case.jobs("older", 1).await?.remove(0);
        case.next_second().await;
        case.apply(&of("younger")).await?;
        case.reason("younger", reasons::DESTINATION_CONFLICT).await?;
        case.jobs("younger", 0).await?;
        case.end_well(&job, "amd64").await?;
        case.reason("older", reasons::SUCCEEDED).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_policy_for_pods_of_builds_is_theirs_and_keeps_them_from_the_metadata_of_nodes()
-> anyhow::Result<()> {
    with_case(async |case: Case| {
        let manifest =
            std::fs::read_to_string(repository_root().join("manifests/build-network-policy.yaml"))?;
        let kubectl = case.server.kubectl()?.in_namespace(&case.namespace);
        kubectl.apply(&manifest).await?.ok()?;
        let client = case.server.client().await?;
        let policies: Api<NetworkPolicy> = Api::namespaced(client, &case.namespace);
        let spec = policies.get("imgop-builds").await?.spec.context("it has a spec")?;
        case.apply(&case.documented("policy", "amd64")).await?;
        let job = case.jobs("policy", 1).await?.remove(0);
        let pod =
            job.spec.and_then(|spec| spec.template.metadata).and_then(|pod| pod.labels).unwrap_or_default();
        let selected = spec.pod_selector.and_then(|selector| selector.match_labels).unwrap_or_default();
        assert!(
            !selected.is_empty() && selected.iter().all(|(name, value)| pod.get(name) == Some(value)),
            "{pod:?}"
        );
        assert_eq!(spec.policy_types.unwrap_or_default(), ["Ingress", "Egress"]);
        assert!(spec.ingress.unwrap_or_default().is_empty(), "nothing reaches them");
        let blocks = spec.egress.unwrap_or_default().into_iter().flat_map(|rule| rule.to.unwrap_or_default());
        let except: Vec<String> = blocks
            .filter_map(|peer| peer.ip_block)
            .flat_map(|block| block.except.unwrap_or_default())
            .collect();
        for closed in [
            "169.254.0.0/16",
            "168.63.129.16/32",
            "100.100.100.200/32",
            "fd00:ec2::254/128",
            "fd00:ec2::23/128",
            "fd20:ce::254/128",
            "fd00:c1::a9fe:a9fe/128",
        ] {
            assert!(except.iter().any(|except| except == closed), "{closed} of {except:?}");
        }
        Ok(())
    })
    .await
}
