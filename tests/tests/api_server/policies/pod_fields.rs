//! Who may say how pods run, and how they are marked.

use kube::Client;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::references::{MINE, THEIRS, fields_of, place, tenant};
use super::{KINDS, Kind, accepted, refusal, refused, try_create, try_patch, with_case};

#[tokio::test]
async fn a_service_account_is_named_by_who_may_create_pods_or_its_tokens_alone() -> anyhow::Result<()> {
    const FIELD: &str = "jobTemplate.serviceAccountName";
    with_case(async |case| {
        let with_right = |resource: &str, names: &[&str]| {
            let mut rules = tenant();
            let right = json!({ "apiGroups": [""], "resources": [resource], "resourceNames": names,
                "verbs": ["create"] });
            rules.as_array_mut().into_iter().for_each(|rules| rules.push(right.clone()));
            rules
        };
        let alice = case.user("alice", tenant()).await?;
        let bob = case.user("bob", with_right("pods", &[])).await?;
        let carol = case.user("carol", with_right("serviceaccounts/token", &[MINE])).await?;
        let kinds = KINDS.into_iter();
        for kind in kinds.filter(|kind| fields_of(*kind).iter().any(|path| path == FIELD)) {
            let create = async |client: &Client, account: &str| {
                let mut spec = kind.spec();
                *place(&mut spec, FIELD) = account.into();
                try_create(&case.objects(client, kind), &kind.object("app", &spec)).await
            };
            for (client, account) in [(&alice, MINE), (&carol, THEIRS)] {
                refused(&format!("spec.{FIELD}"), || create(client, account)).await?;
            }
            for (client, account) in [(&bob, THEIRS), (&carol, MINE)] {
                let answer = refusal(create(client, account).await)?;
                anyhow::ensure!(answer.is_none(), "{kind:?}: {answer:?}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn labels_and_annotations_of_pods_are_given_by_who_may_create_pods_alone() -> anyhow::Result<()> {
    with_case(async |case| {
        let mut with_pods = tenant();
        let right = json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["create"] });
        with_pods.as_array_mut().into_iter().for_each(|rules| rules.push(right.clone()));
        let (alice, bob) = (case.user("alice", tenant()).await?, case.user("bob", with_pods).await?);
        for kind in KINDS {
            let (by_alice, by_bob) = (case.objects(&alice, kind), case.objects(&bob, kind));
            for field in ["labels", "annotations"] {
                let named = format!("spec.jobTemplate.{field}");
                let marked = |marks: Value| {
                    let mut spec = kind.spec();
                    spec["jobTemplate"] = json!({ field: marks });
                    kind.object(field, &spec)
                };
                let object = marked(json!({ "team": "web", "zone": "dmz" }));
                refused(&named, || try_create(&by_alice, &object)).await?;
                accepted(|| async { by_bob.create(&PostParams::default(), &object).await.map(drop) }).await?;
                // What others have given stays, and may go.
                let change =
                    |marks: Value| json!({ "spec": { "suspend": true, "jobTemplate": { field: marks } } });
                for good in [json!({}), json!({ "zone": null }), Value::Null] {
                    accepted(|| async { try_patch(&by_alice, field, &change(good.clone())).await }).await?;
                }
                for bad in [json!({ "zone": "internal" }), json!({ "app": "db" })] {
                    refused(&named, || async { try_patch(&by_alice, field, &change(bad.clone())).await })
                        .await?;
                    accepted(|| async { try_patch(&by_bob, field, &change(bad.clone())).await }).await?;
                }
                // What is built runs with them.
                if kind == Kind::ImageBuilder {
                    let code = json!({ "spec": { "source": "FROM scratch\nLABEL a=c" } });
                    refused(&named, || try_patch(&by_alice, field, &code)).await?;
                    accepted(|| try_patch(&by_bob, field, &code)).await?;
                }
            }
        }
        Ok(())
    })
    .await
}
