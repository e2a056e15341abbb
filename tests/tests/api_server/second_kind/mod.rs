//! A second kind, run by the agent's controller as a library on a real API server: it needs no change of
//! the shared parts, which do not name it.

mod errand;
pub mod runner;

use std::time::Duration;

use imgop_core::api::conditions::{READY, find, reasons};
use imgop_tests::api_server::ApiServer;
use imgop_tests::audit::created_jobs;
use imgop_tests::namespace::with_namespace;
use imgop_tests::wait;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use errand::{Errand, ErrandSpec};
use runner::{Runner, complete, jobs_of, login, server};

const DEADLINE: Duration = Duration::from_secs(30);
const SECRET: &str = "login";

/// What one test works with.
struct Case {
    server: &'static ApiServer,
    client: kube::Client,
    namespace: String,
    errands: Api<Errand>,
}

impl Case {
    fn new(server: &'static ApiServer, client: kube::Client, namespace: String) -> Self {
        Self { errands: Api::namespaced(client.clone(), &namespace), server, client, namespace }
    }

    /// Creates an Errand of so many steps.
    async fn create(&self, name: &str, steps: u32) -> anyhow::Result<()> {
        let spec = ErrandSpec { steps, secret: SECRET.to_owned(), suspend: false };
        self.errands.create(&PostParams::default(), &Errand::new(name, spec)).await?;
        Ok(())
    }

    /// Changes fields of the spec.
    async fn change(&self, name: &str, spec: serde_json::Value) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.errands.patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Waits until the condition `Ready` has this reason for the spec as it is.
    async fn reason(&self, name: &str, reason: &'static str) -> anyhow::Result<Errand> {
        wait::until(&self.errands, name, reason, DEADLINE, |errand| {
            let ready = errand.status.as_ref().and_then(|status| find(&status.conditions, READY));
            ready.is_some_and(|ready| {
                ready.reason == reason && ready.observed_generation == errand.metadata.generation
            })
        })
        .await
    }

    /// Waits until an Errand has so many Jobs, and returns their names.
    async fn jobs(&self, name: &str, number: usize) -> anyhow::Result<Vec<String>> {
        let uid = self.errands.get(name).await?.metadata.uid.unwrap_or_default();
        wait::poll(&format!("{name} has {number} Jobs"), DEADLINE, || async {
            let jobs = jobs_of(&self.client, &self.namespace, &uid).await?;
            Ok((jobs.len() == number).then_some(jobs))
        })
        .await
    }

    /// Waits until an event about an Errand has this reason.
    async fn event(&self, name: &str, reason: &str) -> anyhow::Result<()> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        wait::poll(&format!("an event {reason} of {name}"), DEADLINE, || async {
            let events = api.list(&ListParams::default()).await?.items;
            let is_it = |event: &Event| {
                let about = event.regarding.as_ref();
                event.reason.as_deref() == Some(reason)
                    && about.is_some_and(|about| {
                        about.kind.as_deref() == Some("Errand") && about.name.as_deref() == Some(name)
                    })
            };
            Ok(events.iter().any(is_it).then_some(()))
        })
        .await
    }
}

/// Runs a test in a namespace of its own.
async fn with_case<Fut>(test: impl FnOnce(Case) -> Fut) -> anyhow::Result<()>
where
    Fut: Future<Output = anyhow::Result<()>>,
{
    let server = server().await?;
    let client = server.client().await?;
    let case_client = client.clone();
    with_namespace(&client, |namespace| test(Case::new(server, case_client, namespace))).await
}

#[tokio::test]
async fn a_second_kind_reads_secrets_gets_jobs_within_the_budget_and_reports_status_and_events()
-> anyhow::Result<()> {
    with_case(async |case: Case| {
        let agent = Runner::start(&case.client, &case.namespace);
        case.create("three", 3).await?;
        case.reason("three", reasons::SECRET_UNUSABLE).await?;
        case.event("three", reasons::SECRET_UNUSABLE).await?;

        login(&case.client, &case.namespace, SECRET).await?;
        case.reason("three", reasons::PROGRESSING).await?;
        let first = case.jobs("three", runner::MAX_JOBS_PER_OWNER).await?;
        let message = case.reason("three", reasons::PROGRESSING).await?.status.unwrap_or_default().conditions;
        assert!(message[0].message.contains("waiting for a place"), "{message:?}");

        complete(&case.client, &case.namespace, &first[0]).await?;
        let all = case.jobs("three", 3).await?;
        for job in all.iter().filter(|job| **job != first[0]) {
            complete(&case.client, &case.namespace, job).await?;
        }
        let status = case.reason("three", reasons::SUCCEEDED).await?.status.unwrap_or_default();
        assert_eq!(status.done, [0, 1, 2]);
        case.event("three", reasons::SUCCEEDED).await?;
        agent.stop().await
    })
    .await
}

#[tokio::test]
async fn a_second_kind_is_suspended_and_survives_a_restart_of_the_agent() -> anyhow::Result<()> {
    with_case(async |case: Case| {
        login(&case.client, &case.namespace, SECRET).await?;
        let agent = Runner::start(&case.client, &case.namespace);
        case.create("restarted", 1).await?;
        let first = case.jobs("restarted", 1).await?;
        case.change("restarted", json!({ "suspend": true, "steps": 2 })).await?;
        case.reason("restarted", reasons::SUSPENDED).await?;
        assert_eq!(case.jobs("restarted", 1).await?, first);
        agent.stop().await?;

        // What happens while no agent runs is found by the next one.
        complete(&case.client, &case.namespace, &first[0]).await?;
        case.change("restarted", json!({ "suspend": false })).await?;
        let agent = Runner::start(&case.client, &case.namespace);
        let both = case.jobs("restarted", 2).await?;
        for job in both.iter().filter(|job| **job != first[0]) {
            complete(&case.client, &case.namespace, job).await?;
        }
        let status = case.reason("restarted", reasons::SUCCEEDED).await?.status.unwrap_or_default();
        assert_eq!(status.done, [0, 1]);
        let created = created_jobs(&case.server.audit_log(), &case.namespace)?;
        assert_eq!(created.len(), 2, "none was created twice: {created:?}");
        agent.stop().await
    })
    .await
}

#[tokio::test]
async fn an_object_of_a_second_kind_that_is_deleted_gets_no_more_jobs() -> anyhow::Result<()> {
    with_case(async |case: Case| {
        login(&case.client, &case.namespace, SECRET).await?;
        let agent = Runner::start(&case.client, &case.namespace);
        case.create("deleted", 3).await?;
        let jobs = case.jobs("deleted", runner::MAX_JOBS_PER_OWNER).await?;
        case.errands.delete("deleted", &DeleteParams::default()).await?;
        wait::until_gone(&case.errands, "deleted", DEADLINE).await?;
        // The agent knows of the deletion once it has acted on what came after it.
        case.create("next", 1).await?;
        case.jobs("next", 1).await?;
        for job in &jobs {
            complete(&case.client, &case.namespace, job).await?;
        }
        case.change("next", json!({ "steps": 2 })).await?;
        case.jobs("next", 2).await?;
        let created = created_jobs(&case.server.audit_log(), &case.namespace)?;
        assert_eq!(created.len(), jobs.len() + 2, "{created:?}");
        agent.stop().await
    })
    .await
}
