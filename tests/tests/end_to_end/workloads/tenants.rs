//! Workloads of a namespace that lets another one mirror what they use, and that lets it no more.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, resume_unwind};

use anyhow::ensure;
use futures::FutureExt as _;
use imgop_core::api::{Image, WorkloadMirror};
use imgop_tests::tenant::{DEADLINE, Tenant, with_tenant};
use imgop_tests::wait;
use imgop_tests::workloads::{WORKLOAD_MIRROR, ready, unused_since};
use kube::api::ListParams;

use super::{deploy, is_available};

/// The binding by which a namespace lets another one see it.
const BINDING: &str = "imgop-workload-mirror";

/// Lets the namespace of the WorkloadMirror see this one, as its administrator does.
async fn bind(other: &Tenant, tenant: &Tenant) -> anyhow::Result<()> {
    let group = format!("--group=system:serviceaccounts:{}", tenant.namespace);
    let create = ["create", "rolebinding", BINDING, "--clusterrole=imgop-workload-mirror", &group];
    other.kubectl.run(create).await?.ok().map(drop)
}

/// Has everything looked at again at once, also what was not allowed a moment ago.
async fn sync(tenant: &Tenant) -> anyhow::Result<()> {
    let name = format!("workloadmirror/{WORKLOAD_MIRROR}");
    tenant.kubectl.imgop(["sync", &name]).await?.ok().map(drop)
}

fn message(mirror: &WorkloadMirror) -> &str {
    ready(mirror).map(|ready| ready.message.as_str()).unwrap_or_default()
}

/// The references that the Images of the tenant copy, of which none counts as unused.
async fn used(tenant: &Tenant) -> anyhow::Result<BTreeSet<String>> {
    let images = tenant.images().list(&ListParams::default()).await?.items;
    for image in &images {
        ensure!(unused_since(image).is_empty(), "{:?} {:?}", image.spec.source, unused_since(image));
    }
    let of = |image: &Image| -> Vec<String> {
        let source = &image.spec.source;
        source.tags.iter().map(|tag| format!("{}:{tag}", source.name)).collect()
    };
    Ok(images.iter().flat_map(of).collect())
}

/// Two namespaces, of which the first has a WorkloadMirror that looks at both.
struct Both<'a> {
    tenant: &'a Tenant,
    other: &'a Tenant,
    /// The repositories that each uses.
    own: String,
    theirs: String,
}

impl<'a> Both<'a> {
    fn new(tenant: &'a Tenant, other: &'a Tenant) -> Self {
        Self { tenant, other, own: tenant.path("own"), theirs: other.path("theirs") }
    }

    fn own_image(&self) -> String {
        format!("{}:1.0", self.tenant.cluster.source.repository(&self.own))
    }

    fn their_images(&self) -> [String; 2] {
        ["1.0", "2.0"].map(|tag| format!("{}:{tag}", self.tenant.cluster.source.repository(&self.theirs)))
    }

    fn all(&self) -> BTreeSet<String> {
        self.their_images().into_iter().chain([self.own_image()]).collect()
    }

    /// Where a repository goes.
    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.tenant.path("mirror"))
    }

    /// What the other namespace uses is mirrored only once that allows it, and what it goes on using stays.
    async fn run(&self) -> anyhow::Result<()> {
        let (tenant, source) = (self.tenant, &self.tenant.cluster.source);
        let of_own = source.fill(&self.own, &["1.0"], "").await?;
        let of_theirs = source.fill(&self.theirs, &["1.0", "2.0"], "theirs").await?;
        self.start().await?;
        let mut spec = tenant.workload_mirror(&tenant.path("mirror"));
        spec.namespaces.include = vec![tenant.namespace.clone(), self.other.namespace.clone()];
        // As nothing else changes, a right that was withdrawn is noticed this often, once it is believed no more.
        spec.frequency = "10s".into();
        tenant.mirror_workloads(spec).await?;
        tenant.arrives(&self.at(&self.own), &of_own).await?;
        self.is_unseen().await?;

        bind(self.other, tenant).await?;
        sync(tenant).await?;
        tenant.arrives(&self.at(&self.theirs), &of_theirs).await?;
        assert_eq!(used(tenant).await?, self.all());
        self.other.kubectl.run(["delete", "rolebinding", BINDING]).await?.ok()?;
        self.nothing_is_unused().await?;

        // Once it allows it again, it is known what really is.
        bind(self.other, tenant).await?;
        sync(tenant).await?;
        for (path, tag) in [(&self.own, "1.0"), (&self.theirs, "2.0")] {
            let is_unused = |image: &Image| unused_since(image).keys().eq([tag]);
            let name = tenant.image_of(path).await?;
            tenant.until(&name, "notes that nothing uses one tag", is_unused).await?;
        }
        Ok(())
    }

    /// A pod here; there a Deployment, and a pod of another tag.
    async fn start(&self) -> anyhow::Result<()> {
        let (tenant, other) = (self.tenant, self.other);
        let [first, second] = self.their_images();
        tenant.run_pod("own", &self.own_image(), None).await?;
        deploy(other, &first).await?;
        other.run_pod("second", &second, None).await?;
        tenant.running("own").await?;
        is_available(other).await?;
        other.running("second").await.map(drop)
    }

    /// Nothing of the other namespace is known in the first one, also where its user asks for it.
    async fn is_unseen(&self) -> anyhow::Result<()> {
        let tenant = self.tenant;
        sync(tenant).await?;
        let is_told = |mirror: &WorkloadMirror| message(mirror).contains("does not let this one mirror");
        let mirror = tenant.until_mirror("says that one is not looked at", DEADLINE, is_told).await?;
        let events = tenant.kubectl.run(["get", "events", "-o", "json"]).await?.ok()?;
        for said in [serde_json::to_string(&mirror.status)?, events] {
            ensure!(!said.contains(&self.other.namespace), "{said}");
        }
        assert_eq!(used(tenant).await?, BTreeSet::from([self.own_image()]));
        assert_eq!(tenant.cluster.target.tags(&self.at(&self.theirs)).await?, Vec::<String>::new());
        Ok(())
    }

    /// Users go while the other namespace is not seen any more: one there, of which the agent is not to say anything, and
    /// one here, whose image may be used there.
    async fn nothing_is_unused(&self) -> anyhow::Result<()> {
        let tenant = self.tenant;
        let misses = |mirror: &WorkloadMirror| message(mirror).contains("one that was looked at may not be");
        // The API server knows a moment after, and what it has answered is believed for five minutes unless someone asks.
        wait::poll("the WorkloadMirror misses one", DEADLINE, || async {
            sync(tenant).await?;
            let mirror = tenant.workload_mirrors().get(WORKLOAD_MIRROR).await?;
            Ok(misses(&mirror).then_some(()))
        })
        .await?;
        // All pods are one watch: when the second is seen to be gone, the first was.
        self.other.end_pod("second").await?;
        tenant.end_pod("own").await?;
        let sees_none = |mirror: &WorkloadMirror| {
            let counts = mirror.status.as_ref().and_then(|status| status.counts);
            counts.is_some_and(|counts| counts.images == 0)
        };
        tenant.until_mirror("sees nothing that is used", DEADLINE, sees_none).await?;
        assert_eq!(used(tenant).await?, self.all());
        Ok(())
    }
}

#[tokio::test]
async fn what_another_namespace_uses_is_mirrored_once_that_allows_it_and_is_not_unused_when_it_does_no_more()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let other = tenant.beside().await?;
        let result = AssertUnwindSafe(Box::pin(Both::new(tenant, &other).run())).catch_unwind().await;
        other.delete().await?;
        result.unwrap_or_else(|panic| resume_unwind(panic))
    })
    .await
}
