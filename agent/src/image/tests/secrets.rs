//! Secrets that a spec names and that do not fit.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgop_core::api::{CA_KEY, Tls, TlsMode};
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
    destination.tls = Some(Tls { mode: TlsMode::Verify, ca_secret_name: Some("corp-ca".to_owned()) });
    stage.image.metadata.generation = Some(2);
    let result = stage.pass(&mut Memory::default(), now()).await.unwrap();
    let status = result.report.unwrap().status;
    let message = &find(&status.conditions, READY).unwrap().message;
    let advice =
        "Secret \"corp-ca\" (spec.destination.tls.caSecretName) does not hold the CA of this registry";
    assert!(message.contains(advice), "{message}");
}
