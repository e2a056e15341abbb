use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::api::conditions::{READY, STALLED, find};
use imgop_fakes::ApiServer;
use imgop_registry::credentials::DOCKER_CONFIG_KEY;
use serde_json::{Value, json};

use super::*;
use crate::registry_access::testing::{AGENT_NAMESPACE, Resolving};

const HOST: &str = "registry.example.com";

/// An object of a generation, whose spec has these fields.
fn object(name: &str, generation: i64, fields: &Value) -> RegistryAccess {
    let mut spec = json!({ "hosts": [HOST], "repositories": ["/"], "actions": ["Pull", "Push"],
        "namespaceSelector": { "matchLabels": { "team": "a" } } });
    for (key, value) in fields.as_object().unwrap() {
        spec[key] = value.clone();
    }
    let mut object = RegistryAccess::new(name, serde_json::from_value(spec).unwrap());
    (object.metadata.uid, object.metadata.generation) = (Some(format!("uid-{name}")), Some(generation));
    object
}

/// An API server with Secrets of the agent.
fn api() -> ApiServer {
    let api = ApiServer::default();
    let config = |auths: Value| {
        let config = STANDARD.encode(json!({ "auths": auths }).to_string());
        json!({ DOCKER_CONFIG_KEY: config })
    };
    for (name, data) in [
        ("fine", config(json!({ HOST: { "username": "u", "password": "hunter2" } }))),
        ("path", config(json!({ format!("{HOST}/team-a"): { "username": "u", "password": "hunter2" } }))),
        ("other", config(json!({ "quay.io": { "username": "u", "password": "hunter2" } }))),
        ("token", config(json!({ HOST: { "registrytoken": "hunter2" } }))),
        ("broken", json!({ DOCKER_CONFIG_KEY: STANDARD.encode("{hunter2") })),
        ("pem", json!({ "ca.crt": STANDARD.encode("hunter2") })),
    ] {
        let path = format!("/api/v1/namespaces/{AGENT_NAMESPACE}/secrets/{name}");
        api.hold(&path, json!({ "metadata": { "name": name, "resourceVersion": "1" }, "data": data }));
    }
    api.fail_with("GET", "secrets/missing", 404, "not found");
    api.fail_with("GET", "secrets/hidden", 403, "cannot get resource \"secrets\"");
    api
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// What is written of these objects in one look: of each its name, and what its condition says.
async fn reported(objects: &[RegistryAccess]) -> Vec<String> {
    let api = api();
    let client = api.client();
    let resolving = Resolving::new(&client, objects);
    Reporter::new(&client, resolving.resolver()).report_all(now()).await;
    let written = api.bodies("PATCH").into_iter().map(|body| {
        let status: RegistryAccessStatus = serde_json::from_value(body["status"].clone()).unwrap();
        assert!(!body.to_string().contains("hunter2"), "{body}");
        let ready = find(&status.conditions, READY).unwrap();
        assert_eq!(find(&status.conditions, STALLED).is_some(), ready.status == "False");
        format!("{} {}: {}", ready.status, ready.reason, ready.message)
    });
    written.collect()
}

async fn reported_of(fields: Value) -> String {
    reported(&[object("one", 1, &fields)]).await.join("\n")
}

#[tokio::test]
async fn an_object_that_does_what_it_says_is_ready() {
    for fields in [json!({}), json!({ "secretName": "fine" }), json!({ "secretName": "path" })] {
        assert_eq!(reported_of(fields).await, "True Succeeded: it is in effect");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_secret_is_said_with_the_field_and_without_what_is_in_it() {
    let secret = async |name: &str| reported_of(json!({ "secretName": name })).await;
    insta::assert_snapshot!(secret("missing").await, @r#"False SecretUnusable: spec.secretName ("missing" in namespace imgop-system): its Secret does not exist"#);
    insta::assert_snapshot!(secret("hidden").await, @r#"False SecretUnusable: spec.secretName ("hidden" in namespace imgop-system): the agent may not read its Secret"#);
    insta::assert_snapshot!(secret("other").await, @r#"False SecretUnusable: spec.secretName ("other" in namespace imgop-system): its Secret holds no credential for registry.example.com"#);
    insta::assert_snapshot!(secret("token").await, @r#"False SecretUnusable: spec.secretName ("token" in namespace imgop-system): its Secret holds a bearer token (registrytoken), which Jobs can be given in no file, so it is not lent; put username and password there, or an identitytoken"#);
    insta::assert_snapshot!(secret("broken").await, @r#"False SecretUnusable: spec.secretName ("broken" in namespace imgop-system): it is not a docker configuration: invalid JSON at line 1, column 2"#);
    let ca = async |name: &str| reported_of(json!({ "tls": { "caSecretName": name } })).await;
    insta::assert_snapshot!(ca("fine").await, @r#"False SecretUnusable: spec.tls.caSecretName ("fine" in namespace imgop-system): its Secret has no key ca.crt"#);
    insta::assert_snapshot!(ca("pem").await, @r#"False SecretUnusable: spec.tls.caSecretName ("pem" in namespace imgop-system): key ca.crt of its Secret holds no certificates in PEM"#);
}

#[tokio::test]
async fn what_contradicts_another_object_or_itself_is_said_to_its_writer() {
    let objects = [
        object("a", 1, &json!({ "secretName": "fine", "defaultDestination": { "prefix": "a.example.com" } })),
        object("b", 1, &json!({ "secretName": "path", "defaultDestination": { "prefix": "b.example.com" } })),
        object("c", 1, &json!({ "hosts": ["b.example.com", "not a host"] })),
    ];
    insta::assert_snapshot!(reported(&objects).await.join("\n"), @r#"
    False RegistryAccessConflict: RegistryAccess "b" gives the same namespaces another default destination, so they have none; take spec.defaultDestination out of one of the two, or narrow a namespaceSelector
    False RegistryAccessConflict: RegistryAccess "a" is about registry.example.com/ as well, selects each of these namespaces too, and comes first by its name: there this one lends nothing; narrow its namespaceSelector, or say both in one object; RegistryAccess "a" gives the same namespaces another default destination, so they have none; take spec.defaultDestination out of one of the two, or narrow a namespaceSelector
    False InvalidSpec: it lends nothing and keeps all namespaces from its hosts: spec.hosts: "not a host" is not a registry host; expected host or host:port
    "#);
}

#[tokio::test]
async fn a_report_is_written_when_it_says_something_new_and_not_again() {
    let api = api();
    let client = api.client();
    let mut shown = object("one", 1, &json!({ "secretName": "missing" }));
    let resolving = Resolving::new(&client, std::slice::from_ref(&shown));
    let mut reporter = Reporter::new(&client, resolving.resolver());
    let mut later = now();
    let writes = || api.bodies("PATCH").len();
    for _ in 0..3 {
        assert_eq!(reporter.report_all(later).await, RECHECK_INTERVAL);
        later += Duration::from_mins(1);
    }
    assert_eq!(writes(), 1, "a cluster that does not show it is not asked again");
    shown.status = serde_json::from_value(api.bodies("PATCH")[0]["status"].clone()).unwrap();
    resolving.policies.show(std::slice::from_ref(&shown));
    let mut restarted = Reporter::new(&client, resolving.resolver());
    restarted.report_all(later).await;
    assert_eq!(writes(), 1, "nor after a restart");
    shown.metadata.generation = Some(2);
    shown.spec.secret_name = Some("fine".to_owned());
    resolving.policies.show(&[shown]);
    assert_eq!(restarted.report_all(later).await, CHECK_INTERVAL);
    let last = api.bodies("PATCH").pop().unwrap();
    assert_eq!((writes(), &last["status"]["observedGeneration"]), (2, &json!(2)));
    assert_eq!(last["metadata"]["uid"], "uid-one");
}

#[tokio::test]
async fn two_installations_that_report_otherwise_do_not_overwrite_each_other_in_turn() {
    let api = api();
    let client = api.client();
    let mut shown = object("one", 1, &json!({ "secretName": "missing" }));
    let resolving = Resolving::new(&client, std::slice::from_ref(&shown));
    let mut reporter = Reporter::new(&client, resolving.resolver());
    reporter.report_all(now()).await;
    let mut theirs: RegistryAccessStatus =
        serde_json::from_value(api.bodies("PATCH")[0]["status"].clone()).unwrap();
    theirs.conditions[0].message = "in another namespace".to_owned();
    shown.status = Some(theirs);
    resolving.policies.show(&[shown]);
    reporter.report_all(now() + Duration::from_secs(5)).await;
    assert_eq!(api.bodies("PATCH").len(), 1);
    reporter.report_all(now() + CHECK_INTERVAL).await;
    assert_eq!(api.bodies("PATCH").len(), 2);
}

#[tokio::test]
async fn while_it_is_not_known_what_there_is_nothing_is_reported() {
    let api = api();
    let client = api.client();
    let resolving = Resolving::new(&client, &[]);
    let unknown = super::super::Policies::new(client.clone());
    let with = AccessResolver { policies: &unknown, ..resolving.resolver() };
    Reporter::new(&client, with).report_all(now()).await;
    assert!(api.bodies("PATCH").is_empty());
}

#[tokio::test]
async fn a_limit_holds_for_a_registry_with_tls_and_without() {
    let api = api();
    let client = api.client();
    let limited = object("one", 1, &json!({ "limits": { "concurrentRequests": 2 } }));
    let resolving = Resolving::new(&client, &[limited]);
    let at = |port: u16| resolving.policies.request_limit("registry.example.com", port);
    let limit = at(443).unwrap();
    assert_eq!((limit.concurrent_requests, at(80)), (2, Some(limit)));
    assert_eq!(at(5000), None, "another registry");
}
