//! Secrets that a spec names and that do not fit, and those that administrators lend.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::api::{CA_KEY, Credentials, DOCKER_CONFIG_KEY, RegistryAccess, Tls, TlsMode};
use imgop_fakes::{ScriptedRegistry, reply};
use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn the_secret_whose_ca_does_not_fit_is_named() {
    let start = || ScriptedRegistry::start_tls(&["localhost"], |_| reply(200, &[], ""));
    let ((registry, _), (_, ca_of_another)) = (start().await, start().await);
    let mut stage = Stage::of_a_synced_image().await;
    in_sync(&stage);
    stage.api.hold(
        "/api/v1/namespaces/team-a/secrets/corp-ca",
        serde_json::json!({ "metadata": { "name": "corp-ca", "resourceVersion": "1" },
            "data": { CA_KEY: STANDARD.encode(ca_of_another) } }),
    );
    let destination = &mut stage.image.spec.destination;
    destination.name = format!("localhost:{}/target", registry.address.port());
    destination.tls = Some(Tls { mode: TlsMode::Verify, ca_secret_name: Some("corp-ca".to_owned()) });
    stage.image.metadata.generation = Some(2);
    let result = stage.pass(&mut Memory::default(), now()).await.unwrap();
    let status = result.report.unwrap().status;
    let message = &find(&status.conditions, READY).unwrap().message;
    let advice =
        "Secret \"corp-ca\" (spec.destination.tls.caSecretName) does not hold the CA of this registry";
    assert!(message.contains(advice), "{message}");
}

#[tokio::test]
async fn a_token_server_elsewhere_that_a_registry_names_gets_no_password_and_there_is_no_job() {
    let elsewhere = ScriptedRegistry::start(|_| reply(200, &[], r#"{"token":"t"}"#)).await;
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"r\"", elsewhere.address);
    let registry =
        ScriptedRegistry::start(move |_| reply(401, &[("www-authenticate", realm.as_str())], "")).await;
    let mut stage = Stage::of_a_synced_image().await;
    in_sync(&stage);
    let config = serde_json::json!({ "auths":
        { registry.address.to_string(): { "username": "user", "password": "hunter2" } } });
    stage.api.hold(
        "/api/v1/namespaces/team-a/secrets/push",
        serde_json::json!({ "metadata": { "name": "push", "resourceVersion": "1" },
            "data": { DOCKER_CONFIG_KEY: STANDARD.encode(config.to_string()) } }),
    );
    let destination = &mut stage.image.spec.destination;
    destination.name = format!("{}/target", registry.address);
    destination.credentials = Some(Credentials { secret_name: "push".to_owned() });
    stage.image.metadata.generation = Some(2);
    let result = stage.pass(&mut Memory::default(), now()).await.unwrap();
    let status = result.report.unwrap().status;
    assert_eq!(find(&status.conditions, READY).unwrap().status, "False");
    let said = serde_json::to_string(&status).unwrap();
    assert!(said.contains(&elsewhere.address.to_string()), "the token server is named: {said}");
    assert!(!said.contains("hunter2") && elsewhere.seen().is_empty(), "{:?}", elsewhere.lines());
    assert!(registry.seen().iter().all(|seen| seen.header("authorization").is_none()));
    let requests = stage.api.requests();
    assert!(!requests.iter().any(|line| line.starts_with("POST") && line.contains("/jobs")), "{requests:?}");
}

/// An Image whose destination an administrator has granted to namespaces with this label; its tag is yet to be copied.
async fn granted_to(team: &str) -> Stage {
    let mut stage = Stage::of_a_synced_image().await;
    stage.is_reconciling(reasons::PROGRESSING);
    let host = format!("localhost:{}", stage.registry.address.port());
    grant(&mut stage, &host, team);
    stage
}

/// An administrator grants a destination to namespaces with this label, with the password of Secret `shared`.
fn grant(stage: &mut Stage, host: &str, team: &str) {
    let spec = json!({ "hosts": [host], "repositories": ["/"], "actions": ["Push"], "secretName": "shared",
        "tls": { "mode": "PlainHTTP" }, "namespaceSelector": { "matchLabels": { "team": team } } });
    let granted = RegistryAccess::new("granted", serde_json::from_value(spec).unwrap());
    stage.images.agent.policies.show(&[granted]);
    stage.image.spec.destination.tls = None;
    let namespace = json!({ "metadata": { "name": "team-a", "labels": { "team": "a" } } });
    stage.api.hold("/api/v1/namespaces/team-a", namespace);
    let (user, password) = (STANDARD.encode("robot"), STANDARD.encode("hunter2"));
    let secret = json!({ "metadata": { "name": "shared", "resourceVersion": "1" },
        "data": { "username": user, "password": password } });
    stage.api.hold("/api/v1/namespaces/imgop-system/secrets/shared", secret);
}

#[tokio::test]
async fn a_lent_login_that_is_refused_is_an_administrators_to_correct_and_the_condition_names_nothing_of_his()
{
    let registry =
        ScriptedRegistry::start(|_| reply(401, &[("www-authenticate", "Basic realm=\"r\"")], "")).await;
    let mut stage = Stage::of_a_synced_image().await;
    in_sync(&stage);
    let host = registry.address.to_string();
    grant(&mut stage, &host, "a");
    stage.image.spec.destination.name = format!("{host}/target");
    stage.image.metadata.generation = Some(2);
    let result = stage.pass(&mut Memory::default(), now()).await.unwrap();
    assert_eq!(reason(&result), reasons::REGISTRY_UNAUTHORIZED);
    let status = result.report.unwrap().status;
    let message = &find(&status.conditions, READY).unwrap().message;
    let whose = "those that an administrator lends for this registry (by a RegistryAccess, or by CREDS_* in ";
    assert!(message.starts_with("destination: ") && message.contains(whose), "{message}");
    let of_administrator = ["granted", "shared", "hunter2"];
    assert!(of_administrator.iter().all(|name| !message.contains(name)), "{message}");
}

#[tokio::test]
async fn a_job_with_lent_credentials_runs_where_tenants_have_no_rights_and_its_secret_goes_with_it() {
    let mut stage = granted_to("a").await;
    let template = json!({ "nodeSelector": { "pool": "tenants-own" }, "serviceAccountName": "tenants-own",
        "imagePullSecrets": [{ "name": "tenants-own" }], "activeDeadlineSeconds": 604_800 });
    stage.image.spec.job_template = serde_json::from_value(template).unwrap();
    let copy = copy_of("v2.13.1", "{}");
    let result = stage.pass(&mut memory(&[], (now(), observed(&[&copy]))), now()).await.unwrap();
    assert_eq!(reason(&result), reasons::PROGRESSING);
    let written = stage.api.requests().into_iter().filter(|line| line.starts_with("POST"));
    let written: Vec<String> = written.map(|line| line.split('?').next().unwrap().to_owned()).collect();
    let of_tenant = |line: &&String| line.contains("/namespaces/team-a/") && !line.contains("events");
    assert_eq!(written.iter().find(of_tenant), None);
    for resource in ["/apis/batch/v1/namespaces/imgop-system/jobs", "/api/v1/namespaces/imgop-system/secrets"]
    {
        assert!(written.iter().any(|line| line.ends_with(resource)), "{resource}: {written:?}");
    }
    let bodies = stage.api.bodies("POST");
    let of_kind = |kind: &str| bodies.iter().find(|body| body["kind"] == kind).unwrap().clone();
    let (job, secret) = (of_kind("Job"), of_kind("Secret"));
    assert_eq!(job["metadata"]["ownerReferences"], Value::Null, "no owner of another namespace");
    assert_eq!(secret["metadata"]["ownerReferences"][0]["name"], job["metadata"]["name"]);
    assert_eq!(secret["data"].as_object().unwrap().keys().collect::<Vec<_>>(), ["destination.json"]);
    assert!(!job.to_string().contains("hunter2") && !job.to_string().contains("\"shared\""));
    assert!(!job.to_string().contains("tenants-own"), "nothing that a tenant names means anything there");
    assert_ne!(job["spec"]["activeDeadlineSeconds"], 604_800);
    let text = serde_json::to_string(&result.report.unwrap().status).unwrap();
    assert!(!text.contains("shared") && !text.contains("hunter2"), "{text}");

    // It is this Image's Job, and is deleted with it.
    let (jobs, owner) = (&stage.images.agent.jobs, Owner::of(&stage.image));
    assert_eq!(jobs.count(&owner).unfinished, 1);
    jobs.delete_lent::<Image>(|_| false).await;
    assert!(stage.api.bodies("DELETE").is_empty());
    jobs.delete_lent::<Image>(|gone| gone.uid == owner.uid).await;
    assert_eq!((stage.api.bodies("DELETE").len(), jobs.count(&owner).total), (1, 0));
}

#[tokio::test]
async fn a_job_whose_secret_cannot_be_written_does_not_wait_for_it() {
    let stage = granted_to("a").await;
    stage.api.fail_with("POST", "/secrets", 403, "exceeded quota: few, requested: count/secrets=1");
    let copy = copy_of("v2.13.1", "{}");
    let result = stage.pass(&mut memory(&[], (now(), observed(&[&copy]))), now()).await.unwrap();
    assert_eq!(reason(&result), reasons::JOB_REFUSED);
    assert_eq!(stage.api.bodies("DELETE").len(), 1);
    assert_eq!(stage.images.agent.jobs.count(&Owner::of(&stage.image)).total, 0);
}

#[tokio::test]
async fn a_destination_that_is_not_this_namespaces_gets_no_request_and_the_condition_names_no_other_tenant() {
    let stage = granted_to("team-b-of-the-bank").await;
    let result = stage.pass(&mut due_now(), now()).await.unwrap();
    assert_eq!(reason(&result), reasons::DESTINATION_NOT_ALLOWED);
    let status = result.report.unwrap().status;
    let message = &find(&status.conditions, READY).unwrap().message;
    assert!(message.starts_with("spec.destination: an administrator has decided"), "{message}");
    assert!(!message.contains("team-b") && !message.contains("granted"), "{message}");
    assert_eq!(stage.registry.requests(), Vec::<String>::new());
    assert!(stage.api.requests().iter().all(|line| !line.contains("/secrets")), "nor was any Secret read");
    assert!(result.next.is_some(), "it is checked again");
}
