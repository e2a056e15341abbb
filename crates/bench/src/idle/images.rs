//! Images that are up to date from the beginning.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use imgop_core::api::conditions::{READY, find, is_true};
use imgop_core::api::{Image, Phase, REQUESTED_AT_ANNOTATION};
use imgop_tests::wait;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use tokio::time::Instant;

use crate::report::say;
use crate::setup::Setup;

/// Where they are; `crates/bench/run` has put the target's login there.
pub const NAMESPACE: &str = "bench";
/// As many as `crates/bench/run` has filled.
pub const REPOSITORIES: usize = 100;
const DEADLINE: Duration = Duration::from_mins(10);

/// The Images of the bench.
pub struct Images<'a> {
    setup: &'a Setup,
    api: Api<Image>,
}

impl<'a> Images<'a> {
    pub fn new(setup: &'a Setup) -> Self {
        Self::in_namespace(setup, NAMESPACE)
    }

    /// Those of another namespace, in which `crates/bench/run` has given the agent its rights.
    pub fn in_namespace(setup: &'a Setup, namespace: &str) -> Self {
        Self { setup, api: Api::namespaced(setup.client.clone(), namespace) }
    }

    /// Makes one, and returns how long the agent took for its first status.
    pub async fn first_status(&self, number: usize) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.make(number, "OneShot", "").await?;
        wait::until(&self.api, &name(number), "has a status", DEADLINE, |image| {
            image.status.as_ref().is_some_and(|status| !status.conditions.is_empty())
        })
        .await?;
        Ok(began.elapsed())
    }

    /// Makes one whose registries are this address.
    pub async fn make_unanswered(&self, number: usize, address: SocketAddr) -> anyhow::Result<()> {
        let endpoint =
            |path: &str| json!({ "name": format!("{address}/{path}"), "tls": { "mode": "PlainHTTP" } });
        let mut source = endpoint("from");
        source["version"] = json!("1.0.0");
        let spec = json!({ "mode": "OneShot", "source": source, "destination": endpoint("to") });
        self.create(number, &spec).await
    }

    /// Makes as many Images of four tags each, and waits until the agent has found all of them up to
    /// date.
    pub async fn synced(&self, count: usize, mode: &str, frequency: &str) -> anyhow::Result<()> {
        say(&format!("making {count} Images, and waiting until all are synced"));
        futures::stream::iter(0..count)
            .map(|number| self.make(number, mode, frequency))
            .buffer_unordered(16)
            .try_collect::<Vec<()>>()
            .await?;
        let began = Instant::now();
        let mut told = began;
        loop {
            let images = self.api.list(&ListParams::default()).await?.items;
            let waiting: Vec<&Image> = images.iter().filter(|image| !is_synced(image)).collect();
            let Some(example) = waiting.first() else { return Ok(()) };
            if began.elapsed() > DEADLINE {
                bail!("{} of {count} Images are not synced, such as {}", waiting.len(), status(example));
            }
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                say(&format!("  … {} to go, such as {}", waiting.len(), status(example)));
            }
            // Lists of thousands would be more work than what is measured.
            tokio::time::sleep(Duration::from_secs(1 + count as u64 / 500)).await;
        }
    }

    /// Asks for a sync of one Image, and waits until it is done.
    pub async fn sync_now(&self, number: usize) -> anyhow::Result<()> {
        let token = "bench";
        let patch = json!({ "metadata": { "annotations": { REQUESTED_AT_ANNOTATION: token } } });
        let image = self.api.patch(&name(number), &PatchParams::default(), &Patch::Merge(patch)).await?;
        wait::until(&self.api, &image.name_any(), "is synced on request", DEADLINE, |image| {
            image.status.as_ref().and_then(|s| s.last_handled_requested_at.as_deref()) == Some(token)
        })
        .await?;
        Ok(())
    }

    /// Deletes all.
    pub async fn delete(&self) -> anyhow::Result<()> {
        wait::poll("all Images are deleted", DEADLINE, || async {
            // The API server ends a request after a minute; what it has deleted by then is deleted.
            let _ = self.api.delete_collection(&DeleteParams::default(), &ListParams::default()).await;
            let left = self.api.list(&ListParams::default().limit(1)).await?.items;
            Ok(left.is_empty().then_some(()))
        })
        .await
    }

    /// Makes as many Images of four tags each, of which the destination has none: of a pattern, or of these tags.
    pub async fn make_missing(&self, count: usize, tags: &[&str]) -> anyhow::Result<()> {
        let make = |number| async move {
            let mut spec = self.spec("OneShot", &repository(number), &format!("bench/missing-{number}"));
            if !tags.is_empty() {
                spec["source"]["tags"] = json!(tags);
                spec["source"].as_object_mut().context("no source")?.remove("version");
            }
            self.create(number, &spec).await
        };
        futures::stream::iter(0..count).map(make).buffer_unordered(16).try_collect().await
    }

    /// Returns how many have a status.
    pub async fn with_status(&self) -> anyhow::Result<usize> {
        let (mut count, mut page) = (0, ListParams::default().limit(500));
        loop {
            let images = self.api.list(&page).await?;
            count += images.items.iter().filter(|image| image.status.is_some()).count();
            match images.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(count),
            }
        }
    }

    async fn make(&self, number: usize, mode: &str, frequency: &str) -> anyhow::Result<()> {
        let path = repository(number);
        let mut spec = self.spec(mode, &path, &path);
        if !frequency.is_empty() {
            spec["frequency"] = json!(frequency);
        }
        self.create(number, &spec).await
    }

    fn spec(&self, mode: &str, from: &str, to: &str) -> serde_json::Value {
        json!({
            "mode": mode,
            "source": {
                "name": format!("{}/{from}", self.setup.source.address),
                "version": "1.x.0",
                "tls": { "mode": "PlainHTTP" },
            },
            "destination": {
                "name": format!("{}/{to}", self.setup.target.address),
                "credentials": { "secretName": "target" },
                "tls": { "caSecretName": "target-ca" },
            },
        })
    }

    async fn create(&self, number: usize, spec: &serde_json::Value) -> anyhow::Result<()> {
        // As JSON, as a user writes it: optional fields that are new leave this as it is.
        let image: Image = serde_json::from_value(json!({
            "apiVersion": "skopeo.io/v1alpha1",
            "kind": "Image",
            "metadata": { "name": name(number) },
            "spec": spec,
        }))?;
        self.api
            .create(&PostParams::default(), &image)
            .await
            .with_context(|| format!("cannot make {}", name(number)))?;
        Ok(())
    }
}

fn name(number: usize) -> String {
    format!("app-{number}")
}

/// Returns a repository that both registries have.
pub fn repository(number: usize) -> String {
    format!("bench/app-{}", number % REPOSITORIES)
}

fn is_synced(image: &Image) -> bool {
    image
        .status
        .as_ref()
        .is_some_and(|status| is_true(&status.conditions, READY) && status.phase == Some(Phase::Completed))
}

fn status(image: &Image) -> String {
    let ready = image.status.as_ref().and_then(|status| find(&status.conditions, READY));
    let said = ready.map_or_else(|| "no status".to_owned(), |c| format!("{}: {}", c.reason, c.message));
    format!("{} ({said})", image.name_any())
}
