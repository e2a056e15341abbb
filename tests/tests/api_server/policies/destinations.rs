//! Destinations that a RegistryAccess keeps for some namespaces: what the policy refuses is what the agent refuses.

use std::collections::BTreeMap;

use anyhow::Context as _;
use imgop_core::access::{AccessPolicy, Borrower, Decision, Grant};
use imgop_core::api::{RegistryAccess, RegistryAction};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{Case, Kind, accepted, refusal, refused, try_create, try_patch, with, with_case};

/// The label of a RegistryAccess by which the policy is asked for it.
const ADMISSION: (&str, &str) = ("imgop.io/admission", "deny");

/// Gives the namespace of a case to a team. The team is the namespace's own: no other test sees what is kept for it.
async fn of_team(case: &Case, team: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let namespaces: Api<Namespace> = Api::all(case.admin.clone());
    let labels = Patch::Merge(json!({ "metadata": { "labels": { "team": team } } }));
    let changed = namespaces.patch(&case.namespace, &PatchParams::default(), &labels).await?;
    changed.metadata.labels.context("no labels")
}

/// Creates a RegistryAccess, runs a test, and deletes it: it holds for all namespaces.
async fn with_access(
    case: &Case,
    spec: &Value,
    label: (&str, &str),
    test: impl AsyncFnOnce(&RegistryAccess) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let api: Api<RegistryAccess> = Api::all(case.admin.clone());
    let access = json!({ "apiVersion": "imgop.io/v1alpha1", "kind": "RegistryAccess",
        "metadata": { "name": case.namespace, "labels": { label.0: label.1 } }, "spec": spec });
    let created = api.create(&PostParams::default(), &serde_json::from_value(access)?).await?;
    let result = test(&created).await;
    api.delete(&case.namespace, &DeleteParams::default()).await?;
    result
}

/// A registry of this case alone.
fn registry(case: &Case) -> String {
    format!("{}.example.com", case.namespace)
}

fn spec(case: &Case, selector: &Value) -> Value {
    let host = registry(case);
    json!({ "hosts": [host], "aliases": [format!("alias.{host}:5000")], "repositories": ["team-a/", "shared/app"],
        "actions": ["Push"], "namespaceSelector": selector })
}

/// Destinations, within what is kept and beside it.
fn destinations(registry: &str) -> Vec<String> {
    let hosts = [
        registry.to_owned(),
        registry.to_uppercase(),
        format!("{registry}:443"),
        format!("alias.{registry}:5000"),
        format!("alias.{registry}"),
        format!("{registry}:5000"),
        format!("{registry}.evil.test"),
        format!("evil{registry}"),
        "quay.io".to_owned(),
    ];
    let paths = [
        "team-a/app",
        "team-a/x/y",
        "team-ab/app",
        "team-a",
        "shared/app",
        "shared/app2",
        "shared/app/x",
        "x",
    ];
    hosts.iter().flat_map(|host| paths.map(|path| format!("{host}/{path}"))).collect()
}

/// What the agent does about a destination where this RegistryAccess is the only one.
fn agent_refuses(
    access: &RegistryAccess,
    labels: &BTreeMap<String, String>,
    destination: &str,
) -> anyhow::Result<bool> {
    let policy = AccessPolicy::new([Grant::parse("access", &access.spec).0], Vec::new());
    let borrower = Borrower { namespace: "", labels };
    let decision = policy.decide(borrower, &destination.parse()?, RegistryAction::Push)?;
    Ok(matches!(decision, Decision::NotSelected { .. }))
}

#[tokio::test]
async fn a_destination_is_refused_where_the_agent_refuses_it_by_the_same_registry_access()
-> anyhow::Result<()> {
    with_case(async |case| {
        let labels = of_team(case, "b").await?;
        let api = case.objects(&case.admin, Kind::Image);
        let image =
            |name: &str| Kind::Image.object("app", &with(Kind::Image.spec(), "destination.name", name));
        with_access(
            case,
            &spec(case, &json!({ "matchLabels": { "team": "a" } })),
            ADMISSION,
            async |access| {
                let kept = format!("{}/team-a/app", registry(case));
                let words = "only namespaces that an administrator has selected may write to";
                refused(words, || async { try_create(&api, &image(&kept)).await }).await?;
                let mut count = 0;
                for destination in destinations(&registry(case)) {
                    let answer = refusal(try_create(&api, &image(&destination)).await)?;
                    let is_refused = agent_refuses(access, &labels, &destination)?;
                    anyhow::ensure!(answer.is_some() == is_refused, "{destination}: {answer:?}");
                    count += usize::from(is_refused);
                }
                anyhow::ensure!(count == 12, "{count} are refused");
                Ok(())
            },
        )
        .await
    })
    .await
}

#[tokio::test]
async fn the_selector_of_a_registry_access_means_what_it_means_to_the_agent() -> anyhow::Result<()> {
    for (operator, values) in [
        ("In", vec!["a", "b"]),
        ("In", vec!["a"]),
        ("NotIn", vec!["a"]),
        ("NotIn", vec!["b"]),
        ("Exists", vec![]),
        ("DoesNotExist", vec![]),
    ] {
        for key in ["team", "tier"] {
            let selector =
                json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] });
            one_selector(&selector).await?;
        }
    }
    one_selector(&json!({ "matchLabels": { "team": "b" } })).await?;
    one_selector(&json!({ "matchLabels": { "team": "b", "tier": "1" } })).await?;
    let not_a = json!([{ "key": "team", "operator": "NotIn", "values": ["a"] }]);
    one_selector(&json!({ "matchLabels": { "team": "b" }, "matchExpressions": not_a })).await?;
    one_selector(&json!(null)).await
}

/// Compares what the policy makes of a selector for a namespace of team b with what the agent does.
async fn one_selector(selector: &Value) -> anyhow::Result<()> {
    with_case(async |case| {
        let labels = of_team(case, "b").await?;
        let mut spec = spec(case, selector);
        // Nothing but a second one shows when the API server knows the first, where that lets all pass.
        spec["repositories"] = json!(["kept/"]);
        let api = case.objects(&case.admin, Kind::Image);
        let image = |path: &str| {
            let name = format!("{}/{path}", registry(case));
            Kind::Image.object("app", &with(Kind::Image.spec(), "destination.name", name))
        };
        with_access(case, &spec, ADMISSION, async |access| {
            let is_refused = agent_refuses(access, &labels, &format!("{}/kept/app", registry(case)))?;
            if is_refused {
                return refused("spec.destination.name", || async {
                    try_create(&api, &image("kept/app")).await
                })
                .await;
            }
            accepted(|| async { try_create(&api, &image("kept/app")).await }).await?;
            let none = json!({ "spec": { "namespaceSelector": { "matchLabels": { "team": "none" } } } });
            let accesses: Api<RegistryAccess> = Api::all(case.admin.clone());
            accesses.patch(&case.namespace, &PatchParams::default(), &Patch::Merge(&none)).await?;
            refused("spec.destination.name", || async { try_create(&api, &image("kept/app")).await }).await
        })
        .await
        .with_context(|| selector.to_string())
    })
    .await
}

#[tokio::test]
async fn what_builds_write_is_kept_too_and_what_is_named_already_may_stay() -> anyhow::Result<()> {
    with_case(async |case| {
        of_team(case, "b").await?;
        let host = registry(case);
        let (images, builders) =
            (case.objects(&case.admin, Kind::Image), case.objects(&case.admin, Kind::ImageBuilder));
        let named = with(Kind::Image.spec(), "destination.name", format!("{host}/team-a/app"));
        images.create(&PostParams::default(), &Kind::Image.object("from-before", &named)).await?;
        with_access(case, &spec(case, &json!({ "matchLabels": { "team": "a" } })), ADMISSION, async |_| {
            let own = with(Kind::ImageBuilder.spec(), "image.name", format!("{host}/team-b/app"));
            let builder = |spec: &Value| Kind::ImageBuilder.object("app", spec);
            let cache = json!({ "mode": "Registry", "repository": format!("{host}/team-a/cache") });
            for (field, spec) in [
                ("spec.image.name", with(own.clone(), "image.name", format!("{host}/team-a/app"))),
                (
                    "spec.image.additionalTags",
                    with(own.clone(), "image.additionalTags", json!(["v2", format!("{host}/team-a/app:v2")])),
                ),
                ("spec.cache.repository", with(own.clone(), "cache", cache)),
            ] {
                let words = format!(
                    "{field}: only namespaces that an administrator has selected may write to {host}/team-a/"
                );
                refused(&words, || async { try_create(&builders, &builder(&spec)).await }).await?;
            }
            let answer = refusal(try_create(&builders, &builder(&own)).await)?;
            anyhow::ensure!(answer.is_none(), "{answer:?}");
            for change in
                [json!({ "spec": { "suspend": true } }), json!({ "metadata": { "finalizers": [] } })]
            {
                let answer = refusal(try_patch(&images, "from-before", &change).await)?;
                anyhow::ensure!(answer.is_none(), "{change}: {answer:?}");
            }
            let moved = json!({ "spec": { "destination": { "name": format!("{host}/team-a/other") } } });
            refused("spec.destination.name", || async { try_patch(&images, "from-before", &moved).await })
                .await
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_registry_access_without_the_label_is_left_to_the_agent() -> anyhow::Result<()> {
    with_case(async |case| {
        of_team(case, "b").await?;
        let spec = spec(case, &json!({ "matchLabels": { "team": "a" } }));
        with_access(case, &spec, ("imgop.io/admission", "other"), async |_| {
            let name = format!("{}/team-a/app", registry(case));
            let api = case.objects(&case.admin, Kind::Image);
            let image = Kind::Image.object("app", &with(Kind::Image.spec(), "destination.name", name));
            accepted(|| async { try_create(&api, &image).await }).await?;
            let accesses: Api<RegistryAccess> = Api::all(case.admin.clone());
            let labelled = json!({ "metadata": { "labels": { ADMISSION.0: ADMISSION.1 } } });
            accesses.patch(&case.namespace, &PatchParams::default(), &Patch::Merge(&labelled)).await?;
            refused("spec.destination.name", || async { try_create(&api, &image).await }).await
        })
        .await
    })
    .await
}
