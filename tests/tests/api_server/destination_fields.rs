//! Repositories that are created, and tags that are pruned: what the API server takes of both and what not.

use imgop_core::api::RegistryAccess;
use imgop_tests::api_server::ApiServer;
use imgop_tests::namespace::with_namespace;
use kube::api::PostParams;
use kube::{Api, Error};
use serde_json::{Value, json};

use crate::images::{image, images, refusal, spec};

const REPOSITORY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror/app";

/// The spec of an Image with these fields of its destination.
fn with(fields: Value) -> Value {
    let mut destination = fields;
    destination["name"] = REPOSITORY.into();
    spec(&[("destination", destination)])
}

#[tokio::test]
async fn a_repository_is_created_without_a_secret_and_policies_and_times_can_be_read() -> anyhow::Result<()> {
    let create = |fields: Value| {
        let mut create = json!({ "policy": "IfMissing" });
        create.as_object_mut().into_iter().zip(fields.as_object()).for_each(|(all, more)| {
            all.extend(more.clone());
        });
        json!({ "useAwsIRSA": true, "create": create })
    };
    let good = [
        create(json!({ "lifecyclePolicy": " {\"rules\": []}", "accessPolicy": "{}", "tags": { "team": "a" },
            "scanOnPush": true, "immutable": true, "adopt": true,
            "roleArn": "arn:aws-us-gov:iam::123456789012:role/path/imgop" })),
        json!({ "prune": {} }),
        json!({ "prune": { "policy": "Delete", "keep": 0, "minAge": "1d12h" } }),
    ];
    let bad = [
        (
            json!({ "credentials": { "secretName": "push" }, "create": { "policy": "IfMissing" } }),
            "useAwsIRSA",
        ),
        (json!({ "create": { "scanOnPush": true } }), "Required value"),
        (
            create(json!({ "lifecyclePolicy": "rules: []" })),
            "create.lifecyclePolicy must be a policy as JSON",
        ),
        (create(json!({ "accessPolicy": "[]" })), "create.accessPolicy must be a policy as JSON"),
        (create(json!({ "tags": { "aws:x": "a" } })), "create.tags must have no empty key"),
        (create(json!({ "tags": { "imgop.io/managed": "no" } })), "create.tags must have no empty key"),
        (create(json!({ "roleArn": "arn:aws:iam::123456789012:user/x" })), "should match"),
        (json!({ "prune": { "minAge": "30m" } }), "destination.prune.minAge must be at least 1h"),
        (json!({ "prune": { "minAge": "366d" } }), "destination.prune.minAge must be at most 365d"),
        (json!({ "prune": { "minAge": "a month" } }), "destination.prune.minAge must be whole numbers"),
    ];
    let client = ApiServer::shared().await?.client().await?;
    with_namespace(&client, async |namespace| {
        let api = images(&client, &namespace);
        for fields in good {
            api.create(&PostParams::default(), &image(&with(fields))).await?;
        }
        for (fields, says) in bad {
            let said = refusal(&api, &image(&with(fields))).await.map_err(anyhow::Error::msg)?;
            let is_said = said.iter().any(|cause| format!("{cause:?}").contains(says));
            assert!(is_said, "{says}: {said:?}");
        }
        let mut once = with(json!({ "prune": {} }));
        once["mode"] = "OneShot".into();
        let said = refusal(&api, &image(&once)).await.map_err(anyhow::Error::msg)?;
        assert!(
            format!("{said:?}").contains("prune goes with the modes OnceByTag and Recurrent"),
            "{said:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn roles_are_lent_only_to_create_repositories() -> anyhow::Result<()> {
    let client = ApiServer::shared().await?.client().await?;
    let api: Api<RegistryAccess> = Api::all(client);
    let create = async |aws: Value| {
        let spec = json!({ "hosts": ["nowhere.example.com"], "repositories": ["/"], "actions": ["Push"], "aws": aws });
        let mut access = RegistryAccess::new("", serde_json::from_value(spec)?);
        (access.metadata.name, access.metadata.generate_name) = (None, Some("roles-".to_owned()));
        anyhow::Ok(api.create(&PostParams { dry_run: true, ..PostParams::default() }, &access).await)
    };
    let roles = json!(["arn:aws:iam::123456789012:role/imgop"]);
    create(json!({ "identity": "Agent", "createRepositories": true, "roles": roles })).await??;
    match create(json!({ "identity": "Agent", "roles": roles })).await? {
        Err(Error::Api(status)) => {
            assert!(status.message.contains("set aws.createRepositories"), "{status:?}");
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}
