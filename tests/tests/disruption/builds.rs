//! Builds while the agent is killed, and builds of each tier.

use std::collections::BTreeMap;

use anyhow::ensure;
use imgop_core::api::{BuildResult, ImageBuilder, ImageBuilderStatus};
use imgop_tests::tenant::{DEADLINE, Tenant, with_tenant};
use imgop_tests::wait;

use crate::{AGENT, made_jobs};

/// When the agent is killed: each is a place between two of its writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The status says that a build runs.
    Begun,
    /// A part has a Job.
    FirstJob,
    /// The Dockerfile runs.
    Builds,
    /// The first part is pushed by digest, the second not.
    FirstPart,
    /// The tag is set.
    Tagged,
}

const MOMENTS: [Moment; 5] =
    [Moment::Begun, Moment::FirstJob, Moment::Builds, Moment::FirstPart, Moment::Tagged];

impl Moment {
    async fn is_reached(self, tenant: &Tenant, name: &str) -> anyhow::Result<()> {
        let status = |reached: fn(&ImageBuilderStatus) -> bool| async move {
            let builders = tenant.builders();
            let is_reached = |builder: &ImageBuilder| builder.status.as_ref().is_some_and(reached);
            wait::until(&builders, name, &format!("is at {self:?}"), DEADLINE, is_reached).await.map(drop)
        };
        match self {
            Self::Begun => status(|status| status.build.is_some()).await,
            Self::FirstPart => {
                status(|status| status.platforms.iter().any(|part| part.digest.is_some())).await
            }
            Self::FirstJob => {
                wait::poll("a Job is there", DEADLINE, || async {
                    Ok((!made_jobs(tenant, name).await?.is_empty()).then_some(()))
                })
                .await
            }
            Self::Builds => tenant.building(name).await.map(drop),
            Self::Tagged => {
                let path = tenant.path(name);
                wait::poll("the tag is there", DEADLINE, || async {
                    Ok(tenant.cluster.target.tags(&path).await?.first().map(drop))
                })
                .await
            }
        }
    }
}

#[tokio::test]
async fn an_agent_that_is_killed_during_a_build_loses_and_repeats_nothing() -> anyhow::Result<()> {
    let _agent = AGENT.lock().await;
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        let base = tenant.base_image().await?;
        // What runs twice would not give the same.
        let dockerfile = format!("FROM {base}\nRUN sleep 2; /bin/busybox date +%s%N > /once\n");
        let all_kills = tenant.cluster.environment.all_kills;
        let moments: &[Moment] = if all_kills { &MOMENTS } else { &[Moment::FirstPart] };
        for &moment in moments {
            let name = format!("{moment:?}").to_lowercase();
            let mut spec = tenant.builder(&dockerfile, &name, "1");
            if !tenant.cluster.environment.emulated.is_empty() {
                spec.platforms.push("linux/arm64".to_owned());
            }
            let agent = tenant.cluster.running_agent().await?;
            tenant.apply_builder(&name, &spec).await?;
            moment.is_reached(tenant, &name).await?;
            tenant.cluster.kill(&agent).await?;
            let status = tenant.built(&name).await?;
            let results: Vec<BuildResult> = status.history.iter().map(|build| build.result).collect();
            assert_eq!(results, [BuildResult::Succeeded], "{moment:?}");
            let jobs = made_jobs(tenant, &name).await?;
            assert_eq!(jobs.len(), spec.platforms.len(), "{moment:?}: {jobs:?}");
            assert_eq!(tenant.cluster.target.tags(&tenant.path(&name)).await?, ["1"], "{moment:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn with_the_seccomp_profile_on_the_nodes_builds_run_where_pods_may_only_do_what_baseline_allows()
-> anyhow::Result<()> {
    let _agent = AGENT.lock().await;
    with_tenant(async |tenant| {
        tenant.enable_builds().await?;
        tenant.enforce("baseline").await?;
        tenant.cluster.install_seccomp_profile().await?;
        let base = tenant.base_image().await?;
        let dockerfile = format!(
            "FROM {base}\nRUN echo text > /owned && /bin/busybox chown 1234:1234 /owned\nRUN /bin/busybox stat -c %u /owned > /owner\n"
        );
        let mut drivers = BTreeMap::new();
        for tier in ["a2", "b"] {
            tenant.cluster.set_agent(&format!("BUILD_TIERS={tier}")).await?;
            tenant.apply_builder(tier, &tenant.builder(&dockerfile, tier, "1")).await?;
            tenant.built(tier).await?;
            let image = format!("{}:1", tenant.cluster.target.repository(&tenant.path(tier)));
            drivers.insert(tier, tenant.run_image(&image, &["cat", "/owner"]).await?);
        }
        tenant.cluster.set_agent("BUILD_TIERS-").await?;
        ensure!(drivers.values().all(|owner| owner == "1234"), "{drivers:?}");
        Ok(())
    })
    .await
}
