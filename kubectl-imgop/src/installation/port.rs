//! A port of the agent that others have set. An apply does not take away what another field manager has: with the port of
//! another LISTEN there would be two of one name, which the API server refuses.

use serde_json::Value;

use super::variables::other_manager;
use crate::cli_error::CliError;
use crate::manifests::listen::{LISTEN, probed_port};
use crate::manifests::{Manifest, container};

/// Checks that the port of the manifest can be applied to the running Deployment.
///
/// # Errors
/// That name both ports, who has set the one that is in the way, and how it is changed.
pub fn check_port(manifest: &Manifest, live: &Value, flags: &str) -> Result<(), CliError> {
    let Some((wanted, running)) = container(&manifest.body).zip(container(live)) else { return Ok(()) };
    let Some(((_, new), (place, old))) = probed_port(wanted).zip(probed_port(running)) else {
        return Ok(());
    };
    let key = format!(r#"k:{{"containerPort":{old},"protocol":"TCP"}}"#);
    if new == old {
        return Ok(());
    }
    let Some(manager) = other_manager(live, running, &["f:ports", &key]) else { return Ok(()) };
    let (name, namespace) = (&manifest.name, manifest.namespace.as_deref().unwrap_or_default());
    let field =
        format!("/spec/template/spec/containers/{}/ports/{place}/containerPort", index(live, running));
    let patch = format!(r#"[{{"op":"replace","path":"{field}","value":{new}}}]"#);
    let change = format!("kubectl patch deployment/{name} -n {namespace} --type=json -p '{patch}'{flags}");
    let message =
        format!("{LISTEN} needs port {new}, and {manager} has set port {old} in the Deployment {name}");
    // The patch changes the port alone.
    let next = format!(
        "then run this command again at once: until it has set {LISTEN}, the probes of new pods ask port {new} in vain, and only \
         pods that ran before stay ready"
    );
    Err(CliError::failed(message).hinted(format!("to change it: {change}")).hinted(next))
}

/// Returns the place of a container among those of its Deployment.
fn index(deployment: &Value, container: &Value) -> usize {
    let containers = deployment.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let mut containers = containers.into_iter().flatten();
    containers.position(|other| other["name"] == container["name"]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::installation::FIELD_MANAGER;
    use crate::manifests::choices::Choices;
    use crate::manifests::shipped;

    /// What an upgrade with a setting says where a manager has set this port of the second container.
    fn checked(setting: &str, manager: &str, port: u16) -> Result<(), CliError> {
        let choices = Choices { settings: vec![setting.parse().unwrap()], ..Choices::default() };
        let manifests = choices.applied(shipped().unwrap()).unwrap();
        let manifest = manifests.into_iter().find(|manifest| manifest.is("Deployment")).unwrap();
        let mut live = manifest.body.clone();
        let containers = live.pointer_mut("/spec/template/spec/containers").unwrap().as_array_mut().unwrap();
        containers[0]["ports"] = json!([{ "name": "debug", "containerPort": 6060, "protocol": "TCP" },
            { "name": "http", "containerPort": 8080, "protocol": "TCP" }]);
        containers.insert(0, json!({ "name": "proxy" }));
        let ports = json!({ format!(r#"k:{{"containerPort":{port},"protocol":"TCP"}}"#): { "f:name": {} } });
        live["metadata"]["managedFields"] = json!([{ "manager": manager, "fieldsV1": { "f:spec": { "f:template":
            { "f:spec": { "f:containers": { r#"k:{"name":"agent"}"#: { "f:ports": ports } } } } } } }]);
        check_port(&manifest, &live, " --context x")
    }

    #[test]
    fn a_port_that_another_manager_has_set_is_named_with_who_has_and_with_all_that_changes_it() {
        let error = checked("LISTEN=0.0.0.0:9090", "kubectl", 8080).unwrap_err();
        assert_eq!(
            error.message,
            "LISTEN needs port 9090, and kubectl has set port 8080 in the Deployment imgop-agent"
        );
        let patch = r#"[{"op":"replace","path":"/spec/template/spec/containers/1/ports/1/containerPort","value":9090}]"#;
        let command = "kubectl patch deployment/imgop-agent -n imgop-system --type=json -p";
        let hint = format!("to change it: {command} '{patch}' --context x");
        let next = "then run this command again at once: until it has set LISTEN, the probes of new pods ask port 9090 in \
                    vain, and only pods that ran before stay ready";
        assert_eq!(error.hints, [hint.as_str(), next]);
    }

    #[test]
    fn a_port_that_this_program_has_set_or_that_stays_is_in_the_way_of_nothing() {
        for (setting, manager, port, why) in [
            ("LISTEN=0.0.0.0:9090", FIELD_MANAGER, 8080, "what this program has set, it changes"),
            ("LISTEN=[::]:8080", "kubectl", 8080, "the port stays"),
            ("LISTEN=0.0.0.0:9090", "kubectl", 6060, "it is another port"),
        ] {
            assert!(checked(setting, manager, port).is_ok(), "{why}");
        }
    }
}
