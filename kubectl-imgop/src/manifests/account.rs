//! The service account of a running agent. One that its administrator has given it stays through an upgrade, and what binds
//! the shipped one binds that one: without its rights the agent would do nothing.

use serde_json::{Value, json};

use super::kept::Kept;
use super::{AGENT, Manifest, container_mut};

const ACCOUNT: &str = "/spec/template/spec/serviceAccountName";
/// The setting by which the agent names its account in its messages.
const SETTING: &str = "SERVICE_ACCOUNT";

/// Puts the account of the running Deployment into the manifests, if it is another one than the shipped. Returns that.
pub fn keep_account(manifests: &mut [Manifest], live: &Value) -> Option<Kept> {
    let account =
        live.pointer(ACCOUNT).and_then(Value::as_str).filter(|name| !name.is_empty() && *name != AGENT)?;
    let namespace = live.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    for manifest in manifests {
        if manifest.is("Deployment") {
            put_into(&mut manifest.body, namespace, account);
        }
        for subject in manifest.body.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
            if subject["kind"] == "ServiceAccount"
                && subject["name"] == AGENT
                && subject["namespace"] == namespace
            {
                subject["name"] = json!(account);
            }
        }
    }
    Some(Kept { what: "serviceAccountName".to_owned(), value: account.to_owned() })
}

fn put_into(deployment: &mut Value, namespace: &str, account: &str) {
    deployment["spec"]["template"]["spec"]["serviceAccountName"] = json!(account);
    let Some(variables) = container_mut(deployment).and_then(|container| container["env"].as_array_mut())
    else {
        return;
    };
    // The administrator's own word, which was kept, goes before.
    if !variables.iter().any(|variable| variable["name"] == SETTING) {
        variables.push(json!({ "name": SETTING, "value": format!("{namespace}:{account}") }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::choices::Choices;
    use crate::manifests::{container, shipped};

    fn kept(account: &str) -> (Option<Kept>, Vec<Manifest>) {
        let mut manifests = Choices::default().applied(shipped().unwrap()).unwrap();
        let deployment = manifests.iter().find(|manifest| manifest.is("Deployment")).unwrap();
        let mut live = deployment.body.clone();
        live["spec"]["template"]["spec"]["serviceAccountName"] = json!(account);
        let kept = keep_account(&mut manifests, &live);
        (kept, manifests)
    }

    #[test]
    fn an_account_of_the_administrators_own_stays_with_the_agents_rights() {
        let (kept, manifests) = kept("mirror");
        assert_eq!(kept.map(|kept| kept.value).as_deref(), Some("mirror"));
        let subjects =
            manifests.iter().flat_map(|manifest| manifest.body["subjects"].as_array().into_iter().flatten());
        let accounts: Vec<&Value> = subjects.filter(|subject| subject["kind"] == "ServiceAccount").collect();
        assert!(
            accounts.len() > 2 && accounts.iter().all(|subject| subject["name"] == "mirror"),
            "{accounts:?}"
        );
        let has_subjects = |manifest: &&Manifest| manifest.body.get("subjects").is_some();
        assert!(
            manifests.iter().filter(has_subjects).all(|manifest| manifest.resource.kind.ends_with("Binding"))
        );
        let deployment = &manifests.iter().find(|manifest| manifest.is("Deployment")).unwrap().body;
        assert_eq!(deployment["spec"]["template"]["spec"]["serviceAccountName"], "mirror");
        let variables = container(deployment).unwrap()["env"].as_array().unwrap();
        assert!(
            variables.contains(&json!({ "name": SETTING, "value": "imgop-system:mirror" })),
            "{variables:?}"
        );
    }

    #[test]
    fn the_shipped_account_is_nothing_to_keep() {
        let (kept, manifests) = kept(AGENT);
        assert_eq!((kept, manifests), (None, Choices::default().applied(shipped().unwrap()).unwrap()));
    }
}
