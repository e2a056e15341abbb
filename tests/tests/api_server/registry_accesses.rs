//! What the API server refuses and what it accepts of a `RegistryAccess`, and who may write one.

use imgop_core::access::Grant;
use imgop_core::api::RegistryAccess;
use imgop_tests::api_server::ApiServer;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::{Api, Client, Error};
use serde_json::{Value, json};

fn accesses(client: &Client) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &ApiResource::erase::<RegistryAccess>(&()))
}

/// A good spec with these fields set.
fn spec(fields: &Value) -> Value {
    let mut spec =
        json!({ "hosts": ["registry.example.com"], "repositories": ["team-a/"], "actions": ["Pull"] });
    for (key, value) in fields.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    spec
}

fn object(spec: &Value) -> DynamicObject {
    let kind = ApiResource::erase::<RegistryAccess>(&());
    let mut object = DynamicObject::new("", &kind).data(json!({ "spec": spec }));
    (object.metadata.name, object.metadata.generate_name) = (None, Some("test-".to_owned()));
    object
}

#[tokio::test]
async fn what_could_mean_more_or_less_than_its_writer_thinks_is_refused_with_the_fix() -> anyhow::Result<()> {
    let selector = |requirement: Value| json!({ "namespaceSelector": { "matchExpressions": [requirement] } });
    let cases = [
        (json!({ "hosts": [] }), "should have at least 1 items"),
        (json!({ "hosts": ["*"] }), "hosts must be hosts of registries"),
        (json!({ "hosts": ["r*.example.com"] }), "hosts must be hosts of registries"),
        (json!({ "hosts": ["r.*.example.com"] }), "hosts must be hosts of registries"),
        (json!({ "hosts": ["https://r.example.com"] }), "hosts must be hosts of registries"),
        (json!({ "hosts": ["r.example.com/team-a"] }), "hosts must be hosts of registries"),
        (json!({ "aliases": ["*.example.com"] }), "aliases must be hosts of registries"),
        (
            json!({ "hosts": ["*.example.com"], "aliases": ["r.corp:5000"] }),
            "aliases are other names of one registry",
        ),
        (json!({ "repositories": [] }), "should have at least 1 items"),
        (json!({ "repositories": [""] }), "repositories must be paths"),
        (json!({ "repositories": ["team-a/*"] }), "repositories must be paths"),
        (json!({ "repositories": ["/team-a/"] }), "repositories must be paths"),
        (json!({ "repositories": ["Team-A/"] }), "repositories must be paths"),
        (json!({ "actions": [] }), "should have at least 1 items"),
        (json!({ "actions": ["Pull", "Pull"] }), "actions must be Pull, Push, or both once"),
        (json!({ "actions": ["Delete"] }), "Unsupported value"),
        (json!({ "namespaceSelector": {} }), "namespaceSelector must have matchLabels or matchExpressions"),
        (json!({ "namespaceSelector": { "matchLabels": {} } }), "namespaceSelector must have matchLabels"),
        (selector(json!({ "key": "a", "operator": "NotIn" })), "values go with the operators In and NotIn"),
        (selector(json!({ "key": "a", "operator": "In", "values": [] })), "values go with the operators"),
        (
            selector(json!({ "key": "a", "operator": "Exists", "values": ["b"] })),
            "values go with the operators",
        ),
        (json!({ "secretName": "A b" }), "secretName must be the name of a Secret in the agent's namespace"),
        (
            json!({ "secretName": "s", "aws": { "identity": "Agent" } }),
            "secretName and aws both give credentials",
        ),
        (
            json!({ "tls": { "mode": "SkipVerify", "caSecretName": "ca" } }),
            "tls.caSecretName goes with tls.mode",
        ),
        (json!({ "tokenServers": ["https://auth.example.org"] }), "tokenServers must be hosts"),
        (json!({ "addresses": ["10.0.0.0"] }), "addresses must be ranges"),
        (json!({ "addresses": ["10.0.0.0/33"] }), "addresses must be ranges"),
        (json!({ "limits": {} }), "limits must have concurrentRequests"),
        (json!({ "limits": { "concurrentRequests": 0 } }), "should be greater than or equal to 1"),
        (json!({ "limits": { "concurrentRequests": 65 } }), "should be less than or equal to 64"),
    ];
    let api = accesses(&ApiServer::shared().await?.client().await?);
    let mut wrong = Vec::new();
    for (fields, says) in &cases {
        match api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object(&spec(fields))).await
        {
            Ok(_) => wrong.push(format!("{fields} was accepted")),
            Err(Error::Api(status)) if status.message.contains(says) => {}
            Err(error) => wrong.push(format!("{fields} should say: {says}\n  but: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test]
async fn what_is_accepted_is_understood_alike_by_the_agent() -> anyhow::Result<()> {
    let cases = [
        json!({}),
        json!({ "hosts": ["*.example.com", "localhost:5000", "[fd00::1]:5000", "10.0.0.1:5000", "docker.io"] }),
        json!({ "aliases": ["r.corp:5000", "registry.example.com:443"], "actions": ["Pull", "Push"] }),
        json!({ "repositories": ["/", "team-a/", "team-a/app", "a/b/c__d/", "nginx"] }),
        json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "team-a" } } }),
        json!({ "namespaceSelector": { "matchExpressions": [
            { "key": "kubernetes.io/metadata.name", "operator": "Exists" },
            { "key": "team", "operator": "NotIn", "values": ["a", ""] }] } }),
        json!({ "secretName": "shared.robot", "tls": { "mode": "Verify", "caSecretName": "ca" } }),
        json!({ "aws": { "identity": "Agent" }, "tls": { "mode": "PlainHTTP" } }),
        json!({ "limits": { "concurrentRequests": 64 } }),
        json!({ "tokenServers": ["auth.example.org", "auth.example.org:8443"],
            "addresses": ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"] }),
    ];
    let api = accesses(&ApiServer::shared().await?.client().await?);
    for fields in &cases {
        let (dry_run, wanted) =
            (PostParams { dry_run: true, ..PostParams::default() }, object(&spec(fields)));
        let created =
            api.create(&dry_run, &wanted).await.map_err(|error| anyhow::anyhow!("{fields}: {error}"))?;
        let stored: RegistryAccess = serde_json::from_value(serde_json::to_value(&created)?)?;
        let (_, problem) = Grant::parse("granted", &stored.spec);
        assert!(problem.is_none(), "{fields}: {}", problem.map(|p| p.to_string()).unwrap_or_default());
    }
    Ok(())
}
