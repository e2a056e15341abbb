//! What image-operator's users have, with the values that its chart ships as docs/migrate/image-operator.md translates them.

use anyhow::{Context as _, ensure};
use imgop_tests::examples::example;
use imgop_tests::helm::{NAMESPACE, RELEASE, chart};
use imgop_tests::image_operator::{Reached, image, image_builder};
use imgop_tests::lent::with_lent;
use imgop_tests::tenant::Tenant;
use imgop_tests::test_cluster::AGENT;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::{values, with_releases};

/// The example of the page, with the registries, images and the namespace of this test.
async fn translated(tenant: &Tenant) -> anyhow::Result<Value> {
    let text = example("migrate/image-operator.md", "# values.yaml")?
        .replace("registry.example.com", &tenant.cluster.environment.target_registry)
        .replace("[\"/\"]", &format!("[{}]", tenant.path("")))
        .replace("[image-operator]", &format!("[{}]", tenant.namespace))
        .replace(
            "kubernetes.io/metadata.name: image-operator",
            &format!("kubernetes.io/metadata.name: {}", tenant.namespace),
        )
        .replace("registry-login", &tenant.namespace)
        .replace("name: destination", &format!("name: {}-destination", tenant.namespace));
    let mut values: Value = serde_saphyr::from_str(&text)?;
    let own = self::values(tenant).await?;
    values["image"] = own["image"].clone();
    // The testbed's images have a name of their own, with a tag.
    let settings = values["settings"].as_object_mut().context("no settings")?;
    ensure!(settings.remove("skopeoVersion").is_some(), "the example says no version of Skopeo");
    settings.extend(own["settings"].as_object().cloned().context("no settings")?);
    // How the testbed's registries are reached.
    let accesses = values["registryAccesses"].as_array_mut().context("nothing is lent")?;
    accesses[0]["spec"]["tls"] = json!({ "caSecretName": tenant.namespace });
    let selector = accesses[0]["spec"]["namespaceSelector"].clone();
    accesses.push(json!({ "name": format!("{}-source", tenant.namespace), "spec": {
        "hosts": [tenant.cluster.environment.source_registry], "repositories": [tenant.path("")],
        "actions": ["Pull"], "namespaceSelector": selector, "tls": { "mode": "PlainHTTP" } } }));
    Ok(values)
}

/// What must be the same afterwards.
#[derive(Debug, PartialEq)]
struct State {
    image: Value,
    builder: Value,
    jobs: Vec<String>,
    tags: Vec<String>,
}

impl State {
    async fn of(tenant: &Tenant) -> anyhow::Result<Self> {
        let image = tenant.images().get("argocd").await?;
        let builder = tenant.builders().get("amd64").await?;
        let jobs = tenant.in_job_namespace("argocd").await?.jobs;
        let mut tags = tenant.cluster.target.tags(&tenant.path("argocd")).await?;
        tags.sort();
        let status = image.status.clone().unwrap_or_default();
        Ok(Self {
            image: json!([image.uid(), image.spec, status.tag_already_synced, status.history.len()]),
            builder: json!([builder.uid(), builder.spec, tenant.builds("amd64").await?]),
            jobs: jobs.iter().map(kube::ResourceExt::name_any).collect(),
            tags,
        })
    }
}

#[tokio::test]
async fn b19_the_readmes_image_and_image_builder_work_with_the_translated_values_and_lose_nothing()
-> anyhow::Result<()> {
    with_releases(async |tenant, helm| {
        let wait = ["--wait", "--timeout", "2m"];
        let values = translated(tenant).await?;
        // What lets the agent work here is the chart's.
        tenant.kubectl.run(["delete", "rolebindings", "--all"]).await?.ok()?;
        tenant.enforce("privileged").await?;
        let tags = ["v2.12.0", "v2.13.0", "v2.13.1", "v2.13.2-rc1", "v2.14.0"];
        let mut pushed = tenant.cluster.source.fill(&tenant.path("argocd"), &tags, "").await?;
        pushed.retain(|tag, _| tag.starts_with("v2.13."));
        let base = tenant.base_image().await?;

        let result = with_lent(tenant, &[], async || {
            let delete = ["delete", "deployment", AGENT, "--namespace", NAMESPACE];
            tenant.cluster.kubectl.run(delete).await?.ok()?;
            let take = ["install", RELEASE, &chart(), "--take-ownership", "--force-conflicts"];
            helm.run_with(&[&take[..], &wait].concat(), &values).await?.ok()?;
            tenant.kubectl.apply(&image(tenant, Reached::AsLent)).await?.ok()?;
            tenant.kubectl.apply(&image_builder(tenant, "amd64", "amd64", &base)).await?.ok()?;
            tenant.ready("argocd").await?;
            ensure!(tenant.cluster.target.digests(&tenant.path("argocd")).await? == pushed);
            tenant.built("amd64").await?;
            let built = format!("{}:amd64", tenant.cluster.target.repository(&tenant.path("built")));
            let printed = tenant.run_image(&built, &["cat", "/platform"]).await?;
            ensure!(printed == "linux/amd64|amd64|x86_64", "{printed}");
            let before = State::of(tenant).await?;
            ensure!(!before.jobs.is_empty(), "what is lent stays with the agent: {before:?}");

            let mut others = values.clone();
            others["settings"]["maxJobs"] = 7.into();
            helm.run_with(&[&["upgrade", RELEASE, &chart()], &wait[..]].concat(), &others).await?.ok()?;
            same_after_a_look(tenant, &before).await.context("after the upgrade")?;
            helm.run(&[&["rollback", RELEASE, "1"], &wait[..]].concat()).await?.ok()?;
            same_after_a_look(tenant, &before).await.context("after the rollback")?;
            helm.run(&["uninstall", RELEASE, "--wait"]).await?.ok()?;
            ensure!(State::of(tenant).await? == before, "after it was uninstalled");
            helm.run_with(&[&["install", RELEASE, &chart()], &wait[..]].concat(), &values).await?.ok()?;
            same_after_a_look(tenant, &before).await.context("after it was installed again")
        })
        .await;
        // What a first release lends is not deleted with it.
        for part in ["destination", "source"] {
            let name = format!("{}-{part}", tenant.namespace);
            tenant
                .cluster
                .kubectl
                .run(["delete", "registryaccess", &name, "--ignore-not-found"])
                .await?
                .ok()?;
        }
        result
    })
    .await
}

/// The agent looks at everything anew, and finds nothing to do.
async fn same_after_a_look(tenant: &Tenant, before: &State) -> anyhow::Result<()> {
    tenant.sync("argocd").await?;
    tenant.built("amd64").await?;
    let after = State::of(tenant).await?;
    ensure!(after == *before, "{after:#?} was {before:#?}");
    Ok(())
}
