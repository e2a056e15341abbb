//! Copies by the agent's own program, whatever the engine of the other tests is, and the same copies by both.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use imgop_core::api::{Engine, ImageSpec, NATIVE_CONTAINER, Publish, Referrers};
use imgop_registry::oci::referrers_tag;
use imgop_tests::registry::Request;
use imgop_tests::tenant::{Tenant, with_tenant};
use imgop_tests::tries::Tries;
use imgop_tests::wait;
use serde_json::json;

/// A spec whose copies the agent's own program makes.
fn native(tenant: &Tenant, source: &str, version: &str, destination: &str) -> ImageSpec {
    ImageSpec { engine: Some(Engine::Native), ..tenant.spec(source, version, destination) }
}

/// The names of the containers of all pods.
async fn containers(tenant: &Tenant) -> anyhow::Result<Vec<String>> {
    let pods = tenant.pods().await?.into_iter().filter_map(|pod| pod.spec);
    let of_pod = |pod: k8s_openapi::api::core::v1::PodSpec| {
        pod.init_containers.into_iter().flatten().chain(pod.containers)
    };
    Ok(pods.flat_map(of_pod).map(|container| container.name).collect())
}

fn count(requests: &[Request], method: &str, part: &str) -> usize {
    let is_it =
        |request: &&Request| request.method == method && request.path.contains(part) && request.status < 300;
    requests.iter().filter(is_it).count()
}

#[tokio::test]
async fn one_container_copies_all_tags_and_reads_and_sends_each_layer_once() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let tags: Vec<String> = (0..10).map(|number| format!("v1.0.{number}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let path = tenant.path("busybox");
        let pushed = source.fill(&path, &tags, "").await?;
        for publish in [Publish::Staged, Publish::Direct] {
            let name = publish.as_str().to_lowercase();
            let mut spec = native(tenant, "busybox", "v1.0.x", &name);
            spec.destination.publish = publish;
            let (from_source, from_target) = (source.mark().await?, target.mark().await?);
            tenant.apply(&name, &spec).await?;
            tenant.ready(&name).await?;
            assert_eq!(target.digests(&tenant.path(&name)).await?, pushed, "{publish:?}");
            let asked = source.requests(&path, from_source, source.mark().await?)?;
            let blobs: Vec<&str> = asked
                .iter()
                .filter(|request| request.method == "GET" && request.path.contains("/blobs/"))
                .map(|request| request.path.as_str())
                .collect();
            let mut once = blobs.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(blobs.len(), once.len(), "read twice: {blobs:#?}");
            let asked = target.requests(&tenant.path(&name), from_target, target.mark().await?)?;
            assert!(count(&asked, "PUT", "/blobs/") <= once.len(), "{asked:#?}");
        }
        assert_eq!(containers(tenant).await?, [NATIVE_CONTAINER, NATIVE_CONTAINER]);
        let logs = tenant.kubectl.imgop(["logs", "direct"]).await?.ok()?;
        assert!(logs.contains("10 of 10 images copied; "), "{logs}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn both_engines_copy_tags_indexes_within_indexes_and_signatures_alike() -> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let from = tenant.path("parts");
        let pushed = source.fill(&from, &["v1.0.0", "v1.0.1"], "").await?;
        let signature = format!("{}.sig", referrers_tag(&pushed["v1.0.0"])?);
        source.fill(&from, &[&signature], "signature").await?;
        let index = source.manifest(&from, "v1.0.1").await?;
        let mut entries = Vec::new();
        for image in index["manifests"].as_array().context("no index")? {
            let below = source.put_index(&from, None, std::slice::from_ref(image)).await?;
            entries.push(source.entry(&from, &below, json!({})).await?);
        }
        source.put_index(&from, Some("v1.0.2"), &entries).await?;
        let all = source.digests(&from).await?;
        assert_eq!(all.len(), 4, "{all:?}");
        for engine in [Engine::Skopeo, Engine::Native] {
            let name = engine.as_str().to_lowercase();
            let mut spec = tenant.spec("parts", "v1.0.x", &name);
            (spec.engine, spec.referrers) = (Some(engine), Referrers::All);
            tenant.apply(&name, &spec).await?;
            tenant.ready(&name).await?;
            let to = tenant.path(&name);
            assert_eq!(target.digests(&to).await?, all, "{engine}");
            for tag in ["v1.0.0", "v1.0.1", signature.as_str()] {
                for architecture in ["amd64", "arm64"] {
                    let image = target.platform(&to, tag, architecture).await?;
                    assert!(target.has_blobs_of(&to, &image).await?, "{engine}: {tag} for {architecture}");
                }
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_tag_that_fails_keeps_none_of_its_container_from_being_copied_and_is_tried_alone()
-> anyhow::Result<()> {
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let path = tenant.path("busybox");
        source.fill(&path, &["v1.0.0", "v1.0.1", "v1.0.2"], "").await?;
        source.lose_layer(&path, "v1.0.1").await?;
        tenant.apply("some", &native(tenant, "busybox", "v1.0.x", "some")).await?;
        let image = tenant.settled("some").await?;
        let failures = image.status.unwrap_or_default().failures;
        assert_eq!(failures.iter().map(|failure| failure.tag.as_str()).collect::<Vec<_>>(), ["v1.0.1"]);
        assert!(failures[0].message.contains("sha256:"), "{}", failures[0].message);
        assert_eq!(target.tags(&tenant.path("some")).await?, ["v1.0.0", "v1.0.2"]);
        let tries = Tries::of(tenant).await?;
        assert_eq!((tries.first(), tries.jobs_of_first_tries()?.len()), (3, 1));
        Ok(())
    })
    .await
}

/// The process of a container that copies for this namespace, where the cluster runs on this machine.
fn process(namespace: &str) -> anyhow::Result<Option<PathBuf>> {
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        // Those that end meanwhile have none.
        let Ok(line) = std::fs::read(path.join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line);
        if line.starts_with("/imgop-agent\0copy\0") && line.contains(&format!("/{namespace}/")) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[tokio::test]
async fn a_large_layer_whose_container_is_ended_at_half_is_not_sent_again_by_the_next_job()
-> anyhow::Result<()> {
    const MEBIBYTES: usize = 200;
    with_tenant(async |tenant| {
        let (source, target) = (&tenant.cluster.source, &tenant.cluster.target);
        let mut layer = vec![0; MEBIBYTES << 20];
        fastrand::Rng::new().fill(&mut layer);
        let [pushed, digest] = source.put_image(&tenant.path("large"), "v1.0.0", layer).await?;
        let mut spec = native(tenant, "large", "v1.0.0", "large");
        // Slow enough to be met in the middle.
        spec.job_template = serde_json::from_value(json!({ "resources": { "limits": { "cpu": "100m" } } }))?;
        let path = tenant.path("large");
        let (from_source, begun) = (source.mark().await?, target.mark().await?);
        tenant.apply("large", &spec).await?;
        let sent_chunks = || async {
            let asked = target.requests(&path, begun, target.mark().await?)?;
            Ok::<_, anyhow::Error>(count(&asked, "PATCH", ""))
        };
        wait::poll("half of the layer is there", Duration::from_mins(2), || async {
            Ok((sent_chunks().await? >= 5).then_some(()))
        })
        .await?;
        let process = process(&tenant.namespace)?.context("no process of this machine copies")?;
        let id = process.file_name().and_then(|name| name.to_str()).context("no process")?.to_owned();
        let status = tokio::process::Command::new("kill").args(["-TERM", &id]).status().await?;
        ensure!(status.success(), "kill {id}: {status}");
        tenant.ready("large").await?;

        assert_eq!(target.digest(&path, "v1.0.0").await?, Some(pushed));
        let whole = MEBIBYTES.div_ceil(16);
        let sent = sent_chunks().await?;
        assert!(sent <= whole + 1, "{sent} chunks were sent of {whole}");
        let read = source.requests(&path, from_source, source.mark().await?)?;
        let reads = count(&read, "GET", digest.as_str());
        assert_eq!(reads, 2, "it was read on: {read:#?}");
        let logs = tenant.kubectl.imgop(["logs", "large"]).await?.ok()?;
        assert!(logs.contains(" resumed"), "{logs}");
        Ok(())
    })
    .await
}
