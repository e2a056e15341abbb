//! Variables of the agent that others have given another form: a value here, and there what it is taken from. Both at once is
//! no variable, and an apply does not take away what another field manager has set.

use serde_json::Value;

use super::FIELD_MANAGER;
use crate::cli_error::CliError;
use crate::manifests::{Manifest, container};

/// Checks that each variable of the manifest can be applied to the running Deployment.
///
/// # Errors
/// That name the first one that cannot, who has set it, and how it is taken out.
pub fn check_variables(manifest: &Manifest, live: &Value, flags: &str) -> Result<(), CliError> {
    let Some((wanted, running)) = container(&manifest.body).zip(container(live)) else { return Ok(()) };
    for variable in wanted["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or_default();
        let mut others = running["env"].as_array().into_iter().flatten();
        let Some(other) = others.find(|other| other["name"] == name) else { continue };
        let form = form(other);
        if form == self::form(variable) {
            continue;
        }
        let (key, field) = (format!(r#"k:{{"name":"{name}"}}"#), format!("f:{form}"));
        if let Some(manager) = other_manager(live, running, &["f:env", &key, &field]) {
            let namespace = manifest.namespace.as_deref().unwrap_or_default();
            let message = format!(
                "{name} cannot be set: {manager} has set its {form} in the Deployment {}, and a variable has one of \
                 value and valueFrom",
                manifest.name
            );
            let out = format!("kubectl set env deployment/{} -n {namespace} {name}-{flags}", manifest.name);
            return Err(CliError::failed(message).hinted(format!("to take it out, and then again: {out}")));
        }
    }
    Ok(())
}

/// Returns which of both a variable has. One with neither is empty, and is in the way of nothing.
fn form(variable: &Value) -> &'static str {
    if variable.get("valueFrom").is_some() { "valueFrom" } else { "value" }
}

/// Returns who else has set a field of a container of a Deployment; each step to it is one of `fields`.
pub(super) fn other_manager<'a>(
    deployment: &'a Value,
    container: &Value,
    fields: &[&str],
) -> Option<&'a str> {
    let key = format!(r#"k:{{"name":{}}}"#, container["name"]);
    let managers = deployment.pointer("/metadata/managedFields")?.as_array()?;
    managers.iter().find_map(|entry| {
        let containers = entry.pointer("/fieldsV1/f:spec/f:template/f:spec/f:containers")?;
        let set = containers.get(&key)?;
        fields.iter().try_fold(set, |set, field| set.get(*field))?;
        entry["manager"].as_str().filter(|manager| *manager != FIELD_MANAGER)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifests::choices::Choices;
    use crate::manifests::shipped;

    fn checked(setting: &str, live: &Value, manager: &str, form: &str) -> Result<(), CliError> {
        let choices = Choices { settings: vec![setting.parse().unwrap()], ..Choices::default() };
        let manifests = choices.applied(shipped().unwrap()).unwrap();
        let manifest = manifests.into_iter().find(|manifest| manifest.is("Deployment")).unwrap();
        let mut deployment = manifest.body.clone();
        let variables =
            deployment.pointer_mut("/spec/template/spec/containers/0/env").unwrap().as_array_mut().unwrap();
        variables.retain(|variable| variable["name"] != live["name"]);
        variables.push(live.clone());
        let variable = json!({ format!("k:{{\"name\":{}}}", live["name"]): { format!("f:{form}"): {} } });
        deployment["metadata"]["managedFields"] = json!([{ "manager": manager, "fieldsV1": { "f:spec": { "f:template":
            { "f:spec": { "f:containers": { r#"k:{"name":"agent"}"#: { "f:env": variable } } } } } } }]);
        check_variables(&manifest, &deployment, "")
    }

    #[test]
    fn a_variable_that_another_manager_takes_from_elsewhere_is_named_with_what_takes_it_out() {
        let live =
            json!({ "name": "MAX_JOBS", "valueFrom": { "configMapKeyRef": { "name": "c", "key": "k" } } });
        let error = checked("MAX_JOBS=7", &live, "kubectl-edit", "valueFrom").unwrap_err();
        insta::assert_snapshot!(format!("{}\n{}", error.message, error.hints.join("\n")), @r"
        MAX_JOBS cannot be set: kubectl-edit has set its valueFrom in the Deployment imgop-agent, and a variable has one of value and valueFrom
        to take it out, and then again: kubectl set env deployment/imgop-agent -n imgop-system MAX_JOBS-
        ");
        assert!(
            checked("MAX_JOBS=7", &live, FIELD_MANAGER, "valueFrom").is_ok(),
            "what this program has set, it changes"
        );
        assert!(checked("MAX_BUILDS=7", &live, "kubectl-edit", "valueFrom").is_ok(), "nothing is set there");
    }

    #[test]
    fn a_value_that_others_have_set_in_the_place_of_what_the_pod_gives_is_named_too() {
        let live = json!({ "name": "POD_NAME", "value": "one" });
        let error = checked("MAX_JOBS=7", &live, "kubectl-set", "value").unwrap_err();
        assert!(
            error.message.starts_with("POD_NAME cannot be set: kubectl-set has set its value"),
            "{error}"
        );
    }
}
