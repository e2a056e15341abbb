//! The port at which the agent listens. The port of its container is that of its setting LISTEN, as in the Helm chart: the
//! probes ask at that port by its name.

use imgop_core::listen::listener;
use serde_json::{Value, json};

use super::container;

/// The setting with the address of /livez, /readyz and /metrics.
pub const LISTEN: &str = "LISTEN";
/// The name of the container's port there.
const PORT_NAME: &str = "http";
/// The port where nothing is set, which is that of `manifests/agent-network-policy.yaml`.
const DEFAULT_PORT: u16 = 8080;

/// Returns the port of an address; none where not every pod of the agent would start with it and be reached there.
pub fn port_of(address: &str) -> Option<u16> {
    listener(address).map(|listener| listener.port())
}

/// Returns the port of a container that the probes ask, with its place among the ports.
pub fn probed_port(container: &Value) -> Option<(usize, u16)> {
    let mut ports = container["ports"].as_array()?.iter().enumerate();
    let (place, entry) = ports.find(|(_, entry)| entry["name"] == PORT_NAME)?;
    let port = u16::try_from(entry["containerPort"].as_u64()?).ok()?;
    Some((place, port))
}

/// Gives the agent's container the port of its setting. Where that is not written there, since it is taken from elsewhere, or is
/// an address that not every pod has, the ports of the running container stay.
pub fn follow_listen(container: &mut Value, running: Option<&Value>) {
    let mut variables = container["env"].as_array().into_iter().flatten();
    let Some(variable) = variables.find(|variable| variable["name"] == LISTEN) else { return };
    let port = variable["value"].as_str().and_then(port_of);
    let running = running.and_then(|running| running.get("ports"));
    match (port, running) {
        (Some(port), _) => {
            let ports = container["ports"].as_array_mut().into_iter().flatten();
            let asked = ports.filter(|entry| entry["name"] == PORT_NAME);
            asked.for_each(|entry| entry["containerPort"] = json!(port));
        }
        (None, Some(ports)) => container["ports"] = ports.clone(),
        (None, None) => {}
    }
}

/// Returns the port at which the agent of a Deployment listens; none where nothing is set.
fn running_port(deployment: &Value) -> Option<u16> {
    let container = container(deployment)?;
    let mut variables = container["env"].as_array().into_iter().flatten();
    let variable = variables.find(|variable| variable["name"] == LISTEN)?;
    let port = variable["value"].as_str().and_then(port_of);
    port.or_else(|| probed_port(container).map(|(_, port)| port))
}

/// Returns what an administrator has to change besides who chooses this address in the place of that of a running
/// Deployment: a `NetworkPolicy` is no part of the manifests that are applied.
pub fn remark(address: &str, deployment: Option<&Value>) -> Option<String> {
    let running = deployment.and_then(running_port).unwrap_or(DEFAULT_PORT);
    let port = port_of(address).filter(|port| *port != running)?;
    Some(format!(
        "the agent listens at port {port}: where manifests/agent-network-policy.yaml is applied, and where Prometheus is told \
         a port, {running} has to become {port}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::choices::{Choices, Setting};
    use crate::manifests::kept::keep;
    use crate::manifests::{Manifest, shipped};

    fn agent(settings: &[&str]) -> Manifest {
        let settings: Vec<Setting> =
            settings.iter().map(|setting| setting.parse::<Setting>().unwrap()).collect();
        let choices = Choices { settings, ..Choices::default() };
        let manifests = choices.applied(shipped().unwrap()).unwrap();
        manifests.into_iter().find(|manifest| manifest.is("Deployment")).unwrap()
    }

    fn ports(manifest: &Manifest) -> Value {
        container(&manifest.body).unwrap()["ports"].clone()
    }

    /// The port that the chart makes of the setting: the digits at its end.
    fn port_of_chart(address: &str) -> u16 {
        let helpers = include_str!("../../../manifests/chart/templates/_helpers.tpl");
        assert!(helpers.contains(r#".listen | default ":8080" | regexFind "[0-9]+$""#));
        let deployment = include_str!("../../../manifests/chart/templates/_deployment.tpl");
        assert!(deployment.contains(r#""containerPort" (include "imgop.port" .root | int)"#));
        address.rsplit(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse().unwrap()
    }

    #[test]
    fn the_port_that_the_probes_ask_is_that_of_the_address_as_in_the_chart() {
        for address in ["0.0.0.0:9090", "[::]:9443", "0.0.0.0:8080"] {
            let agent = agent(&[&format!("listen={address}")]);
            let port = json!([{ "name": PORT_NAME, "containerPort": port_of_chart(address) }]);
            assert_eq!(ports(&agent), port, "{address}");
            for probe in ["livenessProbe", "readinessProbe"] {
                let asked = &container(&agent.body).unwrap()[probe]["httpGet"]["port"];
                assert_eq!(asked, PORT_NAME, "{probe} of {address}");
            }
        }
        let port = json!([{ "name": PORT_NAME, "containerPort": DEFAULT_PORT }]);
        assert_eq!(ports(&agent(&["MAX_JOBS=7"])), port);
    }

    #[test]
    fn an_address_with_which_the_agent_does_not_start_or_is_not_reached_is_refused() {
        let of_one_pod =
            ["127.0.0.1:9090", "[::1]:9090", "[::ffff:127.0.0.1]:9090", "10.0.0.1:9090", "[fd00::1]:9090"];
        let unusable = [":9090", "localhost:9090", "0.0.0.0", "0", "0.0.0.0:0", ""];
        for address in unusable.into_iter().chain(of_one_pod) {
            let settings = vec![format!("LISTEN={address}").parse::<Setting>().unwrap()];
            let choices = Choices { settings, ..Choices::default() };
            let error = choices.applied(shipped().unwrap()).unwrap_err();
            assert_eq!(
                error.message,
                format!(
                    "--set LISTEN={address}: write 0.0.0.0 or [::] with a port, such as 0.0.0.0:8080; what other addresses a \
                     pod has is not known before it runs, and at those of its loopback the kubelet does not reach it"
                )
            );
        }
    }

    #[test]
    fn an_upgrade_that_keeps_the_address_keeps_its_port() {
        let live = agent(&["LISTEN=0.0.0.0:9090"]).body;
        let mut upgraded = agent(&[]);
        keep(&mut upgraded, &live, &Choices::default());
        assert_eq!(ports(&upgraded)[0]["containerPort"], 9090);
        assert_eq!(ports(&upgraded).as_array().unwrap().len(), 1);
    }

    #[test]
    fn where_the_address_is_taken_from_elsewhere_or_is_one_of_a_node_the_ports_stay_as_they_are() {
        let of_node = json!({ "name": LISTEN, "value": "10.0.0.1:9090" });
        let of_elsewhere = json!({ "name": LISTEN,
            "valueFrom": { "configMapKeyRef": { "name": "settings", "key": "listen" } } });
        for variable in [of_node, of_elsewhere] {
            let mut live = agent(&["LISTEN=0.0.0.0:9090"]).body;
            let variables = live.pointer_mut("/spec/template/spec/containers/0/env").unwrap();
            let of_setting = variables.as_array_mut().unwrap().iter_mut().find(|it| it["name"] == LISTEN);
            *of_setting.unwrap() = variable.clone();
            let mut upgraded = agent(&[]);
            keep(&mut upgraded, &live, &Choices::default());
            assert_eq!(ports(&upgraded)[0]["containerPort"], 9090, "{variable}");
        }
    }

    #[test]
    fn who_chooses_another_port_is_told_where_else_it_stands() {
        insta::assert_snapshot!(remark("0.0.0.0:9090", None).unwrap(), @"the agent listens at port 9090: where manifests/agent-network-policy.yaml is applied, and where Prometheus is told a port, 8080 has to become 9090");
        assert_eq!(remark("[::]:8080", None), None);
        let policy: Value =
            serde_saphyr::from_str(include_str!("../../../manifests/agent-network-policy.yaml")).unwrap();
        assert_eq!(policy["spec"]["ingress"][0]["ports"][0]["port"], DEFAULT_PORT);
    }

    #[test]
    fn the_port_that_has_to_change_is_the_one_at_which_the_agent_runs() {
        let said = |address: &str, deployment: &Value| {
            let text = remark(address, Some(deployment));
            text.map(|text| text.rsplit(", ").next().unwrap().to_owned())
        };
        let mut deployment = agent(&["LISTEN=0.0.0.0:9090"]).body;
        let back = said("0.0.0.0:8080", &deployment);
        assert_eq!(back.as_deref(), Some("9090 has to become 8080"));
        let on = said("0.0.0.0:9443", &deployment);
        assert_eq!(on.as_deref(), Some("9090 has to become 9443"));
        assert_eq!(said("[::]:9090", &deployment), None);
        let variables = deployment.pointer_mut("/spec/template/spec/containers/0/env").unwrap();
        let of_setting = variables.as_array_mut().unwrap().iter_mut().find(|it| it["name"] == LISTEN);
        *of_setting.unwrap() = json!({ "name": LISTEN,
            "valueFrom": { "configMapKeyRef": { "name": "settings", "key": "listen" } } });
        let of_elsewhere = said("0.0.0.0:8080", &deployment);
        assert_eq!(of_elsewhere.as_deref(), Some("9090 has to become 8080"), "the probes ask there");
        let mut patched = agent(&[]).body;
        let port = patched.pointer_mut("/spec/template/spec/containers/0/ports/0/containerPort");
        *port.unwrap() = json!(9090);
        let changed_before = said("0.0.0.0:9090", &patched);
        assert_eq!(changed_before.as_deref(), Some("8080 has to become 9090"), "the agent listens there");
    }
}
