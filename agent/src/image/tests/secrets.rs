//! Secrets that a spec names and that do not fit.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::api::{CA_KEY, Credentials, DOCKER_CONFIG_KEY, Tls, TlsMode};
use imgop_fakes::{ScriptedRegistry, reply};

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
    destination.tls = Tls { mode: TlsMode::Verify, ca_secret_name: Some("corp-ca".to_owned()) };
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
