//! The agent's watch and its store of Jobs at a real API server: what the unit tests say of one by hand.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use imgop_agent::cluster::owner::Owner;
use imgop_agent::cluster::ready_gate::ReadyGate;
use imgop_agent::cluster::rights::Rights;
use imgop_agent::cluster::watch::{Guarded, Keep, Watch, watch};
use imgop_agent::config::Namespaces;
use imgop_agent::jobs::budget::Caps;
use imgop_agent::jobs::template::{JobOptions, JobTemplate, PodNeeds, container};
use imgop_agent::jobs::{Created, Jobs};
use imgop_core::api::Resources;
use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;
use imgop_tests::wait;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher::Event;
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde_json::json;

const KEEP: Keep = Keep { fields: &["data"], labels: &[], annotations: &["kept"], max_bytes: 64 * 1024 };

fn config_map(name: &str, data: &str, annotation: &str) -> anyhow::Result<ConfigMap> {
    let annotations = json!({"kept": "x", "other": annotation});
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"watched": "true"}, "annotations": annotations},
        "data": {"text": data},
    }))?)
}

fn short(event: &Event<Guarded<ConfigMap>>) -> String {
    let name = |object: &Guarded<ConfigMap>| match &object.0 {
        Ok(object) => object.name_any(),
        Err(_) => format!("({})", object.name_any()),
    };
    match event {
        Event::Init => "init".to_owned(),
        Event::InitApply(object) => name(object),
        Event::InitDone => "done".to_owned(),
        Event::Apply(object) => format!("+{}", name(object)),
        Event::Delete(object) => format!("-{}", name(object)),
    }
}

#[tokio::test]
async fn a_real_list_of_several_pages_and_its_changes_come_pruned_and_giants_are_named() -> anyhow::Result<()>
{
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client.clone(), async |namespace| {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        let post = PostParams::default();
        stream::iter(0..1010)
            .map(|number| Ok((number, &api)))
            .try_for_each_concurrent(16, async |(number, api)| {
                let object = config_map(&format!("many-{number}"), "<&>\"\\", "y")?;
                api.create(&PostParams::default(), &object).await?;
                anyhow::Ok(())
            })
            .await?;
        api.create(&post, &config_map("fat-annotation", "x", &"y".repeat(200_000))?).await?;
        api.create(&post, &config_map("fat-data", &"x".repeat(500_000), "y")?).await?;
        let selector = Some("watched=true".to_owned());
        let what =
            Watch { namespace: Some(namespace), label_selector: selector, field_selector: None, keep: KEEP };
        let mut events = Box::pin(watch::<ConfigMap>(client.clone(), what));
        let mut listed = BTreeSet::new();
        loop {
            let event = events.try_next().await?.context("a watch never ends")?;
            if let Event::InitApply(object) = &event
                && let Ok(object) = &object.0
            {
                assert!(object.metadata.managed_fields.is_none() && object.labels().is_empty());
                assert_eq!(object.annotations().keys().collect::<Vec<_>>(), ["kept"]);
                if object.name_any().starts_with("many") {
                    assert_eq!(object.data.as_ref().unwrap()["text"], "<&>\"\\");
                }
            }
            if matches!(event, Event::InitDone) {
                break;
            }
            listed.insert(short(&event));
        }
        assert_eq!(listed.len(), 1 + 1010 + 2);
        assert!(listed.contains("(fat-data)") && listed.contains("fat-annotation"));

        api.create(&post, &config_map("new", "x", "y")?).await?;
        let patch = Patch::Merge(json!({"data": {"text": "z".repeat(500_000)}}));
        api.patch("many-0", &PatchParams::default(), &patch).await?;
        api.delete("new", &DeleteParams::default()).await?;
        let changes: Vec<_> = events.take(3).try_collect().await?;
        assert_eq!(changes.iter().map(short).collect::<Vec<_>>(), ["+new", "+(many-0)", "-new"]);
        Ok(())
    })
    .await
}

/// A process with the Jobs of a namespace, until it is dropped.
struct Process(Jobs, tokio::task::JoinHandle<()>);

impl Process {
    async fn start(client: &Client, namespace: &str) -> Self {
        let rights = Arc::new(Rights::new(client.clone(), String::new()));
        let caps = Caps {
            in_all: 2,
            per_namespace: 2,
            per_owner: 3,
            of_kind: None,
            wake_timeout: Duration::from_mins(10),
        };
        let jobs =
            Jobs::new(client.clone(), rights, caps, Duration::from_mins(10), &[], "imgop-system".to_owned());
        let watched = Namespaces::Named([namespace.to_owned()].into());
        let running = tokio::spawn(jobs.clone().run(
            watched.clone(),
            ReadyGate::default(),
            tokio_util::sync::CancellationToken::new(),
        ));
        jobs.wait_until_known(&watched, Duration::from_secs(30)).await;
        Self(jobs, running)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.1.abort();
    }
}

/// Waits for what a watch is about to tell.
async fn poll(what: &str, is_so: impl Fn() -> bool) -> anyhow::Result<()> {
    wait::poll(what, Duration::from_secs(10), || std::future::ready(Ok(is_so().then_some(())))).await
}

fn job(owner: &Owner, identity: &str) -> Job {
    JobTemplate {
        owner,
        app: "imgop-test",
        identity: identity.to_owned(),
        annotations: std::collections::BTreeMap::new(),
        init_containers: Vec::new(),
        containers: vec![container(
            "c".to_owned(),
            "x".to_owned(),
            "x",
            Vec::new(),
            &[],
            &Resources::default(),
        )],
        volumes: Vec::new(),
        pod: PodNeeds::default(),
        options: JobOptions::default(),
        deadline_seconds: 60,
        ttl_seconds: Some(60),
    }
    .build()
}

#[tokio::test]
async fn jobs_are_known_at_once_after_a_restart_and_while_they_live() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client.clone(), async |namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        let owner = maps.create(&PostParams::default(), &config_map("owner", "x", "y")?).await?;
        assert_eq!(owner.meta().namespace.as_deref(), Some(namespace.as_str()));
        let (owner, now) = (Owner::of(&owner), Timestamp::now());
        let first = Process::start(&client, &namespace).await;
        for identity in ["a", "b"] {
            let place = first.0.take(&owner, 1, now).places.pop().context("there is a place")?;
            assert_eq!(first.0.create(&owner, &job(&owner, identity), place).await?, Created::New);
        }
        assert_eq!(first.0.of_owner(&owner, now).len(), 2);
        assert_eq!(first.0.room(&owner, 1, now), 0);
        drop(first);

        // Another process knows them from its list.
        let Process(jobs, _) = &Process::start(&client, &namespace).await;
        assert_eq!(jobs.count(&owner).unfinished, 2);
        assert_eq!(jobs.room(&owner, 1, now), 0);
        let mut woken = jobs.wake_ups::<ConfigMap>();
        let api: Api<Job> = Api::namespaced(client.clone(), &namespace);
        let (a, b) = (job(&owner, "a").name_any(), job(&owner, "b").name_any());

        // Orphaned, it counts while it lives; deleted by another, its place is free.
        let orphaned = Patch::Merge(json!({"metadata": {"ownerReferences": null}}));
        api.patch(&a, &PatchParams::default(), &orphaned).await?;
        poll("the Job is orphaned", || jobs.count(&owner).total == 1).await?;
        assert_eq!(jobs.room(&owner, 1, now), 0);
        assert_eq!(jobs.take(&owner, 1, now).places.len(), 0);
        api.delete(&a, &DeleteParams::background()).await?;
        poll("its place is free", || jobs.room(&owner, 1, now) == 1).await?;
        let next =
            tokio::time::timeout(Duration::from_secs(10), woken.next()).await?.context("it is woken")?;
        assert_eq!(next.name, "owner");

        // What exists is adopted, and what is deleted is gone at once.
        let place = jobs.take(&owner, 1, now).places.pop().context("there is a place")?;
        assert_eq!(jobs.create(&owner, &job(&owner, "b"), place).await?, Created::Adopted);
        let report = jobs.of_owner(&owner, now).into_iter().find(|job| job.name == b);
        jobs.delete(&report.context("it is known")?).await?;
        assert_eq!(jobs.of_owner(&owner, now).len(), 0);
        Ok(())
    })
    .await
}
